//! Writes on their way to the log: decisions gathered into one batch, then waiting for the high watermark.

use std::collections::VecDeque;

use headwater_coordinator::{Record, ReplyToken, Shard};
use headwater_record::{BatchBuilder, BuildError, Compression};
use tokio::time::Instant;

/// A decision whose records, if it has any, end below `end`.
pub(super) struct Write<S: Shard> {
    /// The offset that the high watermark must reach.
    pub(super) end: i64,
    /// When its parked replies are told that it takes too long; `None` when nobody waits.
    pub(super) deadline: Option<Instant>,
    /// Replies that leave when it is committed.
    pub(super) parked: Vec<(ReplyToken, S::Reply)>,
    /// What is to be done when it is committed.
    pub(super) after: After<S>,
}

/// What is to be done when a write is committed.
pub(super) enum After<S: Shard> {
    /// Nothing.
    Nothing,
    /// The shard wants to know.
    Settle(S::Then),
    /// A piece of a rewrite: the next piece begins after the cursor, or it was the last.
    RewriteGoesOn(Option<S::Cursor>),
    /// A rewrite is whole: the log may begin at this offset.
    Trim(i64),
}

/// The batch under construction and the writes that are in it, or depend on it.
pub(super) struct OpenBatch<S: Shard> {
    builder: BatchBuilder,
    /// Offset of its first record; meaningful while it has records.
    base: i64,
    pub(super) writes: VecDeque<Write<S>>,
}

impl<S: Shard> OpenBatch<S> {
    pub(super) fn new() -> Self {
        OpenBatch { builder: BatchBuilder::new(Compression::None), base: 0, writes: VecDeque::new() }
    }

    pub(super) fn has_records(&self) -> bool {
        !self.builder.is_empty()
    }

    pub(super) fn base(&self) -> i64 {
        self.base
    }

    /// The offset that the next record will have, when the log ends at `log_end`.
    pub(super) fn next_offset(&self, log_end: i64) -> i64 {
        if self.has_records() { self.base + i64::from(self.builder.record_count()) } else { log_end }
    }

    /// Whether `record` still fits.
    pub(super) fn has_room_for(&self, record: &Record, bytes_max: usize) -> bool {
        !self.has_records() || self.builder.uncompressed_size() + record_bytes(record) <= bytes_max
    }

    /// Adds a record, the first of them at `log_end`.
    pub(super) fn push(&mut self, record: &Record, now_ms: i64, log_end: i64) -> Result<(), BuildError> {
        if !self.has_records() {
            self.base = log_end;
        }
        self.builder.append(now_ms, Some(&record.key), record.value.as_deref(), &[])?;
        Ok(())
    }

    /// The finished batch.
    pub(super) fn finish(&mut self) -> Result<bytes::BytesMut, BuildError> {
        self.builder.finish().map(bytes::BytesMut::from)
    }
}

/// The most that a record takes in a batch.
pub(super) fn record_bytes(record: &Record) -> usize {
    BatchBuilder::record_size_max(Some(&record.key), record.value.as_deref(), &[])
}
