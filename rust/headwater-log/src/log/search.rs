//! Finding records by time: ListOffsets by timestamp and by largest timestamp.
//!
//! The time index finds the batch, its records are then looked at one by one, so the answer is exact to the record.

use std::sync::Arc;

use headwater_env::Env;
use headwater_record::{BatchView, DecompressBuffer, TimestampType};

use super::{Inner, Log};
use crate::context::read_failed;
use crate::descriptors::FileKind;
use crate::error::{Damage, ReadError, StorageError};
use crate::scan::{Found, Walk, read_batch, verify_crc};
use crate::segment::Segment;
use crate::types::TimestampOffset;

/// Decompressed bytes of one batch; what a producer sends compressed into `max.message.bytes` stays far below.
const BATCH_SIZE_MAX: usize = 1 << 30;

impl<E: Env> Log<E> {
    /// The first record at or above the log start whose timestamp is `timestamp` (ms) or later. Blocking: it may
    /// decompress a batch.
    ///
    /// # Errors
    /// [`ReadError::Storage`].
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<TimestampOffset>, ReadError> {
        self.0.check_open()?;
        Ok(self.0.offset_for_timestamp(timestamp)?)
    }

    /// The first record that has the largest timestamp of the log. Blocking.
    ///
    /// # Errors
    /// [`ReadError::Storage`].
    pub fn max_timestamp_offset(&self) -> Result<Option<TimestampOffset>, ReadError> {
        self.0.check_open()?;
        let segments = self.0.segments.load();
        // The first of equals: its record comes first.
        let newest = segments.iter().rev().max_by_key(|segment| segment.indexes().max_timestamp);
        let Some(segment) = newest.filter(|segment| segment.indexes().max_timestamp >= 0) else {
            return Ok(None);
        };
        let (timestamp, offset) = {
            let indexes = segment.indexes();
            (indexes.max_timestamp, indexes.max_timestamp_offset)
        };
        let limit = self.0.readable(segment);
        let Some(found) = segment.locate(&self.0.context, offset, limit)? else { return Ok(None) };
        Ok(first_record(&self.0, segment, &found, timestamp, 0)?)
    }
}

impl<E: Env> Inner<E> {
    fn readable(&self, segment: &Segment<E>) -> u64 {
        let published = self.published();
        if segment.base_offset() == published.active_base { published.active_size } else { segment.size() }
    }

    fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<TimestampOffset>, StorageError> {
        let segments = self.segments.load();
        let log_start = self.published().log_start;
        for segment in segments.iter() {
            if segment.indexes().max_timestamp < timestamp {
                continue;
            }
            if let Some(found) = self.search_segment(segment, timestamp, log_start)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn search_segment(
        &self,
        segment: &Arc<Segment<E>>,
        timestamp: i64,
        log_start: i64,
    ) -> Result<Option<TimestampOffset>, StorageError> {
        // An entry below the timestamp: no batch up to its offset reaches it.
        let entry = segment.floor_time(&self.context, timestamp.saturating_sub(1))?;
        let from = entry
            .map_or(segment.base_offset(), |entry| segment.base_offset() + i64::from(entry.relative_offset));
        let limit = self.readable(segment);
        let Some(start) = segment.locate(&self.context, from.max(log_start), limit)? else { return Ok(None) };
        let file = segment.log_file(&self.context)?;
        let mut walk = Walk::new(&*file, start.position, limit);
        while let Some(found) = walk.next().map_err(|error| segment.walk_failed(error))? {
            if found.header.max_timestamp >= timestamp
                && let Some(record) = first_record(self, segment, &found, timestamp, log_start)?
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

/// The first record of a batch at or above both bounds.
fn first_record<E: Env>(
    log: &Inner<E>,
    segment: &Segment<E>,
    found: &Found,
    timestamp: i64,
    offset: i64,
) -> Result<Option<TimestampOffset>, StorageError> {
    let header = &found.header;
    let leader_epoch = header.partition_leader_epoch;
    if header.timestamp_type() == TimestampType::LogAppendTime {
        let offset = header.base_offset.max(offset);
        return Ok(Some(TimestampOffset { timestamp: header.max_timestamp, offset, leader_epoch }));
    }
    let path = segment.path(FileKind::Log);
    let file = segment.log_file(&log.context)?;
    let mut bytes = Vec::new();
    verify_crc(&*file, found, &mut bytes).map_err(|error| segment.walk_failed(error))?;
    read_batch(&*file, found, &mut bytes).map_err(|error| read_failed(&path, error))?;
    let damaged = |error: headwater_record::BatchError| {
        StorageError::Damaged(Damage {
            file: path.clone(),
            position: found.position,
            reason: error.to_string(),
        })
    };
    let mut buffer = DecompressBuffer::new();
    let view = BatchView::new(&bytes).map_err(damaged)?;
    for record in view.records(&mut buffer, BATCH_SIZE_MAX).map_err(damaged)? {
        let record = record.map_err(damaged)?;
        if record.timestamp >= timestamp && record.offset >= offset {
            return Ok(Some(TimestampOffset {
                timestamp: record.timestamp,
                offset: record.offset,
                leader_epoch,
            }));
        }
    }
    Ok(None)
}
