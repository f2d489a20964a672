//! The bricks of the metadata formats: big-endian integers, length-prefixed strings, counted lists.
//!
//! A [`Decoder`] never trusts a length: every one is held against the bytes that remain before anything is allocated.
//! Signed against unsigned follows meaning, not Kafka's wire (which is signed throughout).

use headwater_record::Uuid;

use super::RecordError;

/// Most elements of a list for which memory is taken before they are read.
const LIST_CAPACITY_MAX: usize = 1024;

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    buffer: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> Encoder {
        Encoder::default()
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.buffer.push(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.buffer.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.buffer.extend_from_slice(value.as_bytes());
    }

    /// Bytes as they are, without a length.
    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.buffer.extend_from_slice(value);
    }

    pub(crate) fn string(&mut self, value: &str) {
        self.u32(value.len() as u32);
        self.raw(value.as_bytes());
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, encode: impl FnOnce(&mut Encoder, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            encode(self, value);
        }
    }

    pub(crate) fn list<T>(&mut self, values: &[T], mut encode: impl FnMut(&mut Encoder, &T)) {
        self.u32(values.len() as u32);
        for value in values {
            encode(self, value);
        }
    }

    /// Writes a `u32` of zero and remembers where; [`Encoder::close_length`] fills in the bytes since then.
    pub(crate) fn open_length(&mut self) -> usize {
        self.u32(0);
        self.buffer.len()
    }

    pub(crate) fn close_length(&mut self, opened: usize) {
        let length = (self.buffer.len() - opened) as u32;
        self.buffer[opened - 4..opened].copy_from_slice(&length.to_be_bytes());
    }
}

/// Takes values off a slice.
#[derive(Debug, Clone)]
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { rest: bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Fails unless everything has been taken.
    pub(crate) fn finish(&self) -> Result<(), RecordError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(RecordError::Malformed(format!("{extra} bytes follow the last field"))),
        }
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], RecordError> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(RecordError::Malformed(format!(
                "{length} bytes expected where {} remain",
                self.rest.len()
            ))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let mut value = [0; N];
        value.copy_from_slice(self.raw(N)?);
        Ok(value)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn bool(&mut self) -> Result<bool, RecordError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(RecordError::Malformed(format!("{other} is neither yes nor no"))),
        }
    }

    pub(crate) fn u16(&mut self) -> Result<u16, RecordError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RecordError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, RecordError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, RecordError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, RecordError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, RecordError> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    pub(crate) fn string(&mut self) -> Result<String, RecordError> {
        let length = self.u32()? as usize;
        let bytes = self.raw(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(RecordError::Malformed(format!("text is not UTF-8: {error}"))),
        }
    }

    pub(crate) fn option<T>(
        &mut self,
        decode: impl FnOnce(&mut Decoder<'a>) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        if self.bool()? { decode(self).map(Some) } else { Ok(None) }
    }

    /// A counted list whose elements take at least `element_size_min` bytes each.
    pub(crate) fn list<T>(
        &mut self,
        element_size_min: usize,
        mut decode: impl FnMut(&mut Decoder<'a>) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let count = self.u32()? as usize;
        if count.saturating_mul(element_size_min.max(1)) > self.rest.len() {
            return Err(RecordError::Malformed(format!(
                "a list of {count} elements cannot fit in {} bytes",
                self.rest.len()
            )));
        }
        // In memory an element may be many times larger than on disk: a long list grows as it proves to be there.
        let mut values = Vec::with_capacity(count.min(LIST_CAPACITY_MAX));
        for _ in 0..count {
            values.push(decode(self)?);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_count_allocates_nothing() {
        let mut encoder = Encoder::new();
        encoder.u32(u32::MAX);
        let bytes = encoder.into_bytes();
        assert!(Decoder::new(&bytes).list(4, Decoder::i32).is_err());
        assert!(Decoder::new(&bytes).string().is_err());
    }

    #[test]
    fn lengths_are_filled_in_afterwards() {
        let mut encoder = Encoder::new();
        let opened = encoder.open_length();
        encoder.string("abc");
        encoder.close_length(opened);
        let bytes = encoder.into_bytes();
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(decoder.u32(), Ok(7));
        assert_eq!(decoder.string().as_deref(), Ok("abc"));
        assert_eq!(decoder.finish(), Ok(()));
    }
}
