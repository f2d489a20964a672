//! Walking the batches of a segment's file by their headers, and checking their CRCs.
//!
//! A walk reads through a window of 4 KiB, the distance of two index entries: small batches share a read, large
//! ones cost one each. Nothing is allocated for a walk; a CRC check streams through a bounded buffer.

use std::io;

use headwater_env::DiskFile;
use headwater_record::{BATCH_OVERHEAD, BatchHeader};

/// Bytes read at once while walking headers.
const WINDOW_SIZE: usize = 4096;
/// Bytes read at once while checking CRCs.
const CHUNK_SIZE: usize = 128 << 10;
/// Where the checksummed bytes of a batch begin: at its attributes.
const CRC_COVERS_FROM: u64 = 21;

const _: () = assert!(WINDOW_SIZE >= BATCH_OVERHEAD && CHUNK_SIZE >= BATCH_OVERHEAD);

/// A batch met on a walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Where it begins.
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

impl Found {
    /// Where the next one begins.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.header.size() as u64
    }
}

/// Why a walk cannot go on.
#[derive(Debug)]
pub(crate) enum WalkError {
    /// The disk cannot be read.
    Read(io::Error),
    /// These bytes are no batch.
    Bad { position: u64, reason: String },
}

/// Walks from one batch boundary to `end`.
pub(crate) struct Walk<'f, F> {
    file: &'f F,
    position: u64,
    end: u64,
    window: [u8; WINDOW_SIZE],
    window_start: u64,
    window_length: usize,
}

impl<'f, F: DiskFile> Walk<'f, F> {
    /// A walk over `position..end`, where `position` is the first byte of a batch.
    pub(crate) fn new(file: &'f F, position: u64, end: u64) -> Walk<'f, F> {
        Walk { file, position, end, window: [0; WINDOW_SIZE], window_start: position, window_length: 0 }
    }

    /// The next batch; `None` exactly at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, WalkError> {
        let position = self.position;
        if position >= self.end {
            return Ok(None);
        }
        let bad = |reason: String| WalkError::Bad { position, reason };
        let remaining = self.end - position;
        let wanted = remaining.min(BATCH_OVERHEAD as u64) as usize;
        self.fill(wanted).map_err(WalkError::Read)?;
        let at = (position - self.window_start) as usize;
        let bytes = self.window.get(at..self.window_length).unwrap_or_default();
        let header = BatchHeader::parse(bytes).map_err(|error| bad(error.to_string()))?;
        if header.size() as u64 > remaining {
            return Err(bad(format!("the batch takes {} bytes, {remaining} are left", header.size())));
        }
        if header.base_offset < 0
            || header.last_offset_delta < 0
            || header.next_offset() <= header.base_offset
        {
            return Err(bad(format!(
                "impossible offsets: base {}, last delta {}",
                header.base_offset, header.last_offset_delta
            )));
        }
        self.position += header.size() as u64;
        Ok(Some(Found { position, header }))
    }

    /// Makes the window hold at least `wanted` bytes from the current position on, if the file has them.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let window_end = self.window_start + self.window_length as u64;
        if self.position >= self.window_start && self.position + wanted as u64 <= window_end {
            return Ok(());
        }
        self.window_start = self.position;
        self.window_length = 0;
        let size = (self.end - self.position).min(WINDOW_SIZE as u64) as usize;
        while self.window_length < size {
            let from = self.position + self.window_length as u64;
            match self.file.read_at(&mut self.window[self.window_length..size], from)? {
                0 => break,
                count => self.window_length += count,
            }
        }
        Ok(())
    }
}

/// Compares the CRC of a batch with its bytes; the buffer is kept between calls.
pub(crate) fn verify_crc<F: DiskFile>(
    file: &F,
    found: &Found,
    buffer: &mut Vec<u8>,
) -> Result<(), WalkError> {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    let mut position = found.position + CRC_COVERS_FROM;
    buffer.resize(CHUNK_SIZE, 0);
    while position < found.end() {
        let size = (found.end() - position).min(CHUNK_SIZE as u64) as usize;
        let chunk = &mut buffer[..size];
        file.read_exact_at(chunk, position).map_err(WalkError::Read)?;
        digest.update(chunk);
        position += size as u64;
    }
    let computed = digest.finalize() as u32;
    if computed != found.header.crc {
        let reason = format!(
            "the CRC of the batch at offset {} is {computed:#010x}, its header says {:#010x}",
            found.header.base_offset, found.header.crc
        );
        return Err(WalkError::Bad { position: found.position, reason });
    }
    Ok(())
}

/// Reads one whole batch into `buffer`, replacing what was there.
pub(crate) fn read_batch<F: DiskFile>(file: &F, found: &Found, buffer: &mut Vec<u8>) -> io::Result<()> {
    // The walk compared the size with the file's, so a forged length cannot allocate more than the file has.
    buffer.clear();
    buffer.resize(found.header.size(), 0);
    file.read_exact_at(buffer, found.position)
}
