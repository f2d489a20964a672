//! Batches and logs for the tests.

use std::path::Path;

use headwater_env::Env;
use headwater_env::real::RealEnv;
use headwater_log::{Isolation, Log, LogConfig, LogIdentity, OpenHints};
use headwater_record::control::EndTransactionMarker;
use headwater_record::{BatchBuilder, Compression, RecordHeader, Uuid, batches};

pub(crate) const TOPIC_ID: Uuid = Uuid::from_bytes([7; 16]);

pub(crate) fn identity() -> LogIdentity {
    LogIdentity::new("flights", TOPIC_ID, 0)
}

/// Segments small enough that a test fills several.
pub(crate) fn small() -> LogConfig {
    LogConfig { segment_bytes: 4096, index_interval_bytes: 256, retention_ms: -1, ..LogConfig::default() }
}

pub(crate) fn env() -> RealEnv {
    RealEnv::new()
}

pub(crate) fn open(folder: &Path, config: LogConfig, hints: OpenHints) -> Log<RealEnv> {
    Log::open(env(), folder, identity(), config, hints).expect("the log opens").0
}

/// A plain batch of `count` records, a millisecond apart.
pub(crate) fn batch(timestamp: i64, count: i64) -> Vec<u8> {
    batch_of(timestamp, count, None)
}

/// The same of a producer: id, epoch, base sequence, transactional.
pub(crate) fn batch_of(timestamp: i64, count: i64, producer: Option<(i64, i16, i32, bool)>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some((producer_id, epoch, sequence, transactional)) = producer {
        builder.set_producer(producer_id, epoch, sequence);
        builder.set_transactional(transactional);
    }
    let headers: &[RecordHeader<'_>] = &[];
    for index in 0..count {
        let value = format!("record {index} at {timestamp}, long enough to fill a segment some day");
        builder.append(timestamp + index, Some(b"key"), Some(value.as_bytes()), headers).expect("it fits");
    }
    builder.finish().expect("a batch").to_vec()
}

pub(crate) fn marker(commit: bool, timestamp: i64, producer_id: i64, epoch: i16) -> Vec<u8> {
    let marker = EndTransactionMarker { commit, coordinator_epoch: 0 };
    marker.to_batch(timestamp, producer_id, epoch).expect("a marker").to_vec()
}

/// Everything from `from` to the log end, as bytes.
pub(crate) fn read_all<E: Env>(log: &Log<E>, from: i64) -> Vec<u8> {
    let (mut offset, mut all, mut bytes) = (from, Vec::new(), Vec::new());
    while offset < log.log_end() {
        let slice = log.read(offset, 1 << 20, true, Isolation::LogEnd).expect("readable");
        slice.read_into(&mut bytes).expect("whole");
        assert!(!bytes.is_empty(), "nothing at {offset}");
        let last = batches(&bytes).last().expect("a batch").expect("whole");
        offset = last.header().next_offset();
        all.extend_from_slice(&bytes);
    }
    all
}

/// Base offset, last offset and leader epoch of every batch.
pub(crate) fn outline(bytes: &[u8]) -> Vec<(i64, i64, i32)> {
    batches(bytes)
        .map(|view| {
            let view = view.expect("whole");
            view.verify_crc().expect("intact");
            (view.header().base_offset, view.header().last_offset(), view.header().partition_leader_epoch)
        })
        .collect()
}
