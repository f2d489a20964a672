//! The decoder against plain rows.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use headwater_arrow::source::{AbortedTransaction, RawBatches};
use headwater_arrow::*;
use headwater_record::control::EndTransactionMarker;
use headwater_record::{BatchBuilder, BatchHeader, Compression, patch};
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::model::*;

const NAMES: [&str; 8] =
    ["key", "value", "topic", "partition", "offset", "timestamp", "timestamp_type", "headers"];

fn decode(
    projection: &Projection,
    limits: BatchLimits,
    raw: RawBatches,
    range: Range<i64>,
) -> Result<Vec<RecordBatch>, DecodeError> {
    let mut decoder = Decoder::new(projection.clone(), limits);
    decoder.begin(&Arc::from("t"), 3, raw, range);
    let mut batches = Vec::new();
    loop {
        let filled = decoder.fill()?;
        batches.push(decoder.take()?);
        if filled == Filled::UsedUp {
            return Ok(batches);
        }
    }
}

fn all_rows(batches: &[RecordBatch]) -> Vec<Row> {
    batches.iter().flat_map(rows_of).collect()
}

fn offsets(batches: &[RecordBatch]) -> Vec<i64> {
    all_rows(batches).iter().filter_map(|row| row.offset).collect()
}

proptest! {
    #[test]
    fn every_row_comes_out_once(
        kafka in proptest::collection::vec(batch_strategy(), 0..6),
        names in subsequence(NAMES.to_vec(), 0..=8).prop_shuffle(),
        view: bool,
        rows in 1usize..20,
        bytes in 1usize..200,
        first in 0i64..1 << 40,
        cut in 0i64..60,
        length in 0i64..60,
    ) {
        let (raw, expected) = partition("t", 3, first, &kafka);
        let layout = if view { BytesLayout::View } else { BytesLayout::Binary };
        let projection = Projection::from_names(names.iter().copied(), layout).unwrap();
        let range = first + cut..first + cut + length;
        let limits = BatchLimits { rows, bytes, ..BatchLimits::default() };
        let batches = decode(&projection, limits, RawBatches::new(raw), range.clone()).unwrap();
        for batch in &batches {
            prop_assert!(batch.num_rows() <= rows);
            prop_assert_eq!(batch.schema(), projection.schema().clone());
        }
        let expected: Vec<_> = expected.into_iter().filter(|row| range.contains(&row.offset.unwrap())).collect();
        prop_assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), expected.len());
        if !names.is_empty() {
            let expected: Vec<_> = expected.iter().map(|row| project(row, &names)).collect();
            prop_assert_eq!(all_rows(&batches), expected);
        }
    }
}

#[test]
fn the_schema_is_the_documented_one() {
    let shown: Vec<String> = Projection::all(BytesLayout::Binary)
        .schema()
        .fields()
        .iter()
        .map(|field| {
            format!("{} {}{}", field.name(), field.data_type(), if field.is_nullable() { "?" } else { "" })
        })
        .collect();
    assert_eq!(
        shown,
        [
            "key Binary?",
            "value Binary?",
            "topic Utf8",
            "partition Int32",
            "offset Int64",
            "timestamp Timestamp(ms, \"UTC\")",
            "timestamp_type Int32",
            "headers List(non-null Struct(\"key\": non-null Utf8, \"value\": Binary), field: 'element')",
        ]
    );
}

#[test]
fn columns_are_chosen_by_name_and_the_layout_by_request() {
    let unknown = Projection::from_names(["offset", "keys"], BytesLayout::Binary).unwrap_err();
    assert!(unknown.to_string().contains("`keys`"), "{unknown}");
    assert!(Projection::from_names(["key", "key"], BytesLayout::Binary).is_err());
    let narrow = Projection::from_names(["value", "offset"], BytesLayout::Binary).unwrap();
    let views = narrow.with_requested(Projection::all(BytesLayout::View).schema());
    assert_eq!(views.layout(), BytesLayout::View);
    assert!(views.names().eq(narrow.names()));
    assert_eq!(views.with_requested(narrow.schema()).layout(), BytesLayout::Binary);
}

#[test]
fn views_point_into_what_was_read() {
    let long = "longer than the twelve bytes of a view ";
    let (raw, _) =
        partition("t", 3, 0, &[simple(long, 3, 0, Compression::None), simple(long, 3, 0, Compression::Zstd)]);
    let projection = Projection::from_names(["value"], BytesLayout::View).unwrap();
    let batches = decode(&projection, BatchLimits::default(), RawBatches::new(raw.clone()), 0..6).unwrap();
    let array = batches[0].column(0);
    let data = array.to_data();
    let buffers = &data.buffers()[1..];
    assert_eq!(buffers.len(), 2, "the raw bytes, and those of the compressed batch");
    assert_eq!(buffers[0].as_ptr(), raw.as_ptr(), "nothing was copied");
}

#[test]
fn a_record_above_the_byte_limit_comes_alone() {
    let mut batch = simple("v", 4, 0, Compression::None);
    batch.records[2].2 = Some(vec![b'x'; 1000]);
    let (raw, _) = partition("t", 3, 0, &[batch]);
    let limits = BatchLimits { bytes: 100, ..BatchLimits::default() };
    let projection = Projection::all(BytesLayout::Binary);
    let batches = decode(&projection, limits, RawBatches::new(raw), 0..4).unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 1, 1]);
}

