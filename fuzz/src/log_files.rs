//! A partition's folder and a data directory full of anything, on the simulated disk.

use std::path::{Path, PathBuf};

use headwater_env::sim::{self, SimEnv};
use headwater_env::{Disk, DiskFile, Env, OpenMode};
use headwater_log::verify::{verify_directory, verify_partition};
use headwater_log::{Isolation, Log, LogConfig, LogIdentity, OpenHints, Origin, ReadOnlyDir};
use headwater_record::{BatchBuilder, Compression, RecordHeader, TopicPartition, Uuid, batches};

use crate::{Feed, mend};

/// Files of one input at most: each costs simulated calls.
const FILES_MAX: usize = 16;
const READ_BYTES_MAX: u64 = 1 << 20;
const NOW_MS: i64 = 1_700_000_000_000;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from("/data/t-0")
}

pub(crate) fn identity() -> LogIdentity {
    LogIdentity::new("t", Uuid::from_bytes([7; 16]), 0)
}

pub(crate) fn config() -> LogConfig {
    LogConfig { segment_bytes: 4096, index_interval_bytes: 64, retention_ms: -1, ..LogConfig::default() }
}

/// Kinds of file in a partition's folder, by the number that stands for them in an input.
pub(crate) const SUFFIXES: [&str; 5] = ["log", "index", "timeindex", "txnindex", "snapshot"];
pub(crate) const NAMES: [&str; 4] =
    ["leader-epoch-checkpoint", "partition.metadata", "00000000000000000000.log.deleted", "strange"];

fn file_name(kind: u8, base: i64) -> String {
    match SUFFIXES.get(usize::from(kind)) {
        Some(suffix) => format!("{:020}.{suffix}", base.max(0)),
        None => NAMES[usize::from(kind) % NAMES.len()].to_owned(),
    }
}

pub(crate) fn write(env: &SimEnv, path: &Path, bytes: &[u8]) {
    let file = env.disk().open(path, OpenMode::Create).expect("a file on the simulated disk");
    file.write_all_at(bytes, 0).expect("room on the simulated disk");
}

/// Flags and hints, then files: the log opens or says why not; an opened one can be read, written and opened again.
pub fn log_recovery(input: &[u8]) {
    let mut feed = Feed::new(input);
    let flags = feed.u8();
    let hints = OpenHints {
        recovery_point: feed.i64(),
        log_start: feed.i64(),
        high_watermark: feed.i64(),
        clean_shutdown: flags & 1 != 0,
    };
    let mends = flags & 2 != 0;
    sim::run(1, |env| async move {
        env.disk().create_dir_all(&folder()).expect("a folder on the simulated disk");
        for _ in 0..FILES_MAX {
            if feed.is_empty() {
                break;
            }
            let kind = feed.u8();
            let base = feed.i64();
            let mut bytes = feed.chunk().to_vec();
            match SUFFIXES.get(usize::from(kind)) {
                Some(&"log") if mends => mend::batches(&mut bytes),
                Some(&"snapshot") if mends => mend::producer_snapshot(&mut bytes),
                _ => {}
            }
            write(&env, &folder().join(file_name(kind, base)), &bytes);
        }
        let _ = verify_partition(env.disk(), &folder(), hints).expect("the files can be read");
        use_log(&env, hints);
    });
}

