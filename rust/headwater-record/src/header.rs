//! The 61 bytes before the records of a batch.
//!
//! ```text
//!  0 base offset i64         17 crc u32               27 base timestamp i64   51 producer epoch i16
//!  8 batch length i32        21 attributes i16        35 max timestamp i64    53 base sequence i32
//! 12 leader epoch i32        23 last offset delta i32 43 producer id i64      57 record count i32
//! 16 magic i8
//! ```
//!
//! Parsing checks sizes and the magic only; what the fields promise about the records is checked where
//! the records are read.

use crate::attributes::{CONTROL_BIT, DELETE_HORIZON_BIT, TRANSACTIONAL_BIT};
use crate::{Compression, DecompressError, RecordDefect, TimestampType};

/// Bytes of base offset and batch length, which the batch length does not count.
pub const LOG_OVERHEAD: usize = 12;
/// Bytes of a batch without records.
pub const BATCH_OVERHEAD: usize = 61;
/// The only format that is read and written: 2.
pub const CURRENT_MAGIC: i8 = 2;
/// Producer id of a batch without one.
pub const NO_PRODUCER_ID: i64 = -1;
/// Producer epoch of a batch without a producer id.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// Base sequence of a batch without a producer id, and of control batches.
pub const NO_SEQUENCE: i32 = -1;
/// Timestamp of a record that has none.
pub const NO_TIMESTAMP: i64 = -1;

pub(crate) const BATCH_LENGTH_AT: usize = 8;
pub(crate) const LEADER_EPOCH_AT: usize = 12;
pub(crate) const MAGIC_AT: usize = 16;
pub(crate) const CRC_AT: usize = 17;
pub(crate) const ATTRIBUTES_AT: usize = 21;
pub(crate) const LAST_OFFSET_DELTA_AT: usize = 23;
pub(crate) const BASE_TIMESTAMP_AT: usize = 27;
pub(crate) const MAX_TIMESTAMP_AT: usize = 35;
pub(crate) const PRODUCER_ID_AT: usize = 43;
pub(crate) const PRODUCER_EPOCH_AT: usize = 51;
pub(crate) const BASE_SEQUENCE_AT: usize = 53;
pub(crate) const RECORD_COUNT_AT: usize = 57;

const _: () = assert!(RECORD_COUNT_AT + 4 == BATCH_OVERHEAD, "the fields fill the header");

