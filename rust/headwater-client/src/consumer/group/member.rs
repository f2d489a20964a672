//! The group task of one consumer.

mod join;
mod steady;

use crate::client::Destination;
use crate::config::AssignmentStrategy;
use crate::consumer::{RebalanceKind, Shared};
use crate::error::ClientError;
use crate::net::Lane;
use headwater_protocol::Str;
use headwater_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a JoinGroup may take beyond the rebalance timeout.
const JOIN_GRACE: Duration = Duration::from_secs(5);
/// What saying goodbye may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the steady state ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Rejoin,
    /// The coordinator does not know this member or generation any more.
    Lost,
    /// No poll for too long.
    PolledTooLate,
    /// Unsubscribed or closing.
    Leave,
    /// A failure that ends membership; the polling thread has been told.
    Fatal,
}

pub(in crate::consumer) struct Member {
    shared: Arc<Shared>,
    group: String,
    member_id: String,
    generation: i32,
    /// Assignment and generation that the sticky strategies tell of.
    had: BTreeSet<TopicPartition>,
    had_generation: i32,
    cooperative: bool,
    subscription_version: u64,
    /// Partition counts that the assignment was made from; watched by the leader alone.
    watched: BTreeMap<Arc<str>, usize>,
    joined_topics: BTreeSet<Arc<str>>,
    next_commit: Instant,
    last_heartbeat: Instant,
}

impl Member {
    pub(in crate::consumer) fn new(shared: Arc<Shared>, group: String) -> Self {
        let now = shared.client.runtime().now();
        let strategies = &shared.config.partition_assignment_strategy;
        // As in Kafka: cooperative only if every strategy of the list is.
        let cooperative =
            strategies.iter().all(|strategy| *strategy == AssignmentStrategy::CooperativeSticky);
        Self {
            group,
            member_id: String::new(),
            generation: -1,
            had: BTreeSet::new(),
            had_generation: -1,
            cooperative,
            subscription_version: 0,
            watched: BTreeMap::new(),
            joined_topics: BTreeSet::new(),
            next_commit: now + shared.auto_commit_interval(),
            last_heartbeat: now,
            shared,
        }
    }

