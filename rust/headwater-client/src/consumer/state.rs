//! What the polling thread, the fetch task and the group task of one consumer share: subscription, positions, answers.
//!
//! ```text
//!  position ≤ first offset not handed out ≤ fetch_offset = offset the next fetch asks for
//!  committable = position when the last poll began: what was handed out before it counts as processed
//! ```
//!
//! One lock, held for short sections without waiting inside.

use super::buffer::{Allowance, Answer, Checksums};
use super::fetched::FetchedPartition;
use super::{PollLimits, Polled, RebalanceEvent, RebalanceKind};
use crate::config::AutoOffsetReset;
use crate::error::ClientError;
use crate::offsets::{self, OffsetAndMetadata};
use headwater_record::TopicPartition;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Errors kept for the polling thread; more of them say nothing new.
const ERRORS_MAX: usize = 16;

/// What the consumer wants to read.
#[derive(Debug, Clone, Default)]
pub(super) enum Subscription {
    #[default]
    None,
    /// As a member of the group.
    Topics(BTreeSet<Arc<str>>),
    /// As a member of the group, whatever matches.
    Pattern(Pattern),
    /// These partitions, chosen by the caller.
    Partitions,
    /// All partitions of these topics, without membership.
    AllOf(BTreeSet<Arc<str>>),
}

#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    pub(super) matching: BTreeSet<Arc<str>>,
}

impl Subscription {
    /// Whether partitions come from the group.
    pub(super) fn is_membership(&self) -> bool {
        matches!(self, Self::Topics(_) | Self::Pattern(_))
    }

    pub(super) fn topics(&self) -> BTreeSet<Arc<str>> {
        match self {
            Self::Topics(topics) | Self::AllOf(topics) => topics.clone(),
            Self::Pattern(pattern) => pattern.matching.clone(),
            Self::None | Self::Partitions => BTreeSet::new(),
        }
    }
}

/// A position as it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    /// The offset of the next record.
    pub(super) offset: i64,
    /// Leader epoch of the last batch before it; `None` where nothing was read on the way here.
    pub(super) leader_epoch: Option<i32>,
}

impl From<Reached> for OffsetAndMetadata {
    fn from(reached: Reached) -> Self {
        Self { leader_epoch: reached.leader_epoch, ..Self::from(reached.offset) }
    }
}

/// Where a partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// To be taken from the group's commits, or else by the reset policy.
    Unknown,
    /// To be looked up: [`offsets::EARLIEST`], [`offsets::LATEST`], or a time.
    Reset(i64),
    /// The offset of the next record to be handed out.
    At(i64),
}

pub(super) struct PartitionState {
    pub(super) position: Position,
    /// Of the last batch before the position; a guess would make a broker take a sound log for a cut one.
    leader_epoch: Option<i32>,
    pub(super) committable: Option<Reached>,
    pub(super) fetch_offset: i64,
    /// Nothing that begins here or later is fetched.
    pub(super) fetch_end: Option<i64>,
    pub(super) paused: bool,
    /// About to be given up: nothing more is handed out, or it would be handed out again by the next owner.
    pub(super) revoking: bool,
    pub(super) answers: VecDeque<Answer>,
    pub(super) queued_bytes: usize,
    /// A lookup of the position is under way.
    pub(super) resolving: bool,
    /// Changes when the position is set by hand and with each assignment, so that answers to older questions are dropped.
    pub(super) version: u64,
    pub(super) high_watermark: Option<i64>,
    pub(super) end: Option<i64>,
    /// After a failure nothing is asked before this.
    pub(super) not_before: Option<Instant>,
    pub(super) preferred: Option<(i32, Instant)>,
}

impl PartitionState {
    fn new(position: Position, version: u64) -> Self {
        let fetch_offset = if let Position::At(offset) = position { offset } else { -1 };
        Self {
            position,
            leader_epoch: None,
            committable: None,
            fetch_offset,
            fetch_end: None,
            paused: false,
            revoking: false,
            answers: VecDeque::new(),
            queued_bytes: 0,
            resolving: false,
            version,
            high_watermark: None,
            end: None,
            not_before: None,
            preferred: None,
        }
    }

    /// Goes elsewhere; forgets what was fetched for the old position.
    pub(super) fn go_to(&mut self, position: Position) {
        self.position = position;
        self.leader_epoch = None;
        if let Position::At(offset) = position {
            self.fetch_offset = offset;
        }
        self.fetch_end = None;
        self.answers.clear();
        self.queued_bytes = 0;
        self.resolving = false;
        self.not_before = None;
        self.version += 1;
    }

    /// A lookup found the position.
    pub(super) fn found(&mut self, found: Reached) {
        self.go_to(Position::At(found.offset));
        self.leader_epoch = found.leader_epoch;
        self.committable = Some(found);
    }

