//! [`Reader`]: takes values off a frame, and never trusts a length.
//!
//! Strings and byte sequences are slices of the frame. A count is compared with the bytes that remain, at the
//! smallest size its elements can have, before anything is reserved; and all lists of one message together may
//! take no more memory than [`MEMORY_PER_BYTE`] times the frame. Nesting is bounded by the schema, which has no
//! recursive structures.

use bytes::Bytes;
use headwater_record::Uuid;

use crate::message::Part;
use crate::{DecodeError, Str};

/// Bytes of memory that the lists of a message may take for each byte of its frame.
///
/// The densest list in real use, short strings, takes about a dozen.
pub const MEMORY_PER_BYTE: usize = 16;

/// Bytes of memory that the lists of a message may take however small its frame is.
pub const MEMORY_BASE: usize = 64 * 1024;

/// A list reserves at most this many bytes before its elements have been seen.
const RESERVE_BYTES_MAX: usize = 16 * 1024;

/// A position in a frame.
#[derive(Clone, Debug)]
pub struct Reader {
    frame: Bytes,
    position: usize,
    /// Where the frame, or the tagged field that is being read, ends: position <= end <= frame length.
    end: usize,
    /// Bytes of memory that lists may still take.
    memory: usize,
}

/// A tagged field that was begun.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) number: u32,
    outer_end: usize,
}

type Decoded<T> = Result<T, DecodeError>;

impl Reader {
    /// Reads `frame` from its beginning.
    pub fn new(frame: Bytes) -> Reader {
        let end = frame.len();
        let memory = end.saturating_mul(MEMORY_PER_BYTE).saturating_add(MEMORY_BASE);
        Reader { frame, position: 0, end, memory }
    }

    /// Lowers the memory that lists may take, in bytes; it is never raised.
    #[must_use]
    pub fn with_memory_limit(mut self, bytes: usize) -> Reader {
        self.memory = self.memory.min(bytes);
        self
    }

    /// Bytes that have not been read.
    pub fn remaining(&self) -> usize {
        self.end - self.position
    }

    /// Bytes that have been read.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The rest, without a copy.
    pub fn rest(&mut self) -> Bytes {
        let rest = self.frame.slice(self.position..self.end);
        self.position = self.end;
        rest
    }

    fn advance(&mut self, length: usize) -> Decoded<usize> {
        let remaining = self.remaining();
        if length > remaining {
            return Err(DecodeError::Truncated { needed: length, remaining });
        }
        let start = self.position;
        self.position += length;
        Ok(start)
    }

