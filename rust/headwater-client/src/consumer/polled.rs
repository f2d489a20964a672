//! What one poll may hand out, and what it found.

use super::fetched::FetchedPartition;
use crate::config::ConsumerConfig;
use headwater_record::TopicPartition;

/// How much one poll may hand out.
#[derive(Debug, Clone, Copy)]
pub struct PollLimits {
    /// Records, over all partitions.
    pub records: usize,
    /// Bytes of batches, over all partitions; the first batch is handed out even if larger.
    pub bytes: usize,
}

impl PollLimits {
    /// As many records as `max.poll.records` says, of any size.
    pub fn of(config: &ConsumerConfig) -> Self {
        Self { records: config.max_poll_records, bytes: usize::MAX }
    }

    /// No bound but these bytes: for readers that take whole batches.
    pub fn bytes(bytes: usize) -> Self {
        Self { records: usize::MAX, bytes }
    }
}

/// What one poll found: events, or records, never both.
#[derive(Debug, Default)]
pub struct Polled {
    /// Records; a partition may come more than once, in order.
    pub partitions: Vec<FetchedPartition>,
    /// Changes of the assignment, oldest first. A rebalance goes on when they have been dealt with, which the next poll, or
    /// [`acknowledge`](super::Consumer::acknowledge), says for all.
    pub events: Vec<RebalanceEvent>,
}

impl Polled {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty() && self.events.is_empty()
    }
}

/// What happened to the assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebalanceKind {
    /// These partitions were added.
    Assigned,
    /// These partitions are about to be given up; committing them still works.
    Revoked,
    /// These partitions are gone already, perhaps owned by another member; committing them fails.
    Lost,
}

/// A change of the assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebalanceEvent {
    /// What happened.
    pub kind: RebalanceKind,
    /// To which partitions, sorted; may be empty.
    pub partitions: Vec<TopicPartition>,
}