    /// Whether records are to be handed out.
    pub(super) fn is_wanted(&self) -> bool {
        !self.paused && !self.revoking
    }

    /// Whether more is to be fetched, as far as the partition itself is concerned.
    pub(super) fn is_fetched(&self) -> bool {
        self.is_wanted()
            && self.offset().is_some()
            && self.fetch_end.is_none_or(|end| self.fetch_offset < end)
    }

    pub(super) fn offset(&self) -> Option<i64> {
        if let Position::At(offset) = self.position { Some(offset) } else { None }
    }

    /// The position with what is known of the way to it.
    pub(super) fn reached(&self) -> Option<Reached> {
        self.offset().map(|offset| Reached { offset, leader_epoch: self.leader_epoch })
    }

    pub(super) fn push(&mut self, answer: Answer, next_offset: i64) {
        self.queued_bytes += answer.size();
        self.fetch_offset = next_offset;
        self.answers.push_back(answer);
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) subscription: Subscription,
    /// Counts changes of the subscription.
    pub(super) subscription_version: u64,
    pub(super) partitions: BTreeMap<TopicPartition, PartitionState>,
    events: VecDeque<RebalanceEvent>,
    /// Who waits until the events handed out are dealt with.
    acknowledge: Vec<oneshot::Sender<()>>,
    handed_out: Vec<oneshot::Sender<()>>,
    errors: VecDeque<ClientError>,
    /// Where the next poll begins, so that no partition starves.
    turn: usize,
    pub(super) last_poll: Option<Instant>,
    /// Polls that wait right now.
    pub(super) polling: usize,
    /// Partitions that were ever assigned, each time counted.
    assignments: u64,
}

impl State {
    /// The reset policy as a position.
    pub(super) fn reset_position(policy: AutoOffsetReset, now_ms: i64) -> Option<Position> {
        match policy {
            AutoOffsetReset::Earliest => Some(Position::Reset(offsets::EARLIEST)),
            AutoOffsetReset::Latest => Some(Position::Reset(offsets::LATEST)),
            AutoOffsetReset::ByDuration(ms) => Some(Position::Reset(now_ms.saturating_sub(ms).max(0))),
            AutoOffsetReset::None => None,
        }
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription) {
        self.subscription = subscription;
        self.subscription_version += 1;
    }

    pub(super) fn assigned(&self) -> BTreeSet<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// Makes `wanted` the assignment; partitions that stay keep their positions.
    pub(super) fn assign(&mut self, wanted: &BTreeSet<TopicPartition>, start: Position) {
        self.partitions.retain(|partition, _| wanted.contains(partition));
        for partition in wanted {
            if !self.partitions.contains_key(partition) {
                self.assignments += 1;
                self.partitions.insert(partition.clone(), PartitionState::new(start, self.assignments << 32));
            }
        }
    }

    pub(super) fn remove(&mut self, gone: &BTreeSet<TopicPartition>) {
        self.partitions.retain(|partition, _| !gone.contains(partition));
    }

