//! Entries of `.index`: last offset of a batch (relative to the segment's base) and where that batch begins.
//!
//! ```text
//! 0 relative offset u32   4 position u32
//! ```
//!
//! A look-up gives the place to start walking batches from; the batch asked for may lie behind it.

use crate::sparse_index::IndexEntry;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch less the segment's base offset.
    pub(crate) relative_offset: u32,
    /// First byte of the batch.
    pub(crate) position: u32,
}

impl IndexEntry for OffsetEntry {
    const SIZE: usize = 8;
    type Key = u32;

    fn key(&self) -> u32 {
        self.relative_offset
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<OffsetEntry> {
        let &[o0, o1, o2, o3, p0, p1, p2, p3] = bytes else { return None };
        let entry = OffsetEntry {
            relative_offset: u32::from_be_bytes([o0, o1, o2, o3]),
            position: u32::from_be_bytes([p0, p1, p2, p3]),
        };
        // The first batch is never indexed, so zeros are the unused end of a file that was allocated ahead.
        (entry.position != 0).then_some(entry)
    }
}