    /// Runs until the consumer is closed or dropped.
    pub(in crate::consumer) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            biased;
            () = shared.closing.cancelled() => {}
            () = self.live() => {}
        }
        shared.set_membership(None);
        shared.left.cancel();
    }

    async fn live(&mut self) {
        while !self.shared.leaving.is_cancelled() {
            if self.wants_membership() {
                self.participate().await;
            } else {
                self.idle().await;
            }
        }
        if self.shared.config.auto_commit() {
            self.commit(true).await;
        }
        self.leave("the consumer was closed").await;
    }

    fn wants_membership(&self) -> bool {
        self.shared.state().subscription.is_membership()
    }

    /// Partitions assigned by hand: only commits are to be done.
    async fn idle(&mut self) {
        let auto = self.shared.config.auto_commit();
        let next_commit = self.next_commit;
        let timer = async move {
            if auto { tokio::time::sleep_until(next_commit).await } else { std::future::pending().await }
        };
        tokio::select! {
            biased;
            () = self.shared.leaving.cancelled() => {}
            () = self.shared.wake_member.notified() => {}
            () = timer => self.commit_if_due(),
        }
    }

    /// Joins and stays until membership is not wanted any more.
    async fn participate(&mut self) {
        let mut backoff = self.shared.client.backoff();
        loop {
            if self.shared.leaving.is_cancelled() {
                return;
            }
            if !self.wants_membership() {
                return self.leave("unsubscribed").await;
            }
            let change = match self.rebalance().await {
                Ok(true) => continue,
                Ok(false) => {
                    backoff.reset();
                    self.steady().await
                }
                Err(error) => {
                    tracing::debug!(group = self.group, %error, "could not join");
                    let pause = backoff.next(self.shared.client.runtime());
                    self.join_failed(error, pause).await
                }
            };
            match change {
                Change::Rejoin => {}
                Change::Lost => self.lost(),
                Change::Leave if self.shared.leaving.is_cancelled() => return,
                Change::Leave => {}
                Change::PolledTooLate => self.polled_too_late().await,
                Change::Fatal => return self.wait_for_another_subscription().await,
            }
        }
    }

    /// Waits for `doing` unless membership is not wanted any more.
    async fn interruptible<T>(&self, doing: impl Future<Output = T>) -> Option<T> {
        let unwanted = async {
            while self.wants_membership() {
                self.shared.wake_member.notified().await;
            }
        };
        tokio::select! {
            biased;
            () = self.shared.leaving.cancelled() => None,
            () = unwanted => None,
            done = doing => Some(done),
        }
    }

    fn fatal(&mut self, error: ClientError) -> Change {
        self.member_id.clear();
        self.lost();
        self.shared.state().fail(error);
        self.shared.changed.notify_waiters();
        Change::Fatal
    }

    /// The partitions belong to somebody else by now.
    fn lost(&mut self) {
        self.generation = -1;
        self.shared.set_membership(None);
        let mut state = self.shared.state();
        let owned = state.assigned();
        if !owned.is_empty() {
            state.remove(&owned);
            drop(state.tell(RebalanceKind::Lost, &owned));
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    async fn polled_too_late(&mut self) {
        self.leave("no poll for max.poll.interval.ms").await;
        self.lost();
        let interval = Duration::from_millis(self.shared.config.max_poll_interval_ms);
        self.shared.state().fail(ClientError::PolledTooLate(interval));
        // The next poll shows that somebody reads again.
        while self.poll_deadline().is_some_and(|late| late <= self.now()) && self.wants_membership() {
            tokio::select! {
                biased;
                () = self.shared.leaving.cancelled() => return,
                () = self.shared.changed.notified() => {}
                () = self.shared.wake_member.notified() => {}
                () = tokio::time::sleep(self.heartbeat_interval()) => {}
            }
        }
    }

    async fn wait_for_another_subscription(&mut self) {
        while self.shared.state().subscription_version == self.subscription_version {
            tokio::select! {
                biased;
                () = self.shared.leaving.cancelled() => return,
                () = self.shared.wake_member.notified() => {}
            }
        }
    }

    /// Leaves the group at once; a static member stays until its session ends, so that it can come back.
    async fn leave(&mut self, reason: &str) {
        self.shared.set_membership(None);
        let known = !self.member_id.is_empty();
        let member_id = std::mem::take(&mut self.member_id);
        self.generation = -1;
        self.had.clear();
        self.had_generation = -1;
        if !known || self.shared.config.group_instance_id.is_some() {
            return;
        }
        let build = |version: i16| {
            let mut request = LeaveGroupRequest { group_id: Str::from(&self.group), ..Default::default() };
            if version >= 3 {
                request.members.push(MemberIdentity {
                    member_id: Str::from(&member_id),
                    group_instance_id: None,
                    reason: Some(Str::from(reason)),
                });
            } else {
                request.member_id = Str::from(&member_id);
            }
            request
        };
        // Not on the group's lane, where a join may be waiting for the others.
        let to = Destination::Group(self.group.clone());
        let left = self.shared.client.call(&to, Lane::General, i16::MAX, LEAVE_TIMEOUT, build).await;
        if let Err(error) = left {
            tracing::debug!(group = self.group, %error, "could not leave; the session will time out");
        }
    }

    /// Commits what counts as processed; with `all`, everything that was handed out.
    async fn commit(&self, all: bool) {
        if let Err(error) = self.shared.commit_positions(all, self.shared.api_timeout()).await {
            tracing::warn!(group = self.group, %error, "automatic commit failed");
        }
    }

    /// Starts a background commit when its time has come.
    fn commit_if_due(&mut self) {
        let now = self.now();
        if !self.shared.config.auto_commit() || now < self.next_commit {
            return;
        }
        self.next_commit = now + self.shared.auto_commit_interval();
        let shared = Arc::clone(&self.shared);
        let group = self.group.clone();
        self.shared.client.runtime().spawn("client-auto-commit", async move {
            let closing = shared.closing.clone();
            tokio::select! {
                biased;
                () = closing.cancelled() => {}
                outcome = shared.commit_positions(false, shared.api_timeout()) => if let Err(error) = outcome {
                    tracing::warn!(group, %error, "automatic commit failed");
                }
            }
        });
    }

    fn now(&self) -> Instant {
        self.shared.client.runtime().now()
    }

    fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.shared.config.heartbeat_interval_ms)
    }

    /// When the polling thread is too late; `None` while it is inside a poll.
    fn poll_deadline(&self) -> Option<Instant> {
        let interval = Duration::from_millis(self.shared.config.max_poll_interval_ms);
        self.shared.state().poll_deadline(interval)
    }
}
