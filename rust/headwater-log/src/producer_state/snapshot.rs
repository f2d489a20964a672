//! `.snapshot`: the producers as they were at the offset in the file's name, Kafka's version 1.
//!
//! ```text
//! 0 version i16 (1)   2 crc u32 (CRC-32C of what follows)   6 count i32, then per producer (46 bytes)
//!   producer id i64, epoch i16, last sequence i32, last offset i64, offset delta i32,
//!   timestamp i64, coordinator epoch i32, first offset of the open transaction i64 (-1: none)
//! ```
//!
//! Only the last batch of a producer is kept; the traces before it are recalled from the log when it is loaded.

use headwater_record::crc32c;

use super::Producers;
use super::entry::{BatchTrace, ProducerEntry};

const VERSION: i16 = 1;
const HEADER_SIZE: usize = 10;
const ENTRY_SIZE: usize = 46;
const CRC_COVERS_FROM: usize = 6;

/// Why a snapshot cannot be used; an older one, or the log, must do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("{length} bytes are too few, or do not match the count")]
    Length { length: usize },
    #[error("version {version} is not 1")]
    Version { version: i16 },
    #[error("the CRC is {computed:#010x}, the file says {stored:#010x}")]
    Crc { stored: u32, computed: u32 },
}

impl Producers {
    /// The file's bytes.
    pub(crate) fn to_snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_SIZE + self.entries.len() * ENTRY_SIZE);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(self.entries.len() as u32).to_be_bytes());
        for entry in self.entries.values() {
            encode_entry(entry, &mut bytes);
        }
        let crc = crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[2..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads the file's bytes.
    pub(crate) fn from_snapshot(bytes: &[u8]) -> Result<Producers, SnapshotError> {
        let wrong_length = SnapshotError::Length { length: bytes.len() };
        let Some((version, rest)) = bytes.split_first_chunk() else { return Err(wrong_length) };
        let version = i16::from_be_bytes(*version);
        if version != VERSION {
            return Err(SnapshotError::Version { version });
        }
        let Some((stored, covered)) = rest.split_first_chunk() else { return Err(wrong_length) };
        let (stored, computed) = (u32::from_be_bytes(*stored), crc32c(covered));
        if stored != computed {
            return Err(SnapshotError::Crc { stored, computed });
        }
        let Some((count, entries)) = covered.split_first_chunk() else { return Err(wrong_length) };
        // The count is compared with the bytes, never allocated from.
        if entries.len() as u64 != u64::from(u32::from_be_bytes(*count)) * ENTRY_SIZE as u64 {
            return Err(wrong_length);
        }
        Ok(Producers::from_entries(entries.chunks_exact(ENTRY_SIZE).filter_map(decode_entry)))
    }
}

fn encode_entry(entry: &ProducerEntry, bytes: &mut Vec<u8>) {
    const NOTHING_WRITTEN: BatchTrace =
        BatchTrace { last_sequence: -1, last_offset: -1, offset_delta: 0, timestamp: -1 };
    let last = entry.traces().last().copied().unwrap_or(NOTHING_WRITTEN);
    bytes.extend_from_slice(&entry.producer_id.to_be_bytes());
    bytes.extend_from_slice(&entry.epoch.to_be_bytes());
    bytes.extend_from_slice(&last.last_sequence.to_be_bytes());
    bytes.extend_from_slice(&last.last_offset.to_be_bytes());
    bytes.extend_from_slice(&last.offset_delta.to_be_bytes());
    bytes.extend_from_slice(&entry.last_timestamp.to_be_bytes());
    bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
    bytes.extend_from_slice(&entry.transaction_start.unwrap_or(-1).to_be_bytes());
}

/// `None` only for a slice of another size, which `chunks_exact` does not make.
fn decode_entry(bytes: &[u8]) -> Option<ProducerEntry> {
    let mut rest = bytes;
    let producer_id = i64::from_be_bytes(take(&mut rest)?);
    let mut entry = ProducerEntry::unknown(producer_id);
    entry.epoch = i16::from_be_bytes(take(&mut rest)?);
    let last_sequence = i32::from_be_bytes(take(&mut rest)?);
    let last_offset = i64::from_be_bytes(take(&mut rest)?);
    let offset_delta = i32::from_be_bytes(take(&mut rest)?);
    entry.last_timestamp = i64::from_be_bytes(take(&mut rest)?);
    entry.coordinator_epoch = i32::from_be_bytes(take(&mut rest)?);
    let transaction_start = i64::from_be_bytes(take(&mut rest)?);
    entry.transaction_start = (transaction_start >= 0).then_some(transaction_start);
    if last_offset >= 0 {
        entry.push(BatchTrace { last_sequence, last_offset, offset_delta, timestamp: entry.last_timestamp });
    }
    Some(entry)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (value, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*value)
}
