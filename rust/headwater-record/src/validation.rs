//! The checks Kafka makes before it appends a producer's batch, as far as they need no partition state.
//!
//! Kafka makes them in three places: the produce request (one batch, its format), the log (size, CRC, base
//! offset) and its log validator (counts, offsets, keys, timestamps). Here they are in that order. Compressed
//! batches are checked as they stream out of the decompressor, never held whole.
//!
//! Three of Kafka's laxities are not followed: offset deltas must be consecutive in uncompressed batches, too;
//! a transactional batch must have a producer id; and a client's batch of type LogAppendTime is refused even
//! where its timestamp is in range. Deliberately absent: sequence numbers and producer
//! epochs against those of earlier batches, which the log knows.

use std::fmt;

use crate::header::BatchError;
use crate::record::{RECORD_SIZE_MIN, RecordDefect, record_timestamp, take_record};
use crate::scan::{ScanError, ScannedRecord, scan_compressed};
use crate::{BatchHeader, BatchView, Compression, DecompressError, NO_TIMESTAMP, TimestampType, patch};

/// Record errors that are reported one by one; the rest is only counted.
pub const RECORD_ERRORS_MAX: usize = 1000;

/// What a topic's configuration asks of a batch.
#[derive(Clone, Debug)]
pub struct ProduceRules {
    /// `max.message.bytes`: size of the batch at most, in bytes as sent.
    pub batch_size_max: usize,
    /// Size of the records at most once decompressed, in bytes.
    pub decompressed_size_max: usize,
    /// Whether `cleanup.policy` has `compact`, so that every record needs a key.
    pub compacted: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a timestamp may lie in the past.
    pub timestamp_before_ms_max: i64,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie in the future.
    pub timestamp_after_ms_max: i64,
    /// Whether the batch comes from a client, not from a coordinator of this broker.
    pub from_client: bool,
}

impl Default for ProduceRules {
    /// Kafka's defaults; decompressed size 128 MiB.
    fn default() -> ProduceRules {
        ProduceRules {
            batch_size_max: 1_048_588,
            decompressed_size_max: 128 * 1024 * 1024,
            compacted: false,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_ms_max: i64::MAX,
            timestamp_after_ms_max: 3_600_000,
            from_client: true,
        }
    }
}

/// A batch that may be appended.
#[derive(Clone, Copy, Debug)]
pub struct ValidBatch {
    /// Its header, as sent.
    pub header: BatchHeader,
    /// Largest timestamp of its records, or the append time, in ms.
    pub max_timestamp: i64,
    /// Timestamp type it is to be stored with.
    pub timestamp_type: TimestampType,
}

impl ValidBatch {
    /// The time that was given to every record, if the topic wants append times.
    pub fn log_append_time(&self) -> Option<i64> {
        (self.timestamp_type == TimestampType::LogAppendTime).then_some(self.max_timestamp)
    }

    /// Writes timestamp type and largest timestamp into `batch`, which must be the bytes that were checked.
    /// Touches nothing when the producer had them right.
    ///
    /// # Panics
    /// On fewer bytes than a header has.
    pub fn apply(&self, batch: &mut [u8]) {
        patch::set_max_timestamp(batch, self.timestamp_type, self.max_timestamp);
    }
}

/// Why a batch must not be appended; each variant is one error code of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    /// CORRUPT_MESSAGE: damaged on its way, worth sending again.
    #[error(transparent)]
    Corrupt(BatchError),
    /// A message of format 0 or 1, or of the future: UNSUPPORTED_FOR_MESSAGE_FORMAT, or INVALID_RECORD.
    #[error("record format {magic} is not supported, only 2 is")]
    UnsupportedMagic {
        /// The format.
        magic: i8,
    },
    /// MESSAGE_TOO_LARGE.
    #[error("the batch takes {size} bytes, the topic allows {limit}")]
    TooLarge {
        /// Size of the batch, in bytes.
        size: usize,
        /// The topic's limit, in bytes.
        limit: usize,
    },
    /// INVALID_RECORD, for the batch as a whole.
    #[error(transparent)]
    InvalidBatch(#[from] BatchDefect),
    /// INVALID_RECORD, with the records that caused it.
    #[error("{} of the batch's records are invalid; the first: {}", .0.total, .0)]
    InvalidRecords(RecordErrors),
    /// INVALID_TIMESTAMP, with the records that caused it.
    #[error("{} of the batch's records have invalid timestamps; the first: {}", .0.total, .0)]
    InvalidTimestamps(RecordErrors),
}

