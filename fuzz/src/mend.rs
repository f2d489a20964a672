//! Checksums made right again, so that changed bytes get past them.

use headwater_record::crc32c;

/// Where a batch says how long it is, and where its checksum and what that covers begin.
const BATCH_LENGTH_AT: usize = 8;
const BATCH_CRC_AT: usize = 17;
const BATCH_COVERS_FROM: usize = 21;

fn put(bytes: &mut [u8], crc_at: usize, covered: std::ops::Range<usize>) {
    let crc = crc32c(&bytes[covered]);
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_be_bytes());
}

fn length_at(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(length.try_into().ok()?) as usize)
}

/// Batches one after the other, as far as their lengths make sense.
pub(crate) fn batches(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(length) = length_at(bytes, at + BATCH_LENGTH_AT) {
        let end = at + BATCH_LENGTH_AT + 4 + length;
        if end > bytes.len() || end < at + BATCH_COVERS_FROM {
            return;
        }
        put(bytes, at + BATCH_CRC_AT, at + BATCH_COVERS_FROM..end);
        at = end;
    }
}

/// A `.snapshot` of producers: version, checksum of the rest.
pub(crate) fn producer_snapshot(bytes: &mut [u8]) {
    if bytes.len() >= 6 {
        put(bytes, 2, 6..bytes.len());
    }
}

/// A run of `length u32 | crc u32 | bytes`, from `at` on.
fn blocks(bytes: &mut [u8], mut at: usize) {
    while let Some(length) = length_at(bytes, at) {
        let end = at + 8 + length;
        if length == 0 || end > bytes.len() {
            return;
        }
        put(bytes, at + 4, at + 8..end);
        at = end;
    }
}

/// A segment of the metadata log: 28 bytes, their checksum, frames.
pub(crate) fn metadata_segment(bytes: &mut [u8]) {
    if bytes.len() >= 32 {
        put(bytes, 28, 0..28);
        blocks(bytes, 32);
    }
}

/// A snapshot of metadata: magic and version, blocks.
pub(crate) fn metadata_snapshot(bytes: &mut [u8]) {
    blocks(bytes, 12);
}

/// `quorum.properties`: text, the last line of which has its checksum.
pub(crate) fn quorum_properties(bytes: &mut Vec<u8>) {
    const LAST: &[u8] = b"crc32c=";
    if let Some(at) = bytes.windows(LAST.len()).rposition(|window| window == LAST) {
        bytes.truncate(at);
        let crc = crc32c(bytes);
        bytes.extend(format!("crc32c={crc:08x}\n").bytes());
    }
}
