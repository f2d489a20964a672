//! Entries of `.timeindex`: a timestamp that no earlier batch reaches, and the last offset of the batch that has it.
//!
//! ```text
//! 0 timestamp i64 (ms)   8 relative offset u32
//! ```
//!
//! Timestamps rise strictly. A segment that is sealed or cleanly closed ends with its largest timestamp, which is
//! what retention by time and roll by age go by.

use crate::sparse_index::IndexEntry;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// Largest timestamp up to and including the batch, in ms.
    pub(crate) timestamp: i64,
    /// Last offset of that batch less the segment's base offset.
    pub(crate) relative_offset: u32,
}

impl IndexEntry for TimeEntry {
    const SIZE: usize = 12;
    type Key = i64;

    fn key(&self) -> i64 {
        self.timestamp
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<TimeEntry> {
        let (timestamp, rest) = bytes.split_first_chunk()?;
        let entry = TimeEntry {
            timestamp: i64::from_be_bytes(*timestamp),
            relative_offset: u32::from_be_bytes(rest.try_into().ok()?),
        };
        // Zeros are the unused end of a file that was allocated ahead; a record of 1970 at the base offset looks
        // the same and is merely looked for without the index's help.
        (entry.timestamp != 0 || entry.relative_offset != 0).then_some(entry)
    }
}