/// What is wrong with a batch as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchDefect {
    /// The bytes are not exactly one batch.
    #[error("expected exactly one record batch in {available} bytes")]
    NotOneBatch {
        /// Bytes given.
        available: usize,
    },
    /// A client's batch must begin at offset 0; the broker assigns the real one.
    #[error("the base offset should be 0 and is {base_offset}")]
    BaseOffset {
        /// The offset found.
        base_offset: i64,
    },
    /// Count and offsets contradict each other, or there are no records.
    #[error("{record_count} records with a last offset delta of {last_offset_delta}")]
    OffsetRange {
        /// Records by the header.
        record_count: i32,
        /// Last offset delta by the header.
        last_offset_delta: i32,
    },
    /// Only brokers write control records.
    #[error("clients must not write control records")]
    Control,
    /// A producer id needs sequence numbers.
    #[error("invalid sequence number {base_sequence} of producer {producer_id}")]
    Sequence {
        /// The producer.
        producer_id: i64,
        /// Its sequence number.
        base_sequence: i32,
    },
    /// A transaction needs a producer id.
    #[error("a transactional batch without a producer id")]
    Transaction,
    /// The checksum holds, but the records cannot be read.
    #[error(transparent)]
    Records(BatchError),
}

/// The records that made a batch invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordErrors {
    /// The first of them, by index; at most [`RECORD_ERRORS_MAX`].
    pub errors: Vec<RecordError>,
    /// How many there are.
    pub total: u32,
}

impl fmt::Display for RecordErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors.first() {
            Some(error) => error.fmt(formatter),
            None => formatter.write_str("none"),
        }
    }
}

/// What is wrong with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record {index}: {reason}")]
pub struct RecordError {
    /// Its index in the batch, from 0.
    pub index: u32,
    /// The reason.
    pub reason: RecordErrorReason,
}

/// Why a record is refused; its text is meant for the producer's error message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordErrorReason {
    /// Compaction works by key.
    #[error("a compacted topic cannot accept a record without key")]
    MissingKey,
    /// The offset deltas must count from 0.
    #[error("the offset delta should be {expected} and is {found}")]
    OffsetDelta {
        /// The record's index.
        expected: i32,
        /// What it says.
        found: i32,
    },
    /// Too far from the broker's clock.
    #[error("the timestamp {timestamp} is out of range: it should be within [{earliest}, {latest}]")]
    TimestampRange {
        /// In ms.
        timestamp: i64,
        /// Earliest allowed, in ms.
        earliest: i64,
        /// Latest allowed, in ms.
        latest: i64,
    },
    /// Producers do not set append times.
    #[error("the producer should not set the timestamp type to LogAppendTime")]
    TimestampType,
}

impl RecordErrorReason {
    fn is_timestamp(self) -> bool {
        matches!(self, RecordErrorReason::TimestampRange { .. } | RecordErrorReason::TimestampType)
    }
}

/// Makes every check that needs no partition state. `bytes` must be exactly one batch; `now_ms` is the
/// broker's clock.
///
/// # Errors
/// [`ProduceError`], the first that applies in the order of Kafka's checks. Errors of single records are
/// collected over the whole batch; the first of them decides the variant.
pub fn validate_for_produce(
    bytes: &[u8],
    rules: &ProduceRules,
    now_ms: i64,
) -> Result<ValidBatch, ProduceError> {
    let batch = BatchView::new(bytes).map_err(|error| match error {
        BatchError::UnsupportedMagic { magic } => ProduceError::UnsupportedMagic { magic },
        BatchError::Incomplete { available, .. } => BatchDefect::NotOneBatch { available }.into(),
        other => ProduceError::Corrupt(other),
    })?;
    if batch.bytes().len() != bytes.len() {
        return Err(BatchDefect::NotOneBatch { available: bytes.len() }.into());
    }
    if rules.from_client && batch.header().base_offset != 0 {
        return Err(BatchDefect::BaseOffset { base_offset: batch.header().base_offset }.into());
    }
    if bytes.len() > rules.batch_size_max {
        return Err(ProduceError::TooLarge { size: bytes.len(), limit: rules.batch_size_max });
    }
    batch.verify_crc().map_err(ProduceError::Corrupt)?;
    check_header(batch.header(), rules)?;

    let mut check = RecordCheck::new(batch.header(), rules, now_ms);
    let malformed = |error| ProduceError::InvalidBatch(BatchDefect::Records(error));
    match batch.header().compression().map_err(malformed)? {
        Compression::None => check.uncompressed(&batch),
        codec => check.compressed(&batch, codec),
    }
    .map_err(malformed)?;
    check.finish()
}

fn check_header(header: &BatchHeader, rules: &ProduceRules) -> Result<(), BatchDefect> {
    let &BatchHeader { record_count, last_offset_delta, producer_id, base_sequence, .. } = header;
    if record_count <= 0 || last_offset_delta != record_count - 1 {
        return Err(BatchDefect::OffsetRange { record_count, last_offset_delta });
    }
    if !rules.from_client {
        return Ok(());
    }
    if header.is_control() {
        return Err(BatchDefect::Control);
    }
    if header.has_producer_id() && base_sequence < 0 {
        return Err(BatchDefect::Sequence { producer_id, base_sequence });
    }
    if header.is_transactional() && !header.has_producer_id() {
        return Err(BatchDefect::Transaction);
    }
    Ok(())
}

