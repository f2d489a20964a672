//! Kafka's record batches (format 2) and the ids that every other crate shares.
//!
//! ```text
//! batch  = header (61 bytes: 12 of offset and length, 49 covered by the length) + records
//!          └ the CRC-32C covers everything from `attributes` on, so base offset and
//!            leader epoch can be written by a broker without touching the checksum
//! record = varint body length, attributes, Δtimestamp, Δoffset, key, value, headers
//! ```
//!
//! Reading borrows: [`batches`] walks a buffer, [`BatchView`] looks at one batch, [`RecordIter`] at its
//! records. Writing goes through [`BatchBuilder`]. [`validate_for_produce`] makes the checks that Kafka
//! makes before it appends a producer's batch. Nothing here panics on foreign bytes, and nothing is
//! allocated from a length that was not compared with the bytes that remain.
//!
//! Deliberately absent: I/O, message sets of format 0 and 1 (refused with
//! [`BatchError::UnsupportedMagic`], as Kafka 4 does), the protocol's requests, clocks.

mod attributes;
mod batch;
mod builder;
pub mod compression;
pub mod control;
mod header;
pub mod patch;
mod record;
mod recycle;
mod scan;
mod topic_partition;
mod uuid;
mod validation;
pub mod varint;

pub use attributes::{Compression, TimestampType, UnknownCompression};
pub use batch::{BatchIter, BatchView, batches};
pub use builder::{BatchBuilder, BuildError, RecordHeader};
pub use compression::{CompressError, DecompressBuffer, DecompressError};
pub use header::{
    BATCH_OVERHEAD, BatchError, BatchHeader, CURRENT_MAGIC, LOG_OVERHEAD, NO_PRODUCER_EPOCH, NO_PRODUCER_ID,
    NO_SEQUENCE, NO_TIMESTAMP,
};
pub use record::{
    HeaderView, HeadersIter, HeadersView, RecordDefect, RecordIter, RecordPosition, RecordView,
};
pub use recycle::Recycler;
pub use topic_partition::TopicPartition;
pub use uuid::{ParseUuidError, Uuid};
pub use validation::{
    BatchDefect, ProduceError, ProduceRules, RECORD_ERRORS_MAX, RecordError, RecordErrorReason, RecordErrors,
    ValidBatch, validate_for_produce,
};

/// CRC-32C (Castagnoli) of `bytes`, the checksum of record batches.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}
