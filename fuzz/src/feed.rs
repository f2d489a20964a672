//! Taking an input apart, and putting one together.

/// Takes values off an input. An input that is used up gives zeros and empty chunks: no input is refused.
pub struct Feed<'a> {
    rest: &'a [u8],
}

impl<'a> Feed<'a> {
    /// Of a whole input.
    pub fn new(input: &'a [u8]) -> Feed<'a> {
        Feed { rest: input }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.take(N);
        let mut value = [0; N];
        value[..taken.len()].copy_from_slice(taken);
        value
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// Two bytes.
    pub fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.array())
    }

    /// Eight bytes.
    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.array())
    }

    /// A length of two bytes, and as many bytes as it says, as far as they are there.
    pub fn chunk(&mut self) -> &'a [u8] {
        let length = self.u16();
        self.take(usize::from(length))
    }
}

/// Puts together what a [`Feed`] takes apart.
#[derive(Default)]
pub struct Pack(Vec<u8>);

impl Pack {
    /// An empty one.
    pub fn new() -> Pack {
        Pack::default()
    }

    /// One byte.
    pub fn u8(mut self, value: u8) -> Pack {
        self.0.push(value);
        self
    }

    /// Two bytes.
    pub fn u16(mut self, value: u16) -> Pack {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Two bytes.
    pub fn i16(mut self, value: i16) -> Pack {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Eight bytes.
    pub fn i64(mut self, value: i64) -> Pack {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// Bytes behind their length.
    ///
    /// # Panics
    /// On more than 65,535 bytes: seeds are small.
    pub fn chunk(mut self, bytes: &[u8]) -> Pack {
        self = self.u16(u16::try_from(bytes.len()).expect("a small chunk"));
        self.raw(bytes)
    }

    /// Bytes without a length, for the end.
    pub fn raw(mut self, bytes: &[u8]) -> Pack {
        self.0.extend(bytes);
        self
    }

    /// The input.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}