/// Checks record after record and remembers what it found.
struct RecordCheck<'a> {
    rules: &'a ProduceRules,
    header: BatchHeader,
    append_time: Option<i64>,
    now_ms: i64,
    max_timestamp: i64,
    errors: Vec<RecordError>,
    total: u32,
}

impl<'a> RecordCheck<'a> {
    fn new(header: &BatchHeader, rules: &'a ProduceRules, now_ms: i64) -> RecordCheck<'a> {
        let append_time =
            (header.timestamp_type() == TimestampType::LogAppendTime).then_some(header.max_timestamp);
        RecordCheck {
            rules,
            header: *header,
            append_time,
            now_ms,
            max_timestamp: NO_TIMESTAMP,
            errors: Vec::new(),
            total: 0,
        }
    }

    fn uncompressed(&mut self, batch: &BatchView<'_>) -> Result<(), BatchError> {
        let mut rest = batch.encoded_records();
        let record_count = self.header.record_count;
        if record_count as usize > rest.len() / RECORD_SIZE_MIN {
            return Err(BatchError::RecordCount { record_count });
        }
        for index in 0..record_count as u32 {
            let raw = take_record(&mut rest).map_err(|defect| BatchError::Record { index, defect })?;
            let record = ScannedRecord {
                timestamp_delta: raw.timestamp_delta,
                offset_delta: raw.offset_delta,
                has_key: raw.key.is_some(),
            };
            self.record(index, record);
        }
        if !rest.is_empty() {
            return Err(BatchError::Record {
                index: record_count as u32,
                defect: RecordDefect::TrailingBytes,
            });
        }
        Ok(())
    }

    fn compressed(&mut self, batch: &BatchView<'_>, codec: Compression) -> Result<(), BatchError> {
        let limit = self.rules.decompressed_size_max;
        let count = self.header.record_count as u32;
        let done = scan_compressed(codec, batch.encoded_records(), limit, count, |index, record| {
            self.record(index, record);
        });
        done.map_err(|error| match error {
            ScanError::Record { index, defect } => BatchError::Record { index, defect },
            ScanError::Decompress(error) => BatchError::Decompress(error),
        })
    }

    #[inline]
    fn record(&mut self, index: u32, record: ScannedRecord) {
        let timestamp =
            record_timestamp(self.append_time, self.header.base_timestamp, record.timestamp_delta);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        if let Err(reason) = self.judge(index, &record, timestamp) {
            self.total += 1;
            if self.errors.len() < RECORD_ERRORS_MAX {
                self.errors.push(RecordError { index, reason });
            }
        }
    }

    #[inline]
    fn judge(&self, index: u32, record: &ScannedRecord, timestamp: i64) -> Result<(), RecordErrorReason> {
        if self.rules.compacted && !record.has_key {
            return Err(RecordErrorReason::MissingKey);
        }
        if record.offset_delta != index as i32 {
            return Err(RecordErrorReason::OffsetDelta {
                expected: index as i32,
                found: record.offset_delta,
            });
        }
        if self.append_time.is_some() && self.rules.from_client {
            return Err(RecordErrorReason::TimestampType);
        }
        if self.rules.timestamp_type == TimestampType::CreateTime && timestamp != NO_TIMESTAMP {
            let earliest = self.now_ms.saturating_sub(self.rules.timestamp_before_ms_max);
            let latest = self.now_ms.saturating_add(self.rules.timestamp_after_ms_max);
            if timestamp < earliest || timestamp > latest {
                return Err(RecordErrorReason::TimestampRange { timestamp, earliest, latest });
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<ValidBatch, ProduceError> {
        if let Some(first) = self.errors.first() {
            let timestamp = first.reason.is_timestamp();
            let errors = RecordErrors { total: self.total, errors: self.errors };
            return Err(match timestamp {
                true => ProduceError::InvalidTimestamps(errors),
                false => ProduceError::InvalidRecords(errors),
            });
        }
        let timestamp_type = self.rules.timestamp_type;
        let max_timestamp = match timestamp_type {
            TimestampType::CreateTime => self.max_timestamp,
            TimestampType::LogAppendTime => self.now_ms,
        };
        Ok(ValidBatch { header: self.header, max_timestamp, timestamp_type })
    }
}

impl ProduceError {
    /// Whether the batch unfolds to more than the rules allow, as opposed to being unreadable.
    pub fn is_decompressed_too_large(&self) -> bool {
        let limit = |error: &DecompressError| matches!(error, DecompressError::TooLarge { .. });
        matches!(self, ProduceError::InvalidBatch(BatchDefect::Records(BatchError::Decompress(error))) if limit(error))
    }
}
