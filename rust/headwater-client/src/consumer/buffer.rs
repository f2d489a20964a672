//! One fetch answer of one partition, handed out piece by piece.

use super::PollLimits;
use super::fetched::{AbortFilter, AbortedTransaction, Decoded, FetchedPartition, count_between};
use crate::error::ClientError;
use bytes::Bytes;
use headwater_record::{BatchView, TopicPartition, batches};
use std::sync::Arc;

/// An answer that is not consumed yet.
pub(super) struct Answer {
    bytes: Bytes,
    /// Where the next batch to be handed out begins; what lies before is consumed.
    position: usize,
    /// Batches before this were checked.
    checked_to: usize,
    filter: AbortFilter,
    high_watermark: i64,
    last_stable_offset: i64,
    log_start_offset: i64,
    decoded: Arc<Decoded>,
    read_committed: bool,
}

/// What the broker said about the partition along with the records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_start_offset: i64,
}

/// Who compares batches with their checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksums {
    /// Each is verified before it is handed out.
    Verified,
    /// The reader of what is handed out verifies it. What is passed over here never gets there, and is verified here: a
    /// damaged header must not hide records.
    LeftToReader,
    /// Nobody (`check.crcs=false`).
    Ignored,
}

/// How much may still be handed out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Allowance {
    /// What one poll may hand out, and at least something.
    pub(super) fn of(limits: PollLimits) -> Self {
        Self { records: limits.records.max(1), bytes: limits.bytes.max(1) }
    }
}

impl Answer {
    pub(super) fn new(bytes: Bytes, marks: Marks, aborted: Option<Vec<AbortedTransaction>>) -> Self {
        Self {
            bytes,
            position: 0,
            checked_to: 0,
            read_committed: aborted.is_some(),
            filter: AbortFilter::new(aborted.unwrap_or_default()),
            high_watermark: marks.high_watermark,
            last_stable_offset: marks.last_stable_offset,
            log_start_offset: marks.log_start_offset,
            decoded: Arc::default(),
        }
    }

    /// Bytes that are kept for it.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Cuts off what may be handed out, from `offset` on. `Ok(None)` with a new position says that there was nothing to see.
    pub(super) fn cut(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        allowance: Allowance,
        checksums: Checksums,
    ) -> Result<Cut, ClientError> {
        let mut cut =
            Cut { fetched: None, next_offset: offset, leader_epoch: None, records: 0, finished: false };
        let mut start = None;
        let mut end = self.position;
        let mut aborted = Vec::new();
        while let Some(rest) = self.bytes.get(self.position..).filter(|rest| !rest.is_empty()) {
            let Ok(view) = BatchView::new(rest) else { break };
            let header = *view.header();
            if header.next_offset() <= cut.next_offset {
                self.filter.hides(&view);
                self.position += header.size();
                continue;
            }
            if self.position >= self.checked_to {
                check(&view, partition, checksums == Checksums::Verified)?;
                self.checked_to = self.position + header.size();
            }
            cut.leader_epoch = header.leader_epoch();
            let before = self.filter.clone();
            let hidden = self.filter.hides(&view);
            let visible = if hidden { 0 } else { count_between(&header, cut.next_offset, i64::MAX) };
            if visible == 0 && start.is_none() && checksums == Checksums::LeftToReader {
                check(&view, partition, true).inspect_err(|_| self.filter = before.clone())?;
            }
            if visible > 0 && start.is_none() {
                start = Some(self.position);
                aborted = before.seen_from(header.base_offset);
            }
            let left = allowance.records.saturating_sub(cut.records);
            if visible > left {
                // Hands out a part; the batch stays for the next poll.
                self.filter = before;
                cut.next_offset = header.base_offset.max(cut.next_offset) + left as i64;
                cut.records += left;
                end = self.position + header.size();
                break;
            }
            self.position += header.size();
            end = self.position;
            cut.next_offset = header.next_offset();
            cut.records += visible;
            let handed = start.map_or(0, |start| end - start);
            if cut.records >= allowance.records || handed >= allowance.bytes {
                break;
            }
        }
        cut.finished = BatchView::new(&self.bytes[self.position..]).is_err();
        if let Some(start) = start.filter(|_| cut.records > 0) {
            aborted.retain(|transaction| transaction.first_offset < cut.next_offset);
            cut.fetched = Some(FetchedPartition {
                topic: Arc::clone(&partition.topic),
                partition: partition.partition,
                bytes: self.bytes.slice(start..end),
                checksums_due: checksums == Checksums::LeftToReader,
                start_offset: offset,
                end_offset: cut.next_offset,
                aborted: if self.read_committed { aborted } else { Vec::new() },
                high_watermark: self.high_watermark,
                last_stable_offset: self.last_stable_offset,
                log_start_offset: self.log_start_offset,
                decoded: Arc::clone(&self.decoded),
            });
        }
        Ok(cut)
    }
}

/// Whether the batch can be read, and is what was written.
fn check(view: &BatchView<'_>, partition: &TopicPartition, verify: bool) -> Result<(), ClientError> {
    let verified = if verify { view.verify_crc() } else { Ok(()) };
    verified.and_then(|()| view.header().compression()).map(drop).map_err(|error| ClientError::CorruptBatch {
        topic: Arc::clone(&partition.topic),
        partition: partition.partition,
        offset: view.header().base_offset,
        reason: error.to_string(),
    })
}

/// The outcome of one cut.
pub(super) struct Cut {
    pub(super) fetched: Option<FetchedPartition>,
    /// The position afterwards.
    pub(super) next_offset: i64,
    /// Of the last batch passed, wholly or in part.
    pub(super) leader_epoch: Option<i32>,
    pub(super) records: usize,
    /// Nothing is left of the answer.
    pub(super) finished: bool,
}

/// The offset after the last whole batch of an answer; `None` if there is none.
pub(super) fn next_offset(bytes: &[u8]) -> Option<i64> {
    batches(bytes).map_while(Result::ok).last().map(|view| view.header().next_offset())
}
