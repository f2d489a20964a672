//! What must be true of the log: every batch that was appended, and which outcomes a crash may have.

use headwater_record::{BatchHeader, batches};

use crate::types::Progress;

/// A batch as it stands in the log.
#[derive(Clone, Debug)]
pub(super) struct ModelBatch {
    pub(super) header: BatchHeader,
    pub(super) bytes: Vec<u8>,
}

/// The log as it should be.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Everything that was ever appended and not cut, also what retention removed.
    pub(super) batches: Vec<ModelBatch>,
    pub(super) start: i64,
    pub(super) end: i64,
    /// Where the log began, at first or when it was restarted.
    origin: i64,
    /// Below this nothing may be lost.
    durable_end: i64,
    /// The log start may not lie outside these.
    start_min: i64,
    start_max: i64,
    /// A restart at an offset that was not acknowledged.
    restart: Option<i64>,
}

impl Model {
    pub(super) fn append(&mut self, bytes: &[u8]) {
        for view in batches(bytes) {
            let view = view.expect("a batch that was appended");
            self.batches.push(ModelBatch { header: *view.header(), bytes: view.bytes().to_vec() });
            self.end = view.header().next_offset();
        }
    }

    /// An append that failed with its bytes perhaps in the file: possible only if offsets were assigned already.
    pub(super) fn append_perhaps(&mut self, bytes: &[u8]) {
        if batches(bytes)
            .next()
            .and_then(Result::ok)
            .is_some_and(|view| view.header().base_offset >= self.end)
        {
            self.append(bytes);
        }
    }

    /// Everything below `offset` was acknowledged as durable.
    pub(super) fn flushed(&mut self, offset: i64) {
        self.durable_end = self.durable_end.max(offset);
    }

    pub(super) fn start_may_be(&mut self, offset: i64) {
        self.start_max = self.start_max.max(offset);
    }

    pub(super) fn start_is(&mut self, offset: i64) {
        self.start = offset;
        self.start_min = offset;
        self.start_max = self.start_max.max(offset);
    }

    pub(super) fn may_be_cut_to(&mut self, offset: i64) {
        self.durable_end = self.durable_end.min(offset);
        self.start_min = self.start_min.min(offset);
    }

    pub(super) fn cut_to(&mut self, end: i64) {
        self.batches.retain(|batch| batch.header.base_offset < end);
        self.end = end;
        self.durable_end = self.durable_end.min(end);
        self.start = self.start.min(end);
        self.start_max = self.start_max.min(end).max(self.start);
    }

    pub(super) fn may_restart_at(&mut self, offset: i64) {
        self.restart = Some(offset);
        self.durable_end = 0;
        self.start_max = self.start_max.max(offset);
    }

    pub(super) fn restarted_at(&mut self, offset: i64) {
        *self = Model { start: offset, end: offset, origin: offset, durable_end: offset, ..Model::default() };
        (self.start_min, self.start_max) = (offset, offset);
    }

    /// The base offset of the batch that holds `offset`, or the offset itself between batches.
    pub(super) fn boundary_below(&self, offset: i64) -> i64 {
        let holding =
            |batch: &&ModelBatch| batch.header.base_offset <= offset && offset <= batch.header.last_offset();
        self.batches.iter().find(holding).map_or(offset, |batch| batch.header.base_offset)
    }

    /// Where a log cut to `offset` ends: behind the last batch that lies wholly below.
    pub(super) fn end_below(&self, offset: i64) -> i64 {
        let below = self.batches.iter().rev().find(|batch| batch.header.last_offset() < offset);
        below.map_or(self.origin, |batch| batch.header.next_offset())
    }

    /// Compares with what an open recovered, and takes it over where it was open.
    pub(super) fn recovered(&mut self, progress: Progress, is_new: bool) {
        let Progress { log_start, log_end, .. } = progress;
        // A restart that was cut short may have removed everything already, wherever the log begins then.
        if let Some(offset) = self.restart.take()
            && is_new
            && log_start == log_end
            && (log_end == offset || log_end <= self.end)
        {
            return self.restarted_at(log_end);
        }
        assert!(log_end >= self.durable_end, "flushed up to {}, recovered up to {log_end}", self.durable_end);
        assert!(log_end <= self.end, "there were records up to {}, now up to {log_end}", self.end);
        assert!(
            (self.start_min..=self.start_max).contains(&log_start),
            "the log start is {log_start}, asked for {}..={}",
            self.start_min,
            self.start_max
        );
        let is_boundary = log_end == log_start
            || self.batches.iter().any(|batch| batch.header.next_offset() == log_end)
            || log_end == self.end;
        assert!(is_boundary, "the log ends inside a batch, at {log_end}");
        self.batches.retain(|batch| batch.header.base_offset < log_end);
        (self.start, self.end, self.durable_end) = (log_start, log_end, log_end);
        (self.start_min, self.start_max) = (log_start, log_start);
    }

    /// The batches that can be read.
    pub(super) fn visible(&self) -> impl Iterator<Item = &ModelBatch> {
        self.batches.iter().filter(|batch| batch.header.last_offset() >= self.start)
    }
}
