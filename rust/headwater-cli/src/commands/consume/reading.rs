//! The loop of `consume`: poll, print, flush, commit, until the ends are reached.

use super::Consume;
use crate::failure::Failure;
use crate::output::Output;
use crate::record_text::Placed;
use crate::session::Session;
use headwater_client::{
    Consumer, FetchedPartition, OffsetAndMetadata, PollLimits, Polled, RebalanceEvent, RebalanceKind,
};
use headwater_env::Env;
use headwater_record::TopicPartition;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// One poll hands out at most so much, so that a signal is heard and output flows.
const LIMITS: PollLimits = PollLimits { records: 10_000, bytes: 4 << 20 };
/// How long a poll waits before the positions are looked at again.
const POLL_WAIT: Duration = Duration::from_millis(250);
/// How often positions are committed while records flow.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// A reader on its way through the partitions.
pub(super) struct Reading<'a> {
    command: &'a Consume,
    consumer: &'a Consumer,
    /// The ends noted at the start, of all partitions of the topic.
    ends: BTreeMap<TopicPartition, i64>,
    /// Partitions that are read now and whose end is not reached, with the next offset.
    open: BTreeMap<TopicPartition, i64>,
    /// Whether it is known which partitions are to be read; a group takes its time to say.
    assigned: bool,
    /// How many records may still be printed.
    left: u64,
    /// Positions behind the records that were printed and not committed yet.
    uncommitted: BTreeMap<TopicPartition, i64>,
}

impl<'a> Reading<'a> {
    /// `starts` are the positions, or empty for a member of a group, which is told later.
    pub(super) fn new(
        command: &'a Consume,
        consumer: &'a Consumer,
        ends: BTreeMap<TopicPartition, i64>,
        starts: BTreeMap<TopicPartition, i64>,
    ) -> Self {
        let mut reading = Self {
            command,
            consumer,
            ends,
            open: BTreeMap::new(),
            assigned: command.group.is_none(),
            left: command.count.unwrap_or(u64::MAX),
            uncommitted: BTreeMap::new(),
        };
        for (partition, offset) in starts {
            reading.advance(&partition, offset);
        }
        reading
    }

    pub(super) async fn run(mut self, session: &Session, output: &mut Output) -> Result<(), Failure> {
        let mut committed_at = session.env.now();
        let outcome = loop {
            if self.left == 0 || (self.assigned && self.open.is_empty() && !self.command.follow) {
                break Ok(());
            }
            let polled = tokio::select! {
                biased;
                () = session.interrupt.cancelled() => break Err(Failure::Interrupted),
                polled = self.consumer.poll(LIMITS, POLL_WAIT) => polled,
            };
            if let Err(failure) = self.take(session, output, polled?, &mut committed_at).await {
                break Err(failure);
            }
        };
        if matches!(outcome, Err(Failure::OutputClosed)) {
            return outcome;
        }
        self.commit(output).await?;
        outcome
    }

    async fn take(
        &mut self,
        session: &Session,
        output: &mut Output,
        polled: Polled,
        committed_at: &mut Instant,
    ) -> Result<(), Failure> {
        for event in &polled.events {
            self.rebalance(output, event).await?;
        }
        let idle = polled.partitions.is_empty();
        for fetched in &polled.partitions {
            self.print(session, output, fetched).await?;
            if self.left == 0 {
                return Ok(());
            }
        }
        if idle {
            self.look_at_positions().await?;
        } else {
            output.flush().await?;
        }
        let now = session.env.now();
        if now.duration_since(*committed_at) >= COMMIT_INTERVAL {
            *committed_at = now;
            self.commit(output).await?;
        }
        Ok(())
    }

    async fn print(
        &mut self,
        session: &Session,
        output: &mut Output,
        fetched: &FetchedPartition,
    ) -> Result<(), Failure> {
        let partition = TopicPartition::new(fetched.topic.clone(), fetched.partition);
        let end =
            if self.command.follow { i64::MAX } else { self.ends.get(&partition).copied().unwrap_or(0) };
        let mut position = fetched.end_offset;
        let mut cursor = fetched.records();
        while let Some(record) = cursor.next_record()? {
            if record.offset >= end || self.left == 0 || session.interrupt.is_cancelled() {
                position = record.offset;
                break;
            }
            self.left -= 1;
            let placed = Placed { topic: &fetched.topic, partition: fetched.partition, record };
            self.command.print(output.buffer(), &placed);
            output.relieve().await?;
        }
        if self.command.group.is_some() {
            self.uncommitted.insert(partition.clone(), position);
        }
        self.advance(&partition, position);
        Ok(())
    }

    /// Notes how far a partition has been read.
    fn advance(&mut self, partition: &TopicPartition, position: i64) {
        if position < self.ends.get(partition).copied().unwrap_or(0) || self.command.follow {
            self.open.insert(partition.clone(), position);
            return;
        }
        self.open.remove(partition);
        // What arrives behind the end is not wanted; a failure means that the partition is no longer ours.
        if let Err(error) = self.consumer.pause(std::slice::from_ref(partition)) {
            tracing::debug!(%partition, %error, "not paused");
        }
    }

    async fn rebalance(&mut self, output: &mut Output, event: &RebalanceEvent) -> Result<(), Failure> {
        tracing::info!(kind = ?event.kind, partitions = ?event.partitions, "the group's assignment has changed");
        match event.kind {
            RebalanceKind::Assigned => {
                self.assigned = true;
                for partition in &event.partitions {
                    let position = self.consumer.position(partition).await?;
                    self.advance(partition, position);
                }
            }
            RebalanceKind::Revoked => {
                self.commit(output).await?;
                self.forget(&event.partitions);
            }
            RebalanceKind::Lost => self.forget(&event.partitions),
        }
        Ok(())
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.open.remove(partition);
            self.uncommitted.remove(partition);
        }
    }

    /// Positions move without records too: over transaction markers, aborted records, and what retention has deleted.
    async fn look_at_positions(&mut self) -> Result<(), Failure> {
        if self.command.follow {
            return Ok(());
        }
        let open: Vec<TopicPartition> = self.open.keys().cloned().collect();
        for partition in open {
            let position = self.consumer.position(&partition).await?;
            self.advance(&partition, position);
        }
        Ok(())
    }

    /// Commits what has been printed, once it has been written out.
    async fn commit(&mut self, output: &mut Output) -> Result<(), Failure> {
        output.flush().await?;
        if self.uncommitted.is_empty() {
            return Ok(());
        }
        let offsets = std::mem::take(&mut self.uncommitted).into_iter();
        let offsets = offsets.map(|(partition, offset)| {
            (partition, OffsetAndMetadata { offset, leader_epoch: None, metadata: String::new() })
        });
        Ok(self.consumer.commit_offsets(&offsets.collect()).await?)
    }
}
