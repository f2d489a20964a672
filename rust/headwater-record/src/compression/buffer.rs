//! A buffer that one batch after the other is decompressed into.

use std::io::Read;

use super::{DecompressError, snappy, with_stream};
use crate::Compression;

/// First size of the buffer, as a multiple of the compressed bytes.
const GROWTH_FIRST: usize = 4;
const SIZE_MIN: usize = 4 * 1024;

/// Memory for decompressed records, reused from batch to batch.
#[derive(Debug, Default)]
pub struct DecompressBuffer {
    // Longer than what is filled: bytes stay initialised, so that reuse does not zero them again.
    bytes: Vec<u8>,
    filled: usize,
}

impl DecompressBuffer {
    /// An empty buffer.
    pub fn new() -> DecompressBuffer {
        DecompressBuffer::default()
    }

    /// Decompresses `source` and returns the result, which stays until the next call.
    ///
    /// # Errors
    /// [`DecompressError`]: more than `limit` bytes, or not data of this codec.
    pub fn decompress(
        &mut self,
        codec: Compression,
        source: &[u8],
        limit: usize,
    ) -> Result<&[u8], DecompressError> {
        self.filled = 0;
        let done = match codec {
            Compression::None if source.len() > limit => Err(DecompressError::TooLarge { codec, limit }),
            Compression::None => {
                self.grow(source.len()).copy_from_slice(source);
                Ok(())
            }
            // Its blocks are decoded where they belong, without the detour over a stream.
            Compression::Snappy => snappy::decompress(source, limit, self),
            _ => {
                with_stream(codec, source, limit, |reader| self.read_all(codec, reader, source.len(), limit))
            }
        };
        if let Err(error) = done {
            self.filled = 0;
            return Err(error);
        }
        Ok(self.bytes())
    }

    /// The decompressed bytes of the last call that succeeded; empty after one that failed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// The decompressed bytes of the last call, without the spare room.
    pub fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.filled);
        self.bytes
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Room for `length` more bytes, counted as filled.
    pub(super) fn grow(&mut self, length: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled += length;
        if self.bytes.len() < self.filled {
            self.bytes.resize(self.filled, 0);
        }
        &mut self.bytes[start..self.filled]
    }

    fn read_all(
        &mut self,
        codec: Compression,
        reader: &mut dyn Read,
        compressed: usize,
        limit: usize,
    ) -> Result<(), DecompressError> {
        // One byte more than the limit shows that the data goes on.
        let most = limit.saturating_add(1);
        let first = compressed.saturating_mul(GROWTH_FIRST).max(SIZE_MIN).min(most);
        if self.bytes.len() < first {
            self.bytes.resize(first, 0);
        }
        loop {
            if self.filled == self.bytes.len() {
                let doubled = self.bytes.len().saturating_mul(2).min(most);
                self.bytes.resize(doubled, 0);
            }
            let end = self.bytes.len().min(most);
            let count = reader
                .read(&mut self.bytes[self.filled..end])
                .map_err(|error| DecompressError::from_io(codec, error))?;
            if count == 0 {
                return Ok(());
            }
            self.filled += count;
            if self.filled > limit {
                return Err(DecompressError::TooLarge { codec, limit });
            }
        }
    }
}
