//! Finished batches and the order in which one partition may send them.
//!
//! Each record of a partition has an *ordinal*, counted by this producer. A batch's sequence number is its first ordinal
//! less that at which the current producer epoch began, so that a split needs no renumbering and a bump renumbers all at
//! once. `outstanding` holds every batch that was sent once and has no fate: on the wire, or waiting in `retry`.
//!
//! ```text
//!  queue ─▶ on the wire ─▶ delivered | failed
//!              ▲   │ retriable
//!              └─ retry (by ordinal; only the oldest outstanding goes out again; no new batch passes it)
//! ```

use super::accumulator::{Accumulator, Batch, PartitionQueue};
use super::delivery::{Completion, Part, Token};
use crate::error::ClientError;
use bytes::{Bytes, BytesMut};
use headwater_record::{BATCH_OVERHEAD, BatchView, BuildError, DecompressBuffer, RecordHeader, patch};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;

/// Records of one batch may take this much when they are decompressed to be split; our own batches take far less.
const SPLIT_BYTES_MAX: usize = 1 << 30;

/// Producer id and epoch; -1 without idempotence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl Identity {
    pub(crate) const NONE: Self = Self { id: -1, epoch: -1 };
}

/// A batch as it goes over the wire.
pub(crate) struct Sealed {
    pub(crate) bytes: Bytes,
    pub(crate) records: u32,
    pub(crate) ordinal: u64,
    pub(crate) identity: Identity,
    sequence: i32,
    pub(crate) completion: Arc<Completion>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) handles: u32,
    pub(crate) reserved: usize,
    pub(crate) created: Instant,
    pub(crate) id: u64,
    pub(crate) attempts: u32,
}

/// One partition, as the sender sees it.
pub(crate) struct PartitionState {
    pub(crate) queue: Arc<PartitionQueue>,
    pub(crate) active: bool,
    pub(crate) retry: VecDeque<Sealed>,
    pub(crate) outstanding: BTreeSet<u64>,
    pub(crate) on_wire: usize,
    /// After a retriable failure nothing goes out before this.
    pub(crate) not_before: Option<Instant>,
    identity: Identity,
    next_ordinal: u64,
    /// Ordinal that has sequence number 0 in the current epoch.
    epoch_start: u64,
    acknowledged_to: u64,
    /// A batch failed and may or may not be in the log: a gap is possible, nothing new goes out until that is clear.
    pub(crate) unresolved: bool,
    /// The epoch must be bumped and all outstanding batches renumbered once nothing is on the wire.
    pub(crate) bump: bool,
}

impl PartitionState {
    pub(crate) fn new(queue: Arc<PartitionQueue>) -> Self {
        Self {
            queue,
            active: false,
            retry: VecDeque::new(),
            outstanding: BTreeSet::new(),
            on_wire: 0,
            not_before: None,
            identity: Identity::NONE,
            next_ordinal: 0,
            epoch_start: 0,
            acknowledged_to: 0,
            unresolved: false,
            bump: false,
        }
    }

    /// Whether the oldest batch in `retry` is the oldest without fate.
    pub(crate) fn may_retry(&self) -> bool {
        !self.bump && self.retry.front().map(|batch| batch.ordinal) == self.outstanding.first().copied()
    }

    /// Whether a new batch may go out under `current`; a partition changes to a new identity when nothing is outstanding.
    pub(crate) fn may_send_new(&mut self, current: Identity) -> bool {
        if !self.retry.is_empty() || self.bump || self.unresolved {
            return false;
        }
        if self.identity != current {
            if !self.outstanding.is_empty() {
                return false;
            }
            self.identity = current;
            self.epoch_start = self.next_ordinal;
        }
        // A broker that knows nothing of this producer takes any first sequence number. Were the first batch refused (by a
        // leader that is just starting, say) and the second taken, the first could never be delivered.
        let begun = self.acknowledged_to > self.epoch_start || self.identity == Identity::NONE;
        begun || self.outstanding.is_empty()
    }

    /// Encodes a batch under the partition's identity and gives it its ordinals.
    pub(crate) fn seal(&mut self, mut batch: Batch) -> Result<Sealed, Box<(Batch, BuildError)>> {
        let records = u32::try_from(batch.builder.record_count()).unwrap_or_default();
        let ordinal = self.next_ordinal;
        let sequence = self.sequence(ordinal);
        batch.builder.set_producer(self.identity.id, self.identity.epoch, sequence);
        let bytes = match batch.builder.finish() {
            Ok(bytes) => bytes,
            Err(error) => return Err(Box::new((batch, error))),
        };
        self.next_ordinal += u64::from(records);
        self.outstanding.insert(ordinal);
        Ok(Sealed {
            bytes,
            records,
            ordinal,
            identity: self.identity,
            sequence,
            completion: batch.completion,
            tokens: batch.tokens,
            handles: batch.handles,
            reserved: batch.reserved,
            created: batch.created,
            id: batch.id,
            attempts: 0,
        })
    }

    fn sequence(&self, ordinal: u64) -> i32 {
        if self.identity == Identity::NONE {
            return -1;
        }
        // Sequence numbers wrap from the largest int32 to 0.
        ((ordinal - self.epoch_start) & 0x7fff_ffff) as i32
    }

