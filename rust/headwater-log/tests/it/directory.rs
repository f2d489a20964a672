//! Data directories: identity, lock, checkpoints, the flusher, deletion.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_env::LockError;
use headwater_env::real::RealEnv;
use headwater_log::verify::verify_directory;
use headwater_log::{
    FoundLog, LoadedLogs, Log, LogConfig, LogDir, LogDirOptions, LogIdentity, LogListener, OpenDirError,
    OpenError, OpenHints, Origin, Placement, ReadOnlyDir, StorageError,
};
use headwater_record::{TopicPartition, Uuid};

use crate::support::{TOPIC_ID, batch, env, read_all, small};

fn identity(partition: i32) -> LogIdentity {
    LogIdentity::new("flights", TOPIC_ID, partition)
}

fn place(found: &FoundLog) -> Placement {
    if found.topic_id == Some(TOPIC_ID) {
        Placement::Open(identity(found.topic_partition.partition), small())
    } else {
        Placement::Stray
    }
}

async fn start(path: &Path) -> (LogDir<RealEnv>, LoadedLogs<RealEnv>) {
    let directory = LogDir::open(env(), path, LogDirOptions::new(1)).unwrap();
    let loaded = directory.load(place).await.unwrap();
    (directory, loaded)
}

fn append(log: &Log<RealEnv>) -> i64 {
    log.append_as_leader(batch(1000, 10), 0, Origin::Client, 0).unwrap().last_offset + 1
}

#[tokio::test]
async fn comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, loaded) = start(folder.path()).await;
    assert!(loaded.logs.is_empty());
    let (cluster_id, directory_id) = (directory.cluster_id(), directory.directory_id());
    for partition in 0..5 {
        let log = directory.create_log(identity(partition), small()).unwrap();
        (0..20).for_each(|_| _ = append(&log));
        log.flush().unwrap();
        log.set_high_watermark(150);
        log.delete_records_before(15).unwrap();
    }
    assert!(matches!(directory.create_log(identity(0), small()), Err(OpenError::Exists { .. })));
    assert!(matches!(
        LogDir::open(env(), folder.path(), LogDirOptions::new(1)),
        Err(OpenDirError::Lock(LockError::Held { .. }))
    ));
    directory.close().await.unwrap();
    let report = verify_directory(&headwater_env::real::RealDisk, folder.path()).unwrap();
    assert_eq!((report.findings, report.partitions, report.records), (vec![], 5, 1000));

    let (directory, loaded) = start(folder.path()).await;
    assert_eq!((directory.cluster_id(), directory.directory_id()), (cluster_id, directory_id));
    assert_eq!(loaded.logs.len(), 5);
    for (log, report) in &loaded.logs {
        assert_eq!(*report, Default::default());
        assert_eq!((log.log_start(), log.high_watermark(), log.log_end()), (15, 150, 200));
    }
    drop(loaded);
    directory.close().await.unwrap();
    assert!(matches!(
        LogDir::open(env(), folder.path(), LogDirOptions::new(2)),
        Err(OpenDirError::Foreign { what: "node.id", .. })
    ));
    let other = LogDirOptions { cluster_id: Some(Uuid::from_bytes([1; 16])), ..LogDirOptions::new(1) };
    assert!(matches!(
        LogDir::open(env(), folder.path(), other),
        Err(OpenDirError::Foreign { what: "cluster.id", .. })
    ));
}

#[tokio::test]
async fn one_bad_log_leaves_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, _) = start(folder.path()).await;
    for partition in 0..3 {
        let log = directory.create_log(identity(partition), small()).unwrap();
        (0..20).for_each(|_| _ = append(&log));
    }
    directory.close().await.unwrap();
    let path = folder.path().join("flights-1/00000000000000000000.log");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    for _ in 0..2 {
        let (directory, loaded) = start(folder.path()).await;
        assert_eq!(loaded.logs.len(), 2);
        assert_eq!(loaded.failed.len(), 1);
        assert_eq!(loaded.failed[0].topic_partition, TopicPartition::new("flights", 1));
        assert!(matches!(loaded.failed[0].error, OpenError::Storage(StorageError::Damaged(_))));
        drop(loaded);
        // Its recovery point is carried over, so the second start finds the same instead of cutting it.
        directory.close().await.unwrap();
    }
}

