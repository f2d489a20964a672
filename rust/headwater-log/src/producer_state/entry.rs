//! One producer: its epoch, its last five batches, its open transaction.

use headwater_record::control::EndTransactionMarker;
use headwater_record::{BatchHeader, NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP};

use super::Completed;

/// Batches remembered per producer, which is also how many a producer may have in flight.
pub(crate) const TRACES_MAX: usize = 5;

/// What is remembered of a batch, to recognise it when it is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchTrace {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    /// Last offset less first offset.
    pub(crate) offset_delta: i32,
    /// Largest timestamp of the batch, in ms.
    pub(crate) timestamp: i64,
}

impl BatchTrace {
    pub(crate) fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    fn first_sequence(&self) -> i32 {
        if self.last_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        let wrapped = if first < 0 { first + i64::from(i32::MAX) + 1 } else { first };
        wrapped as i32
    }
}

/// One producer. Small and `Copy`, so that a check can work on a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    /// The newest `trace_count` batches, oldest first.
    traces: [BatchTrace; TRACES_MAX],
    trace_count: usize,
    /// Timestamp of the last batch or marker, in ms.
    pub(crate) last_timestamp: i64,
    /// Epoch of the coordinator that wrote the last marker, -1 if none.
    pub(crate) coordinator_epoch: i32,
    /// First offset of the open transaction.
    pub(crate) transaction_start: Option<i64>,
    /// When this process took in the last batch, or loaded the snapshot, in ms; not on disk.
    pub(crate) seen_ms: i64,
}

impl ProducerEntry {
    /// A producer that has written nothing yet.
    pub(crate) fn unknown(producer_id: i64) -> ProducerEntry {
        ProducerEntry {
            producer_id,
            epoch: NO_PRODUCER_EPOCH,
            traces: [BatchTrace::default(); TRACES_MAX],
            trace_count: 0,
            last_timestamp: NO_TIMESTAMP,
            coordinator_epoch: -1,
            transaction_start: None,
            seen_ms: i64::MIN,
        }
    }

    pub(crate) fn traces(&self) -> &[BatchTrace] {
        &self.traces[..self.trace_count]
    }

    pub(crate) fn last_sequence(&self) -> i32 {
        self.traces().last().map_or(NO_SEQUENCE, |trace| trace.last_sequence)
    }

    /// The remembered batch that `header` repeats.
    pub(super) fn find_duplicate(&self, header: &BatchHeader) -> Option<&BatchTrace> {
        if header.producer_epoch != self.epoch || header.base_sequence == NO_SEQUENCE {
            return None;
        }
        let last_sequence = header.last_sequence();
        self.traces().iter().find(|trace| {
            trace.last_sequence == last_sequence && trace.first_sequence() == header.base_sequence
        })
    }

    /// Takes in a batch of records at `base_offset`.
    pub(super) fn add_batch(&mut self, header: &BatchHeader, base_offset: i64) {
        self.advance_epoch(header.producer_epoch);
        self.push(BatchTrace {
            last_sequence: header.last_sequence(),
            last_offset: base_offset + i64::from(header.last_offset_delta),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        self.last_timestamp = header.max_timestamp;
        if header.is_transactional() && self.transaction_start.is_none() {
            self.transaction_start = Some(base_offset);
        }
    }

    /// Takes in a marker; tells which transaction it ended, if there was anything in it.
    pub(super) fn end_transaction(
        &mut self,
        header: &BatchHeader,
        marker: EndTransactionMarker,
        last_offset: i64,
    ) -> Option<Completed> {
        self.advance_epoch(header.producer_epoch);
        self.coordinator_epoch = marker.coordinator_epoch;
        self.last_timestamp = header.max_timestamp;
        let first_offset = self.transaction_start.take()?;
        Some(Completed { producer_id: self.producer_id, first_offset, last_offset, aborted: !marker.commit })
    }

    /// A batch met again in the log that lies before the oldest remembered one.
    pub(super) fn recall(&mut self, header: &BatchHeader) {
        let Some(oldest) = self.traces().first() else { return };
        let precedes = header.producer_epoch == self.epoch && header.last_offset() < oldest.first_offset();
        if precedes && self.trace_count < TRACES_MAX {
            self.traces.copy_within(..self.trace_count, 1);
            self.traces[0] = BatchTrace {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            };
            self.trace_count += 1;
        }
    }

    pub(super) fn push(&mut self, trace: BatchTrace) {
        if self.trace_count == TRACES_MAX {
            self.traces.copy_within(1.., 0);
            self.trace_count -= 1;
        }
        self.traces[self.trace_count] = trace;
        self.trace_count += 1;
    }

    /// A new epoch starts its sequence anew.
    fn advance_epoch(&mut self, epoch: i16) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.trace_count = 0;
        }
    }
}
