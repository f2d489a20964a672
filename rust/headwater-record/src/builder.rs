//! Builds batches: records are encoded once, straight into the bytes that go over the wire.
//!
//! Deliberately absent: when a batch is full and when it is sent are the producer's decisions.

use bytes::Bytes;

use crate::attributes::{CONTROL_BIT, TRANSACTIONAL_BIT};
use crate::compression::{CompressError, compress_into};
use crate::header::{ATTRIBUTES_AT, BATCH_OVERHEAD, CRC_AT, LOG_OVERHEAD};
use crate::varint::{VARINT_SIZE_MAX, VARLONG_SIZE_MAX, varint_size, varlong_size, write_varlong};
use crate::{
    BatchHeader, CURRENT_MAGIC, Compression, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
    RecordView,
};

/// Bytes of records in one batch at most; leaves room for the header and for codecs that expand.
const RECORDS_SIZE_MAX: usize = (i32::MAX - 16 * 1024 * 1024) as usize;
/// All but key, value and headers: length, attributes, two deltas, two lengths and the number of headers.
const RECORD_OVERHEAD_MAX: usize = 1 + VARLONG_SIZE_MAX + 5 * VARINT_SIZE_MAX;

/// A header to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// Its key; the same key may come more than once.
    pub key: &'a str,
    /// Its value; `None` differs from an empty one.
    pub value: Option<&'a [u8]>,
}

/// Why a record was not appended, or a batch not finished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The batch would outgrow the format's 31 bits: finish it first. A record that alone is too large can
    /// never be written.
    #[error("the batch would grow to {size} bytes, more than its format can hold")]
    TooLarge {
        /// The size it would have.
        size: u64,
    },
    /// No record has been appended.
    #[error("a batch without records")]
    Empty,
    /// The codec failed.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

/// Builds one batch after the other. Memory of compressed batches is reused; settings stay as they were set.
///
/// ```
/// use headwater_record::{BatchBuilder, BatchView, Compression};
/// let mut builder = BatchBuilder::new(Compression::Zstd);
/// builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[])?;
/// let bytes = builder.finish()?;
/// assert_eq!(BatchView::new(&bytes).unwrap().header().record_count, 1);
/// # Ok::<(), headwater_record::BuildError>(())
/// ```
#[derive(Debug)]
pub struct BatchBuilder {
    // Begins with room for the header; records are uncompressed here. Longer than what is used: bytes stay
    // initialised, so that appending needs no more than one bounds check a field.
    buffer: Vec<u8>,
    used: usize,
    capacity: usize,
    record_count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    compression: Compression,
    level: Option<i32>,
    ratio: f32,
    base_offset: i64,
    leader_epoch: i32,
    flags: i16,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
}

impl BatchBuilder {
    /// A builder of batches compressed with `compression`.
    pub fn new(compression: Compression) -> BatchBuilder {
        BatchBuilder::with_capacity(compression, 0)
    }

    /// A builder that makes room for `capacity` bytes with the first record of each batch.
    pub fn with_capacity(compression: Compression, capacity: usize) -> BatchBuilder {
        BatchBuilder {
            buffer: Vec::new(),
            used: BATCH_OVERHEAD,
            capacity,
            record_count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            compression,
            level: None,
            ratio: 1.0,
            base_offset: 0,
            leader_epoch: -1,
            flags: 0,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
        }
    }

    /// Level on the codec's own scale; `None` is Kafka's default.
    pub fn set_compression_level(&mut self, level: Option<i32>) {
        self.level = level;
    }