/// A transactional batch of one record, or a marker.
fn transactional(offset: i64, producer: i64, end: Option<bool>) -> Vec<u8> {
    let mut bytes = match end {
        Some(commit) => {
            EndTransactionMarker { commit, coordinator_epoch: 1 }.to_batch(0, producer, 0).unwrap().to_vec()
        }
        None => {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.set_producer(producer, 0, 0);
            builder.set_transactional(true);
            builder.append(0, None, Some(b"v"), &[]).unwrap();
            builder.finish().unwrap().to_vec()
        }
    };
    patch::set_base_offset(&mut bytes, offset);
    bytes
}

#[test]
fn control_batches_and_aborted_transactions_are_skipped() {
    // Producer 1 aborts, producer 2 commits, producer 1 then commits; a plain record lies between.
    let plain = partition("t", 3, 2, &[simple("p", 1, 0, Compression::None)]).0;
    let parts = [
        transactional(0, 1, None),
        transactional(1, 2, None),
        plain.to_vec(),
        transactional(3, 1, None),
        transactional(4, 1, Some(false)),
        transactional(5, 2, Some(true)),
        transactional(6, 1, None),
        transactional(7, 1, Some(true)),
    ];
    let bytes = Bytes::from(parts.concat());
    let aborted = vec![AbortedTransaction { producer_id: 1, first_offset: 0 }];
    let projection = Projection::all(BytesLayout::Binary);
    let read = |aborted: &[AbortedTransaction], range: Range<i64>| {
        let raw = RawBatches { bytes: bytes.clone(), aborted: aborted.to_vec(), ..RawBatches::default() };
        offsets(&decode(&projection, BatchLimits::default(), raw, range).unwrap())
    };
    assert_eq!(read(&[], 0..8), [0, 1, 2, 3, 6]);
    assert_eq!(read(&aborted, 0..8), [1, 2, 6]);
    // A marker before the wanted offsets counts as well.
    assert_eq!(read(&aborted, 5..8), [6]);
    assert_eq!(read(&aborted, 1..4), [1, 2]);
}

#[test]
fn positions_lead_past_what_is_skipped() {
    let bytes = Bytes::from([transactional(0, 1, None), transactional(1, 1, Some(true))].concat());
    let mut decoder = Decoder::new(Projection::all(BytesLayout::Binary), BatchLimits::default());
    decoder.begin(&Arc::from("t"), 0, RawBatches::new(bytes.clone()), 0..100);
    assert_eq!(decoder.fill().unwrap(), Filled::UsedUp);
    assert_eq!((decoder.rows(), decoder.position()), (1, 2));
    // A cut batch is left for the next read.
    decoder.begin(&Arc::from("t"), 0, RawBatches::new(bytes.slice(..bytes.len() - 1)), 0..100);
    assert_eq!(decoder.fill().unwrap(), Filled::UsedUp);
    assert_eq!(decoder.position(), 1);
}

#[test]
fn damage_is_named_by_partition_offset_and_place() {
    let (raw, _) =
        partition("t", 3, 40, &[simple("a", 2, 0, Compression::None), simple("b", 2, 0, Compression::None)]);
    let first = BatchHeader::parse(&raw).unwrap().size();
    let mut bytes = raw.to_vec();
    bytes[first + 80] ^= 1;
    let file = Some(FilePosition { path: "/data/t-3/00000000000000000040.log".into(), position: 1000 });
    let raw = RawBatches { bytes: bytes.into(), file, ..RawBatches::default() };
    let projection = Projection::all(BytesLayout::Binary);
    let error = decode(&projection, BatchLimits::default(), raw.clone(), 0..100).unwrap_err().to_string();
    let place = format!("(/data/t-3/00000000000000000040.log at byte {})", 1000 + first);
    assert!(error.starts_with("t-3: the batch at offset 42 is damaged") && error.contains(&place), "{error}");
    let trusted = RawBatches { verified: true, ..raw };
    assert!(decode(&projection, BatchLimits::default(), trusted, 0..100).is_ok());
}

#[test]
fn fetched_partitions_share_a_batch() {
    let fetched = |partition, bytes: Bytes, range: Range<i64>| {
        let raw = RawBatches::new(bytes);
        RawRange { topic: Arc::from("t"), partition, raw, range }
    };
    let (zero, _) = partition("t", 0, 10, &[simple("a", 5, 0, Compression::Lz4)]);
    let (one, _) =
        partition("t", 1, 0, &[simple("b", 5, 0, Compression::Lz4), simple("c", 5, 0, Compression::None)]);
    let polled = vec![fetched(0, zero, 12..15), fetched(1, one, 0..7)];
    let projection = Projection::all(BytesLayout::Binary);
    let batches = decode_fetched(&projection, BatchLimits::default(), polled.clone()).unwrap();
    assert_eq!(batches.len(), 1);
    let rows = rows_of(&batches[0]);
    let found: Vec<_> = rows.iter().map(|row| (row.partition.unwrap(), row.offset.unwrap())).collect();
    assert_eq!(found, [(0, 12), (0, 13), (0, 14), (1, 0), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)]);
    let limits = BatchLimits { rows: 4, ..BatchLimits::default() };
    let split = decode_fetched(&projection, limits, polled).unwrap();
    assert_eq!(split.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [4, 4, 2]);
    assert_eq!(all_rows(&split), rows);
}
