//! What a log knows of its idempotent and transactional producers (KIP-98), and the last stable offset.
//!
//! ```text
//!   batch ──► check (leader only: sequence, epoch) ──► written ──► commit of the checked copies
//!   batch ──► replay (followers, recovery): the leader has decided, so nothing is refused
//! ```
//!
//! Checking works on copies and [`Producers`] changes only once the bytes are in the file, so that a failed write
//! leaves nothing behind. Deliberately absent: the verification of transactions with their coordinator (KIP-890).

mod entry;
mod snapshot;

use std::collections::BTreeMap;

use headwater_record::control::EndTransactionMarker;
use headwater_record::{BatchHeader, NO_PRODUCER_EPOCH};

pub(crate) use entry::ProducerEntry;

use crate::error::AppendError;
use crate::transaction_index::AbortedEntry;
use crate::types::{Origin, ProducerView};

/// A transaction whose marker was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Offset of the marker.
    pub(crate) last_offset: i64,
    pub(crate) aborted: bool,
}

/// What checking a batch found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Fresh,
    /// It was appended before, as these offsets.
    Duplicate {
        first_offset: i64,
        last_offset: i64,
        timestamp: i64,
    },
}

/// All producers of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    // Ordered, so that snapshots of equal states are equal bytes.
    entries: BTreeMap<i64, ProducerEntry>,
    /// Open transactions by first offset.
    ongoing: BTreeMap<i64, i64>,
    /// Ended transactions whose marker is not below the high watermark yet: first offset to marker offset.
    unreplicated: BTreeMap<i64, i64>,
    /// Wall-clock time of what is being taken in, in ms.
    now_ms: i64,
}

/// Copies under check; kept by the log between appends so that checking allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    entries: Vec<ProducerEntry>,
    completed: Vec<Completed>,
}

impl Draft {
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.completed.clear();
    }

    fn entry(&mut self, producers: &Producers, producer_id: i64) -> &mut ProducerEntry {
        let known = self.entries.iter().position(|entry| entry.producer_id == producer_id);
        let index = known.unwrap_or_else(|| {
            let current = producers.entries.get(&producer_id).copied();
            self.entries.push(current.unwrap_or_else(|| ProducerEntry::unknown(producer_id)));
            self.entries.len() - 1
        });
        self.entries[index].seen_ms = producers.now_ms;
        &mut self.entries[index]
    }
}

impl Producers {
    /// Checks a batch that would get `base_offset`; what it would change goes to `draft`.
    pub(crate) fn check(
        &self,
        draft: &mut Draft,
        header: &BatchHeader,
        marker: Option<EndTransactionMarker>,
        base_offset: i64,
        origin: Origin,
    ) -> Result<Checked, AppendError> {
        if !header.has_producer_id() {
            return Ok(Checked::Fresh);
        }
        let entry = draft.entry(self, header.producer_id);
        if origin == Origin::Client
            && let Some(trace) = entry.find_duplicate(header)
        {
            let (first_offset, last_offset) = (trace.first_offset(), trace.last_offset);
            return Ok(Checked::Duplicate { first_offset, last_offset, timestamp: trace.timestamp });
        }
        entry.check_epoch(header.producer_epoch)?;
        let last_offset = base_offset + i64::from(header.last_offset_delta);
        if let Some(marker) = marker {
            entry.check_coordinator(marker.coordinator_epoch)?;
            draft.completed.extend(draft_end(draft.entries.as_mut_slice(), header, marker, last_offset));
            return Ok(Checked::Fresh);
        }
        if header.is_control() {
            return Ok(Checked::Fresh);
        }
        if origin == Origin::Client {
            entry.check_sequence(header, base_offset)?;
        }
        entry.check_transaction(header)?;
        entry.add_batch(header, base_offset);
        Ok(Checked::Fresh)
    }

    /// Makes a checked draft the state. The transactions it ended are handed to `on_abort` with their index entry.
    pub(crate) fn commit(&mut self, draft: &mut Draft, mut on_abort: impl FnMut(AbortedEntry)) {
        for entry in draft.entries.drain(..) {
            if let Some(first_offset) = entry.transaction_start {
                self.ongoing.insert(first_offset, entry.producer_id);
            }
            self.entries.insert(entry.producer_id, entry);
        }
        for completed in draft.completed.drain(..) {
            self.complete(completed, &mut on_abort);
        }
    }

    /// Takes in a batch that is in the log, refusing nothing.
    pub(crate) fn replay(
        &mut self,
        header: &BatchHeader,
        marker: Option<EndTransactionMarker>,
        on_abort: impl FnMut(AbortedEntry),
    ) {
        if !header.has_producer_id() || (header.is_control() && marker.is_none()) {
            return;
        }
        let producer_id = header.producer_id;
        let entry = self.entries.entry(producer_id).or_insert_with(|| ProducerEntry::unknown(producer_id));
        entry.seen_ms = self.now_ms;
        match marker {
            Some(marker) => {
                let completed = entry.end_transaction(header, marker, header.last_offset());
                if let Some(completed) = completed {
                    self.complete(completed, on_abort);
                }
            }
            None => {
                entry.add_batch(header, header.base_offset);
                if let Some(first_offset) = entry.transaction_start {
                    self.ongoing.insert(first_offset, producer_id);
                }
            }
        }
    }

