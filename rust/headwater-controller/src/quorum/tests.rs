//! The store under openraft's own suite, under power cuts at every write, and with damaged files.

use std::path::{Path, PathBuf};

use headwater_env::real::RealEnv;
use headwater_env::sim::{self, SimEnv};
use headwater_env::{Disk, DiskFile, Env, OpenMode};
use headwater_record::Uuid;
use openraft::StorageError;
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use openraft::testing::log::{StoreBuilder, Suite};
use tokio_util::sync::CancellationToken;

use super::log_store::LogStore;
use super::snapshot::SnapshotStore;
use super::state_machine::{Published, StateMachine};
use super::types::{LeaderId, Payload, Proposal, RaftEntry, RaftVote, TypeConfig, log_id};
use super::wal::{self, Wal};
use crate::error::OpenError;
use crate::image::MetadataImage;

/// Opens the log in `directory`, without the rest of a metadata directory.
fn open_wal<E: Env>(env: &E, directory: &Path) -> Result<Wal<E>, OpenError> {
    headwater_env::crashsafe::create_dir_all(env.disk(), directory).unwrap();
    let lock = env.disk().lock(&directory.join(".lock")).unwrap();
    let wal = wal::open(env, directory.to_owned(), lock)?;
    wal.start(CancellationToken::new());
    Ok(wal)
}

struct Builder<E: Env> {
    env: E,
    root: PathBuf,
}

