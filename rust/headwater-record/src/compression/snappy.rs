//! Snappy as the Java library frames it ("xerial"), and raw Snappy when reading.
//!
//! ```text
//! 82 'SNAPPY' 00 · version i32 · compatible version i32 · { length i32 · raw block }*
//! ```

use super::{DecompressBuffer, DecompressError};
use crate::Compression;

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const HEADER_SIZE: usize = 16;
/// Uncompressed bytes of a block, the Java library's default.
const BLOCK_SIZE: usize = 32 * 1024;
/// No Snappy element of n bytes gives more than 64/3 times as many: a larger claim is a lie.
const RATIO_MAX: usize = 24;

const CODEC: Compression = Compression::Snappy;

/// Appends `source` to `target` in the framing of the Java library.
pub(super) fn compress(source: &[u8], target: &mut Vec<u8>) -> Result<(), snap::Error> {
    target.extend_from_slice(&MAGIC);
    target.extend_from_slice(&1i32.to_be_bytes());
    target.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in source.chunks(BLOCK_SIZE) {
        let length_at = target.len();
        let block_at = length_at + 4;
        target.resize(block_at + snap::raw::max_compress_len(block.len()), 0);
        let length = encoder.compress(block, &mut target[block_at..])?;
        // A block of 32 KiB never takes more than 2 GiB compressed.
        target[length_at..block_at].copy_from_slice(&(length as u32).to_be_bytes());
        target.truncate(block_at + length);
    }
    Ok(())
}

/// Decompresses framed or raw data into `target`.
pub(super) fn decompress(
    source: &[u8],
    limit: usize,
    target: &mut DecompressBuffer,
) -> Result<(), DecompressError> {
    let mut blocks = Blocks::new(source)?;
    let mut budget = limit;
    while let Some((block, length)) = blocks.next_block()? {
        budget = budget.checked_sub(length).ok_or(DecompressError::TooLarge { codec: CODEC, limit })?;
        decode(block, target.grow(length))?;
    }
    Ok(())
}

fn decode(block: &[u8], target: &mut [u8]) -> Result<(), DecompressError> {
    let written = snap::raw::Decoder::new()
        .decompress(block, target)
        .map_err(|error| DecompressError::invalid(CODEC, error))?;
    if written == target.len() {
        Ok(())
    } else {
        Err(DecompressError::invalid(CODEC, "a block is too short"))
    }
}

/// The raw blocks of framed data, or raw data as its one block.
struct Blocks<'a> {
    rest: &'a [u8],
    framed: bool,
}

impl<'a> Blocks<'a> {
    fn new(source: &'a [u8]) -> Result<Blocks<'a>, DecompressError> {
        if !source.starts_with(&MAGIC) {
            return Ok(Blocks { rest: source, framed: false });
        }
        let rest = source
            .get(HEADER_SIZE..)
            .ok_or_else(|| DecompressError::invalid(CODEC, "the header is cut off"))?;
        Ok(Blocks { rest, framed: true })
    }

    /// The next block and its decompressed length, checked against what its bytes can hold.
    fn next_block(&mut self) -> Result<Option<(&'a [u8], usize)>, DecompressError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let block = if self.framed { self.take_framed()? } else { std::mem::take(&mut self.rest) };
        let length =
            snap::raw::decompress_len(block).map_err(|error| DecompressError::invalid(CODEC, error))?;
        if length > block.len().saturating_mul(RATIO_MAX) {
            return Err(DecompressError::invalid(CODEC, "a block claims more than its bytes can hold"));
        }
        Ok(Some((block, length)))
    }

    fn take_framed(&mut self) -> Result<&'a [u8], DecompressError> {
        // The Java library writes the header again where two outputs were joined.
        if self.rest.starts_with(&MAGIC) {
            self.rest = self.rest.get(HEADER_SIZE..).unwrap_or_default();
        }
        let cut_off = || DecompressError::invalid(CODEC, "a block is cut off");
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| cut_off())?;
        let (block, rest) = rest.split_at_checked(length).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(block)
    }
}

/// Decompresses block by block, so that one block is in memory at a time.
pub(super) struct BlockReader<'a> {
    blocks: Blocks<'a>,
    decoded: Vec<u8>,
    position: usize,
    block_limit: usize,
}

impl<'a> BlockReader<'a> {
    /// Reads `source`; a block of more than `block_limit` decompressed bytes is refused.
    pub(super) fn new(source: &'a [u8], block_limit: usize) -> Result<BlockReader<'a>, DecompressError> {
        Ok(BlockReader { blocks: Blocks::new(source)?, decoded: Vec::new(), position: 0, block_limit })
    }
}

impl std::io::Read for BlockReader<'_> {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        while self.position == self.decoded.len() {
            let Some((block, length)) = self.blocks.next_block().map_err(std::io::Error::other)? else {
                return Ok(0);
            };
            if length > self.block_limit {
                let error = DecompressError::TooLarge { codec: CODEC, limit: self.block_limit };
                return Err(std::io::Error::other(error));
            }
            self.decoded.resize(length, 0);
            decode(block, &mut self.decoded).map_err(std::io::Error::other)?;
            self.position = 0;
        }
        let count = target.len().min(self.decoded.len() - self.position);
        target[..count].copy_from_slice(&self.decoded[self.position..self.position + count]);
        self.position += count;
        Ok(count)
    }
}
