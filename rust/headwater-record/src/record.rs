//! Records of a batch, borrowed from its (decompressed) bytes.
//!
//! A record is checked whole when the iterator passes it, headers included, so that what it hands out can
//! be read without further errors.

use std::iter::FusedIterator;
use std::str::Utf8Error;

use crate::TimestampType;
use crate::header::{BatchError, BatchHeader};
use crate::varint::{VarintError, read_varint, read_varlong};

/// Bytes of the smallest record: length, attributes, two deltas, two absent fields, no headers.
pub(crate) const RECORD_SIZE_MIN: usize = 7;
/// Bytes of the smallest header: an empty key without a value.
const HEADER_SIZE_MIN: usize = 2;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// In ms since 1970; -1 when it has none.
    pub timestamp: i64,
    /// The key; `None` differs from an empty one.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, in order, duplicates kept.
    pub headers: HeadersView<'a>,
}

/// The headers of one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadersView<'a> {
    count: u32,
    // Begins with the count, as it is encoded; empty only without headers.
    bytes: &'a [u8],
}

impl<'a> HeadersView<'a> {
    /// Number of headers.
    #[inline]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The headers in the order they were written.
    #[inline]
    pub fn iter(&self) -> HeadersIter<'a> {
        HeadersIter { left: self.count, bytes: self.encoded() }
    }

    /// The encoded headers, without their count: what [`BatchBuilder::append_view`](crate::BatchBuilder::append_view) copies.
    pub(crate) fn encoded(&self) -> &'a [u8] {
        let mut rest = self.bytes;
        // Read before, so it can be read again; without headers there is nothing to read.
        let _ = read_varint(&mut rest);
        rest
    }
}

/// Checks `bytes`, which must be a header count and exactly the headers, and returns the count.
#[inline(always)]
fn check_headers(bytes: &[u8]) -> Result<u32, RecordDefect> {
    if let [0] = bytes { Ok(0) } else { check_all_headers(bytes) }
}

#[inline(never)]
fn check_all_headers(bytes: &[u8]) -> Result<u32, RecordDefect> {
    let mut rest = bytes;
    let count = read_varint(&mut rest)?;
    if count < 0 || count as usize > rest.len() / HEADER_SIZE_MIN {
        return Err(RecordDefect::HeaderCount);
    }
    for _ in 0..count {
        take_field(&mut rest)?.ok_or(RecordDefect::HeaderKey)?;
        take_field(&mut rest)?;
    }
    if rest.is_empty() { Ok(count as u32) } else { Err(RecordDefect::Length) }
}

impl<'a> IntoIterator for HeadersView<'a> {
    type Item = HeaderView<'a>;
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
    }
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderView<'a> {
    /// The key, UTF-8 by convention only.
    pub key: &'a [u8],
    /// The value.
    pub value: Option<&'a [u8]>,
}

impl<'a> HeaderView<'a> {
    /// The key as text.
    ///
    /// # Errors
    /// When the producer wrote something that is not UTF-8.
    pub fn key_str(&self) -> Result<&'a str, Utf8Error> {
        std::str::from_utf8(self.key)
    }
}

/// Iterates over the headers of a record.
#[derive(Clone, Debug)]
pub struct HeadersIter<'a> {
    left: u32,
    bytes: &'a [u8],
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = HeaderView<'a>;

    fn next(&mut self) -> Option<HeaderView<'a>> {
        self.left = self.left.checked_sub(1)?;
        // Checked before; should it fail all the same, the headers end here instead of a panic.
        let key = take_field(&mut self.bytes).ok()??;
        let value = take_field(&mut self.bytes).ok()?;
        Some(HeaderView { key, value })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}
impl FusedIterator for HeadersIter<'_> {}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordDefect {
    /// A number is cut off or too long.
    #[error(transparent)]
    Varint(#[from] VarintError),
    /// A length is negative, reaches beyond the record, or the record beyond the batch.
    #[error("a length is not that of what it measures")]
    Length,
    /// The number of headers is negative or more than fit.
    #[error("impossible number of headers")]
    HeaderCount,
    /// A header has no key.
    #[error("a header without a key")]
    HeaderKey,
    /// Bytes are left after the last record.
    #[error("bytes are left after the last record")]
    TrailingBytes,
    /// The records end before the count in the header is reached.
    #[error("the batch holds fewer records than it says")]
    Missing,
}

/// The parts of a record that do not depend on the batch's bytes being in memory at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRecord<'a> {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    headers: HeadersView<'a>,
}

/// Takes one record off the front of `source`.
///
/// This and what it calls is where readers spend their time: inlined, a record takes 8 ns, otherwise twice that.
#[inline(always)]
pub(crate) fn take_record<'a>(source: &mut &'a [u8]) -> Result<RawRecord<'a>, RecordDefect> {
    let length = read_varint(source)?;
    let length = usize::try_from(length).map_err(|_| RecordDefect::Length)?;
    let (mut body, rest) = source.split_at_checked(length).ok_or(RecordDefect::Length)?;
    // No version has given the record's own attributes a meaning.
    body = body.get(1..).ok_or(RecordDefect::Length)?;
    let timestamp_delta = read_varlong(&mut body)?;
    let offset_delta = read_varint(&mut body)?;
    let key = take_field(&mut body)?;
    let value = take_field(&mut body)?;
    let headers = HeadersView { count: check_headers(body)?, bytes: body };
    *source = rest;
    Ok(RawRecord { timestamp_delta, offset_delta, key, value, headers })
}

