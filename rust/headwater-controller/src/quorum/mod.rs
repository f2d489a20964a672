//! The metadata quorum. The only module that knows openraft.
//!
//! ```text
//!   propose ──▶ openraft ──▶ LogStore ──▶ Wal ──▶ frames on disk, synced by the flusher
//!                  │
//!                  └─ committed ──▶ StateMachine ──▶ image ──▶ Published (what everybody sees)
//!                                        └─ snapshot file, when the log has grown; then the log before it goes
//! ```
//!
//! A lone voter needs no clock: it elects itself when told to and nobody can take its lead away, so openraft's tick,
//! which drives elections and heartbeats, is off. It is switched on where the membership has more than one node.
//!
//! Snapshots and purges happen when this module says so and at no other time: openraft's own policy is off, because
//! the two may not be mixed.
//!
//! | task | started by | ends | waits for |
//! |---|---|---|---|
//! | `metadata-decider` | `Controller::open` | shutdown, or the last controller dropped | a bounded queue of operations |
//! | `metadata-flusher` | `Quorum::open` | shutdown, or the quorum dropped | `Wal::write` |
//! | `metadata-snapshots` | `Quorum::open` | shutdown, or the quorum dropped | a commit that found the log long |
//! | openraft's core, its state machine worker, its tick | `Raft::new` | `Raft::shutdown`, or the last `Raft` dropped | openraft's channels |
//!
//! Absent: the way to other nodes (see `network`), joining and leaving.

mod frame;
mod identity;
mod log_store;
mod network;
mod scan;
mod snapshot;
mod state_machine;
#[cfg(test)]
mod tests;
mod types;
mod wal;

#[cfg(fuzzing)]
pub(crate) use snapshot::decode_twice;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_env::{Disk, Env, LockError, crashsafe};
use headwater_record::Uuid;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, RaftError};
use openraft::{Config, Raft, SnapshotPolicy};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use identity::{Identity, random_uuid};
use log_store::LogStore;
use network::Network;
use snapshot::SnapshotStore;
pub(crate) use state_machine::Published;
use state_machine::StateMachine;
use types::{Proposal, TypeConfig, Voter};
use wal::Wal;

use crate::controller::Status;
use crate::error::{OpenError, ProposeError};
use crate::image::MetadataImage;
use crate::records::{MetadataRecord, RecordError, encode_batch};

/// Most bytes of records in one entry.
const PROPOSAL_SIZE_MAX: usize = 64 << 20;
/// What a frame adds to the records in it, generously.
const PROPOSAL_OVERHEAD: usize = 128;
/// How long the start may take on the slowest of disks.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a snapshot may take, and how long to leave the disk alone after one that failed.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(60);
const SNAPSHOT_RETRY: Duration = Duration::from_secs(30);
const LOCK_FILE: &str = ".lock";

type MetadataRaft<E> = Raft<TypeConfig, StateMachine<E>>;

/// How the quorum is opened; see `ControllerOptions`.
#[derive(Debug, Clone)]
pub(crate) struct QuorumOptions {
    pub(crate) node_id: i32,
    pub(crate) cluster_id: Option<Uuid>,
    pub(crate) snapshot_bytes: u64,
    pub(crate) snapshot_entries: u64,
}

/// This node's part in the metadata quorum.
pub(crate) struct Quorum<E: Env> {
    raft: MetadataRaft<E>,
    wal: Wal<E>,
    published: Arc<Published>,
    identity: Identity,
    limits: Limits,
    grown: Arc<Notify>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

/// When a snapshot is due.
#[derive(Debug, Clone, Copy)]
struct Limits {
    bytes: u64,
    entries: u64,
}

impl Limits {
    fn reached<E: Env>(&self, wal: &Wal<E>) -> bool {
        let status = wal.status();
        status.live_bytes >= self.bytes || status.live_entries >= self.entries
    }
}

impl<E: Env> Quorum<E> {
    pub(crate) async fn open(
        env: E,
        directory: PathBuf,
        options: QuorumOptions,
    ) -> Result<Quorum<E>, OpenError> {
        let stored = {
            let (env, options) = (env.clone(), options.clone());
            env.clone().blocking(move || Stored::open(&env, &directory, &options)).await?
        };
        let Stored { identity, wal, snapshots } = stored;
        let stop = CancellationToken::new();
        let stop_on_drop = stop.clone().drop_guard();
        wal.start(stop.clone());
        let published = Arc::new(Published::new(MetadataImage::empty(identity.cluster_id, identity.node_id)));
        let machine = StateMachine::new(snapshots, published.clone());
        let raft = match start(&identity, LogStore::new(wal.clone()), machine).await {
            Ok(raft) => raft,
            Err(reason) => {
                wal.close().await;
                return Err(start_error(&published, reason));
            }
        };
        let limits = Limits { bytes: options.snapshot_bytes, entries: options.snapshot_entries };
        let quorum = Quorum {
            raft,
            wal,
            published,
            identity,
            limits,
            grown: Arc::new(Notify::new()),
            stop,
            _stop_on_drop: stop_on_drop,
        };
        quorum.start_housekeeping(&env);
        Ok(quorum)
    }

