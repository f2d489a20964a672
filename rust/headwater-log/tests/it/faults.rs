//! Full disks, failed writes and failed fsyncs, on the simulated disk.

use std::io::ErrorKind;
use std::path::Path;

use headwater_env::Env;
use headwater_env::sim::{self, Fault, Operation, SimEnv};
use headwater_log::{AppendError, Isolation, Log, LogConfig, OpenHints, Origin, ReadError, StorageError};

use crate::support::{batch, identity, read_all, small};

fn open(env: &SimEnv, config: LogConfig) -> Log<SimEnv> {
    Log::open(env.clone(), Path::new("/data/flights-0"), identity(), config, OpenHints::default()).unwrap().0
}

fn append(log: &Log<SimEnv>) -> Result<i64, AppendError> {
    log.append_as_leader(batch(1000, 10), 0, Origin::Client, 0).map(|appended| appended.last_offset)
}

#[test]
fn a_full_disk_refuses_appends_and_recovers() {
    sim::run(1, |env| async move {
        let log = open(&env, small());
        for _ in 0..7 {
            append(&log).unwrap();
        }
        let before = read_all(&log, 0);
        // Room for a part of the next batch, then of the one after that, through rolls and index files.
        for room in [1, 100, 700] {
            let used = used(&env);
            env.disk().fill(used + room);
            let mut refused = 0;
            for _ in 0..3 {
                match append(&log) {
                    Err(AppendError::Storage(StorageError::StorageFull { .. })) => refused += 1,
                    other => assert!(other.is_ok(), "{other:?}"),
                }
            }
            assert!(refused > 0);
            assert_eq!(read_all(&log, 0)[..before.len()], before);
            env.disk().unfill();
            append(&log).unwrap();
        }
        log.flush().unwrap();
        assert_eq!(log.flushed(), log.log_end());
        let all = read_all(&log, 0);
        log.close().unwrap();
        let hints = OpenHints { recovery_point: 10, ..OpenHints::default() };
        let (log, report) =
            Log::open(env.clone(), Path::new("/data/flights-0"), identity(), small(), hints).unwrap();
        assert_eq!(report.cut, None);
        assert_eq!(read_all(&log, 0), all);
    });
}

/// Bytes in all files of the partition.
fn used(env: &SimEnv) -> u64 {
    use headwater_env::{Disk, DiskFile, OpenMode};
    let folder = Path::new("/data/flights-0");
    let entries = env.disk().read_dir(folder).unwrap();
    entries
        .iter()
        .map(|entry| env.disk().open(&folder.join(&entry.name), OpenMode::Read).unwrap().len().unwrap())
        .sum()
}

#[test]
fn a_write_that_cannot_be_taken_back_stops_the_directory() {
    sim::run(2, |env| async move {
        let log = open(&env, small());
        append(&log).unwrap();
        env.disk().fail(Fault::new(Operation::Write, ErrorKind::StorageFull).on(".log"));
        env.disk().fail(Fault::new(Operation::SetLength, ErrorKind::Other).on(".log"));
        assert!(matches!(append(&log), Err(AppendError::Storage(StorageError::Offline(_)))));
        env.disk().clear_faults();
        assert!(matches!(append(&log), Err(AppendError::Storage(StorageError::Offline(_)))));
        assert!(matches!(
            log.read(0, 100, true, Isolation::LogEnd),
            Err(ReadError::Storage(StorageError::Offline(_)))
        ));
    });
}

#[test]
fn a_failed_write_stops_the_directory_but_for_a_full_disk() {
    sim::run(3, |env| async move {
        let log = open(&env, small());
        env.disk().fail(Fault::new(Operation::Write, ErrorKind::Other).on(".log"));
        assert!(matches!(append(&log), Err(AppendError::Storage(StorageError::Offline(_)))));
    });
}

#[test]
fn a_failed_fsync_is_never_tried_again() {
    sim::run(4, |env| async move {
        let log = open(&env, small());
        append(&log).unwrap();
        env.disk().fail(Fault::new(Operation::Sync, ErrorKind::Other).on(".log"));
        let Err(StorageError::Offline(failure)) = log.flush() else { panic!("it was not noticed") };
        assert_eq!(failure.operation, "fsync");
        let syncs = env.disk().counters().calls(Operation::Sync);
        assert!(log.flush().is_err());
        assert_eq!(log.flushed(), 0);
        assert_eq!(env.disk().counters().calls(Operation::Sync), syncs);
    });
}

#[test]
fn what_was_flushed_survives_the_loss_of_every_name_that_was_not_synced() {
    for seed in 0..50 {
        sim::run(seed, |env| async move {
            let log = open(&env, small());
            for _ in 0..20 {
                append(&log).unwrap();
            }
            let flushed = log.flush().unwrap();
            let expected = read_all(&log, 0);
            for _ in 0..10 {
                append(&log).unwrap();
            }
            drop(log);
            let env = env.power_cut().await;
            let log = open(&env, small());
            assert!(log.log_end() >= flushed);
            assert_eq!(read_all(&log, 0)[..expected.len()], expected);
        });
    }
}
