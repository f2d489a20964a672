//! The generic coordinator runtime: one task per partition of an internal topic that this broker leads, each driving a
//! [`Shard`] on the partition's log.
//!
//! ```text
//!   leads a partition of the topic ──▶ load (on the blocking pool) ──▶ actor ──▶ leads it no more: unload
//!                                      Refusal::Loading               answers    Refusal::NotCoordinator
//! ```
//!
//! | task | who starts it | when it ends | channels |
//! |---|---|---|---|
//! | one per loaded partition ([`actor`]) | [`CoordinatorRuntime::load`] | unload, the log is gone, the broker stops | a bounded queue of requests in; a oneshot for each answer out |
//! | the follower of leadership ([`groups`]) | the broker's start | the broker stops | watches the metadata that the partitions reflect |
//!
//! The runtime knows nothing of groups: [`groups`] puts both together. Transactions and share groups will do the same
//! with shards of their own.

mod actor;
mod batch;
mod clock;
mod groups;
mod load;
mod log;
mod partition_log;
mod rewrite;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use headwater_coordinator::{Refusal, Shard};
use headwater_env::Env;
use headwater_record::Uuid;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::Order;
use actor::{Actor, Message};
use log::CoordinatorLog;

pub(crate) use groups::{GroupCoordinator, partition_of};

/// Requests that wait for one partition's task; whoever sends more waits at the door.
const QUEUE_MAX: usize = 1_024;
/// Partitions that are read at the same time.
const LOADS_AT_ONCE: usize = 4;

/// Settings that all partitions of a runtime share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RuntimeSettings {
    /// How long a write may wait for the high watermark before whoever waits is told.
    pub(crate) commit_timeout: Duration,
    /// How many bytes of a log are read at a time when it is loaded.
    pub(crate) load_buffer_bytes: usize,
}

/// A term of leadership. Another one means another log, or other records in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    /// The topic: one that was deleted and made again has another id.
    pub(crate) topic_id: Uuid,
    /// The epoch in which this broker leads the partition.
    pub(crate) leader_epoch: i32,
}

/// How far a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Loading,
    Active,
    /// Unloaded, or its log could not be read.
    Ended,
}

struct Loaded<S: Shard> {
    term: Term,
    requests: mpsc::Sender<Message<S>>,
    phase: watch::Receiver<Phase>,
    stop: CancellationToken,
}

/// The coordinators of the partitions of one internal topic that this broker leads.
pub(crate) struct CoordinatorRuntime<E: Env, S: Shard> {
    env: E,
    settings: Arc<RuntimeSettings>,
    /// Replaced whole by the one task that follows leadership.
    shards: watch::Sender<()>,
    loaded: ArcSwap<BTreeMap<i32, Arc<Loaded<S>>>>,
    loads: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl<E: Env, S: Shard> CoordinatorRuntime<E, S> {
    /// A runtime without partitions. Its tasks end when `stop` is cancelled and are tracked by `tasks`.
    pub(crate) fn new(
        env: E,
        settings: RuntimeSettings,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        CoordinatorRuntime {
            env,
            settings: Arc::new(settings),
            shards: watch::Sender::new(()),
            loaded: ArcSwap::default(),
            loads: Arc::new(Semaphore::new(LOADS_AT_ONCE)),
            tasks,
            stop,
        }
    }

    /// Starts to coordinate `partition`, whose log is replayed into `shard` in the background. `term` names this term
    /// of leadership.
    pub(crate) fn load<L: CoordinatorLog>(&self, partition: i32, term: Term, log: L, shard: S) {
        self.unload(partition);
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        let (phase, phase_seen) = watch::channel(Phase::Loading);
        let stop = self.stop.child_token();
        let task = run(
            self.env.clone(),
            partition,
            shard,
            log,
            self.settings.clone(),
            self.loads.clone(),
            queue,
            phase,
            stop.clone(),
        );
        drop(self.env.spawn("coordinator", self.tasks.track_future(task)));
        let entry = Arc::new(Loaded { term, requests, phase: phase_seen, stop });
        self.replace(partition, Some(entry));
    }

    /// Stops to coordinate `partition`. Whoever waits is told to look elsewhere.
    pub(crate) fn unload(&self, partition: i32) {
        if let Some(loaded) = self.loaded.load().get(&partition) {
            loaded.stop.cancel();
            self.replace(partition, None);
        }
    }

    fn replace(&self, partition: i32, entry: Option<Arc<Loaded<S>>>) {
        let mut next = BTreeMap::clone(&self.loaded.load());
        match entry {
            Some(entry) => next.insert(partition, entry),
            None => next.remove(&partition),
        };
        self.loaded.store(Arc::new(next));
        self.shards.send_replace(());
    }

    /// The partitions that are coordinated or being loaded, with their terms.
    pub(crate) fn terms(&self) -> BTreeMap<i32, Term> {
        self.loaded.load().iter().map(|(partition, loaded)| (*partition, loaded.term)).collect()
    }

    /// Asks the coordinator of `partition`. The request stands in its queue once this was polled for the first time,
    /// unless the queue is full: then the connection's next request is held back until it does.
    pub(crate) async fn ask(
        &self,
        partition: i32,
        request: S::Request,
        order: &Order,
    ) -> Result<S::Reply, Refusal> {
        let loaded = self.loaded.load().get(&partition).cloned().ok_or(Refusal::NotCoordinator)?;
        let phase = *loaded.phase.borrow();
        match phase {
            Phase::Active => {}
            Phase::Loading => return Err(Refusal::Loading),
            Phase::Ended => return Err(Refusal::NotCoordinator),
        }
        let (reply, answer) = oneshot::channel();
        match loaded.requests.try_send(Message { request, reply }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(message)) => {
                let _hold = order.hold();
                loaded.requests.send(message).await.map_err(|_| Refusal::NotCoordinator)?;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Refusal::NotCoordinator),
        }
        // The task is gone when it drops the other end.
        answer.await.unwrap_or(Err(Refusal::NotCoordinator))
    }

