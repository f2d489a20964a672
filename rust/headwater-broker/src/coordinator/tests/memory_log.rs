//! A log in memory that commits, refuses and disappears when told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use headwater_coordinator::Refusal;
use headwater_record::{BatchHeader, patch};
use tokio::sync::Notify;

use crate::coordinator::log::{CoordinatorLog, LogFailure, LogGone};

#[derive(Clone, Default)]
pub(super) struct MemoryLog {
    state: Arc<Mutex<State>>,
    moved: Arc<Notify>,
}

#[derive(Default, Clone)]
struct State {
    batches: Vec<(i64, Bytes)>,
    start: i64,
    end: i64,
    high_watermark: i64,
    appends: usize,
    hold: bool,
    refuse: Option<Refusal>,
    gone: bool,
    reads_fail: bool,
    reads: usize,
    batch_bytes_max: Option<usize>,
}

impl MemoryLog {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits wait while this is on; turning it off commits everything.
    pub(super) fn hold(&self, on: bool) {
        {
            let mut state = self.state();
            state.hold = on;
            if !on {
                state.high_watermark = state.end;
            }
        }
        self.moved.notify_waiters();
    }

    /// Appends fail with this.
    pub(super) fn refuse(&self, refusal: Option<Refusal>) {
        self.state().refuse = refusal;
    }

    /// Leadership is lost.
    pub(super) fn lose(&self) {
        self.state().gone = true;
        self.moved.notify_waiters();
    }

    /// Reads fail while this is on, as on a disk with a loose cable.
    pub(super) fn fail_reads(&self, on: bool) {
        self.state().reads_fail = on;
    }

    /// How often it was read.
    pub(super) fn reads(&self) -> usize {
        self.state().reads
    }

    pub(super) fn limit_batches(&self, bytes: usize) {
        self.state().batch_bytes_max = Some(bytes);
    }

    pub(super) fn appends(&self) -> usize {
        self.state().appends
    }

    /// What another node would find that takes over now: everything that is committed.
    pub(super) fn survivor(&self) -> MemoryLog {
        let mut state = self.state().clone();
        let high_watermark = state.high_watermark;
        state.batches.retain(|(base, _)| *base < high_watermark);
        state.end = high_watermark;
        (state.hold, state.refuse, state.gone) = (false, None, false);
        MemoryLog { state: Arc::new(Mutex::new(state)), moved: Arc::default() }
    }
}

impl CoordinatorLog for MemoryLog {
    fn start(&self) -> i64 {
        self.state().start
    }

    fn end(&self) -> i64 {
        self.state().end
    }

    fn high_watermark(&self) -> i64 {
        self.state().high_watermark
    }

    fn batch_bytes_max(&self) -> usize {
        self.state().batch_bytes_max.unwrap_or(1 << 20)
    }

    fn append(&self, mut batch: BytesMut, _now_ms: i64) -> Result<i64, Refusal> {
        let base = {
            let mut state = self.state();
            if let Some(refusal) = state.refuse {
                return Err(refusal);
            }
            let base = state.end;
            patch::set_base_offset(&mut batch, base);
            let header = BatchHeader::parse(&batch).expect("a batch");
            assert!(batch.len() <= state.batch_bytes_max.unwrap_or(1 << 20), "larger than the log takes");
            state.batches.push((base, batch.freeze()));
            state.end = header.next_offset();
            state.appends += 1;
            if !state.hold {
                state.high_watermark = state.end;
            }
            base
        };
        self.moved.notify_waiters();
        Ok(base)
    }

    async fn committed(&self, offset: i64) -> Result<(), LogGone> {
        loop {
            let moved = self.moved.notified();
            {
                let state = self.state();
                if state.gone {
                    return Err(LogGone);
                }
                if state.high_watermark >= offset {
                    return Ok(());
                }
            }
            moved.await;
        }
    }

    fn read(&self, offset: i64, bytes_max: usize, buffer: &mut Vec<u8>) -> Result<(), LogFailure> {
        let mut state = self.state();
        state.reads += 1;
        if state.reads_fail {
            return Err(LogFailure("input/output error".to_owned()));
        }
        if offset < state.start || offset > state.end {
            return Err(LogFailure("out of range".to_owned()));
        }
        buffer.clear();
        let first = state.batches.partition_point(|(base, _)| *base <= offset).saturating_sub(1);
        for (_, batch) in &state.batches[first..] {
            if !buffer.is_empty() && buffer.len() + batch.len() > bytes_max {
                break;
            }
            buffer.extend_from_slice(batch);
        }
        Ok(())
    }

    fn delete_before(&self, offset: i64) -> Result<(), LogFailure> {
        let mut state = self.state();
        if offset > state.high_watermark {
            return Err(LogFailure("not committed".to_owned()));
        }
        state.start = state.start.max(offset);
        let start = state.start;
        state
            .batches
            .retain(|(_, batch)| BatchHeader::parse(batch).is_ok_and(|header| header.next_offset() > start));
        Ok(())
    }
}
