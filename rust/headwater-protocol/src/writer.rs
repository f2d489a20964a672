//! [`Writer`]: puts values into a frame made of chunks.
//!
//! Small values go into one growing buffer. A large byte sequence becomes a chunk of its own without a copy.
//! Records can also stay *detached*: the frame then carries only their length, and the caller sends the bytes
//! from elsewhere, a segment file for instance.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use headwater_record::Uuid;

use crate::EncodeError;
use crate::message::Part;

/// Byte sequences from this size on are not copied into the buffer.
pub const CHUNK_BYTES_MIN: usize = 4096;

/// A part of a frame, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes.
    Bytes(Bytes),
    /// So many bytes that the caller adds from elsewhere.
    Detached(usize),
}

/// Collects the pieces of a frame.
#[derive(Debug, Default)]
pub struct Writer {
    pieces: Vec<Piece>,
    buffer: BytesMut,
    /// Length of what is in `pieces`.
    written: usize,
    /// Lengths that stand in for the next records, see [`Writer::detach_records`].
    detached: VecDeque<Option<usize>>,
}

impl Writer {
    /// An empty frame.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// An empty frame with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Writer {
        Writer { buffer: BytesMut::with_capacity(bytes), ..Writer::default() }
    }

    /// Length of the frame so far in bytes, detached records included.
    pub fn len(&self) -> usize {
        self.written + self.buffer.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From here on, every field of type `records` is written as the next of `lengths` (`None` for null)
    /// instead of its own bytes, and becomes a [`Piece::Detached`].
    ///
    /// So a fetch response is encoded as usual, with its records left null, while their bytes go from file to
    /// socket. When the lengths are used up, records are taken from the message again.
    pub fn detach_records(&mut self, lengths: impl IntoIterator<Item = Option<usize>>) {
        self.detached.extend(lengths);
    }

    /// The pieces of the frame, none of them empty.
    pub fn into_pieces(mut self) -> Vec<Piece> {
        self.cut();
        self.pieces
    }

    /// The frame as chunks, none of them empty.
    ///
    /// # Panics
    /// When records were detached: their bytes are not here. Use [`into_pieces`](Self::into_pieces).
    pub fn into_chunks(self) -> Vec<Bytes> {
        let pieces = self.into_pieces().into_iter();
        pieces
            .map(|piece| match piece {
                Piece::Bytes(bytes) => bytes,
                Piece::Detached(_) => panic!("the bytes of detached records are elsewhere"),
            })
            .collect()
    }

    /// The frame in one piece, which copies unless there is only one chunk.
    ///
    /// # Panics
    /// As [`into_chunks`](Self::into_chunks).
    pub fn into_bytes(self) -> Bytes {
        let length = self.len();
        let mut chunks = self.into_chunks();
        match chunks.len() {
            0 => Bytes::new(),
            1 => chunks.remove(0),
            _ => {
                let mut whole = BytesMut::with_capacity(length);
                chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
                whole.freeze()
            }
        }
    }

    fn cut(&mut self) {
        if !self.buffer.is_empty() {
            let bytes = self.buffer.split().freeze();
            self.written += bytes.len();
            self.pieces.push(Piece::Bytes(bytes));
        }
    }

    /// Bytes without a length; large ones are not copied.
    pub fn put_raw(&mut self, bytes: &Bytes) {
        if bytes.len() < CHUNK_BYTES_MIN {
            self.buffer.put_slice(bytes);
        } else {
            self.cut();
            self.written += bytes.len();
            self.pieces.push(Piece::Bytes(bytes.clone()));
        }
    }

    /// A copy of `bytes`, without a length.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// A boolean in one byte.
    pub fn put_bool(&mut self, value: bool) {
        self.buffer.put_u8(u8::from(value));
    }

    /// One byte.
    pub fn put_int8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    /// Two bytes.
    pub fn put_int16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    /// Four bytes.
    pub fn put_int32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    /// Eight bytes.
    pub fn put_int64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    /// Two bytes without sign.
    pub fn put_uint16(&mut self, value: u16) {
        self.buffer.put_u16(value);
    }

    /// Four bytes without sign.
    pub fn put_uint32(&mut self, value: u32) {
        self.buffer.put_u32(value);
    }

    /// An IEEE 754 number of eight bytes.
    pub fn put_float64(&mut self, value: f64) {
        self.buffer.put_f64(value);
    }

    /// Sixteen bytes.
    pub fn put_uuid(&mut self, value: Uuid) {
        self.buffer.put_slice(value.as_bytes());
    }

    /// A number without sign in one to five bytes.
    pub fn put_unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// A zigzag number in one to five bytes.
    pub fn put_varint(&mut self, value: i32) {
        self.put_unsigned_varint((value << 1 ^ value >> 31) as u32);
    }

    /// A zigzag number in one to ten bytes.
    pub fn put_varlong(&mut self, value: i64) {
        let mut value = (value << 1 ^ value >> 63) as u64;
        while value >= 0x80 {
            self.buffer.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.put_u8(value as u8);
    }

    /// A length or count: four bytes, or compact; `None` is null.
    fn put_length(&mut self, flexible: bool, length: Option<usize>) -> Result<(), EncodeError> {
        let Some(length) = length else {
            if flexible {
                self.put_unsigned_varint(0);
            } else {
                self.put_int32(-1);
            }
            return Ok(());
        };
        // Compact lengths hold twice as much, but no reader takes a length beyond a signed 32-bit number.
        let checked = i32::try_from(length).ok().filter(|length| *length < i32::MAX);
        let checked = checked.ok_or(EncodeError::TooLong(length))?;
        if flexible {
            self.put_unsigned_varint(checked as u32 + 1);
        } else {
            self.put_int32(checked);
        }
        Ok(())
    }

    /// A string that may be null.
    pub fn put_nullable_string(&mut self, flexible: bool, text: Option<&str>) -> Result<(), EncodeError> {
        if let Some(text) = text {
            return self.put_string(flexible, text);
        }
        if flexible {
            self.put_unsigned_varint(0);
        } else {
            self.put_int16(-1);
        }
        Ok(())
    }

    /// A string.
    pub fn put_string(&mut self, flexible: bool, text: &str) -> Result<(), EncodeError> {
        let length = i16::try_from(text.len()).map_err(|_| EncodeError::TooLong(text.len()))?;
        if flexible {
            self.put_unsigned_varint(length as u32 + 1);
        } else {
            self.put_int16(length);
        }
        self.buffer.put_slice(text.as_bytes());
        Ok(())
    }

    /// A byte sequence that may be null; a large one is not copied.
    pub fn put_nullable_bytes(&mut self, flexible: bool, bytes: Option<&Bytes>) -> Result<(), EncodeError> {
        self.put_length(flexible, bytes.map(Bytes::len))?;
        if let Some(bytes) = bytes {
            self.put_raw(bytes);
        }
        Ok(())
    }

    /// A byte sequence; a large one is not copied.
    pub fn put_bytes(&mut self, flexible: bool, bytes: &Bytes) -> Result<(), EncodeError> {
        self.put_nullable_bytes(flexible, Some(bytes))
    }

    /// Records that may be null: as bytes, unless they are [detached](Self::detach_records).
    pub fn put_nullable_records(
        &mut self,
        flexible: bool,
        records: Option<&Bytes>,
    ) -> Result<(), EncodeError> {
        let Some(detached) = self.detached.pop_front() else {
            return self.put_nullable_bytes(flexible, records);
        };
        self.put_length(flexible, detached)?;
        if let Some(length) = detached.filter(|length| *length > 0) {
            self.cut();
            self.written += length;
            self.pieces.push(Piece::Detached(length));
        }
        Ok(())
    }

    /// Records that cannot be null: as bytes, unless they are [detached](Self::detach_records).
    pub fn put_records(&mut self, flexible: bool, records: &Bytes) -> Result<(), EncodeError> {
        self.put_nullable_records(flexible, Some(records))
    }

    pub(crate) fn put_nullable_structs<T: Part>(
        &mut self,
        flexible: bool,
        version: i16,
        list: Option<&[T]>,
    ) -> Result<(), EncodeError> {
        self.put_length(flexible, list.map(<[T]>::len))?;
        list.unwrap_or_default().iter().try_for_each(|element| element.encode(self, version))
    }

    pub(crate) fn put_structs<T: Part>(
        &mut self,
        flexible: bool,
        version: i16,
        list: &[T],
    ) -> Result<(), EncodeError> {
        self.put_nullable_structs(flexible, version, Some(list))
    }

    pub(crate) fn put_nullable_struct<T: Part>(
        &mut self,
        version: i16,
        value: Option<&T>,
    ) -> Result<(), EncodeError> {
        self.put_int8(if value.is_some() { 1 } else { -1 });
        value.map_or(Ok(()), |value| value.encode(self, version))
    }

    pub(crate) fn put_tagged_nullable_struct<T: Part>(
        &mut self,
        version: i16,
        value: Option<&T>,
    ) -> Result<(), EncodeError> {
        self.put_unsigned_varint(u32::from(value.is_some()));
        value.map_or(Ok(()), |value| value.encode(self, version))
    }

    /// A tagged field, whose content was written on its own because its size comes first.
    pub(crate) fn put_tag(&mut self, number: u32, content: Writer) -> Result<(), EncodeError> {
        self.put_unsigned_varint(number);
        let size = content.len();
        self.put_unsigned_varint(u32::try_from(size).map_err(|_| EncodeError::TooLong(size))?);
        content.into_chunks().iter().for_each(|chunk| self.put_raw(chunk));
        Ok(())
    }
}

macro_rules! lists {
    ($($list:ident $nullable:ident $kind:ty, $put:ident;)*) => {
        impl Writer {
            $(
                pub(crate) fn $nullable(&mut self, flexible: bool, list: Option<&[$kind]>) -> Result<(), EncodeError> {
                    self.put_length(flexible, list.map(<[_]>::len))?;
                    list.unwrap_or_default().iter().for_each(|value| self.$put(*value));
                    Ok(())
                }

                pub(crate) fn $list(&mut self, flexible: bool, list: &[$kind]) -> Result<(), EncodeError> {
                    self.$nullable(flexible, Some(list))
                }
            )*
        }
    };
}

lists! {
    put_int8s put_nullable_int8s i8, put_int8;
    put_int16s put_nullable_int16s i16, put_int16;
    put_int32s put_nullable_int32s i32, put_int32;
    put_int64s put_nullable_int64s i64, put_int64;
}

impl Writer {
    pub(crate) fn put_nullable_strings(
        &mut self,
        flexible: bool,
        list: Option<&[crate::Str]>,
    ) -> Result<(), EncodeError> {
        self.put_length(flexible, list.map(<[_]>::len))?;
        list.unwrap_or_default().iter().try_for_each(|text| self.put_string(flexible, text))
    }

    pub(crate) fn put_strings(&mut self, flexible: bool, list: &[crate::Str]) -> Result<(), EncodeError> {
        self.put_nullable_strings(flexible, Some(list))
    }
}
