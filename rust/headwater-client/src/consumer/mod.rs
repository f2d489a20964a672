//! Reads partitions, alone or as a member of a group.
//!
//! ```text
//!  polling thread ── poll ──▶ State ◀── fetch task: positions, fetches ahead
//!                               ▲
//!                               └────── group task: join, heartbeat, commit (with a group.id)
//! ```
//!
//! Checksums, decompression and decoding happen on the polling thread, records never cross a task one by one.

mod buffer;
mod fetched;
mod fetcher;
mod group;
mod polled;
mod queries;
mod session;
mod shared;
mod state;

#[cfg(fuzzing)]
pub(crate) use group::read_group_bytes;

pub use fetched::{AbortedTransaction, DECOMPRESSED_BYTES_MAX, FetchedPartition, RecordCursor};
pub(crate) use group::assignment_of;
pub use polled::{PollLimits, Polled, RebalanceEvent, RebalanceKind};

use self::buffer::Checksums;
use crate::client::Client;
use crate::config::ConsumerConfig;
use crate::error::ClientError;
use crate::metadata::Scope;
use crate::net::Bootstrap;
use crate::offsets::{self, OffsetAndMetadata};
use crate::runtime::Runtime;
use fetcher::Fetcher;
use group::Member;
use headwater_protocol::ErrorCode;
use headwater_record::TopicPartition;
use shared::Shared;
use state::{Pattern, Position, Subscription};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Receives the outcome of a commit in the background.
pub type CommitDone =
    Box<dyn FnOnce(Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError>) + Send>;

/// Reads partitions. Cheap to clone; clones are the same consumer. One thread polls; the other calls may come from any.
///
/// Dropping the last clone ends its tasks without committing or leaving the group; see [`close`](Self::close).
#[derive(Clone)]
pub struct Consumer {
    inner: Arc<Inner>,
    /// What its calls may take, if not `default.api.timeout.ms`.
    limit: Option<Duration>,
}

struct Inner {
    shared: Arc<Shared>,
    _ends_tasks: DropGuard,
}

/// Marks that the polling thread is inside a poll, where it cannot be late for the next.
struct Polling<'a>(&'a Shared);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let now = self.0.client.runtime().now();
        let mut state = self.0.state();
        state.polling = state.polling.saturating_sub(1);
        state.last_poll = Some(now);
    }
}

impl Consumer {
    /// A consumer of nothing yet. Does no I/O, and needs no runtime context on the calling thread.
    pub fn new(runtime: Runtime, bootstrap: Bootstrap, config: ConsumerConfig) -> Result<Self, ClientError> {
        config.validate()?;
        let client = Client::new(runtime.clone(), bootstrap, config.client.clone())?;
        let closing = client.closed().child_token();
        let shared = Arc::new(Shared {
            client,
            config,
            state: Mutex::default(),
            membership: Mutex::new(None),
            changed: Notify::new(),
            wake_fetcher: Notify::new(),
            wake_member: Notify::new(),
            leaving: CancellationToken::new(),
            left: CancellationToken::new(),
            closing: closing.clone(),
        });
        runtime.spawn("client-fetcher", Fetcher::new(Arc::clone(&shared)).run());
        match shared.config.group_id.clone() {
            Some(group) => runtime.spawn("client-group", Member::new(Arc::clone(&shared), group).run()),
            None => shared.left.cancel(),
        }
        Ok(Self { inner: Arc::new(Inner { shared, _ends_tasks: closing.drop_guard() }), limit: None })
    }

    fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// The same consumer, whose calls through this handle may take so long in place of `default.api.timeout.ms`.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self.clone() }
    }

    fn limit(&self) -> Duration {
        self.limit.unwrap_or_else(|| self.shared().api_timeout())
    }

    fn open(&self) -> Result<(), ClientError> {
        let shared = self.shared();
        if shared.closing.is_cancelled() || shared.leaving.is_cancelled() {
            return Err(ClientError::Closed);
        }
        Ok(())
    }

    /// Metadata and raw requests over this consumer's connections.
    pub fn client(&self) -> &Client {
        &self.shared().client
    }

    /// The settings.
    pub fn config(&self) -> &ConsumerConfig {
        &self.shared().config
    }

    /// Joins the group for these topics. Replaces an earlier subscription; partitions of topics that stay are kept until
    /// the group has met again.
    pub fn subscribe(&self, topics: &[&str]) -> Result<(), ClientError> {
        self.subscribe_to(Subscription::Topics(topics.iter().map(|topic| Arc::from(*topic)).collect()))
    }

    /// Joins the group for all topics whose whole name matches, also those created later (noticed within
    /// `metadata.max.age.ms`).
    pub fn subscribe_pattern(&self, pattern: &str) -> Result<(), ClientError> {
        let regex = regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
            // The last of several lines says what is wrong; the others draw where.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            ClientError::Misuse(format!("the pattern {pattern:?} is no regular expression: {reason}"))
        })?;
        self.subscribe_to(Subscription::Pattern(Pattern { regex, matching: BTreeSet::new() }))
    }

    fn subscribe_to(&self, subscription: Subscription) -> Result<(), ClientError> {
        self.open()?;
        let shared = self.shared();
        if shared.config.group_id.is_none() {
            return Err(ClientError::Misuse(
                "subscribing needs a group.id; without one, assign topics or partitions".into(),
            ));
        }
        let now = shared.client.runtime().now();
        {
            let mut state = shared.state();
            if !state.subscription.is_membership() {
                state.assign(&BTreeSet::new(), Position::Unknown);
            }
            state.subscribe(subscription);
            state.last_poll = Some(now);
        }
        shared.wake_member.notify_one();
        Ok(())
    }

    /// Reads these partitions, without a group's assignment (commits work if there is a `group.id`). Partitions that were
    /// assigned before keep their positions.
    pub fn assign(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.open()?;
        let wanted: BTreeSet<TopicPartition> = partitions.iter().cloned().collect();
        let topics = wanted.iter().map(|partition| Arc::clone(&partition.topic)).collect();
        self.replace(Subscription::Partitions, &wanted, topics);
        Ok(())
    }

    /// Reads all partitions of these topics, without a group's assignment. Partitions that are added later are read too,
    /// from their beginning.
    pub fn assign_topics(&self, topics: &[&str]) -> Result<(), ClientError> {
        self.open()?;
        let topics: BTreeSet<Arc<str>> = topics.iter().map(|topic| Arc::from(*topic)).collect();
        let kept: BTreeSet<TopicPartition> =
            self.assignment().into_iter().filter(|partition| topics.contains(&partition.topic)).collect();
        self.replace(Subscription::AllOf(topics.clone()), &kept, topics);
        Ok(())
    }

    fn replace(
        &self,
        subscription: Subscription,
        wanted: &BTreeSet<TopicPartition>,
        topics: BTreeSet<Arc<str>>,
    ) {
        let shared = self.shared();
        {
            let mut state = shared.state();
            state.subscribe(subscription);
            state.assign(wanted, Position::Unknown);
        }
        shared.client.keep_scope(Scope::Topics(topics), shared.config.allow_auto_create_topics);
        shared.wake_member.notify_one();
        shared.wake_fetcher.notify_one();
    }

    /// Commits (if auto-commit is on), leaves the group and forgets the assignment.
    pub async fn unsubscribe(&self) -> Result<(), ClientError> {
        let shared = self.shared();
        let committed = match shared.config.auto_commit() {
            true => shared.commit_positions(true, self.limit()).await.map(drop),
            false => Ok(()),
        };
        self.replace(Subscription::None, &BTreeSet::new(), BTreeSet::new());
        let gone = async {
            loop {
                let changed = shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if shared.membership().is_none() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(self.limit(), gone).await.ok();
        committed
    }

    /// The partitions read now, sorted.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared().state().partitions.keys().cloned().collect()
    }

    /// The topics subscribed to (of a pattern: those that match now), sorted.
    pub fn subscription(&self) -> Vec<Arc<str>> {
        self.shared().state().subscription.topics().into_iter().collect()
    }

    /// Whether there is nothing to poll for: no topics, no pattern and no partitions were asked for.
    pub fn reads_nothing(&self) -> bool {
        let state = self.shared().state();
        match state.subscription {
            Subscription::None => true,
            Subscription::Partitions => state.partitions.is_empty(),
            _ => false,
        }
    }

    /// Topics to be read that the cluster does not have, as far as is known.
    pub fn missing_topics(&self) -> Vec<Arc<str>> {
        let image = self.client().metadata();
        let state = self.shared().state();
        let mut topics = state.subscription.topics();
        topics.extend(state.partitions.keys().map(|partition| Arc::clone(&partition.topic)));
        let is_missing = |topic: &Arc<str>| {
            let unknown = |error: &ClientError| error.is(ErrorCode::UnknownTopicOrPartition);
            image.topics.get(topic).is_some_and(|known| known.as_ref().is_err_and(unknown))
        };
        topics.into_iter().filter(is_missing).collect()
    }

    /// What is there already; never waits. Counts as a poll for `max.poll.interval.ms`; what earlier polls handed out
    /// counts as processed from here on.
    pub fn try_poll(&self, limits: PollLimits) -> Result<Polled, ClientError> {
        self.open()?;
        self.shared().state().begin_poll(self.client().runtime().now());
        Ok(self.take(limits, None)?.unwrap_or_default())
    }

    fn take(&self, limits: PollLimits, only: Option<&TopicPartition>) -> Result<Option<Polled>, ClientError> {
        let shared = self.shared();
        let checksums = match (shared.config.check_crcs, only) {
            (false, _) => Checksums::Ignored,
            (true, None) => Checksums::Verified,
            (true, Some(_)) => Checksums::LeftToReader,
        };
        let mut state = shared.state();
        let queued = state.queued_bytes();
        let taken = state.take(limits, only, checksums);
        // Also what held nothing to be seen made room, aborted records for example.
        if state.queued_bytes() < queued {
            shared.wake_fetcher.notify_one();
        }
        taken
    }

    /// Waits at most `timeout` for records or events. Empty after the timeout.
    pub async fn poll(&self, limits: PollLimits, timeout: Duration) -> Result<Polled, ClientError> {
        self.poll_for(limits, None, timeout).await
    }

    /// As [`poll`](Self::poll), but hands out records of this partition alone; what was fetched of the others waits.
    /// Checksums are left to the caller ([`FetchedPartition::checksums_due`]), who had better verify a batch right before
    /// reading it, while its bytes are in the processor's caches.
    pub async fn poll_partition(
        &self,
        partition: &TopicPartition,
        limits: PollLimits,
        timeout: Duration,
    ) -> Result<Polled, ClientError> {
        self.poll_for(limits, Some(partition), timeout).await
    }

    async fn poll_for(
        &self,
        limits: PollLimits,
        only: Option<&TopicPartition>,
        timeout: Duration,
    ) -> Result<Polled, ClientError> {
        self.open()?;
        let shared = self.shared();
        {
            let mut state = shared.state();
            state.begin_poll(shared.client.runtime().now());
            state.polling += 1;
        }
        let _polling = Polling(shared);
        let found = async {
            loop {
                let changed = shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(polled) = self.take(limits, only)? {
                    return Ok(polled);
                }
                changed.await;
            }
        };
        tokio::select! {
            biased;
            () = shared.closing.cancelled() => Err(ClientError::Closed),
            found = tokio::time::timeout(timeout, found) => found.unwrap_or_else(|_| Ok(Polled::default())),
        }
    }

    /// Says that the events handed out so far have been dealt with, without waiting for the next poll to say so.
    pub fn acknowledge(&self) {
        self.shared().state().acknowledge();
    }

    /// The offset of the next record to be handed out; waits until it is known.
    pub async fn position(&self, partition: &TopicPartition) -> Result<i64, ClientError> {
        let shared = self.shared();
        let known = async {
            loop {
                let changed = shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(offset) = self.on(partition, |state| state.offset())? {
                    return Ok(offset);
                }
                changed.await;
            }
        };
        let after = self.limit();
        let timed_out =
            |_| ClientError::TimedOut { doing: format!("finding the position of {partition}"), after };
        tokio::time::timeout(after, known).await.map_err(timed_out)?
    }

    /// The position of a partition if it is known by now.
    pub fn known_position(&self, partition: &TopicPartition) -> Option<i64> {
        self.shared().state().partitions.get(partition)?.offset()
    }

    /// The positions that are known by now, as [`commit`](Self::commit) would commit them.
    pub fn positions(&self) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        self.shared().state().reached(|partition| partition.reached())
    }

    fn on<T>(
        &self,
        partition: &TopicPartition,
        act: impl FnOnce(&mut state::PartitionState) -> T,
    ) -> Result<T, ClientError> {
        self.open()?;
        let mut state = self.shared().state();
        state.partitions.get_mut(partition).map(act).ok_or_else(|| not_assigned(partition))
    }

    /// Goes on from `offset`.
    pub fn seek(&self, partition: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        self.seek_within(partition, offset..i64::MAX)
    }

    /// Goes on from the start of `range` and fetches no batch that begins at its end or later. Records behind the end may
    /// still be handed out, since batches come whole.
    pub fn seek_within(&self, partition: &TopicPartition, range: Range<i64>) -> Result<(), ClientError> {
        let offset = range.start;
        if offset < 0 {
            return Err(ClientError::Misuse(format!("cannot seek to the negative offset {offset}")));
        }
        self.open()?;
        if !self.shared().state().seek(partition, Position::At(offset), Some(range.end)) {
            return Err(not_assigned(partition));
        }
        self.shared().wake_fetcher.notify_one();
        self.shared().changed.notify_waiters();
        Ok(())
    }

    /// Goes on from the first retained record. An empty list means all assigned partitions.
    pub fn seek_to_beginning(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.seek_to(partitions, offsets::EARLIEST)
    }

    /// Goes on after the last record. An empty list means all assigned partitions.
    pub fn seek_to_end(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        self.seek_to(partitions, offsets::LATEST)
    }

    fn seek_to(&self, partitions: &[TopicPartition], spec: i64) -> Result<(), ClientError> {
        self.open()?;
        let all = self.assignment();
        for partition in if partitions.is_empty() { &all } else { partitions } {
            if !self.shared().state().seek(partition, Position::Reset(spec), None) {
                return Err(not_assigned(partition));
            }
        }
        self.shared().wake_fetcher.notify_one();
        Ok(())
    }

    /// Hands out nothing of these partitions until resumed. Membership is not touched.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        partitions.iter().try_for_each(|partition| self.on(partition, |state| state.paused = true))
    }

    /// Ends a pause.
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        partitions.iter().try_for_each(|partition| self.on(partition, |state| state.paused = false))?;
        self.shared().wake_fetcher.notify_one();
        self.shared().changed.notify_waiters();
        Ok(())
    }

    /// The paused partitions, sorted.
    pub fn paused(&self) -> Vec<TopicPartition> {
        let state = self.shared().state();
        state
            .partitions
            .iter()
            .filter(|(_, partition)| partition.paused)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Commits the position of all assigned partitions: all records handed out so far count as processed. Gives what was
    /// committed.
    pub async fn commit(&self) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        self.open()?;
        self.shared().group()?;
        self.shared().commit_positions(true, self.limit()).await
    }

    /// Commits these offsets.
    pub async fn commit_offsets(
        &self,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    ) -> Result<(), ClientError> {
        self.open()?;
        self.shared().commit(offsets, self.limit()).await
    }

    /// Starts a commit in the background (`None`: of all positions). `done` is called on a background task and must return
    /// at once; without it a failure is logged.
    pub fn commit_async(
        &self,
        offsets: Option<BTreeMap<TopicPartition, OffsetAndMetadata>>,
        done: Option<CommitDone>,
    ) {
        let shared = Arc::clone(&self.inner.shared);
        let limit = self.limit();
        self.client().runtime().spawn("client-commit", async move {
            let committing = async {
                match offsets {
                    None => shared.commit_positions(true, limit).await,
                    Some(offsets) => shared.commit(&offsets, limit).await.map(|()| offsets),
                }
            };
            let closing = shared.closing.clone();
            let outcome = tokio::select! {
                biased;
                () = closing.cancelled() => Err(ClientError::Closed),
                outcome = committing => outcome,
            };
            match (done, outcome) {
                (Some(done), outcome) => done(outcome),
                (None, Err(error)) => tracing::warn!(%error, "commit failed"),
                (None, Ok(_)) => {}
            }
        });
    }

    /// How many records lie between position and the last known end, if both are known.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.shared().state();
        let partition = state.partitions.get(partition)?;
        Some((partition.end? - partition.offset()?).max(0))
    }

    /// The last known high watermark of an assigned partition.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.shared().state().partitions.get(partition)?.high_watermark
    }

    /// Member id in the group, and generation; `None` while there is no membership.
    pub fn group_membership(&self) -> Option<(String, i32)> {
        self.shared().membership().map(|membership| (membership.member_id, membership.generation))
    }

    /// Commits (if auto-commit is on), leaves the group and ends all tasks. Gives up waiting after `timeout`; the tasks end
    /// all the same.
    pub async fn close(&self, timeout: Duration) -> Result<(), ClientError> {
        let shared = self.shared();
        shared.leaving.cancel();
        let left = tokio::time::timeout(timeout, shared.left.cancelled()).await;
        shared.closing.cancel();
        shared.client.close();
        shared.state().assign(&BTreeSet::new(), Position::Unknown);
        left.map_err(|_| ClientError::TimedOut { doing: "closing the consumer".into(), after: timeout })
    }
}

fn not_assigned(partition: &TopicPartition) -> ClientError {
    ClientError::Misuse(format!(
        "{partition} is not assigned to this consumer: assign it, or poll until the group does"
    ))
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let client = &self.shared().client;
        formatter.debug_struct("Consumer").field("client", client).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
