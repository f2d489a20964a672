//! Reading: from an offset to a range of bytes.
//!
//! No lock of the append path is taken: a read copies the published offsets and the list of segments, looks the
//! offset up in the index and hands out a file, a position and a length. One read never crosses a segment.

use std::sync::{Arc, PoisonError};

use headwater_env::Env;

use super::{Inner, Log, Published};
use crate::descriptors::FileKind;
use crate::error::{ReadError, StorageError};
use crate::scan::Found;
use crate::segment::Segment;
use crate::types::{AbortedTransaction, Isolation, Slice};

/// Aborted transactions handed out with one read; a reader that meets more sees them with the next.
///
/// Sixteen MiB of them; a fetch of a few MiB cannot touch as many, since each has a marker batch of 78 bytes.
const ABORTED_MAX: usize = 1 << 20;

/// Where a visibility bound lies, remembered because consumers at the tail ask for the same one again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct BoundPosition {
    offset: i64,
    segment_base: i64,
    generation: u64,
    position: u64,
}

impl<E: Env> Log<E> {
    /// The bytes from the batch that holds `offset` on, at most `max_bytes`, up to what `isolation` lets see.
    ///
    /// An offset inside a batch gives the whole batch. With `at_least_one` the first batch comes whole even when it
    /// is larger than `max_bytes`; without, such a batch gives an empty slice, since half of one would be of no use to
    /// anybody (KIP-74). Nothing to read yet gives an empty slice. Runs inline: it reads a few KiB of the
    /// log or index; the first read of bytes of an earlier process also checks their CRC.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`] with the bounds; [`StorageError::Damaged`] where bytes are not what was
    /// written.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        at_least_one: bool,
        isolation: Isolation,
    ) -> Result<Slice<E>, ReadError> {
        self.0.check_open()?;
        self.0.read(offset, max_bytes, at_least_one, isolation)
    }
}

impl<E: Env> Inner<E> {
    fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        at_least_one: bool,
        isolation: Isolation,
    ) -> Result<Slice<E>, ReadError> {
        // The list first: what was published afterwards may know a newer segment, never an older one.
        let segments = self.segments.load();
        let published = self.published();
        let progress = published.progress();
        if offset < progress.log_start || offset > progress.log_end {
            let (log_start, log_end) = (progress.log_start, progress.log_end);
            return Err(ReadError::OffsetOutOfRange { offset, log_start, log_end });
        }
        let bound = match isolation {
            Isolation::LogEnd => progress.log_end,
            Isolation::HighWatermark => progress.high_watermark,
            Isolation::LastStable => progress.last_stable,
        };
        let mut index = Self::floor(&segments, offset).unwrap_or(0);
        while let Some(segment) = segments.get(index) {
            if offset >= bound {
                break;
            }
            let next_base = segments.get(index + 1).map_or(i64::MAX, |next| next.base_offset());
            let limit = self.limit_of(segment, next_base, bound, &published)?;
            if let Some(first) = segment.locate(&self.context, offset, limit)? {
                let length = length_of(&first, limit, max_bytes, at_least_one);
                let mut slice = self.slice(segment, first.position, length, bound, &published)?;
                if isolation == Isolation::LastStable {
                    slice.aborted = self.aborted(&segments, index, offset, &slice)?;
                }
                return Ok(slice);
            }
            // Nothing at or above the offset here: the rest of the segment is a hole.
            index += 1;
        }
        let last = segments.last().ok_or(StorageError::Closed)?;
        Ok(self.slice(last, last.size(), 0, bound, &published)?)
    }

    fn slice(
        &self,
        segment: &Arc<Segment<E>>,
        position: u64,
        length: u64,
        bound: i64,
        published: &Published,
    ) -> Result<Slice<E>, StorageError> {
        let file = segment.log_file(&self.context)?;
        let mut length = length;
        if length > 0 && self.config.load().verify_reads {
            length = segment.verify(&file, position, position + length)? - position;
        }
        Ok(Slice {
            file,
            path: segment.path(FileKind::Log),
            position,
            length,
            segment_base: segment.base_offset(),
            sealed: segment.base_offset() != published.active_base,
            bound,
            aborted: Vec::new(),
            progress: published.progress(),
        })
    }

    /// Bytes of the segment that may be seen.
    fn limit_of(
        &self,
        segment: &Segment<E>,
        next_base: i64,
        bound: i64,
        published: &Published,
    ) -> Result<u64, StorageError> {
        let is_active = segment.base_offset() == published.active_base;
        let size = if is_active { published.active_size } else { segment.size() };
        if bound >= next_base || (is_active && bound == published.log_end) {
            return Ok(size);
        }
        let key = (bound, segment.base_offset(), published.generation);
        if let Some(known) = self.known_bound(key) {
            return Ok(known);
        }
        let position = segment.locate(&self.context, bound, size)?.map_or(size, |found| found.position);
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        bounds.swap(0, 1);
        let (offset, segment_base, generation) = key;
        bounds[0] = Some(BoundPosition { offset, segment_base, generation, position });
        Ok(position)
    }

    fn known_bound(&self, key: (i64, i64, u64)) -> Option<u64> {
        let bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = bounds.iter().flatten();
        known
            .find(|known| (known.offset, known.segment_base, known.generation) == key)
            .map(|known| known.position)
    }

    /// The aborted transactions that touch the slice, by the rule in [`crate::transaction_index`].
    fn aborted(
        &self,
        segments: &[Arc<Segment<E>>],
        from: usize,
        offset: i64,
        slice: &Slice<E>,
    ) -> Result<Vec<AbortedTransaction>, StorageError> {
        let mut aborted = Vec::new();
        if segments.iter().skip(from).all(|segment| segment.indexes().aborted.len() == 0) {
            return Ok(aborted);
        }
        let segment = &segments[from];
        let next_base = segments.get(from + 1).map_or(i64::MAX, |next| next.base_offset());
        let slice_end = segment.first_indexed_from(&self.context, slice.position + slice.length)?;
        let upper = slice_end.unwrap_or(next_base).min(slice.bound);
        for segment in segments.iter().skip(from) {
            let mut number = 0;
            loop {
                let block = segment.aborted_block(&self.context, number)?;
                if block.is_empty() {
                    break;
                }
                number += block.len();
                for entry in block {
                    if entry.last_offset >= offset
                        && entry.first_offset < upper
                        && aborted.len() < ABORTED_MAX
                    {
                        let (producer_id, first_offset) = (entry.producer_id, entry.first_offset);
                        aborted.push(AbortedTransaction { producer_id, first_offset });
                    }
                    if entry.last_stable >= upper {
                        return Ok(aborted);
                    }
                }
            }
        }
        Ok(aborted)
    }
}

/// Bytes to hand out from the first batch on.
fn length_of(first: &Found, limit: u64, max_bytes: u64, at_least_one: bool) -> u64 {
    let available = limit - first.position;
    let first_size = first.header.size() as u64;
    match max_bytes < first_size {
        true if at_least_one => available.min(first_size),
        true => 0,
        false => available.min(max_bytes),
    }
}