    fn complete(&mut self, completed: Completed, mut on_abort: impl FnMut(AbortedEntry)) {
        self.ongoing.remove(&completed.first_offset);
        if completed.aborted {
            let last_stable = self.ongoing.keys().next().copied().unwrap_or(completed.last_offset + 1);
            on_abort(AbortedEntry {
                producer_id: completed.producer_id,
                first_offset: completed.first_offset,
                last_offset: completed.last_offset,
                last_stable,
            });
        }
        self.unreplicated.insert(completed.first_offset, completed.last_offset);
    }

    /// First offset of a transaction that is open, or whose end is not replicated yet.
    pub(crate) fn first_unstable(&self) -> Option<i64> {
        let open = self.ongoing.keys().next();
        let ended = self.unreplicated.keys().next();
        open.into_iter().chain(ended).min().copied()
    }

    /// Transactions whose marker is below the high watermark are settled.
    pub(crate) fn on_high_watermark(&mut self, high_watermark: i64) {
        self.unreplicated.retain(|_, marker_offset| *marker_offset >= high_watermark);
    }

    /// Tells the time for what is taken in from now on.
    pub(crate) fn set_now(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    /// Forgets producers without an open transaction whose last batch is too old, by its timestamp as in Kafka and by
    /// when this process saw it: a producer that replays old events keeps its protection while it is at work.
    pub(crate) fn remove_expired(&mut self, now_ms: i64, expiration_ms: i64) {
        self.entries.retain(|_, entry| {
            let newest = entry.last_timestamp.max(entry.seen_ms);
            entry.transaction_start.is_some() || now_ms.saturating_sub(newest) < expiration_ms
        });
    }

    /// The same for what a snapshot holds, whose batches nobody saw: those of the active segment stay.
    pub(crate) fn remove_expired_in_snapshot(&mut self, now_ms: i64, expiration_ms: i64, active_base: i64) {
        self.entries.retain(|_, entry| {
            entry.seen_ms = now_ms;
            let recent = entry.traces().last().is_some_and(|trace| trace.last_offset >= active_base);
            let young = now_ms.saturating_sub(entry.last_timestamp) < expiration_ms;
            entry.transaction_start.is_some() || recent || young
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Everything below `transactions`: open transactions are what the entries say.
    fn from_entries(entries: impl Iterator<Item = ProducerEntry>) -> Producers {
        let mut producers = Producers::default();
        for entry in entries {
            if let Some(first_offset) = entry.transaction_start {
                producers.ongoing.insert(first_offset, entry.producer_id);
            }
            producers.entries.insert(entry.producer_id, entry);
        }
        producers
    }

    /// Puts back what a snapshot does not hold: the traces of batches before a producer's last one.
    pub(crate) fn recall(&mut self, header: &BatchHeader) {
        if header.has_producer_id()
            && !header.is_control()
            && let Some(entry) = self.entries.get_mut(&header.producer_id)
        {
            entry.recall(header);
        }
    }

    /// What the log knows, for listings.
    pub(crate) fn views(&self) -> impl Iterator<Item = ProducerView> {
        self.entries.values().map(|entry| ProducerView {
            producer_id: entry.producer_id,
            producer_epoch: entry.epoch,
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            current_transaction_first_offset: entry.transaction_start.unwrap_or(-1),
        })
    }
}

/// The last entry of the draft is the one just looked up, but with several producers in one append it may be any.
fn draft_end(
    entries: &mut [ProducerEntry],
    header: &BatchHeader,
    marker: EndTransactionMarker,
    last_offset: i64,
) -> Option<Completed> {
    let entry = entries.iter_mut().find(|entry| entry.producer_id == header.producer_id)?;
    entry.end_transaction(header, marker, last_offset)
}

impl ProducerEntry {
    fn check_epoch(&self, producer_epoch: i16) -> Result<(), AppendError> {
        if producer_epoch < self.epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: self.producer_id,
                producer_epoch,
                current_epoch: self.epoch,
            });
        }
        Ok(())
    }

    fn check_coordinator(&self, coordinator_epoch: i32) -> Result<(), AppendError> {
        if coordinator_epoch < self.coordinator_epoch {
            return Err(AppendError::TransactionCoordinatorFenced {
                producer_id: self.producer_id,
                coordinator_epoch,
                current_epoch: self.coordinator_epoch,
            });
        }
        Ok(())
    }

    fn check_transaction(&self, header: &BatchHeader) -> Result<(), AppendError> {
        match self.transaction_start {
            Some(first_offset) if !header.is_transactional() => {
                Err(AppendError::InvalidTransactionState { producer_id: self.producer_id, first_offset })
            }
            _ => Ok(()),
        }
    }

    fn check_sequence(&self, header: &BatchHeader, offset: i64) -> Result<(), AppendError> {
        // A producer the log does not know may begin anywhere: its earlier batches may have been deleted.
        let in_order = if self.epoch == NO_PRODUCER_EPOCH {
            true
        } else if header.producer_epoch != self.epoch {
            header.base_sequence == 0
        } else {
            follows(self.last_sequence(), header.base_sequence)
        };
        if in_order {
            return Ok(());
        }
        Err(AppendError::OutOfOrderSequence {
            producer_id: self.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            last_sequence: self.last_sequence(),
            offset,
        })
    }
}

/// Whether `next` comes after `last`; sequences go on with 0 after `i32::MAX`.
fn follows(last: i32, next: i32) -> bool {
    i64::from(next) == i64::from(last) + 1 || (next == 0 && last == i32::MAX)
}

#[cfg(test)]
mod tests;