#[tokio::test]
async fn deleted_and_unknown_folders_get_out_of_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, _) = start(folder.path()).await;
    let log = directory.create_log(identity(0), small()).unwrap();
    append(&log);
    directory.delete_log(&TopicPartition::new("flights", 0)).unwrap();
    assert!(
        matches!(log.append_as_leader(batch(0, 1), 0, Origin::Client, 0), Err(error) if error.to_string().contains("closed"))
    );
    assert!(directory.log(&TopicPartition::new("flights", 0)).is_none());
    let again = directory.create_log(identity(0), small()).unwrap();
    assert_eq!(again.log_end(), 0, "nothing is inherited");
    let other = LogIdentity::new("gone", Uuid::from_bytes([9; 16]), 0);
    directory.create_log(other, small()).unwrap();
    fs::create_dir(folder.path().join("flights-7.0123456789abcdef0123456789abcdef-delete")).unwrap();
    drop(again);
    directory.close().await.unwrap();
    let (directory, loaded) = start(folder.path()).await;
    assert_eq!(loaded.logs.len(), 1);
    assert_eq!(loaded.stray.len(), 1);
    drop(loaded);
    directory.close().await.unwrap();
    for _ in 0..200 {
        let names: BTreeSet<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(
            names.iter().any(|name| name.starts_with("gone-0.") && name.ends_with("-stray")),
            "{names:?}"
        );
        if !names.iter().any(|name| name.ends_with("-delete")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("deleted folders stay");
}

#[derive(Default)]
struct Count {
    appended: AtomicU64,
    flushed: AtomicU64,
}

impl LogListener for Count {
    fn log_end_changed(&self) {
        self.appended.fetch_add(1, Ordering::Relaxed);
    }
    fn flushed_changed(&self) {
        self.flushed.fetch_add(1, Ordering::Relaxed);
    }
    fn failed(&self) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flusher_shares_fsyncs_and_tells_its_waiters() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, _) = start(folder.path()).await;
    let log = directory.create_log(identity(0), LogConfig::default()).unwrap();
    let count = Arc::new(Count::default());
    log.set_listener(Arc::clone(&count) as Arc<dyn LogListener>);
    let mut progress = log.watch();
    let before = directory.flush_counters();
    for _ in 0..2000 {
        append(&log);
    }
    progress.wait_for(|progress| progress.flushed == 20_000).await.unwrap();
    let counters = directory.flush_counters();
    assert_eq!(counters.batches - before.batches, 2000);
    assert!(counters.fsyncs - before.fsyncs < 1000, "{counters:?}");
    assert_eq!(count.appended.load(Ordering::Relaxed), 2000);
    assert!((1..2000).contains(&count.flushed.load(Ordering::Relaxed)));
    directory.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_flush_only_sealed_segments_are_synced() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, _) = start(folder.path()).await;
    let log = directory.create_log(identity(0), LogConfig { flush: false, ..small() }).unwrap();
    let mut progress = log.watch();
    append(&log);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(log.flushed(), 0);
    for _ in 0..19 {
        append(&log);
    }
    progress.wait_for(|progress| progress.flushed > 0).await.unwrap();
    assert!(log.flushed() < 200);
    log.set_config(small());
    progress.wait_for(|progress| progress.flushed == 200).await.unwrap();
    directory.close().await.unwrap();
}

#[tokio::test]
async fn a_stopped_directory_is_read_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let (directory, _) = start(folder.path()).await;
    let log = directory.create_log(identity(0), small()).unwrap();
    (0..20).for_each(|_| _ = append(&log));
    let expected = read_all(&log, 0);
    assert!(matches!(ReadOnlyDir::open(env(), folder.path()), Err(OpenDirError::Lock(_))));
    drop(log);
    directory.close().await.unwrap();
    let stopped = ReadOnlyDir::open(env(), folder.path()).unwrap();
    assert!(stopped.clean_shutdown());
    let found = stopped.partitions().unwrap();
    assert_eq!((found.len(), found[0].topic_id), (1, Some(TOPIC_ID)));
    let log = stopped.open_log(&found[0].topic_partition).unwrap();
    let (mut all, mut bytes, mut offset) = (Vec::new(), Vec::new(), 0);
    while offset < log.progress().log_end {
        let slice = log.read(offset, 1 << 20, true, headwater_log::Isolation::HighWatermark).unwrap();
        slice.read_into(&mut bytes).unwrap();
        offset = headwater_record::batches(&bytes).last().unwrap().unwrap().header().next_offset();
        all.extend_from_slice(&bytes);
    }
    assert_eq!(all, expected);
}

#[tokio::test]
async fn a_topic_of_the_same_name_is_another_topic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flights-0");
    Log::open(env(), &path, identity(0), small(), OpenHints::default()).unwrap();
    let other = LogIdentity::new("flights", Uuid::from_bytes([8; 16]), 0);
    assert!(matches!(
        Log::open(env(), &path, other, small(), OpenHints::default()),
        Err(OpenError::WrongTopicId { found: TOPIC_ID, .. })
    ));
}