impl<E: Env> StoreBuilder<TypeConfig, LogStore<E>, StateMachine<E>> for Builder<E> {
    async fn build(&self) -> Result<((), LogStore<E>, StateMachine<E>), StorageError<TypeConfig>> {
        let directory = self.root.join(super::random_uuid(&self.env).to_string());
        let wal = open_wal(&self.env, &directory).unwrap();
        let snapshots = SnapshotStore::open(&self.env, &directory).unwrap();
        let published = Published::new(MetadataImage::empty(Uuid::ZERO, 1)).into();
        Ok(((), LogStore::new(wal), StateMachine::new(snapshots, published)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_suite_on_the_real_disk() {
    let root = tempfile::tempdir().unwrap();
    let builder = Builder { env: RealEnv::new(), root: root.path().into() };
    Suite::test_all(builder).await.unwrap();
}

#[test]
fn openrafts_suite_on_the_simulated_disk() {
    for seed in 0..4 {
        sim::run(seed, |env| async move {
            Suite::test_all(Builder { env, root: "/suite".into() }).await.unwrap();
        });
    }
}

fn entry(term: u64, index: u64) -> RaftEntry {
    let bytes = index.to_be_bytes().repeat(1 + index as usize % 40);
    RaftEntry { log_id: log_id(term, index), payload: Payload::Normal(Proposal(bytes.into())) }
}

fn vote(term: u64) -> RaftVote {
    RaftVote { leader_id: LeaderId { term, voted_for: 1 }, committed: true }
}

/// What a log must hold, whatever happens: acknowledged entries, and maybe those that were on their way.
#[derive(Debug, Default, Clone)]
struct Expected {
    /// Terms of the acknowledged entries, by index.
    entries: Vec<u64>,
    purged: u64,
    vote: u64,
}

/// Runs random operations until one fails, the power being cut, or all are done. `expected` is then what is certain:
/// a truncation or purge under way may have happened or not.
async fn work(env: &SimEnv, log: &mut LogStore<SimEnv>, expected: &mut Expected) {
    for _ in 0..40 {
        let mut attempted = expected.clone();
        match step(env, log, &mut attempted).await {
            Ok(()) => *expected = attempted,
            Err(_) => {
                let certain = expected.entries.len().min(attempted.entries.len());
                expected.entries.truncate(certain);
                return;
            }
        }
    }
}

async fn step(env: &SimEnv, log: &mut LogStore<SimEnv>, after: &mut Expected) -> std::io::Result<()> {
    let next = after.entries.len() as u64;
    match env.random_below(10) {
        0 => {
            after.vote += 1;
            log.save_vote(&vote(after.vote)).await
        }
        1 if next > after.purged + 1 => {
            let last = after.purged + env.random_below(next - after.purged);
            after.entries.truncate(last as usize + 1);
            log.truncate_after(Some(log_id(after.entries[last as usize], last))).await
        }
        2 if next > after.purged + 1 => {
            let upto = after.purged + env.random_below(next - after.purged);
            after.purged = upto + 1;
            log.purge(log_id(after.entries[upto as usize], upto)).await
        }
        _ => {
            let count = 1 + env.random_below(60);
            let term = after.vote.max(1);
            after.entries.extend((0..count).map(|_| term));
            let appended = log.blocking_append((next..next + count).map(|index| entry(term, index))).await;
            appended.map_err(|error| std::io::Error::other(error.to_string()))
        }
    }
}

/// Acknowledged entries are there with their content, and the vote has not gone back.
async fn check(log: &mut LogStore<SimEnv>, expected: &Expected) {
    let state = log.get_log_state().await.unwrap();
    let entries = log.try_get_log_entries(..).await.unwrap();
    let first = state.last_purged_log_id.map_or(0, |id| id.index + 1);
    assert!(first >= expected.purged, "purged entries came back");
    for (index, found) in (first..).zip(&entries) {
        assert_eq!(found, &entry(found.log_id.leader_id.term, index));
    }
    for (index, term) in expected.entries.iter().enumerate() {
        let found = entries.iter().find(|entry| entry.log_id.index == index as u64);
        if index as u64 >= first {
            assert_eq!(found.map(|entry| entry.log_id.leader_id.term), Some(*term), "entry {index} is lost");
        }
    }
    let vote = log.read_vote().await.unwrap().map_or(0, |vote| vote.leader_id.term);
    assert!(vote >= expected.vote, "vote {} went back to {vote}", expected.vote);
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    let seeds = std::env::var("HEADWATER_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    for seed in 0..seeds {
        sim::run(seed, |env| async move {
            let mut env = env;
            let directory = PathBuf::from("/metadata");
            let mut expected = Expected::default();
            for _ in 0..4 {
                let wal = open_wal(&env, &directory).unwrap();
                let mut log = LogStore::new(wal);
                check(&mut log, &expected).await;
                adopt(&mut log, &mut expected).await;
                env.disk().crash_at_op(10 + env.random_below(120));
                work(&env, &mut log, &mut expected).await;
                env = env.power_cut().await;
            }
        });
    }
}

/// The log may hold more than was acknowledged: goes on from what it holds.
async fn adopt(log: &mut LogStore<SimEnv>, expected: &mut Expected) {
    let state = log.get_log_state().await.unwrap();
    let purged = state.last_purged_log_id.map_or(0, |id| id.index + 1);
    expected.purged = purged;
    expected.entries.resize(purged as usize, 1);
    let entries = log.try_get_log_entries(..).await.unwrap();
    expected.entries.extend(entries.iter().map(|entry| entry.log_id.leader_id.term));
    expected.vote = log.read_vote().await.unwrap().map_or(0, |vote| vote.leader_id.term);
}

async fn filled<E: Env>(env: &E, directory: &Path) {
    let wal = open_wal(env, directory).unwrap();
    let mut log = LogStore::new(wal.clone());
    for index in 0..20 {
        log.blocking_append([entry(1, index)]).await.unwrap();
    }
    wal.close().await;
}

fn only_segment<E: Env>(env: &E, directory: &Path) -> PathBuf {
    let entries = env.disk().read_dir(directory).unwrap();
    let segments: Vec<_> = entries.iter().filter(|entry| entry.name.ends_with(".log")).collect();
    assert_eq!(segments.len(), 1);
    directory.join(&segments[0].name)
}

#[test]
fn damage_before_the_end_is_reported_and_left_alone() {
    sim::run(1, |env| async move {
        let directory = PathBuf::from("/metadata");
        filled(&env, &directory).await;
        let path = only_segment(&env, &directory);
        let file = env.disk().open(&path, OpenMode::ReadWrite).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, 400).unwrap();
        file.write_all_at(&[byte[0] ^ 1], 400).unwrap();
        let length = file.len().unwrap();
        let error = open_wal(&env, &directory).err().unwrap();
        let OpenError::Damaged { path: found, position, .. } = &error else { panic!("{error}") };
        assert_eq!(found, &path);
        assert!((32..=400).contains(position), "{position}");
        assert_eq!(file.len().unwrap(), length);
    });
}

#[test]
fn a_torn_tail_is_cut() {
    sim::run(1, |env| async move {
        let directory = PathBuf::from("/metadata");
        filled(&env, &directory).await;
        let path = only_segment(&env, &directory);
        let file = env.disk().open(&path, OpenMode::ReadWrite).unwrap();
        let bytes = headwater_env::crashsafe::read_file(env.disk(), &path, 1 << 20).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64;
        file.write_all_at(&[0xff], end).unwrap();
        let wal = open_wal(&env, &directory).unwrap();
        assert_eq!(wal.status().last, Some(log_id(1, 18)));
        let mut log = LogStore::new(wal.clone());
        log.blocking_append([entry(2, 19)]).await.unwrap();
        wal.close().await;
        assert_eq!(open_wal(&env, &directory).unwrap().status().last, Some(log_id(2, 19)));
    });
}

#[test]
fn a_missing_segment_and_a_newer_one_are_reported() {
    sim::run(1, |env| async move {
        let directory = PathBuf::from("/metadata");
        filled(&env, &directory).await;
        let path = only_segment(&env, &directory);
        env.disk().rename(&path, &directory.join("00000000000000000007.log")).unwrap();
        assert!(matches!(open_wal(&env, &directory), Err(OpenError::Damaged { .. })));
        env.disk().rename(&directory.join("00000000000000000007.log"), &path).unwrap();
        let mut header = crate::records::Encoder::new();
        header.raw(b"HWMETALG");
        header.u32(2);
        header.u64(1);
        header.u64(1);
        let mut bytes = header.into_bytes();
        bytes.extend(headwater_record::crc32c(&bytes).to_be_bytes());
        env.disk().open(&path, OpenMode::ReadWrite).unwrap().write_all_at(&bytes, 0).unwrap();
        assert!(matches!(open_wal(&env, &directory), Err(OpenError::Newer { found: 2, .. })));
    });
}

#[test]
fn a_record_of_a_newer_version_stops_the_start() {
    sim::run(1, |env| async move {
        let directory = PathBuf::from("/metadata");
        let options = super::QuorumOptions {
            node_id: 1,
            cluster_id: None,
            snapshot_bytes: u64::MAX,
            snapshot_entries: u64::MAX,
        };
        let quorum = super::Quorum::open(env.clone(), directory.clone(), options.clone()).await.unwrap();
        let last = quorum.status().last_index;
        quorum.shutdown().await;
        let wal = open_wal(&env, &directory).unwrap();
        let term = wal.vote().unwrap().leader_id.term;
        let newer = Payload::Normal(Proposal(vec![1, 0, 0, 0, 1, 0x77, 0x77, 1, 0, 0, 0, 0].into()));
        let entry = RaftEntry { log_id: log_id(term, last + 1), payload: newer };
        LogStore::new(wal.clone()).blocking_append([entry]).await.unwrap();
        wal.close().await;
        let opened = super::Quorum::open(env.clone(), directory, options).await;
        assert!(matches!(opened.err(), Some(OpenError::NewerRecord { record_type: 0x7777, version: 1 })));
    });
}

#[tokio::test]
async fn appends_that_come_together_share_syncs() {
    let root = tempfile::tempdir().unwrap();
    let wal = open_wal(&RealEnv::new(), root.path()).unwrap();
    let mut waiting = Vec::new();
    for index in 0..500 {
        waiting.push(wal.write_durably(super::frame::Frame::Entry(entry(1, index))));
    }
    futures_util::future::join_all(waiting).await.into_iter().for_each(|result| result.unwrap());
    assert_eq!(wal.status().last, Some(log_id(1, 499)));
    assert!(wal.status().syncs < 50, "{} syncs", wal.status().syncs);
}

#[test]
fn a_purge_gives_the_disk_back() {
    sim::run(1, |env| async move {
        let directory = PathBuf::from("/metadata");
        let wal = open_wal(&env, &directory).unwrap();
        let mut log = LogStore::new(wal.clone());
        for round in 0..20u64 {
            let first = round * 1000;
            log.blocking_append((first..first + 1000).map(|index| entry(1, index))).await.unwrap();
            log.purge(log_id(1, first + 990)).await.unwrap();
        }
        let status = wal.status();
        assert!(status.file_bytes < 1 << 20, "{status:?}");
        wal.close().await;
        let wal = open_wal(&env, &directory).unwrap();
        assert_eq!(wal.status().last, Some(log_id(1, 19_999)));
        assert_eq!(wal.read(..).unwrap().len(), 9);
    });
}