    /// Tells every coordinator something, those that are still loading included, and waits for no answer.
    pub(crate) async fn tell_all(&self, request: impl Fn() -> S::Request) {
        let all: Vec<Arc<Loaded<S>>> = self.loaded.load().values().cloned().collect();
        for loaded in all {
            let (reply, _) = oneshot::channel();
            // A coordinator that is gone has nothing to be told.
            let _ = loaded.requests.send(Message { request: request(), reply }).await;
        }
    }

    /// The partitions whose coordinator answers.
    pub(crate) fn active(&self) -> Vec<i32> {
        let is_active = |loaded: &Arc<Loaded<S>>| *loaded.phase.borrow() == Phase::Active;
        let loaded = self.loaded.load();
        loaded.iter().filter(|(_, loaded)| is_active(loaded)).map(|(partition, _)| *partition).collect()
    }

    /// Whether any partition is still being loaded.
    pub(crate) fn is_loading(&self) -> bool {
        self.loaded.load().values().any(|loaded| *loaded.phase.borrow() == Phase::Loading)
    }

    /// Returns once `partition` is here and loaded, or has failed to load.
    pub(crate) async fn wait_until_loaded(&self, partition: i32) {
        let mut shards = self.shards.subscribe();
        loop {
            shards.borrow_and_update();
            let loaded = self.loaded.load().get(&partition).cloned();
            let Some(loaded) = loaded else {
                // The sender lives in this very struct.
                let _ = shards.changed().await;
                continue;
            };
            let mut phase = loaded.phase.clone();
            // An error means that the task has ended: nothing more will come of it.
            let _ = phase.wait_for(|phase| *phase != Phase::Loading).await;
            return;
        }
    }
}

/// The life of one partition's coordinator.
#[expect(clippy::too_many_arguments, reason = "everything the task owns, handed over once")]
async fn run<E: Env, S: Shard, L: CoordinatorLog>(
    env: E,
    partition: i32,
    shard: S,
    log: L,
    settings: Arc<RuntimeSettings>,
    loads: Arc<Semaphore>,
    queue: mpsc::Receiver<Message<S>>,
    phase: watch::Sender<Phase>,
    stop: CancellationToken,
) {
    let loading = async {
        // The semaphore is never closed.
        let _turn = loads.acquire().await;
        load::load(&env, &log, shard, settings.load_buffer_bytes).await
    };
    let loaded = tokio::select! { biased;
        () = stop.cancelled() => None,
        loaded = loading => Some(loaded),
    };
    match loaded {
        Some(Ok(shard)) => {
            tracing::debug!(partition, records = shard.live_records(), "a coordinator is loaded");
            phase.send_replace(Phase::Active);
            Actor::new(env, shard, log, settings, queue, stop).run().await;
        }
        Some(Err(error)) => {
            tracing::error!(partition, %error, "a coordinator's log cannot be replayed; it is not coordinated");
        }
        None => {}
    }
    phase.send_replace(Phase::Ended);
}