    fn fixed<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let start = self.advance(N)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.frame[start..start + N]);
        Ok(bytes)
    }

    fn slice(&mut self, length: usize) -> Decoded<Bytes> {
        let start = self.advance(length)?;
        Ok(self.frame.slice(start..start + length))
    }

    /// A boolean: any byte but zero is true.
    pub fn bool(&mut self) -> Decoded<bool> {
        Ok(self.int8()? != 0)
    }

    /// One byte.
    pub fn int8(&mut self) -> Decoded<i8> {
        Ok(i8::from_be_bytes(self.fixed()?))
    }

    /// Two bytes.
    pub fn int16(&mut self) -> Decoded<i16> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    /// Four bytes.
    pub fn int32(&mut self) -> Decoded<i32> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    /// Eight bytes.
    pub fn int64(&mut self) -> Decoded<i64> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    /// Two bytes without sign.
    pub fn uint16(&mut self) -> Decoded<u16> {
        Ok(u16::from_be_bytes(self.fixed()?))
    }

    /// Four bytes without sign.
    pub fn uint32(&mut self) -> Decoded<u32> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }

    /// An IEEE 754 number of eight bytes.
    pub fn float64(&mut self) -> Decoded<f64> {
        Ok(f64::from_be_bytes(self.fixed()?))
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self) -> Decoded<Uuid> {
        Ok(Uuid::from_bytes(self.fixed()?))
    }

    /// A number without sign in one to five bytes of seven bits each.
    pub fn unsigned_varint(&mut self) -> Decoded<u32> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.fixed()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(DecodeError::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint)
    }

    /// A zigzag number in one to five bytes.
    pub fn varint(&mut self) -> Decoded<i32> {
        let value = self.unsigned_varint()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A zigzag number in one to ten bytes.
    pub fn varlong(&mut self) -> Decoded<i64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.fixed()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(DecodeError::Varint)
    }

    /// A compact length: null is 0, and `n` is written as `n + 1`.
    fn compact_length(&mut self) -> Decoded<Option<usize>> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }

    /// A classic length: null is -1.
    fn length(value: i32) -> Decoded<Option<usize>> {
        match value {
            -1 => Ok(None),
            0.. => Ok(Some(value as usize)),
            _ => Err(DecodeError::Length(value)),
        }
    }

    /// A string that may be null.
    pub fn nullable_string(&mut self, flexible: bool) -> Decoded<Option<Str>> {
        let length =
            if flexible { self.compact_length()? } else { Reader::length(i32::from(self.int16()?))? };
        match length {
            // Compact lengths could say more, but Kafka keeps to what the classic one can.
            Some(length) if length > i16::MAX as usize => Err(DecodeError::Length(length as i32)),
            Some(length) => Str::try_from(self.slice(length)?).map(Some),
            None => Ok(None),
        }
    }

    /// A string.
    pub fn string(&mut self, flexible: bool) -> Decoded<Str> {
        self.nullable_string(flexible)?.ok_or(DecodeError::Null)
    }

    /// A byte sequence that may be null; records are one, too.
    pub fn nullable_bytes(&mut self, flexible: bool) -> Decoded<Option<Bytes>> {
        let length = if flexible { self.compact_length()? } else { Reader::length(self.int32()?)? };
        length.map(|length| self.slice(length)).transpose()
    }

    /// A byte sequence.
    pub fn bytes(&mut self, flexible: bool) -> Decoded<Bytes> {
        self.nullable_bytes(flexible)?.ok_or(DecodeError::Null)
    }

    /// The number of elements of a list, which take at least `element_size` bytes of the frame and
    /// `memory_size` bytes of memory each.
    fn count(&mut self, flexible: bool, element_size: usize, memory_size: usize) -> Decoded<Option<usize>> {
        let count = if flexible { self.compact_length()? } else { Reader::length(self.int32()?)? };
        let Some(count) = count else { return Ok(None) };
        let remaining = self.remaining();
        if count > remaining / element_size.max(1) {
            return Err(DecodeError::Count { count, remaining });
        }
        let memory = count.saturating_mul(memory_size);
        self.memory = self.memory.checked_sub(memory).ok_or(DecodeError::Memory)?;
        Ok(Some(count))
    }

    fn nullable_list<T>(
        &mut self,
        flexible: bool,
        element_size: usize,
        mut element: impl FnMut(&mut Reader) -> Decoded<T>,
    ) -> Decoded<Option<Vec<T>>> {
        let Some(count) = self.count(flexible, element_size, size_of::<T>())? else { return Ok(None) };
        let mut list = Vec::with_capacity(count.min(RESERVE_BYTES_MAX / size_of::<T>().max(1)));
        while list.len() < count {
            if list.len() == list.capacity() {
                // Doubling as usual, but never beyond the count.
                list.reserve_exact(list.len().clamp(1, count - list.len()));
            }
            list.push(element(self)?);
        }
        Ok(Some(list))
    }

    /// A list of structures that may be null.
    pub(crate) fn nullable_structs<T: Part>(
        &mut self,
        flexible: bool,
        version: i16,
    ) -> Decoded<Option<Vec<T>>> {
        self.nullable_list(flexible, T::MIN_SIZE, |reader| T::decode(reader, version))
    }

    /// A list of structures.
    pub(crate) fn structs<T: Part>(&mut self, flexible: bool, version: i16) -> Decoded<Vec<T>> {
        self.nullable_structs(flexible, version)?.ok_or(DecodeError::Null)
    }

    /// A structure that may be null, behind a byte that is negative for null.
    pub(crate) fn nullable_struct<T: Part>(&mut self, version: i16) -> Decoded<Option<T>> {
        if self.int8()? < 0 { Ok(None) } else { T::decode(self, version).map(Some) }
    }

    /// A structure in a tagged field that may be null: unlike elsewhere, behind 0 for null.
    pub(crate) fn tagged_nullable_struct<T: Part>(&mut self, version: i16) -> Decoded<Option<T>> {
        if self.unsigned_varint()? == 0 { Ok(None) } else { T::decode(self, version).map(Some) }
    }

    /// The number of tagged fields.
    pub(crate) fn tags(&mut self) -> Decoded<u32> {
        let count = self.unsigned_varint()?;
        let remaining = self.remaining();
        // Each takes a number and a size at least.
        if count as usize > remaining / 2 {
            return Err(DecodeError::Count { count: count as usize, remaining });
        }
        Ok(count)
    }

    /// Begins a tagged field; what is read up to [`end_tag`](Self::end_tag) cannot leave it.
    pub(crate) fn begin_tag(&mut self) -> Decoded<Tag> {
        let number = self.unsigned_varint()?;
        let size = self.unsigned_varint()? as usize;
        let remaining = self.remaining();
        if size > remaining {
            return Err(DecodeError::Truncated { needed: size, remaining });
        }
        let tag = Tag { number, outer_end: self.end };
        self.end = self.position + size;
        Ok(tag)
    }

    /// Passes over the content of the tagged field that was begun.
    pub(crate) fn skip_tag(&mut self) {
        self.position = self.end;
    }

    /// Ends the tagged field, whose content must have been read or skipped.
    pub(crate) fn end_tag(&mut self, tag: &Tag) -> Decoded<()> {
        match self.remaining() {
            0 => {
                self.end = tag.outer_end;
                Ok(())
            }
            rest => Err(DecodeError::TagSize(rest)),
        }
    }

    /// Passes over all tagged fields of a structure that knows none.
    pub(crate) fn skip_tags(&mut self) -> Decoded<()> {
        for _ in 0..self.tags()? {
            let tag = self.begin_tag()?;
            self.skip_tag();
            self.end_tag(&tag)?;
        }
        Ok(())
    }
}

