//! The group task of one consumer.

use super::protocol::{self, Told, assignment_of};
use crate::assignor;
use crate::client::Destination;
use crate::config::AssignmentStrategy;
use crate::consumer::state::{Position, Subscription};
use crate::consumer::{RebalanceKind, Shared};
use crate::error::ClientError;
use crate::metadata::Scope;
use crate::net::Lane;
use crate::offsets::Committer;
use headwater_protocol::messages::heartbeat::HeartbeatRequest;
use headwater_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use headwater_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use headwater_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use headwater_protocol::{ErrorCode, Message, Str};
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

    /// One round of revoke, join, sync and take over. True if another must follow at once.
    async fn rebalance(&mut self) -> Result<bool, ClientError> {
        let topics = self.topics().await?;
        self.give_up_before_join(&topics).await;
        let Some(joined) = self.interruptible(self.join(&topics)).await.transpose()? else { return Ok(true) };
        let code = ErrorCode::from_wire(joined.error_code);
        if code == ErrorCode::MemberIdRequired {
            self.member_id = joined.member_id.to_string();
            return Ok(true);
        }
        ClientError::check(joined.error_code, || format!("joining group {}", self.group))?;
        self.member_id = joined.member_id.to_string();
        self.generation = joined.generation_id;
        let assignments = self.assignments_as_leader(&joined, &topics).await?;
        let synced = self.interruptible(self.sync(&joined, assignments)).await.transpose()?;
        let Some(assignment) = synced else { return Ok(true) };
        self.joined_topics = topics;
        self.last_heartbeat = self.now();
        Ok(self.take_over(assignment).await)
    }

    /// Waits for `doing` unless membership is not wanted any more.
    async fn interruptible<T>(&self, doing: impl Future<Output = T>) -> Option<T> {
        let unwanted = async {
            loop {
                self.shared.wake_member.notified().await;
                if !self.wants_membership() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = self.shared.leaving.cancelled() => None,
            () = unwanted => None,
            done = doing => Some(done),
        }
    }

    /// The topics to subscribe to now; for a pattern, all topics of the cluster are looked at.
    async fn topics(&mut self) -> Result<BTreeSet<Arc<str>>, ClientError> {
        let (version, pattern) = {
            let state = self.shared.state();
            let pattern = match &state.subscription {
                Subscription::Pattern(pattern) => Some(pattern.regex.clone()),
                _ => None,
            };
            (state.subscription_version, pattern)
        };
        self.subscription_version = version;
        if pattern.is_some() {
            let limit = self.shared.client.config().request_timeout();
            self.shared.client.fetch_metadata(Scope::All, limit).await?;
            self.shared.match_pattern();
        }
        Ok(self.shared.state().subscription.topics())
    }

    async fn give_up_before_join(&mut self, topics: &BTreeSet<Arc<str>>) {
        let owned = self.shared.state().assigned();
        let given_up: BTreeSet<TopicPartition> = if self.cooperative {
            owned.into_iter().filter(|partition| !topics.contains(&partition.topic)).collect()
        } else {
            owned
        };
        self.revoke(&given_up).await;
    }

    /// Gives partitions up once the polling thread has dealt with it and positions are committed.
    async fn revoke(&mut self, partitions: &BTreeSet<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        let dealt_with = self.shared.revoke(partitions);
        self.wait_with_heartbeats(dealt_with).await;
        if self.shared.config.auto_commit() {
            self.commit(false).await;
        }
        self.shared.state().remove(partitions);
    }

    /// The session must outlive whatever the polling thread does.
    async fn wait_with_heartbeats(&mut self, dealt_with: tokio::sync::oneshot::Receiver<()>) {
        tokio::pin!(dealt_with);
        let interval = self.heartbeat_interval();
        loop {
            let next = self.now() + interval;
            let late = self.poll_deadline().filter(|late| *late <= next);
            tokio::select! {
                biased;
                () = self.shared.leaving.cancelled() => return,
                _ = &mut dealt_with => return,
                () = tokio::time::sleep_until(late.unwrap_or(next)) => {}
            }
            if late.is_some() && self.poll_deadline().is_some_and(|late| late <= self.now()) {
                return;
            }
            if self.generation >= 0 {
                // What it says is found out by the join that follows.
                self.heartbeat().await.ok();
            }
        }
    }

    async fn join(&self, topics: &BTreeSet<Arc<str>>) -> Result<JoinGroupResponse, ClientError> {
        let config = &self.shared.config;
        let owned = self.shared.state().assigned();
        let told = Told {
            topics,
            owned: &owned,
            had: &self.had,
            generation: self.had_generation,
            rack: &config.client_rack,
        };
        let mut protocols = Vec::new();
        for strategy in &config.partition_assignment_strategy {
            let metadata = protocol::subscription(*strategy, &told).map_err(|error| {
                ClientError::Misuse(format!("the subscription cannot be encoded: {error}"))
            })?;
            protocols.push(JoinGroupRequestProtocol { name: strategy.name().into(), metadata });
        }
        let request = JoinGroupRequest {
            group_id: Str::from(&self.group),
            session_timeout_ms: config.session_timeout_ms as i32,
            rebalance_timeout_ms: config.max_poll_interval_ms as i32,
            member_id: Str::from(&self.member_id),
            group_instance_id: config.group_instance_id.as_deref().map(Str::from),
            protocol_type: Str::from_static("consumer"),
            protocols,
            reason: None,
        };
        let timeout = Duration::from_millis(config.max_poll_interval_ms) + JOIN_GRACE;
        let to = Destination::Group(self.group.clone());
        self.check_static_membership().await?;
        Ok(self.shared.client.call(&to, Lane::Group, i16::MAX, timeout, |_| request).await?.body)
    }

    /// A broker too old for static members must not silently make this a dynamic one.
    async fn check_static_membership(&self) -> Result<(), ClientError> {
        if self.shared.config.group_instance_id.is_none() {
            return Ok(());
        }
        let to = Destination::Group(self.group.clone());
        let connection = self.shared.client.connection(&to, Lane::Group).await?;
        if connection.version_of::<JoinGroupRequest>(JoinGroupRequest::MAX_VERSION)? >= 5 {
            return Ok(());
        }
        let feature = "static membership (group.instance.id)".to_owned();
        Err(ClientError::Unsupported { node: connection.node().to_owned(), feature })
    }

    /// The shares of all members, if this one leads; empty otherwise.
    async fn assignments_as_leader(
        &mut self,
        joined: &JoinGroupResponse,
        own_topics: &BTreeSet<Arc<str>>,
    ) -> Result<Vec<SyncGroupRequestAssignment>, ClientError> {
        self.watched.clear();
        if *joined.leader != *joined.member_id {
            self.keep_topics(own_topics.clone());
            return Ok(Vec::new());
        }
        let name = joined.protocol_name.as_deref().unwrap_or_default();
        let strategy = AssignmentStrategy::from_name(name).ok_or_else(|| ClientError::Unsupported {
            node: "this client".into(),
            feature: format!("the assignment strategy {name:?} that the group chose"),
        })?;
        let read = joined.members.iter().map(|member| {
            protocol::member(
                &member.member_id,
                member.group_instance_id.as_deref(),
                &member.metadata,
                strategy,
            )
        });
        let (versions, members): (Vec<i16>, Vec<assignor::Member>) = read.unzip();
        let topics: BTreeSet<Arc<str>> =
            members.iter().flat_map(|member| member.topics.iter().cloned()).collect();
        let limit = self.shared.client.config().request_timeout();
        let image = self.shared.client.fetch_metadata(Scope::Topics(topics.clone()), limit).await?;
        let count = |topic: &Arc<str>| image.topic(topic).map_or(0, |topic| topic.partitions.len());
        let counts: BTreeMap<Arc<str>, usize> =
            topics.iter().map(|topic| (Arc::clone(topic), count(topic))).collect();
        self.keep_topics(topics);
        self.watched = counts.clone();
        if joined.skip_assignment {
            return Ok(Vec::new());
        }
        let shares = assignor::assign(strategy, &members, &counts);
        let version = versions.into_iter().min().unwrap_or(0);
        let encode = |(member_id, partitions): (String, BTreeSet<TopicPartition>)| {
            let assignment = protocol::assignment(&partitions, version)
                .map_err(|error| ClientError::Misuse(format!("an assignment cannot be encoded: {error}")))?;
            Ok(SyncGroupRequestAssignment { member_id: member_id.into(), assignment })
        };
        shares.into_iter().map(encode).collect()
    }

    fn keep_topics(&self, topics: BTreeSet<Arc<str>>) {
        let all = matches!(self.shared.state().subscription, Subscription::Pattern(_));
        let scope = if all { Scope::All } else { Scope::Topics(topics) };
        self.shared.client.keep_scope(scope, self.shared.config.allow_auto_create_topics);
    }

    async fn sync(
        &self,
        joined: &JoinGroupResponse,
        assignments: Vec<SyncGroupRequestAssignment>,
    ) -> Result<BTreeSet<TopicPartition>, ClientError> {
        let request = SyncGroupRequest {
            group_id: Str::from(&self.group),
            generation_id: self.generation,
            member_id: Str::from(&self.member_id),
            group_instance_id: self.shared.config.group_instance_id.as_deref().map(Str::from),
            protocol_type: Some(Str::from_static("consumer")),
            protocol_name: joined.protocol_name.clone(),
            assignments,
        };
        let to = Destination::Group(self.group.clone());
        let timeout = Duration::from_millis(self.shared.config.max_poll_interval_ms) + JOIN_GRACE;
        let answer = self.shared.client.call(&to, Lane::Group, i16::MAX, timeout, |_| request).await?.body;
        ClientError::check(answer.error_code, || format!("joining group {}", self.group))?;
        Ok(assignment_of(&answer.assignment).into_iter().collect())
    }

    /// Makes the assignment this member's own. True if partitions were given up and the group must meet again.
    async fn take_over(&mut self, assignment: BTreeSet<TopicPartition>) -> bool {
        self.shared.set_membership(Some(Committer {
            member_id: self.member_id.clone(),
            generation: self.generation,
            instance_id: self.shared.config.group_instance_id.clone(),
        }));
        let owned = self.shared.state().assigned();
        let given_up: BTreeSet<TopicPartition> = owned.difference(&assignment).cloned().collect();
        self.revoke(&given_up).await;
        self.had = assignment.clone();
        self.had_generation = self.generation;
        let added = assignment.difference(&owned).cloned().collect();
        {
            let mut state = self.shared.state();
            state.assign(&assignment, Position::Unknown);
            // Nobody waits for this one: seeks made while handling it come before any record.
            drop(state.tell(RebalanceKind::Assigned, &added));
        }
        self.shared.wake_fetcher.notify_one();
        self.shared.changed.notify_waiters();
        self.cooperative && !given_up.is_empty()
    }

    /// Heartbeats until something changes.
    async fn steady(&mut self) -> Change {
        let shared = Arc::clone(&self.shared);
        let mut metadata = shared.client.metadata_changes();
        // A change may have come while the group was rebalancing.
        metadata.mark_changed();
        let mut next_heartbeat = self.now() + self.heartbeat_interval();
        loop {
            let late = self.poll_deadline();
            let mut next = late.map_or(next_heartbeat, |late| late.min(next_heartbeat));
            if shared.config.auto_commit() {
                next = next.min(self.next_commit);
            }
            tokio::select! {
                biased;
                () = shared.leaving.cancelled() => return Change::Leave,
                () = shared.wake_member.notified() => {
                    if shared.state().subscription_version != self.subscription_version {
                        return Change::Rejoin;
                    }
                }
                changed = metadata.changed() => {
                    if changed.is_ok() && self.topics_changed() {
                        return Change::Rejoin;
                    }
                }
                () = tokio::time::sleep_until(next) => {}
            }
            let now = self.now();
            if self.poll_deadline().is_some_and(|late| late <= now) {
                return Change::PolledTooLate;
            }
            self.commit_if_due();
            if next_heartbeat <= now {
                match self.heartbeat().await {
                    Ok(()) => next_heartbeat = now + self.heartbeat_interval(),
                    Err(error) => match self.heartbeat_failed(error) {
                        Some(change) => return change,
                        None => next_heartbeat = now + shared.client.backoff().next(shared.client.runtime()),
                    },
                }
            }
        }
    }

    /// Whether the leader must assign anew, or the pattern matches other topics.
    fn topics_changed(&self) -> bool {
        if self.shared.match_pattern() {
            return true;
        }
        let image = self.shared.client.metadata();
        self.watched
            .iter()
            .any(|(topic, count)| image.topic(topic).is_some_and(|now| now.partitions.len() != *count))
    }

    async fn heartbeat(&mut self) -> Result<(), ClientError> {
        let request = HeartbeatRequest {
            group_id: Str::from(&self.group),
            generation_id: self.generation,
            member_id: Str::from(&self.member_id),
            group_instance_id: self.shared.config.group_instance_id.as_deref().map(Str::from),
        };
        let to = Destination::Group(self.group.clone());
        let timeout = Duration::from_millis(self.shared.config.session_timeout_ms);
        let call = self.shared.client.call(&to, Lane::Group, i16::MAX, timeout, |_| request);
        let answer = tokio::select! {
            biased;
            () = self.shared.leaving.cancelled() => return Ok(()),
            answer = call => answer?.body,
        };
        ClientError::check(answer.error_code, || format!("heartbeat to group {}", self.group))?;
        self.last_heartbeat = self.now();
        Ok(())
    }

    /// What a failed heartbeat means; `None` to try again.
    fn heartbeat_failed(&mut self, error: ClientError) -> Option<Change> {
        tracing::debug!(group = self.group, %error, "heartbeat failed");
        match error.code() {
            Some(ErrorCode::RebalanceInProgress) => Some(Change::Rejoin),
            Some(ErrorCode::UnknownMemberId) => {
                self.member_id.clear();
                Some(Change::Lost)
            }
            Some(ErrorCode::IllegalGeneration) => Some(Change::Lost),
            _ if error.retriable() => {
                self.shared.client.coordinator_failed(&self.group, &error);
                let session = Duration::from_millis(self.shared.config.session_timeout_ms);
                (self.now() >= self.last_heartbeat + session).then_some(Change::Lost)
            }
            _ => Some(self.fatal(error)),
        }
    }

    async fn join_failed(&mut self, error: ClientError, pause: Duration) -> Change {
        match error.code() {
            Some(ErrorCode::UnknownMemberId) => {
                self.member_id.clear();
                return Change::Lost;
            }
            Some(ErrorCode::IllegalGeneration) => return Change::Lost,
            Some(ErrorCode::RebalanceInProgress) => return Change::Rejoin,
            _ if error.retriable() => self.shared.client.coordinator_failed(&self.group, &error),
            _ => return self.fatal(error),
        }
        self.interruptible(tokio::time::sleep(pause)).await;
        Change::Rejoin
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
        if let Err(error) = self.shared.commit_positions(all).await {
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
                outcome = shared.commit_positions(false) => if let Err(error) = outcome {
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