    /// Positions of the assigned partitions that have one, as they are committed.
    pub(super) fn reached(
        &self,
        of: impl Fn(&PartitionState) -> Option<Reached>,
    ) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        let known = self.partitions.iter().filter_map(|(name, p)| Some((name.clone(), of(p)?.into())));
        known.collect()
    }

    /// Queues an event; the receiver hears when it was dealt with.
    pub(super) fn tell(
        &mut self,
        kind: RebalanceKind,
        partitions: &BTreeSet<TopicPartition>,
    ) -> oneshot::Receiver<()> {
        let (done, dealt_with) = oneshot::channel();
        self.events.push_back(RebalanceEvent { kind, partitions: partitions.iter().cloned().collect() });
        self.acknowledge.push(done);
        dealt_with
    }

    /// Stops handing out records of these partitions and tells that they will be given up.
    pub(super) fn revoke(&mut self, partitions: &BTreeSet<TopicPartition>) -> oneshot::Receiver<()> {
        for name in partitions {
            if let Some(partition) = self.partitions.get_mut(name) {
                partition.revoking = true;
            }
        }
        self.tell(RebalanceKind::Revoked, partitions)
    }

    pub(super) fn fail(&mut self, error: ClientError) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push_back(error);
        }
    }

    /// Sets the position of a partition by hand, from which on that it had none is no error any more. False if it is not
    /// assigned.
    ///
    /// Both in one step: between them the fetch task could find the new position lost, which must be said.
    pub(super) fn seek(&mut self, name: &TopicPartition, position: Position, fetch_end: Option<i64>) -> bool {
        let Some(partition) = self.partitions.get_mut(name) else { return false };
        partition.go_to(position);
        partition.fetch_end = fetch_end;
        if let Position::At(offset) = position {
            partition.committable = Some(Reached { offset, leader_epoch: None });
        }
        self.errors.retain(|error| match error {
            ClientError::NoOffset { topic, partition }
            | ClientError::OffsetOutOfRange { topic, partition, .. } => {
                *topic != name.topic || *partition != name.partition
            }
            _ => true,
        });
        true
    }

    /// The events handed out earlier have been dealt with.
    pub(super) fn acknowledge(&mut self) {
        for waiting in self.handed_out.drain(..) {
            // Whoever waited may have given up.
            waiting.send(()).ok();
        }
    }

    /// The records handed out earlier count as processed.
    pub(super) fn begin_poll(&mut self, now: Instant) {
        self.last_poll = Some(now);
        self.acknowledge();
        for partition in self.partitions.values_mut() {
            partition.committable = partition.reached();
        }
    }

    /// Bytes that wait to be polled, of all partitions.
    pub(super) fn queued_bytes(&self) -> usize {
        self.partitions.values().map(|partition| partition.queued_bytes).sum()
    }

    /// When the polling thread is too late; `None` while it is inside a poll.
    pub(super) fn poll_deadline(&self, interval: std::time::Duration) -> Option<Instant> {
        if self.polling > 0 { None } else { Some(self.last_poll? + interval) }
    }

    /// Takes what is there: events alone, or an error, or records (of all partitions, or of one). `Ok(None)` if there is
    /// nothing.
    pub(super) fn take(
        &mut self,
        limits: PollLimits,
        only: Option<&TopicPartition>,
        checksums: Checksums,
    ) -> Result<Option<Polled>, ClientError> {
        if !self.events.is_empty() {
            self.handed_out.append(&mut self.acknowledge);
            let events = self.events.drain(..).collect();
            return Ok(Some(Polled { partitions: Vec::new(), events }));
        }
        if let Some(error) = self.errors.pop_front() {
            return Err(error);
        }
        let partitions = match only {
            Some(name) => self.take_records_of(name, limits, checksums)?,
            None => self.take_records(limits, checksums)?,
        };
        Ok((!partitions.is_empty()).then_some(Polled { partitions, events: Vec::new() }))
    }

    fn take_records_of(
        &mut self,
        name: &TopicPartition,
        limits: PollLimits,
        checksums: Checksums,
    ) -> Result<Vec<FetchedPartition>, ClientError> {
        let mut left = Allowance::of(limits);
        match self.partitions.get_mut(name).filter(|partition| partition.is_wanted()) {
            Some(partition) => partition.take(name, &mut left, checksums),
            None => Ok(Vec::new()),
        }
    }

    fn take_records(
        &mut self,
        limits: PollLimits,
        checksums: Checksums,
    ) -> Result<Vec<FetchedPartition>, ClientError> {
        let mut left = Allowance::of(limits);
        let mut taken = Vec::new();
        let count = self.partitions.len();
        let first = if count == 0 { 0 } else { self.turn % count };
        for step in 0..count {
            let place = (first + step) % count;
            let Some((name, partition)) = self.partitions.iter_mut().nth(place) else { break };
            if !partition.is_wanted() || partition.answers.is_empty() {
                continue;
            }
            match partition.take(name, &mut left, checksums) {
                Ok(fetched) => taken.extend(fetched),
                // What was taken before is handed out first; the damaged batch is met again.
                Err(error) if taken.is_empty() => return Err(error),
                Err(_) => break,
            }
            // A partition with more to give keeps its turn, so that its answer is used up in one go.
            self.turn = if partition.answers.is_empty() { place + 1 } else { place };
            if left.records == 0 || left.bytes == 0 {
                break;
            }
        }
        Ok(taken)
    }
}

impl PartitionState {
    fn take(
        &mut self,
        name: &TopicPartition,
        left: &mut Allowance,
        checksums: Checksums,
    ) -> Result<Vec<FetchedPartition>, ClientError> {
        let mut taken: Vec<FetchedPartition> = Vec::new();
        while let (Some(answer), Position::At(offset)) = (self.answers.front_mut(), self.position) {
            let cut = match answer.cut(name, offset, *left, checksums) {
                Ok(cut) => cut,
                Err(error) if taken.is_empty() => return Err(error),
                Err(_) => break,
            };
            self.position = Position::At(cut.next_offset);
            if cut.next_offset > offset {
                self.leader_epoch = cut.leader_epoch;
            }
            if cut.finished {
                self.queued_bytes -= answer.size();
                self.answers.pop_front();
            }
            left.records = left.records.saturating_sub(cut.records);
            let bytes = cut.fetched.as_ref().map_or(0, |fetched| fetched.bytes.len());
            left.bytes = left.bytes.saturating_sub(bytes);
            taken.extend(cut.fetched);
            if !cut.finished || left.records == 0 || left.bytes == 0 {
                break;
            }
        }
        Ok(taken)
    }
}