    /// Producer id, epoch and sequence number of the first record (default: -1 each).
    pub fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.producer_id = producer_id;
        self.producer_epoch = producer_epoch;
        self.base_sequence = base_sequence;
    }

    /// Whether the batch belongs to a transaction (default: no).
    pub fn set_transactional(&mut self, transactional: bool) {
        self.set_flag(TRANSACTIONAL_BIT, transactional);
    }

    /// Whether the batch holds control records (default: no).
    pub fn set_control(&mut self, control: bool) {
        self.set_flag(CONTROL_BIT, control);
    }

    /// Epoch of the leader (default: -1; a broker writes its own).
    pub fn set_leader_epoch(&mut self, leader_epoch: i32) {
        self.leader_epoch = leader_epoch;
    }

    /// Offset of the first record (default: 0; a broker writes its own).
    pub fn set_base_offset(&mut self, base_offset: i64) {
        self.base_offset = base_offset;
    }

    fn set_flag(&mut self, bit: i16, on: bool) {
        self.flags = if on { self.flags | bit } else { self.flags & !bit };
    }

    /// Appends a record and returns its offset relative to the batch's first. `timestamp` in ms since 1970, -1 for none.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`]; the batch is then as it was.
    #[inline]
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
    ) -> Result<i32, BuildError> {
        let headers_size = headers.iter().map(header_size).sum();
        self.append_record(timestamp, key, value, headers.len(), headers_size, |mut target| {
            for header in headers {
                target = write_field(target, Some(header.key.as_bytes()));
                target = write_field(target, header.value);
            }
        })
    }

    /// Appends a record that was read from another batch, its headers as they are. Offsets are given anew.
    ///
    /// # Errors
    /// As [`BatchBuilder::append`].
    pub fn append_view(&mut self, record: &RecordView<'_>) -> Result<i32, BuildError> {
        let headers = record.headers.encoded();
        let count = record.headers.len();
        self.append_record(record.timestamp, record.key, record.value, count, headers.len(), |target| {
            target.copy_from_slice(headers);
        })
    }

    /// Appends a record whose headers `write_headers` writes into exactly `headers_size` bytes.
    #[inline]
    fn append_record(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        header_count: usize,
        headers_size: usize,
        write_headers: impl FnOnce(&mut [u8]),
    ) -> Result<i32, BuildError> {
        let first = self.record_count == 0;
        let timestamp_delta = if first { 0 } else { timestamp.wrapping_sub(self.base_timestamp) };
        let offset_delta = self.record_count;
        let content = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers_size;
        if content > RECORDS_SIZE_MAX || self.used + content + RECORD_OVERHEAD_MAX > RECORDS_SIZE_MAX {
            return Err(BuildError::TooLarge { size: self.used as u64 + content as u64 });
        }
        let header_count = header_count as i32;
        let body = 1
            + varlong_size(timestamp_delta)
            + varint_size(offset_delta)
            + varint_size(length_of(key))
            + varint_size(length_of(value))
            + varint_size(header_count)
            + content;
        if first {
            self.used = BATCH_OVERHEAD;
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        let end = self.used + varint_size(body as i32) + body;
        if end > self.buffer.len() {
            self.grow(end);
        }
        let mut target = &mut self.buffer[self.used..end];
        target = write_number(target, body as i64);
        target[0] = 0; // The record's attributes: none have a meaning.
        target = write_number(&mut target[1..], timestamp_delta);
        target = write_number(target, i64::from(offset_delta));
        target = write_field(target, key);
        target = write_field(target, value);
        write_headers(write_number(target, i64::from(header_count)));

        self.used = end;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.record_count += 1;
        Ok(offset_delta)
    }

    #[cold]
    fn grow(&mut self, needed: usize) {
        let length = needed.max(self.capacity).max(self.buffer.len() + self.buffer.len() / 4);
        if self.buffer.is_empty() {
            // The system hands out zeroed pages; filling them would touch each once more.
            self.buffer = vec![0; length];
        } else {
            self.buffer.resize(length, 0);
        }
    }

    /// Records appended since the last batch.
    #[inline]
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Whether no record has been appended since the last batch.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Largest timestamp so far, in ms.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// Size the batch would have now, in bytes: exact without compression, else by the ratio of the batch before.
    #[inline]
    pub fn estimated_size(&self) -> usize {
        let size = self.uncompressed_size();
        if self.compression == Compression::None {
            return size;
        }
        BATCH_OVERHEAD + ((size - BATCH_OVERHEAD) as f32 * self.ratio) as usize
    }

    /// Size of the batch so far without compression, in bytes.
    #[inline]
    pub fn uncompressed_size(&self) -> usize {
        if self.is_empty() { BATCH_OVERHEAD } else { self.used }
    }

    /// Bytes that a record adds to an uncompressed batch, at most.
    #[inline]
    pub fn record_size_max(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[RecordHeader<'_>]) -> usize {
        let headers_size: usize = headers.iter().map(header_size).sum();
        RECORD_OVERHEAD_MAX + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers_size
    }

    /// Compresses what was appended, writes the header and hands out the batch. The builder is empty then.
    ///
    /// # Errors
    /// [`BuildError::Empty`], [`BuildError::Compress`], [`BuildError::TooLarge`]. The records are gone after the
    /// last two.
    pub fn finish(&mut self) -> Result<Bytes, BuildError> {
        if self.is_empty() {
            return Err(BuildError::Empty);
        }
        let record_count = std::mem::take(&mut self.record_count);
        let mut batch = if self.compression == Compression::None {
            let mut batch = std::mem::take(&mut self.buffer);
            batch.truncate(self.used);
            batch
        } else {
            self.compress()?
        };
        self.write_header(&mut batch, record_count)?;
        // Codecs want room for the worst case; what waits to be sent should not hold it.
        if batch.capacity() > batch.len() + batch.len() / 4 {
            batch.shrink_to_fit();
        }
        Ok(Bytes::from(batch))
    }

    fn compress(&mut self) -> Result<Vec<u8>, BuildError> {
        let records = &self.buffer[BATCH_OVERHEAD..self.used];
        let mut batch = vec![0; BATCH_OVERHEAD];
        compress_into(self.compression, self.level, records, &mut batch)?;
        self.ratio = (batch.len() - BATCH_OVERHEAD) as f32 / records.len() as f32;
        Ok(batch)
    }

    fn write_header(&self, batch: &mut [u8], record_count: i32) -> Result<(), BuildError> {
        let batch_length = i32::try_from(batch.len() - LOG_OVERHEAD)
            .map_err(|_| BuildError::TooLarge { size: batch.len() as u64 })?;
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length,
            partition_leader_epoch: self.leader_epoch,
            magic: CURRENT_MAGIC,
            crc: 0,
            attributes: self.flags | self.compression as i16,
            last_offset_delta: record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count,
        };
        batch[..BATCH_OVERHEAD].copy_from_slice(&header.to_bytes());
        let crc = crate::crc32c(&batch[ATTRIBUTES_AT..]);
        batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        Ok(())
    }
}

/// Length as it is written: -1 for an absent field. The size check has made sure that it fits.
#[inline]
fn length_of(field: Option<&[u8]>) -> i32 {
    field.map_or(-1, |bytes| bytes.len() as i32)
}

/// Writes `value` at the start of `target` and returns what follows it.
#[inline]
fn write_number(target: &mut [u8], value: i64) -> &mut [u8] {
    let length = write_varlong(target, value);
    &mut target[length..]
}

/// Writes a length and its bytes at the start of `target` and returns what follows them.
#[inline]
fn write_field<'a>(target: &'a mut [u8], field: Option<&[u8]>) -> &'a mut [u8] {
    let target = write_number(target, i64::from(length_of(field)));
    let bytes = field.unwrap_or_default();
    let (place, rest) = target.split_at_mut(bytes.len());
    place.copy_from_slice(bytes);
    rest
}

fn header_size(header: &RecordHeader<'_>) -> usize {
    let (key, value) = (header.key.len(), header.value.map_or(0, <[u8]>::len));
    // Lengths beyond 31 bits are caught by the size check, whatever the sizes of these varints.
    varint_size(key as i32) + key + varint_size(length_of(header.value)) + value
}