    pub(crate) fn published(&self) -> &Published {
        &self.published
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Has records committed as one entry, and replayed. Gives the image right after it.
    pub(crate) async fn propose(
        &self,
        records: &[MetadataRecord],
    ) -> Result<Arc<MetadataImage>, ProposeError> {
        let bytes = Bytes::from(encode_batch(records));
        if bytes.len() > PROPOSAL_SIZE_MAX {
            return Err(ProposeError::TooLarge { bytes: bytes.len(), limit: PROPOSAL_SIZE_MAX });
        }
        // Once an entry is proposed, a full disk would be fatal to the quorum; before, it is an answer.
        self.wal.reserve(bytes.len() + PROPOSAL_OVERHEAD).map_err(|error| match wal::is_full(&error) {
            true => ProposeError::NoSpace(error.to_string()),
            false => ProposeError::Storage(error.to_string()),
        })?;
        let applied = self.raft.client_write(Proposal(bytes)).await.map_err(propose_error)?.data;
        if self.limits.reached(&self.wal) {
            self.grown.notify_one();
        }
        Ok(applied.0)
    }

    pub(crate) fn status(&self) -> Status {
        let status = self.wal.status();
        Status {
            raft_id: self.identity.raft_id,
            term: status.term,
            last_index: status.last.map_or(0, |id| id.index),
            purged_index: status.purged.map_or(0, |id| id.index),
            log_bytes: status.file_bytes,
            syncs: status.syncs,
        }
    }

    pub(crate) async fn shutdown(&self) {
        // It fails only if the core has panicked: then it is stopped too.
        let _ = self.raft.shutdown().await;
        self.wal.close().await;
        self.stop.cancel();
    }

    /// Takes snapshots and drops the log before them. Sleeps until told that the log has grown.
    fn start_housekeeping(&self, env: &E) {
        let (raft, wal, limits) = (self.raft.clone(), self.wal.clone(), self.limits);
        let (grown, stop) = (self.grown.clone(), self.stop.clone());
        if limits.reached(&wal) {
            grown.notify_one();
        }
        env.spawn("metadata-snapshots", async move {
            let work = async {
                loop {
                    grown.notified().await;
                    if limits.reached(&wal) && !compact(&raft).await {
                        tokio::time::sleep(SNAPSHOT_RETRY).await;
                    }
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }
}

/// What a metadata directory holds.
struct Stored<E: Env> {
    identity: Identity,
    wal: Wal<E>,
    snapshots: SnapshotStore<E>,
}

impl<E: Env> Stored<E> {
    /// Opens the directory or makes it. The order of making tells later what a missing file means: the log comes
    /// first, so an identity without a log is a loss, and a log without an identity a start that was interrupted.
    fn open(env: &E, directory: &Path, options: &QuorumOptions) -> Result<Stored<E>, OpenError> {
        let disk = env.disk();
        crashsafe::create_dir_all(disk, directory)
            .map_err(|source| scan::io_error("create", directory, source))?;
        let lock = disk.lock(&directory.join(LOCK_FILE)).map_err(|error| match error {
            LockError::Held { .. } => {
                OpenError::InUse { path: directory.to_owned(), reason: error.to_string() }
            }
            LockError::Io { path, source } => OpenError::Io { action: "lock", path, source },
        })?;
        let found = identity::read(disk, directory)?;
        if let Some(identity) = &found {
            check_identity(identity, directory, options)?;
            if scan::segment_numbers(disk, directory)?.is_empty() {
                return Err(scan::damaged(directory, 0, "the metadata log is missing"));
            }
        }
        let wal = wal::open(env, directory.to_owned(), lock)?;
        let snapshots = SnapshotStore::open(env, directory)?;
        let identity = match found {
            Some(identity) => identity,
            None if wal.status().last.is_some() => {
                return Err(scan::damaged(directory, 0, "`quorum.properties` is missing beside a log"));
            }
            None => {
                let identity = identity::first(env, options.node_id, options.cluster_id);
                identity::write(disk, directory, &identity)?;
                identity
            }
        };
        Ok(Stored { identity, wal, snapshots })
    }
}

fn check_identity(identity: &Identity, directory: &Path, options: &QuorumOptions) -> Result<(), OpenError> {
    if identity.node_id != options.node_id {
        return Err(OpenError::WrongNode {
            path: directory.to_owned(),
            wanted: options.node_id,
            found: identity.node_id,
        });
    }
    match options.cluster_id {
        Some(wanted) if wanted != identity.cluster_id => {
            Err(OpenError::WrongCluster { path: directory.to_owned(), wanted, found: identity.cluster_id })
        }
        _ => Ok(()),
    }
}

fn config(identity: &Identity) -> Config {
    Config {
        cluster_name: identity.cluster_id.to_string(),
        // For groups of several: wide enough for a starved machine.
        heartbeat_interval: 100,
        election_timeout_min: 500,
        election_timeout_max: 1000,
        enable_pre_vote: Some(true),
        enable_tick: false,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..Config::default()
    }
}

/// Starts raft and waits until everything in the log is committed and replayed.
async fn start<E: Env>(
    identity: &Identity,
    log: LogStore<E>,
    machine: StateMachine<E>,
) -> Result<MetadataRaft<E>, String> {
    let config = config(identity).validate().map_err(|error| error.to_string())?;
    let raft = Raft::new(identity.raft_id, Arc::new(config), Network, log, machine)
        .await
        .map_err(|error| error.to_string())?;
    let led = lead(identity, &raft).await;
    if led.is_err() {
        // The error that is reported is the one above.
        let _ = raft.shutdown().await;
    }
    led.map(|()| raft)
}

async fn lead<E: Env>(identity: &Identity, raft: &MetadataRaft<E>) -> Result<(), String> {
    if raft.is_initialized().await.map_err(|error| error.to_string())? {
        let alone = raft.voter_ids().eq([identity.raft_id]) && raft.learner_ids().next().is_none();
        raft.runtime_config().tick(!alone);
        if alone {
            raft.trigger().elect(false).await.map_err(|error| error.to_string())?;
        }
    } else {
        let voter = Voter { node_id: identity.node_id, directory: identity.directory, endpoints: Vec::new() };
        raft.initialize(BTreeMap::from([(identity.raft_id, voter)]))
            .await
            .map_err(|error| error.to_string())?;
    }
    raft.wait_for_recovery(Some(START_TIMEOUT)).await.map_err(|error| error.to_string())?;
    let live = raft.with_state_machine(|machine| {
        machine.go_live();
        Box::pin(std::future::ready(()))
    });
    live.await.map_err(|error| error.to_string())
}

fn start_error(published: &Published, reason: String) -> OpenError {
    match published.defect() {
        Some(RecordError::Newer { record_type, version }) => OpenError::NewerRecord { record_type, version },
        _ => OpenError::Quorum(reason),
    }
}

/// Takes a snapshot and drops the log before it. False if it did not come about.
async fn compact<E: Env>(raft: &MetadataRaft<E>) -> bool {
    let Some(target) = raft.data_metrics().borrow_watched().last_applied.map(|id| id.index) else {
        return false;
    };
    if raft.trigger().snapshot().await.is_err() {
        return false;
    }
    let taken = raft
        .wait(Some(SNAPSHOT_TIMEOUT))
        .metrics(|metrics| metrics.snapshot.is_some_and(|id| id.index >= target), "snapshot")
        .await;
    match taken.map(|metrics| metrics.snapshot) {
        Ok(Some(upto)) => raft.trigger().purge_log(upto.index).await.is_ok(),
        _ => false,
    }
}

fn propose_error(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ProposeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(leader)) => {
            ProposeError::NotLeader { leader: leader.leader_node.map(|voter| voter.node_id) }
        }
        RaftError::APIError(other) => ProposeError::Storage(other.to_string()),
        RaftError::Fatal(Fatal::Stopped) => ProposeError::Stopped,
        RaftError::Fatal(fatal) => ProposeError::Storage(fatal.to_string()),
    }
}