fn use_log(env: &SimEnv, hints: OpenHints) {
    let Ok((log, _)) = Log::open(env.clone(), &folder(), identity(), config(), hints) else { return };
    let progress = log.progress();
    assert!(0 <= progress.log_start && progress.log_start <= progress.log_end, "{progress:?}");
    assert!(progress.last_stable <= progress.high_watermark, "{progress:?}");
    assert!(progress.high_watermark <= progress.log_end, "{progress:?}");
    read_all(&log, hints.clean_shutdown || hints.recovery_point > progress.log_start);
    for isolation in [Isolation::HighWatermark, Isolation::LastStable] {
        let _ = log.read(progress.log_start, READ_BYTES_MAX, true, isolation);
    }
    let _ = log.offset_for_timestamp(0);
    let _ = log.offset_for_timestamp(NOW_MS);
    let _ = log.max_timestamp_offset();
    for epoch in [-1, 0, 1, i32::MAX] {
        let end = log.end_offset_for_epoch(epoch);
        assert!(end.end_offset <= progress.log_end, "{end:?} beyond {progress:?}");
    }
    std::hint::black_box((log.producers(), log.producer_snapshot(), log.leader_epochs()));

    let epoch = log.leader_epoch().unwrap_or(0).max(0);
    let mut end = progress.log_end;
    let appended = log.append_as_leader(batch(), epoch, Origin::Client, NOW_MS);
    if let Ok(appended) = appended {
        assert_eq!((appended.first_offset, appended.last_offset), (end, end + 1));
        end += 2;
        let slice =
            log.read(appended.first_offset, READ_BYTES_MAX, true, Isolation::LogEnd).expect("readable");
        assert!(!slice.is_empty(), "what was appended cannot be read");
    }
    log.close().expect("the simulated disk takes everything");
    let hints =
        OpenHints { clean_shutdown: true, recovery_point: end, log_start: progress.log_start, ..hints };
    let (again, report) =
        Log::open(env.clone(), &folder(), identity(), config(), hints).expect("a log that was closed opens");
    assert_eq!((again.log_end(), report.cut), (end, None), "closed and opened again");
    let middle = progress.log_start + (end - progress.log_start) / 2;
    if again.truncate_to(middle).is_ok() {
        assert!(again.log_end() <= middle.max(progress.log_start));
        again.close().expect("the simulated disk takes everything");
    }
}

/// Reads the log from its start, as a follower does; what was scanned must be sound.
fn read_all(log: &Log<SimEnv>, may_be_damaged: bool) {
    let mut offset = log.log_start();
    let mut bytes = Vec::new();
    while offset < log.log_end() {
        let slice = match log.read(offset, READ_BYTES_MAX, true, Isolation::LogEnd) {
            Ok(slice) => slice,
            Err(error) => {
                assert!(may_be_damaged, "a scanned log cannot be read at {offset}: {error}");
                return;
            }
        };
        if slice.is_empty() {
            assert!(may_be_damaged, "nothing to read at {offset} of {}", log.log_end());
            return;
        }
        slice.read_into(&mut bytes).expect("the bytes of a slice are there");
        let mut next = offset;
        for batch in batches(&bytes) {
            let Ok(batch) = batch else { break };
            assert!(may_be_damaged || batch.verify_crc().is_ok(), "a scanned batch has a wrong checksum");
            next = next.max(batch.header().next_offset());
        }
        if next == offset {
            assert!(may_be_damaged, "no whole batch at {offset}");
            return;
        }
        offset = next;
    }
}

pub(crate) fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    let headers: &[RecordHeader<'_>] = &[];
    for value in ["one", "two"] {
        builder.append(NOW_MS, Some(b"k"), Some(value.as_bytes()), headers).expect("it fits");
    }
    builder.finish().expect("a batch").to_vec()
}

/// Names of files in a data directory, by the number that stands for them in an input.
pub(crate) const DIRECTORY_NAMES: [&str; 7] = [
    "meta.properties",
    "recovery-point-offset-checkpoint",
    "log-start-offset-checkpoint",
    "replication-offset-checkpoint",
    ".kafka_cleanshutdown",
    "t-0/partition.metadata",
    "t-0/00000000000000000000.log",
];

/// Files of a data directory: looked into read-only, and checked offline.
pub fn data_directory(input: &[u8]) {
    let mut feed = Feed::new(input);
    sim::run(1, |env| async move {
        let directory = PathBuf::from("/data");
        env.disk().create_dir_all(&folder()).expect("a folder on the simulated disk");
        for _ in 0..FILES_MAX {
            if feed.is_empty() {
                break;
            }
            let name = DIRECTORY_NAMES[usize::from(feed.u8()) % DIRECTORY_NAMES.len()];
            write(&env, &directory.join(name), feed.chunk());
        }
        verify_directory(env.disk(), &directory).expect("the files can be read");
        let Ok(opened) = ReadOnlyDir::open(env.clone(), &directory) else { return };
        std::hint::black_box((opened.directory_id(), opened.clean_shutdown()));
        let _ = opened.partitions();
        if let Ok(log) = opened.open_log(&TopicPartition::new("t", 0)) {
            let progress = log.progress();
            assert!(0 <= progress.log_start && progress.log_start <= progress.log_end, "{progress:?}");
            let _ = log.read(progress.log_start, READ_BYTES_MAX, true, Isolation::HighWatermark);
        }
    });
}
