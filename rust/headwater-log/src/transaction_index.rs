//! Entries of `.txnindex`: the transactions whose abort marker lies in the segment.
//!
//! ```text
//! 0 version i16 (0)   2 producer id i64   10 first offset i64   18 last offset i64 (the marker's)
//! 26 last stable offset i64, as it was once the marker had been appended
//! ```
//!
//! A `read_committed` fetch of `[from, to)` collects from its segment on, until an entry's last stable offset
//! reaches `to`: no later marker can abort anything below.

use crate::sparse_index::IndexEntry;

/// The only version there is.
const VERSION: i16 = 0;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedEntry {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) last_stable: i64,
}

impl IndexEntry for AbortedEntry {
    const SIZE: usize = 34;
    type Key = i64;

    fn key(&self) -> i64 {
        self.last_offset
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&VERSION.to_be_bytes());
        for number in [self.producer_id, self.first_offset, self.last_offset, self.last_stable] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Option<AbortedEntry> {
        let (version, rest) = bytes.split_first_chunk()?;
        if i16::from_be_bytes(*version) != VERSION || rest.len() != 32 {
            return None;
        }
        let mut numbers =
            rest.chunks_exact(8).filter_map(|chunk| Some(i64::from_be_bytes(chunk.try_into().ok()?)));
        Some(AbortedEntry {
            producer_id: numbers.next()?,
            first_offset: numbers.next()?,
            last_offset: numbers.next()?,
            last_stable: numbers.next()?,
        })
    }
}