/// Takes a length and its bytes off the front; a length of -1 is an absent field.
#[inline(always)]
fn take_field<'a>(source: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordDefect> {
    let length = read_varint(source)?;
    if length < 0 {
        return if length == -1 { Ok(None) } else { Err(RecordDefect::Length) };
    }
    let (field, rest) = source.split_at_checked(length as usize).ok_or(RecordDefect::Length)?;
    *source = rest;
    Ok(Some(field))
}

/// A place between two records of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPosition {
    index: u32,
    left: usize,
}

/// Iterates over the records of one batch.
///
/// Ends after the first error. Also checks that the records are as many as the header says and fill the
/// bytes exactly; offsets are not required to be consecutive, since compaction leaves gaps.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    rest: &'a [u8],
    index: u32,
    count: u32,
    defect: Option<RecordDefect>,
    told: bool,
    base_offset: i64,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl<'a> RecordIter<'a> {
    /// Iterates over the decompressed records `bytes` of a batch with `header`.
    ///
    /// # Errors
    /// [`BatchError::RecordCount`] when the count is negative or cannot fit into the bytes.
    pub fn new(header: &BatchHeader, bytes: &'a [u8]) -> Result<RecordIter<'a>, BatchError> {
        let impossible = BatchError::RecordCount { record_count: header.record_count };
        let count = u32::try_from(header.record_count).map_err(|_| impossible.clone())?;
        if count as usize > bytes.len() / RECORD_SIZE_MIN {
            return Err(impossible);
        }
        let append_time =
            (header.timestamp_type() == TimestampType::LogAppendTime).then_some(header.max_timestamp);
        Ok(RecordIter {
            rest: bytes,
            index: 0,
            count,
            defect: None,
            told: false,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time,
        })
    }

    /// Where the iterator stands, for [`RecordIter::resume`].
    #[inline]
    pub fn mark(&self) -> RecordPosition {
        RecordPosition { index: self.index, left: self.rest.len() }
    }

    /// Goes on where another iterator over the same batch stood.
    ///
    /// # Errors
    /// As [`RecordIter::new`]. A position of another batch gives damaged records, never a panic.
    pub fn resume(
        header: &BatchHeader,
        bytes: &'a [u8],
        position: RecordPosition,
    ) -> Result<RecordIter<'a>, BatchError> {
        let mut records = RecordIter::new(header, bytes)?;
        records.rest = &bytes[bytes.len() - position.left.min(bytes.len())..];
        records.index = position.index.min(records.count);
        Ok(records)
    }

    /// The next record; `None` at the end and when a record is damaged, which [`RecordIter::finish`] tells apart.
    ///
    /// As [`Iterator::next`], but faster in tight loops: a record that may also be an error goes through memory
    /// instead of registers, which takes longer than reading the record.
    #[inline(always)]
    pub fn next_record(&mut self) -> Option<RecordView<'a>> {
        if self.index == self.count || self.defect.is_some() {
            return None;
        }
        let raw = match take_record(&mut self.rest) {
            Ok(raw) => raw,
            Err(defect) => {
                self.fail(defect);
                return None;
            }
        };
        self.index += 1;
        Some(RecordView {
            offset: self.base_offset.wrapping_add(i64::from(raw.offset_delta)),
            timestamp: record_timestamp(self.append_time, self.base_timestamp, raw.timestamp_delta),
            key: raw.key,
            value: raw.value,
            headers: raw.headers,
        })
    }

    /// Whether [`RecordIter::next_record`] came to the end in good order.
    ///
    /// # Errors
    /// [`BatchError::Record`] for the record that could not be read, or bytes after the last one.
    pub fn finish(&self) -> Result<(), BatchError> {
        let error = |defect| Err(BatchError::Record { index: self.index, defect });
        match self.defect {
            Some(defect) => error(defect),
            None if self.index == self.count && !self.rest.is_empty() => error(RecordDefect::TrailingBytes),
            None => Ok(()),
        }
    }

    #[cold]
    fn fail(&mut self, defect: RecordDefect) {
        let at_end = self.rest.is_empty() && defect == RecordDefect::Varint(VarintError::Truncated);
        self.defect = Some(if at_end { RecordDefect::Missing } else { defect });
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Result<RecordView<'a>, BatchError>> {
        // What was told once is not told again.
        if self.told {
            return None;
        }
        if let Some(record) = self.next_record() {
            return Some(Ok(record));
        }
        self.told = true;
        self.finish().err().map(Err)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error can end it early or, for trailing bytes, come on top.
        (0, Some((self.count - self.index) as usize + 1))
    }
}

impl FusedIterator for RecordIter<'_> {}

/// The timestamp of a record whose batch begins with `base` and may carry one append time for all.
#[inline]
pub(crate) fn record_timestamp(append_time: Option<i64>, base: i64, delta: i64) -> i64 {
    match append_time {
        Some(time) => time,
        None => base.wrapping_add(delta),
    }
}
