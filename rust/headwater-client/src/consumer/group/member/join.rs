//! One rebalance of a member: revoke, join, sync, take over.

use super::{Change, JOIN_GRACE, Member};
use crate::assignor;
use crate::client::Destination;
use crate::config::AssignmentStrategy;
use crate::consumer::RebalanceKind;
use crate::consumer::group::protocol::{self, Told, assignment_of};
use crate::consumer::state::{Position, Subscription};
use crate::error::ClientError;
use crate::metadata::Scope;
use crate::net::Lane;
use crate::offsets::Committer;
use headwater_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use headwater_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};
use headwater_protocol::{ErrorCode, Message, Str};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

impl Member {
    /// One round of revoke, join, sync and take over. True if another must follow at once.
    pub(super) async fn rebalance(&mut self) -> Result<bool, ClientError> {
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

    /// The topics to subscribe to now; for a pattern, all topics of the cluster are looked at.
    pub(super) async fn topics(&mut self) -> Result<BTreeSet<Arc<str>>, ClientError> {
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

    pub(super) async fn give_up_before_join(&mut self, topics: &BTreeSet<Arc<str>>) {
        let owned = self.shared.state().assigned();
        let given_up: BTreeSet<TopicPartition> = if self.cooperative {
            owned.into_iter().filter(|partition| !topics.contains(&partition.topic)).collect()
        } else {
            owned
        };
        self.revoke(&given_up).await;
    }

    /// Gives partitions up once the polling thread has dealt with it and positions are committed.
    pub(super) async fn revoke(&mut self, partitions: &BTreeSet<TopicPartition>) {
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

    /// The session must outlive whatever the polling thread does. A thread that unsubscribes does not poll for what it gave
    /// up any more, and is not waited for.
    pub(super) async fn wait_with_heartbeats(&mut self, dealt_with: tokio::sync::oneshot::Receiver<()>) {
        tokio::pin!(dealt_with);
        let interval = self.heartbeat_interval();
        loop {
            let next = self.now() + interval;
            let late = self.poll_deadline().filter(|late| *late <= next);
            tokio::select! {
                biased;
                () = self.shared.leaving.cancelled() => return,
                _ = &mut dealt_with => return,
                () = self.shared.wake_member.notified() => match self.wants_membership() {
                    true => continue,
                    false => return,
                },
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

    pub(super) async fn join(&self, topics: &BTreeSet<Arc<str>>) -> Result<JoinGroupResponse, ClientError> {
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
    pub(super) async fn check_static_membership(&self) -> Result<(), ClientError> {
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
    pub(super) async fn assignments_as_leader(
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

    pub(super) fn keep_topics(&self, topics: BTreeSet<Arc<str>>) {
        let all = matches!(self.shared.state().subscription, Subscription::Pattern(_));
        let scope = if all { Scope::All } else { Scope::Topics(topics) };
        self.shared.client.keep_scope(scope, self.shared.config.allow_auto_create_topics);
    }

    pub(super) async fn sync(
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
    pub(super) async fn take_over(&mut self, assignment: BTreeSet<TopicPartition>) -> bool {
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

    pub(super) async fn join_failed(&mut self, error: ClientError, pause: Duration) -> Change {
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
}