macro_rules! lists {
    ($($list:ident $nullable:ident $kind:ty;)*) => {
        impl Reader {
            $(
                pub(crate) fn $nullable(&mut self, flexible: bool) -> Decoded<Option<Vec<$kind>>> {
                    const SIZE: usize = size_of::<$kind>();
                    let Some(count) = self.count(flexible, SIZE, SIZE)? else { return Ok(None) };
                    let start = self.advance(count * SIZE)?;
                    let (values, _) = self.frame[start..self.position].as_chunks::<SIZE>();
                    Ok(Some(values.iter().map(|bytes| <$kind>::from_be_bytes(*bytes)).collect()))
                }

                pub(crate) fn $list(&mut self, flexible: bool) -> Decoded<Vec<$kind>> {
                    self.$nullable(flexible)?.ok_or(DecodeError::Null)
                }
            )*
        }
    };
}

lists! {
    int8s nullable_int8s i8;
    int16s nullable_int16s i16;
    int32s nullable_int32s i32;
    int64s nullable_int64s i64;
}

impl Reader {
    pub(crate) fn nullable_strings(&mut self, flexible: bool) -> Decoded<Option<Vec<Str>>> {
        let size = if flexible { 1 } else { 2 };
        self.nullable_list(flexible, size, |reader| reader.string(flexible))
    }

    pub(crate) fn strings(&mut self, flexible: bool) -> Decoded<Vec<Str>> {
        self.nullable_strings(flexible)?.ok_or(DecodeError::Null)
    }
}