/// The header of one batch, every field as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record the batch was written with (compaction may have removed it).
    pub base_offset: i64,
    /// Bytes after this field: the size of the batch less [`LOG_OVERHEAD`].
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch, -1 in a producer's request.
    pub partition_leader_epoch: i32,
    /// Format, always [`CURRENT_MAGIC`].
    pub magic: i8,
    /// CRC-32C of everything from `attributes` to the end.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: i16,
    /// Last offset less `base_offset`; kept by compaction even when the last record goes.
    pub last_offset_delta: i32,
    /// Timestamp that record timestamps are relative to, in ms; or the delete horizon.
    pub base_timestamp: i64,
    /// Largest timestamp of a record, in ms; for LogAppendTime the timestamp of every record.
    pub max_timestamp: i64,
    /// Producer id, or [`NO_PRODUCER_ID`].
    pub producer_id: i64,
    /// Producer epoch, or [`NO_PRODUCER_EPOCH`].
    pub producer_epoch: i16,
    /// Sequence number of the first record, or [`NO_SEQUENCE`].
    pub base_sequence: i32,
    /// Records in the batch; not yet compared with the bytes that hold them.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which may be shorter than the whole batch.
    ///
    /// # Errors
    /// [`BatchError::Incomplete`] below 61 bytes, [`BatchError::UnsupportedMagic`] for other formats (told
    /// as soon as 17 bytes are there), [`BatchError::BatchLength`] for a length that no batch can have.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let Some(fixed) = bytes.first_chunk::<BATCH_OVERHEAD>() else {
            return match bytes.get(MAGIC_AT) {
                // Messages of format 0 and 1 can be shorter than our header, so look at the format first.
                Some(&magic) if magic as i8 != CURRENT_MAGIC => {
                    Err(BatchError::UnsupportedMagic { magic: magic as i8 })
                }
                _ => Err(BatchError::Incomplete { needed: BATCH_OVERHEAD, available: bytes.len() }),
            };
        };
        let header = BatchHeader {
            base_offset: i64::from_be_bytes(field(fixed, 0)),
            batch_length: i32::from_be_bytes(field(fixed, BATCH_LENGTH_AT)),
            partition_leader_epoch: i32::from_be_bytes(field(fixed, LEADER_EPOCH_AT)),
            magic: fixed[MAGIC_AT] as i8,
            crc: u32::from_be_bytes(field(fixed, CRC_AT)),
            attributes: i16::from_be_bytes(field(fixed, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(field(fixed, LAST_OFFSET_DELTA_AT)),
            base_timestamp: i64::from_be_bytes(field(fixed, BASE_TIMESTAMP_AT)),
            max_timestamp: i64::from_be_bytes(field(fixed, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(field(fixed, PRODUCER_ID_AT)),
            producer_epoch: i16::from_be_bytes(field(fixed, PRODUCER_EPOCH_AT)),
            base_sequence: i32::from_be_bytes(field(fixed, BASE_SEQUENCE_AT)),
            record_count: i32::from_be_bytes(field(fixed, RECORD_COUNT_AT)),
        };
        if header.magic != CURRENT_MAGIC {
            return Err(BatchError::UnsupportedMagic { magic: header.magic });
        }
        if header.batch_length < (BATCH_OVERHEAD - LOG_OVERHEAD) as i32 {
            return Err(BatchError::BatchLength { batch_length: header.batch_length });
        }
        Ok(header)
    }

    /// The header as its 61 bytes.
    pub fn to_bytes(&self) -> [u8; BATCH_OVERHEAD] {
        let mut bytes = [0; BATCH_OVERHEAD];
        put(&mut bytes, 0, self.base_offset.to_be_bytes());
        put(&mut bytes, BATCH_LENGTH_AT, self.batch_length.to_be_bytes());
        put(&mut bytes, LEADER_EPOCH_AT, self.partition_leader_epoch.to_be_bytes());
        bytes[MAGIC_AT] = self.magic as u8;
        put(&mut bytes, CRC_AT, self.crc.to_be_bytes());
        put(&mut bytes, ATTRIBUTES_AT, self.attributes.to_be_bytes());
        put(&mut bytes, LAST_OFFSET_DELTA_AT, self.last_offset_delta.to_be_bytes());
        put(&mut bytes, BASE_TIMESTAMP_AT, self.base_timestamp.to_be_bytes());
        put(&mut bytes, MAX_TIMESTAMP_AT, self.max_timestamp.to_be_bytes());
        put(&mut bytes, PRODUCER_ID_AT, self.producer_id.to_be_bytes());
        put(&mut bytes, PRODUCER_EPOCH_AT, self.producer_epoch.to_be_bytes());
        put(&mut bytes, BASE_SEQUENCE_AT, self.base_sequence.to_be_bytes());
        put(&mut bytes, RECORD_COUNT_AT, self.record_count.to_be_bytes());
        bytes
    }

    /// Size of the whole batch in bytes, the twelve before the length included.
    #[inline]
    pub fn size(&self) -> usize {
        // `parse` refuses negative lengths; a header built by hand gets the smallest size instead of a wrap.
        usize::try_from(self.batch_length).unwrap_or_default().max(BATCH_OVERHEAD - LOG_OVERHEAD)
            + LOG_OVERHEAD
    }

    /// Offset of the last record.
    #[inline]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(i64::from(self.last_offset_delta))
    }

    /// Offset after the last record: where reading goes on.
    #[inline]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// The leader's epoch when it wrote the batch; `None` in one that no leader has written yet.
    #[inline]
    pub fn leader_epoch(&self) -> Option<i32> {
        Some(self.partition_leader_epoch).filter(|epoch| *epoch >= 0)
    }

    /// The codec.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`] for the numbers 5 to 7.
    #[inline]
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::from_attributes(self.attributes).ok_or(BatchError::UnknownCodec {
            codec: (self.attributes & crate::attributes::CODEC_MASK) as u8,
        })
    }

    /// What the timestamps mean.
    #[inline]
    pub fn timestamp_type(&self) -> TimestampType {
        TimestampType::from_attributes(self.attributes)
    }

    /// Whether the batch holds markers of the broker instead of a producer's records.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// Whether the batch belongs to a transaction.
    #[inline]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the batch was written by an idempotent or transactional producer.
    #[inline]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Sequence number of the last record, or [`NO_SEQUENCE`]; sequences wrap to 0 after `i32::MAX`.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        let next = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (next % (i64::from(i32::MAX) + 1)) as i32
    }

    /// When compaction may drop the batch's tombstones or markers, in ms, if that is set.
    #[inline]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp)
    }
}

#[inline]
fn field<const N: usize>(bytes: &[u8; BATCH_OVERHEAD], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

#[inline]
fn put<const N: usize>(bytes: &mut [u8; BATCH_OVERHEAD], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// Why bytes could not be read as a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does: read more, or drop the tail.
    #[error("the batch takes {needed} bytes, only {available} are there")]
    Incomplete {
        /// Bytes of the batch, or of its header while that is not complete.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// Not format 2. For 0 and 1: refuse as UNSUPPORTED_FOR_MESSAGE_FORMAT or INVALID_RECORD, as Kafka 4 does.
    #[error("record format {magic} is not supported, only 2 is")]
    UnsupportedMagic {
        /// The format found.
        magic: i8,
    },
    /// No batch can have this length: corrupt.
    #[error("impossible batch length {batch_length}")]
    BatchLength {
        /// The length found.
        batch_length: i32,
    },
    /// The checksum does not match the bytes: corrupt.
    #[error("the CRC is {computed:#010x}, the batch says {stored:#010x}")]
    Crc {
        /// CRC in the header.
        stored: u32,
        /// CRC of the bytes.
        computed: u32,
    },
    /// The attributes name a codec that does not exist.
    #[error("unknown compression codec {codec}")]
    UnknownCodec {
        /// Its number.
        codec: u8,
    },
    /// The record count is negative, or more than the bytes can hold.
    #[error("impossible record count {record_count}")]
    RecordCount {
        /// The count found.
        record_count: i32,
    },
    /// A record is damaged although the checksum holds: whoever wrote it was wrong.
    #[error("record {index}: {defect}")]
    Record {
        /// Index in the batch, from 0.
        index: u32,
        /// What is wrong.
        defect: RecordDefect,
    },
    /// The records cannot be decompressed.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
}
