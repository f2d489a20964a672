//! Batches in memory: for tests, and for bytes that came from elsewhere.

use std::sync::Arc;

use bytes::Bytes;
use headwater_record::{DecompressBuffer, batches};

use super::{AbortedTransaction, Bounds, PartitionSource, RawBatches};
use crate::{BatchLimits, Interrupt, SourceError};

/// A partition whose batches lie one after the other in one buffer.
#[derive(Clone, Debug)]
pub struct MemorySource {
    topic: Arc<str>,
    partition: i32,
    bytes: Bytes,
    aborted: Vec<AbortedTransaction>,
}

impl MemorySource {
    /// The batches in `bytes`, with their offsets assigned.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32, bytes: Bytes) -> MemorySource {
        MemorySource { topic: topic.into(), partition, bytes, aborted: Vec::new() }
    }

    /// Names the aborted transactions.
    pub fn with_aborted(mut self, aborted: Vec<AbortedTransaction>) -> MemorySource {
        self.aborted = aborted;
        self
    }

    /// Where the batch that holds `offset`, or the next one, begins.
    fn position_of(&self, offset: i64) -> usize {
        let mut walk = batches(&self.bytes);
        loop {
            let position = walk.position();
            match walk.next() {
                Some(Ok(batch)) if batch.header().last_offset() < offset => {}
                // Damage is found by whoever decodes it.
                _ => return position,
            }
        }
    }
}

impl PartitionSource for MemorySource {
    fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn bounds(&mut self, _: &dyn Interrupt) -> Result<Bounds, SourceError> {
        let mut headers = batches(&self.bytes).flatten().map(|batch| *batch.header());
        let Some(first) = headers.next() else { return Ok(Bounds { start: 0, end: 0 }) };
        let last = headers.last().unwrap_or(first);
        Ok(Bounds { start: first.base_offset, end: last.next_offset() })
    }

    fn offset_for_timestamp(
        &mut self,
        timestamp: i64,
        _: &dyn Interrupt,
    ) -> Result<Option<i64>, SourceError> {
        let mut buffer = DecompressBuffer::new();
        for batch in batches(&self.bytes).flatten().filter(|batch| batch.header().max_timestamp >= timestamp)
        {
            let Ok(records) = batch.records(&mut buffer, BatchLimits::default().decompressed) else {
                continue;
            };
            if let Some(record) = records.flatten().find(|record| record.timestamp >= timestamp) {
                return Ok(Some(record.offset));
            }
        }
        Ok(None)
    }

    fn read(&mut self, offset: i64, bytes_max: usize, _: &dyn Interrupt) -> Result<RawBatches, SourceError> {
        let start = self.position_of(offset);
        let rest = self.bytes.slice(start..);
        let first =
            batches(&rest).next().and_then(Result::ok).map_or(rest.len(), |batch| batch.bytes().len());
        let bytes = rest.slice(..bytes_max.max(first).min(rest.len()));
        Ok(RawBatches { aborted: self.aborted.clone(), ..RawBatches::new(bytes) })
    }
}
