//! A partition that this broker leads: its log, the state of its replicas, and who waits for its high
//! watermark.
//!
//! ```text
//!   append ──▶ Log ──(log end, flushed)──▶ ReplicaState ──(HW)──▶ Log::set_high_watermark
//!                                                           └───▶ Waiters: acks=all, long polls
//! ```
//!
//! The log tells its listener that offsets moved, on whatever thread moved them; the partition then asks the
//! pure [`ReplicaState`] for the high watermark and wakes whom it concerns. Nothing runs for a partition at
//! rest. Deliberately absent: following another broker.

mod created;
mod reconcile;
mod replica;
mod table;
mod waiters;

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use headwater_env::Env;
use headwater_log::{AppendError, Appended, Isolation, Log, LogListener, Origin, ReadError, Slice};
use headwater_record::{TopicPartition, Uuid};
use tokio::sync::Notify;

use crate::config::TopicSettings;
use replica::{Durability, Event, ReplicaState};
use waiters::Waiters;

pub(crate) use created::CreatedPartitions;
pub(crate) use reconcile::open_partitions;
pub(crate) use table::{PartitionTable, TopicEntry, Unavailable};
pub(crate) use waiters::Waiting;

/// A partition that this broker leads.
pub(crate) struct Partition<E: Env> {
    id: TopicPartition,
    topic_id: Uuid,
    log: Log<E>,
    leader_epoch: AtomicI32,
    isr_size: AtomicUsize,
    replica_count: AtomicUsize,
    settings: ArcSwap<TopicSettings>,
    replica: Mutex<ReplicaState>,
    waiters: Arc<Waiters>,
    /// Set once and for all when the data directory fails, the topic is deleted or the broker stops.
    gone: AtomicBool,
}

/// Why a produced batch is not in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Too few replicas are in sync for `acks=all`; try again later.
    #[error("{in_sync} replicas are in sync, {needed} are needed")]
    NotEnoughReplicas {
        /// How many are.
        in_sync: usize,
        /// How many must be.
        needed: usize,
    },
    /// The log says no.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// The partition will not commit any more: its directory failed, its topic was deleted, or the broker stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the partition is gone")]
pub(crate) struct Gone;

impl<E: Env> Partition<E> {
    /// Leads the partition of `log` from now on.
    pub(crate) fn lead(topic_id: Uuid, log: Log<E>, settings: Arc<TopicSettings>) -> Arc<Partition<E>> {
        let durability = durability(&settings);
        let progress = log.progress();
        let replica =
            ReplicaState::new(durability, progress.log_end, progress.flushed, progress.high_watermark);
        let partition = Arc::new(Partition {
            id: log.identity().topic_partition(),
            topic_id,
            leader_epoch: AtomicI32::new(0),
            isr_size: AtomicUsize::new(1),
            replica_count: AtomicUsize::new(1),
            settings: ArcSwap::new(settings),
            replica: Mutex::new(replica),
            waiters: Arc::default(),
            gone: AtomicBool::new(false),
            log,
        });
        partition.log.set_listener(Arc::new(Listener(Arc::downgrade(&partition))));
        partition.advance();
        partition
    }

    /// Topic and index.
    pub(crate) fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// The topic's id.
    pub(crate) fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// Its log.
    pub(crate) fn log(&self) -> &Log<E> {
        &self.log
    }

