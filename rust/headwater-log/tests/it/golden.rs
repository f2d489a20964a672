//! Files made by the version that introduced a format stay readable, and the format stays what it was.
//!
//! `HEADWATER_WRITE_GOLDEN=1` writes them anew; they are only meant to change together with a format's version.

use std::fs;
use std::path::{Path, PathBuf};

use headwater_env::sim::{self, SimEnv};
use headwater_env::{Disk, DiskFile, Env, OpenMode, crashsafe};
use headwater_log::verify::verify_directory;
use headwater_log::{
    AbortedTransaction, Isolation, LogConfig, LogDir, LogDirOptions, LogIdentity, Origin, Placement,
};
use headwater_record::{TopicPartition, Uuid};

use crate::support::{TOPIC_ID, batch, batch_of, marker, outline};

const FOLDER: &str = "golden-0";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn identity() -> LogIdentity {
    LogIdentity::new("golden", TOPIC_ID, 0)
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 4096, index_interval_bytes: 512, retention_ms: -1, ..LogConfig::default() }
}

fn options() -> LogDirOptions {
    LogDirOptions { cluster_id: Some(Uuid::from_bytes([5; 16])), ..LogDirOptions::new(1) }
}

/// Makes the files from the same steps every time: several segments, two producers, a committed and an aborted
/// transaction, two epochs, a moved log start.
async fn make(env: &SimEnv) {
    let directory = LogDir::open(env.clone(), Path::new("/data"), options()).unwrap();
    directory.load(|_| Placement::Ignore).await.unwrap();
    let log = directory.create_log(identity(), config()).unwrap();
    let leader = |bytes: Vec<u8>, epoch, origin| log.append_as_leader(bytes, epoch, origin, 0).unwrap();
    for index in 0..12 {
        leader(batch(1_700_000_000_000 + 1000 * index, 5), 0, Origin::Client);
        leader(batch_of(1_700_000_000_000, 3, Some((1, 0, 3 * index as i32, false))), 0, Origin::Client);
    }
    leader(batch_of(1_700_000_100_000, 4, Some((2, 0, 0, true))), 1, Origin::Client);
    leader(marker(true, 1_700_000_100_001, 2, 0), 1, Origin::Coordinator);
    leader(batch_of(1_700_000_200_000, 4, Some((2, 0, 4, true))), 1, Origin::Client);
    leader(marker(false, 1_700_000_200_001, 2, 0), 1, Origin::Coordinator);
    leader(batch(1_700_000_300_000, 5), 1, Origin::Client);
    let end = log.flush().unwrap();
    log.set_high_watermark(end);
    log.delete_records_before(7).unwrap();
    drop(log);
    directory.close().await.unwrap();
}

/// Every file below `/data`, by relative name, but for the lock.
fn files(env: &SimEnv) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for folder in ["", FOLDER] {
        let path = Path::new("/data").join(folder);
        for entry in env.disk().read_dir(&path).unwrap() {
            if !entry.is_dir && entry.name != ".lock" {
                let bytes = crashsafe::read_file(env.disk(), &path.join(&entry.name), 1 << 20).unwrap();
                all.push((Path::new(folder).join(&entry.name).to_string_lossy().into_owned(), bytes));
            }
        }
    }
    all
}

/// The directory's id is drawn at random.
fn without_directory_id(name: &str, bytes: &[u8]) -> Vec<u8> {
    if name != "meta.properties" {
        return bytes.to_vec();
    }
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().filter(|line| !line.starts_with("directory.id")).collect::<Vec<_>>().join("\n").into_bytes()
}

#[test]
fn files_are_written_as_they_were() {
    sim::run(1, |env| async move {
        make(&env).await;
        let made = files(&env);
        if std::env::var_os("HEADWATER_WRITE_GOLDEN").is_some() {
            write(&made);
        }
        assert!(made.iter().any(|(name, _)| name.ends_with(".txnindex")));
        let count = [golden(), golden().join(FOLDER)]
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap())
            .filter(|entry| entry.as_ref().unwrap().path().is_file())
            .count();
        assert_eq!(made.len(), count, "{:?}", made.iter().map(|(name, _)| name).collect::<Vec<_>>());
        for (name, bytes) in &made {
            let golden = fs::read(golden().join(name)).unwrap();
            assert!(
                without_directory_id(name, bytes) == without_directory_id(name, &golden),
                "{name} has changed"
            );
        }
    });
}

fn write(made: &[(String, Vec<u8>)]) {
    fs::remove_dir_all(golden()).ok();
    fs::create_dir_all(golden().join(FOLDER)).unwrap();
    for (name, bytes) in made {
        fs::write(golden().join(name), bytes).unwrap();
    }
}

#[test]
fn old_files_are_read() {
    sim::run(2, |env| async move {
        env.disk().create_dir_all(&Path::new("/data").join(FOLDER)).unwrap();
        for folder in [golden(), golden().join(FOLDER)] {
            for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_file() {
                    let name = entry.strip_prefix(golden()).unwrap();
                    let file = env.disk().open(&Path::new("/data").join(name), OpenMode::CreateNew).unwrap();
                    file.write_all_at(&fs::read(&entry).unwrap(), 0).unwrap();
                }
            }
        }
        let report = verify_directory(env.disk(), Path::new("/data")).unwrap();
        assert_eq!(report.findings, []);
        let directory = LogDir::open(env.clone(), Path::new("/data"), options()).unwrap();
        let loaded = directory.load(|_| Placement::Open(identity(), config())).await.unwrap();
        assert_eq!(loaded.logs[0].1, Default::default(), "nothing had to be mended");
        let log = directory.log(&TopicPartition::new("golden", 0)).unwrap();
        assert_eq!((log.log_start(), log.log_end(), log.high_watermark()), (7, 111, 111));
        assert_eq!(log.leader_epochs(), [(0, 7), (1, 96)]);
        let ids: Vec<_> = log.producers().iter().map(|view| (view.producer_id, view.last_sequence)).collect();
        assert_eq!(ids, [(1, 35), (2, 7)]);
        let slice = log.read(96, 1 << 20, true, Isolation::LastStable).unwrap();
        assert_eq!(slice.aborted, [AbortedTransaction { producer_id: 2, first_offset: 101 }]);
        let mut bytes = Vec::new();
        slice.read_into(&mut bytes).unwrap();
        assert_eq!(outline(&bytes)[0], (96, 99, 1));
        assert_eq!(log.offset_for_timestamp(1_700_000_200_000).unwrap().unwrap().offset, 101);
        directory.close().await.unwrap();
    });
}
