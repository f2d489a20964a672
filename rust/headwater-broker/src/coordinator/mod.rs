//! The generic coordinator runtime: one task per partition of an internal topic that this broker leads, each driving a
//! [`Shard`] on the partition's log.
//!
//! ```text
//!   leads a partition of the topic ──▶ load (on the blocking pool) ──▶ actor ──▶ leads it no more: unload
//!                                      Refusal::Loading               answers    Refusal::NotCoordinator
//!                                        │      ▲
//!                                 failed ▼      │ after a pause
//!                                      Refusal::NotAvailable
//! ```
//!
//! A log that cannot be read is read again for as long as this broker leads it: nobody else could coordinate it, so
//! sending clients to look for another coordinator would only have them come back.
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
mod metrics;
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
pub(crate) use metrics::CoordinatorMetrics;

/// Requests that wait for one partition's task; whoever sends more waits at the door.
const QUEUE_MAX: usize = 1_024;
/// Partitions that are read at the same time.
const LOADS_AT_ONCE: usize = 4;
/// The pause after the first attempt to load that failed; it doubles with each.
const LOAD_PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause: a disk that comes back is noticed by then, and damage that stays costs a look this often.
const LOAD_PAUSE_MAX: Duration = Duration::from_secs(30);

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
    /// Its log could not be read; that is going to be tried again.
    Failing,
    Active,
    /// Unloaded, or its task has ended by itself.
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
    metrics: CoordinatorMetrics,
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
        metrics: CoordinatorMetrics,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        CoordinatorRuntime {
            env,
            settings: Arc::new(settings),
            metrics,
            shards: watch::Sender::new(()),
            loaded: ArcSwap::default(),
            loads: Arc::new(Semaphore::new(LOADS_AT_ONCE)),
            tasks,
            stop,
        }
    }

    /// What it counts.
    #[cfg(test)]
    pub(crate) fn metrics(&self) -> &CoordinatorMetrics {
        &self.metrics
    }

    /// Starts to coordinate `partition`, whose log is replayed in the background into what `empty` makes. `term` names
    /// this term of leadership.
    pub(crate) fn load<L: CoordinatorLog>(
        &self,
        partition: i32,
        term: Term,
        log: L,
        empty: impl Fn() -> S + Send + Sync + 'static,
    ) {
        self.unload(partition);
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        let (phase, phase_seen) = watch::channel(Phase::Loading);
        let stop = self.stop.child_token();
        let (env, settings, metrics) = (self.env.clone(), self.settings.clone(), self.metrics.clone());
        let loads = self.loads.clone();
        let life = Life { env, partition, log, settings, metrics, loads, phase, stop: stop.clone() };
        let task = life.run(empty, queue);
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
            Phase::Failing => return Err(Refusal::NotAvailable),
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

    /// Tells every coordinator something, those that are still loading included, and waits for no answer. One that is
    /// not loaded hears of no more than its queue holds: it may never come to empty it.
    pub(crate) async fn tell_all(&self, request: impl Fn() -> S::Request) {
        let all: Vec<(i32, Arc<Loaded<S>>)> =
            self.loaded.load().iter().map(|(partition, loaded)| (*partition, loaded.clone())).collect();
        for (partition, loaded) in all {
            let (reply, _) = oneshot::channel();
            let message = Message { request: request(), reply };
            let phase = *loaded.phase.borrow();
            if phase == Phase::Active {
                // A coordinator that is gone has nothing to be told.
                let _ = loaded.requests.send(message).await;
            } else if let Err(mpsc::error::TrySendError::Full(_)) = loaded.requests.try_send(message) {
                tracing::warn!(partition, "a coordinator that is not loaded misses what it is told");
            }
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

/// One partition's coordinator from its first attempt to load on.
struct Life<E: Env, L> {
    env: E,
    partition: i32,
    log: L,
    settings: Arc<RuntimeSettings>,
    metrics: CoordinatorMetrics,
    loads: Arc<Semaphore>,
    phase: watch::Sender<Phase>,
    stop: CancellationToken,
}

impl<E: Env, L: CoordinatorLog> Life<E, L> {
    async fn run<S: Shard>(self, empty: impl Fn() -> S, queue: mpsc::Receiver<Message<S>>) {
        let stop = self.stop.clone();
        let loaded = tokio::select! { biased;
            () = stop.cancelled() => None,
            shard = self.load(empty) => Some(shard),
        };
        if let Some(shard) = loaded {
            tracing::debug!(self.partition, records = shard.live_records(), "a coordinator is loaded");
            self.phase.send_replace(Phase::Active);
            Actor::new(self.env, shard, self.log, self.settings, &self.metrics, queue, stop).run().await;
        }
        self.phase.send_replace(Phase::Ended);
    }

    /// Reads the log, as often as it takes.
    async fn load<S: Shard>(&self, empty: impl Fn() -> S) -> S {
        let mut pause = LOAD_PAUSE_FIRST;
        let mut told = None;
        loop {
            let failure = match self.try_to_load(empty()).await {
                Ok(shard) if told.is_none() => return shard,
                Ok(shard) => {
                    tracing::info!(self.partition, "a coordinator's log could be replayed at last");
                    return shard;
                }
                Err(error) => error.to_string(),
            };
            self.metrics.load_failures.inc();
            // Once for each reason: the attempts go on for as long as it lasts.
            if told.as_ref() != Some(&failure) {
                tracing::error!(
                    self.partition,
                    error = failure,
                    "a coordinator's log cannot be replayed; until it can, its groups are not available"
                );
                told = Some(failure);
            }
            self.phase.send_replace(Phase::Failing);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOAD_PAUSE_MAX);
        }
    }

    async fn try_to_load<S: Shard>(&self, empty: S) -> Result<S, load::LoadError> {
        // The semaphore is never closed.
        let _turn = self.loads.acquire().await;
        let before = self.env.now();
        let shard = load::load(&self.env, &self.log, empty, self.settings.load_buffer_bytes).await?;
        self.metrics.load_seconds.observe((self.env.now() - before).as_secs_f64());
        Ok(shard)
    }
}