    /// The epoch in which this broker leads it.
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch.load(Ordering::Acquire)
    }

    /// What its topic's configs say.
    pub(crate) fn settings(&self) -> Arc<TopicSettings> {
        self.settings.load_full()
    }

    /// Takes over new settings of the topic.
    pub(crate) fn set_settings(&self, settings: Arc<TopicSettings>) {
        self.log.set_config(settings.log.clone());
        let durability = durability(&settings);
        self.settings.store(settings);
        let moved = {
            let mut replica = self.replica();
            replica
                .apply(Event::DurabilityChanged(durability))
                .map(|offset| self.log.set_high_watermark(offset))
        };
        self.tell(moved);
    }

    /// Takes over what the metadata says of leadership and replicas.
    pub(crate) fn set_leadership(&self, leader_epoch: i32, isr_size: usize, replica_count: usize) {
        self.leader_epoch.store(leader_epoch, Ordering::Release);
        self.isr_size.store(isr_size, Ordering::Release);
        self.replica_count.store(replica_count, Ordering::Release);
    }

    /// Appends one validated batch; `all` for a producer that waits for every in-sync replica. The append is
    /// committed when [`committed`](Self::committed) says so.
    pub(crate) fn append(
        &self,
        batch: impl AsMut<[u8]>,
        origin: Origin,
        all: bool,
        now_ms: i64,
    ) -> Result<Appended, WriteError> {
        // More replicas than the topic has cannot be asked for.
        let needed = self.settings.load().min_insync_replicas.min(self.replica_count.load(Ordering::Acquire));
        let in_sync = self.isr_size.load(Ordering::Acquire);
        if all && in_sync < needed {
            return Err(WriteError::NotEnoughReplicas { in_sync, needed });
        }
        Ok(self.log.append_as_leader(batch, self.leader_epoch(), origin, now_ms)?)
    }

    /// A range of the log from `offset` on; see [`Log::read`].
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        at_least_one: bool,
        isolation: Isolation,
    ) -> Result<Slice<E>, ReadError> {
        self.log.read(offset, max_bytes, at_least_one, isolation)
    }

    /// Returns once everything below `offset` is committed.
    pub(crate) async fn committed(&self, offset: i64) -> Result<(), Gone> {
        if self.log.high_watermark() >= offset {
            return Ok(());
        }
        let notify = Arc::new(Notify::new());
        loop {
            let waiting = self.wait_for(offset, &notify);
            if self.log.high_watermark() >= offset {
                return Ok(());
            }
            if self.is_gone() {
                return Err(Gone);
            }
            notify.notified().await;
            drop(waiting);
        }
    }

    /// Has `notify` told once the high watermark reaches `offset`, or never will. To be called before the
    /// watermark is looked at.
    pub(crate) fn wait_for(&self, offset: i64, notify: &Arc<Notify>) -> Waiting {
        self.waiters.enter(offset, notify.clone())
    }

    /// Whether nothing will be committed here any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Ends all waits: the topic was deleted, or the broker stops.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
        self.waiters.give_up();
    }

    /// Takes the log's offsets to the state machine, and what comes of it to the log and to those who wait.
    fn advance(&self) {
        let moved = {
            // Under the lock, so that the log sees the watermark only grow.
            let mut replica = self.replica();
            let progress = self.log.progress();
            let event = Event::Local { log_end: progress.log_end, flushed: progress.flushed };
            replica.apply(event).map(|offset| self.log.set_high_watermark(offset))
        };
        self.tell(moved);
    }

    fn tell(&self, moved: Option<i64>) {
        if let Some(high_watermark) = moved {
            self.waiters.reached(high_watermark);
        }
    }

    fn replica(&self) -> MutexGuard<'_, ReplicaState> {
        // The state machine checks itself after each step, so it is whole even after a panic.
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn durability(settings: &TopicSettings) -> Durability {
    if settings.log.flush { Durability::Fsync } else { Durability::PageCache }
}

/// What the log knows of its partition: nothing that would keep it alive.
struct Listener<E: Env>(Weak<Partition<E>>);

impl<E: Env> LogListener for Listener<E> {
    fn log_end_changed(&self) {
        if let Some(partition) = self.0.upgrade() {
            partition.advance();
        }
    }

    fn flushed_changed(&self) {
        if let Some(partition) = self.0.upgrade() {
            partition.advance();
        }
    }

    fn failed(&self) {
        if let Some(partition) = self.0.upgrade() {
            partition.leave();
        }
    }
}