    /// Writes the current identity and sequence into a batch that was sealed under others.
    pub(crate) fn restamp(&self, batch: &mut Sealed) {
        let sequence = self.sequence(batch.ordinal);
        if (batch.identity, batch.sequence) == (self.identity, sequence) {
            return;
        }
        let mut bytes = BytesMut::from(&batch.bytes[..]);
        patch::set_producer(&mut bytes, self.identity.id, self.identity.epoch, sequence);
        batch.bytes = bytes.freeze();
        batch.identity = self.identity;
        batch.sequence = sequence;
    }

    /// Puts a batch back among those to be sent again.
    pub(crate) fn put_back(&mut self, batch: Sealed) {
        let place = self.retry.partition_point(|other| other.ordinal < batch.ordinal);
        self.retry.insert(place, batch);
    }

    /// A batch was acknowledged.
    pub(crate) fn acknowledged(&mut self, batch: &Sealed) {
        self.outstanding.remove(&batch.ordinal);
        self.acknowledged_to = self.acknowledged_to.max(batch.ordinal + u64::from(batch.records));
    }

    pub(crate) fn is_oldest(&self, batch: &Sealed) -> bool {
        self.outstanding.first() == Some(&batch.ordinal)
    }

    pub(crate) fn is_current(&self, batch: &Sealed) -> bool {
        batch.identity == self.identity
    }

    /// With nothing outstanding: whether a possible gap has turned out to be one.
    pub(crate) fn resolve(&mut self) {
        if self.unresolved && self.outstanding.is_empty() {
            self.unresolved = false;
            self.bump = self.acknowledged_to != self.next_ordinal;
        }
    }

    /// Renumbers everything outstanding from 0 under a new epoch. Only with nothing on the wire.
    pub(crate) fn restart_under(&mut self, identity: Identity) {
        self.identity = identity;
        self.bump = false;
        self.unresolved = false;
        self.epoch_start = self.next_ordinal;
        self.acknowledged_to = self.next_ordinal;
        self.outstanding.clear();
        for batch in &mut self.retry {
            batch.ordinal = self.next_ordinal;
            self.next_ordinal += u64::from(batch.records);
            self.outstanding.insert(batch.ordinal);
        }
    }

    /// Takes a refused batch apart into smaller ones with the same ordinals. The parts stand in `retry` afterwards.
    pub(crate) fn split(
        &mut self,
        batch: &Sealed,
        accumulator: &Accumulator,
    ) -> Result<Vec<Part>, ClientError> {
        let parts = split_records(batch, accumulator).map_err(|reason| ClientError::CorruptBatch {
            topic: Arc::clone(&self.queue.topic),
            partition: self.queue.partition,
            offset: -1,
            reason,
        })?;
        self.outstanding.remove(&batch.ordinal);
        let mut fates = Vec::with_capacity(parts.len());
        for (first, part) in parts {
            fates.push(Part { first, completion: Arc::clone(&part.completion) });
            self.outstanding.insert(part.ordinal);
            self.put_back(part);
        }
        Ok(fates)
    }
}

/// The records of a batch in parts of about half its size, at most `batch.size` each where records are that small.
fn split_records(batch: &Sealed, accumulator: &Accumulator) -> Result<Vec<(u32, Sealed)>, String> {
    let view = BatchView::new(&batch.bytes).map_err(|error| error.to_string())?;
    let mut buffer = DecompressBuffer::new();
    let records = view.records(&mut buffer, SPLIT_BYTES_MAX).map_err(|error| error.to_string())?;
    let mut sizes = Vec::new();
    let mut views = Vec::new();
    let mut headers = Vec::new();
    for record in records {
        let record = record.map_err(|error| error.to_string())?;
        headers.clear();
        headers.extend(record.headers.iter().map(|header| RecordHeader { key: "", value: header.value }));
        sizes.push(headwater_record::BatchBuilder::record_size_max(record.key, record.value, &headers));
        views.push(record);
    }
    let total: usize = sizes.iter().sum();
    let target = (total / 2).min(accumulator.config.batch_size.saturating_sub(BATCH_OVERHEAD)).max(1);
    let mut parts: Vec<(u32, Sealed)> = Vec::new();
    let mut first = 0;
    while first < views.len() {
        let mut end = first;
        let mut size = 0;
        while end < views.len() && (end == first || size + sizes[end] <= target) {
            size += sizes[end];
            end += 1;
        }
        let mut part =
            accumulator.new_batch(&batch.completion.topic, batch.completion.partition, 0, batch.created);
        for record in &views[first..end] {
            part.builder.append_view(record).map_err(|error| error.to_string())?;
        }
        let bytes = part.builder.finish().map_err(|error| error.to_string())?;
        let range = first as u32..end as u32;
        let inside = batch.tokens.iter().filter(|token| range.contains(&token.index));
        parts.push((
            range.start,
            Sealed {
                bytes,
                records: range.end - range.start,
                ordinal: batch.ordinal + u64::from(range.start),
                // Never current, so that it is stamped before it is sent.
                identity: Identity { id: i64::MIN, epoch: 0 },
                sequence: -1,
                completion: part.completion,
                tokens: inside.map(|token| Token { index: token.index - range.start, ..*token }).collect(),
                // Which records have handles is not known; with any, all count as asked about.
                handles: if batch.handles == 0 { 0 } else { u32::MAX },
                // The memory goes with the last part.
                reserved: if end == views.len() { batch.reserved } else { 0 },
                created: batch.created,
                id: part.id,
                attempts: batch.attempts,
            },
        ));
        first = end;
    }
    Ok(parts)
}
