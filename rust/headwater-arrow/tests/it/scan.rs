//! Scans over several partitions: bounds, order, interruption, and the C stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ArrowError;
use bytes::Bytes;
use headwater_arrow::source::{Bounds, MemorySource, PartitionSource, RawBatches};
use headwater_arrow::*;
use headwater_record::Compression;

use crate::model::*;

/// Three partitions of 30 records in batches of 10; timestamps are ten times the offset.
fn sources() -> Vec<Box<dyn PartitionSource>> {
    let batches: Vec<_> = Compression::ALL[..3]
        .iter()
        .enumerate()
        .map(|(index, codec)| {
            let mut batch = simple("v", 10, 0, *codec);
            for (at, record) in batch.records.iter_mut().enumerate() {
                record.0 = (index * 10 + at) as i64 * 10;
            }
            batch
        })
        .collect();
    (0..3).map(|number| source("t", number, &partition("t", number, 0, &batches).0)).collect()
}

fn found(plan: ScanPlan) -> Vec<(i32, i64)> {
    let scan = Scan::new(plan, sources()).unwrap();
    scan.flat_map(|batch| rows_of(&batch.unwrap()))
        .map(|row| (row.partition.unwrap(), row.offset.unwrap()))
        .collect()
}

fn expected(partitions: &[i32], offsets: std::ops::Range<i64>) -> Vec<(i32, i64)> {
    partitions.iter().flat_map(|number| offsets.clone().map(move |offset| (*number, offset))).collect()
}

#[test]
fn everything_by_default() {
    assert_eq!(found(ScanPlan::default()), expected(&[0, 1, 2], 0..30));
    let small = BatchLimits { rows: 7, ..BatchLimits::default() };
    assert_eq!(
        found(ScanPlan { limits: small, read_size: 1, ..ScanPlan::default() }),
        expected(&[0, 1, 2], 0..30)
    );
}

#[test]
fn bounds_by_offset_and_time() {
    let plan = |start, end| ScanPlan { start, end, partitions: Some(vec![2, 0]), ..ScanPlan::default() };
    use ScanBound::{Offset, Offsets, Open, Timestamp};
    assert_eq!(found(plan(Offset(5), Offset(25))), expected(&[2, 0], 5..25));
    assert_eq!(found(plan(Offset(-7), Offset(1000))), expected(&[2, 0], 0..30));
    assert_eq!(found(plan(Offset(20), Offset(10))), []);
    assert_eq!(found(plan(Timestamp(95), Timestamp(200))), expected(&[2, 0], 10..20));
    assert_eq!(found(plan(Timestamp(10_000), Open)), []);
    assert_eq!(found(plan(Open, Timestamp(10_000))), expected(&[2, 0], 0..30));
    let offsets = Offsets(BTreeMap::from([(0, 28)]));
    assert_eq!(found(plan(offsets, Open)), [expected(&[2], 0..30), expected(&[0], 28..30)].concat());
}

#[test]
fn unknown_partitions_are_named() {
    let plan = ScanPlan { partitions: Some(vec![1, 9, 7]), ..ScanPlan::default() };
    let Err(error) = Scan::new(plan, sources()) else { panic!("partitions 9 and 7 do not exist") };
    assert_eq!(error.to_string(), "the topic has no partitions [9, 7]");
}

#[test]
fn nothing_is_read_before_the_first_batch() {
    struct Untouchable(Arc<str>);
    impl PartitionSource for Untouchable {
        fn topic(&self) -> &Arc<str> {
            &self.0
        }
        fn partition(&self) -> i32 {
            0
        }
        fn bounds(&mut self, _: &dyn Interrupt) -> Result<Bounds, SourceError> {
            Err(SourceError::OffsetOutOfRange { offset: 1, start: 2, end: 3 })
        }
        fn offset_for_timestamp(&mut self, _: i64, _: &dyn Interrupt) -> Result<Option<i64>, SourceError> {
            Ok(None)
        }
        fn read(&mut self, _: i64, _: usize, _: &dyn Interrupt) -> Result<RawBatches, SourceError> {
            Ok(RawBatches::default())
        }
    }
    let mut scan = Scan::new(ScanPlan::default(), vec![Box::new(Untouchable("t".into()))]).unwrap();
    assert_eq!(scan.schema(), *Projection::all(BytesLayout::Binary).schema());
    let error = scan.next().unwrap().unwrap_err();
    assert!(error.to_string().contains("t-0: offset 1 is outside [2, 3]"), "{error}");
    assert!(scan.next().is_none(), "ends after an error");
}

#[test]
fn interruption_ends_a_scan_between_batches() {
    let flag = CancelFlag::new();
    let limits = BatchLimits { rows: 10, ..BatchLimits::default() };
    let plan = ScanPlan { interrupt: Arc::new(flag.clone()), limits, ..ScanPlan::default() };
    let mut scan = Scan::new(plan, sources()).unwrap();
    assert_eq!(scan.next().unwrap().unwrap().num_rows(), 10);
    flag.cancel();
    let ArrowError::ExternalError(error) = scan.next().unwrap().unwrap_err() else { panic!() };
    let error = error.downcast::<ScanError>().unwrap();
    assert!(matches!(*error, ScanError::Interrupted(Interruption::Cancelled)));
    assert!(scan.next().is_none());
}

#[test]
fn a_source_that_leads_nowhere_is_an_error() {
    let whole = partition("t", 0, 0, &[simple("v", 10, 0, Compression::None)]).0;
    struct Cut(MemorySource);
    impl PartitionSource for Cut {
        fn topic(&self) -> &Arc<str> {
            self.0.topic()
        }
        fn partition(&self) -> i32 {
            0
        }
        fn bounds(&mut self, interrupt: &dyn Interrupt) -> Result<Bounds, SourceError> {
            self.0.bounds(interrupt)
        }
        fn offset_for_timestamp(&mut self, _: i64, _: &dyn Interrupt) -> Result<Option<i64>, SourceError> {
            Ok(None)
        }
        fn read(
            &mut self,
            offset: i64,
            size: usize,
            interrupt: &dyn Interrupt,
        ) -> Result<RawBatches, SourceError> {
            let raw = self.0.read(offset, size, interrupt)?;
            Ok(RawBatches { bytes: raw.bytes.slice(..raw.bytes.len() - 1), ..raw })
        }
    }
    let cut = Cut(MemorySource::new("t", 0, whole));
    let mut scan = Scan::new(ScanPlan::default(), vec![Box::new(cut)]).unwrap();
    let error = scan.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("t-0: the batch at offset 0 is damaged"), "{error}");
}

#[test]
fn empty_partitions() {
    let scan = Scan::new(ScanPlan::default(), vec![source("t", 0, &Bytes::new())]).unwrap();
    assert_eq!(scan.count(), 0);
    assert_eq!(Scan::new(ScanPlan::default(), vec![]).unwrap().count(), 0);
}

#[test]
fn the_c_stream_carries_both_layouts() {
    for layout in [BytesLayout::Binary, BytesLayout::View] {
        let plan = ScanPlan { projection: Projection::all(layout), ..ScanPlan::default() };
        let direct: Vec<RecordBatch> =
            Scan::new(plan.clone(), sources()).unwrap().collect::<Result<_, _>>().unwrap();
        let stream = FFI_ArrowArrayStream::new(Box::new(Scan::new(plan, sources()).unwrap()));
        let reader = RecordBatchStreamReader::try_new(stream).unwrap();
        assert_eq!(reader.schema(), *Projection::all(layout).schema());
        assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), direct);
    }
}
