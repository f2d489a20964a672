//! Real logs, read in place: by their owner, and after it has stopped.

use std::path::Path;

use arrow_array::RecordBatch;
use headwater_arrow::source::{Isolation, LogSource, PartitionSource, ReadOnlySources, StoppedDirError};
use headwater_arrow::*;
use headwater_env::real::RealEnv;
use headwater_env::{Disk, DiskFile, Env, OpenMode};
use headwater_log::{Log, LogConfig, LogIdentity, OpenHints, Origin};
use headwater_record::control::EndTransactionMarker;
use headwater_record::{BatchBuilder, Compression, Uuid};

use crate::model::*;

/// A log of small segments in `directory`, with what `batches` hold, all of it committed.
fn filled(directory: &Path, batches: &[Batch]) -> (Log<RealEnv>, Vec<Row>) {
    let identity = LogIdentity::new("t", Uuid::ZERO, 0);
    let config =
        LogConfig { segment_bytes: 2000, retention_ms: -1, segment_ms: i64::MAX, ..LogConfig::default() };
    let folder = directory.join("t-0");
    RealEnv::new().disk().create_dir_all(directory).unwrap();
    let (log, _) = Log::open(RealEnv::new(), &folder, identity, config, OpenHints::default()).unwrap();
    let mut rows = Vec::new();
    for batch in batches {
        let (bytes, expected) = partition("t", 0, rows.len() as i64, std::slice::from_ref(batch));
        log.append_as_leader(bytes.to_vec(), 1, Origin::Client, 0).unwrap();
        rows.extend(expected);
    }
    log.flush().unwrap();
    log.set_high_watermark(log.log_end());
    (log, rows)
}

fn batches() -> Vec<Batch> {
    (0..40)
        .map(|index| {
            simple(&format!("value number {index}-"), 10, index * 100, Compression::ALL[index as usize % 5])
        })
        .collect()
}

fn plan(layout: BytesLayout) -> ScanPlan {
    ScanPlan { projection: Projection::all(layout), read_size: 3000, ..ScanPlan::default() }
}

fn rows(plan: ScanPlan, sources: Vec<Box<dyn PartitionSource>>) -> Vec<Row> {
    let batches: Vec<RecordBatch> = Scan::new(plan, sources).unwrap().collect::<Result<_, _>>().unwrap();
    batches.iter().flat_map(rows_of).collect()
}

fn own(log: &Log<RealEnv>, layout: BytesLayout) -> Vec<Box<dyn PartitionSource>> {
    vec![Box::new(LogSource::new("t", 0, log.clone(), Isolation::ReadUncommitted, layout))]
}

#[test]
fn a_log_is_read_over_its_segments() {
    let folder = tempfile::tempdir().unwrap();
    let (log, expected) = filled(folder.path(), &batches());
    assert!(log.segment_count() > 3);
    for layout in [BytesLayout::Binary, BytesLayout::View] {
        assert_eq!(rows(plan(layout), own(&log, layout)), expected);
        let part = ScanPlan { start: ScanBound::Offset(15), end: ScanBound::Timestamp(2000), ..plan(layout) };
        assert_eq!(rows(part, own(&log, layout)), expected[15..200]);
    }
}

#[test]
fn what_is_not_committed_is_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (log, expected) = filled(folder.path(), &batches()[..4]);
    let bytes = partition("t", 0, 0, &[simple("late", 5, 0, Compression::None)]).0;
    log.append_as_leader(bytes.to_vec(), 1, Origin::Client, 0).unwrap();
    assert_eq!(rows(plan(BytesLayout::Binary), own(&log, BytesLayout::Binary)), expected);
    // Records below the log start are gone, and the scan starts after them.
    log.delete_records_before(12).unwrap();
    assert_eq!(rows(plan(BytesLayout::View), own(&log, BytesLayout::View)), expected[12..]);
}

#[test]
fn views_outlive_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (log, expected) = filled(folder.path(), &batches());
    let scan = Scan::new(plan(BytesLayout::View), own(&log, BytesLayout::View)).unwrap();
    let batches: Vec<RecordBatch> = scan.collect::<Result<_, _>>().unwrap();
    log.close().unwrap();
    drop(log);
    drop(folder);
    assert_eq!(batches.iter().flat_map(rows_of).collect::<Vec<_>>(), expected);
}

#[test]
fn aborted_transactions_are_hidden_from_committed_readers_only() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = filled(folder.path(), &[]);
    let append = |bytes: &[u8], origin| log.append_as_leader(bytes.to_vec(), 1, origin, 0).unwrap();
    let mut builder = BatchBuilder::new(Compression::None);
    builder.set_transactional(true);
    for (producer, commit) in [(1, false), (2, true)] {
        builder.set_producer(producer, 0, 0);
        builder.append(0, None, Some(b"v"), &[]).unwrap();
        append(&builder.finish().unwrap(), Origin::Client);
        let marker = EndTransactionMarker { commit, coordinator_epoch: 0 };
        append(&marker.to_batch(0, producer, 0).unwrap(), Origin::Coordinator);
    }
    log.set_high_watermark(log.log_end());
    let read = |isolation| {
        let source = LogSource::new("t", 0, log.clone(), isolation, BytesLayout::Binary);
        rows(plan(BytesLayout::Binary), vec![Box::new(source)])
            .iter()
            .map(|row| row.offset.unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(read(Isolation::ReadUncommitted), [0, 2]);
    assert_eq!(read(Isolation::ReadCommitted), [2]);
}

#[test]
fn a_stopped_brokers_directory_is_read_under_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (log, expected) = filled(folder.path(), &batches());
    log.close().unwrap();
    let stopped = ReadOnlySources::open(RealEnv::new(), folder.path()).unwrap();
    assert_eq!(stopped.topics().unwrap().iter().map(|topic| &**topic).collect::<Vec<_>>(), ["t"]);
    let unknown = stopped.of_topic("u", Isolation::default(), BytesLayout::Binary);
    assert!(matches!(unknown, Err(StoppedDirError::UnknownTopic { .. })));
    for layout in [BytesLayout::Binary, BytesLayout::View] {
        let sources = stopped.of_topic("t", Isolation::default(), layout).unwrap();
        assert_eq!(rows(plan(layout), sources), expected);
    }
    let sources = stopped.of_topic("t", Isolation::default(), BytesLayout::Binary).unwrap();
    drop(stopped);
    let second = ReadOnlySources::open(RealEnv::new(), folder.path());
    assert!(matches!(second, Err(StoppedDirError::Directory(_))), "locked while a source lives");
    drop(sources);
    ReadOnlySources::open(RealEnv::new(), folder.path()).unwrap();
}

#[test]
fn damage_names_file_and_position() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = filled(folder.path(), &batches());
    let path = folder.path().join("t-0/00000000000000000000.log");
    let file = RealEnv::new().disk().open(&path, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 100).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 100).unwrap();
    for layout in [BytesLayout::Binary, BytesLayout::View] {
        let mut scan = Scan::new(plan(layout), own(&log, layout)).unwrap();
        let error = scan.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("t-0") && error.contains(path.to_str().unwrap()), "{error}");
    }
}
