//! Which partitions were ever created in a data directory.
//!
//! The metadata says that a partition belongs here; that does not say that its folder was made, since the
//! broker may have died in between. This file does. A partition in it whose folder is missing has lost its
//! data: it stays offline instead of coming back empty, which would look like a topic without records. The
//! file is written before the creation of a topic is answered.
//!
//! ```text
//! "HWCP" | version u16 = 1 | count u32 | count × (topic id 16 bytes, partition i32) | CRC-32C of all before
//! ```

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use headwater_env::{Disk, DiskFile, OpenMode, crashsafe};
use headwater_record::{Uuid, crc32c};

/// The file's name in the data directory.
pub(crate) const FILE_NAME: &str = "headwater-created-partitions";

const MAGIC: &[u8; 4] = b"HWCP";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 10;
const ENTRY_BYTES: usize = 20;
const CRC_BYTES: usize = 4;

/// The partitions that were created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreatedPartitions {
    path: PathBuf,
    entries: BTreeSet<(Uuid, i32)>,
    /// The file was there and could not be read: every partition counts as created, so that none is made
    /// anew over data that is lost.
    all: bool,
}

impl CreatedPartitions {
    /// Reads the file of a data directory; a missing one is that of a new directory.
    pub(crate) fn load<D: Disk>(disk: &D, directory: &Path) -> io::Result<CreatedPartitions> {
        let path = directory.join(FILE_NAME);
        if !disk.exists(&path)? {
            return Ok(CreatedPartitions { path, entries: BTreeSet::new(), all: false });
        }
        let file = disk.open(&path, OpenMode::Read)?;
        let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0)?;
        match decode(&bytes) {
            Some(entries) => Ok(CreatedPartitions { path, entries, all: false }),
            None => {
                tracing::warn!(path = %path.display(), "damaged; partitions without a folder will stay offline");
                Ok(CreatedPartitions { path, entries: BTreeSet::new(), all: true })
            }
        }
    }

    /// Whether the partition was created here.
    pub(crate) fn contains(&self, topic_id: Uuid, partition: i32) -> bool {
        self.all || self.entries.contains(&(topic_id, partition))
    }

    /// Replaces the list and writes it down durably, if it has changed.
    pub(crate) fn store<D: Disk>(&mut self, disk: &D, entries: BTreeSet<(Uuid, i32)>) -> io::Result<()> {
        if self.entries != entries || self.all {
            crashsafe::write_file(disk, &self.path, &encode(&entries))?;
            self.entries = entries;
            self.all = false;
        }
        Ok(())
    }
}

fn encode(entries: &BTreeSet<(Uuid, i32)>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + entries.len() * ENTRY_BYTES + CRC_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    for (topic_id, partition) in entries {
        bytes.extend_from_slice(topic_id.as_bytes());
        bytes.extend_from_slice(&partition.to_be_bytes());
    }
    let crc = crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<BTreeSet<(Uuid, i32)>> {
    let (content, crc) = bytes.split_last_chunk::<CRC_BYTES>()?;
    if crc32c(content) != u32::from_be_bytes(*crc) {
        return None;
    }
    let (header, entries) = content.split_first_chunk::<HEADER_BYTES>()?;
    let (magic, rest) = header.split_first_chunk::<4>()?;
    let (version, count) = rest.split_first_chunk::<2>()?;
    let count = u32::from_be_bytes(count.try_into().ok()?) as usize;
    if magic != MAGIC
        || u16::from_be_bytes(*version) != VERSION
        || entries.len() != count.checked_mul(ENTRY_BYTES)?
    {
        return None;
    }
    let entry = |entry: &[u8]| -> Option<(Uuid, i32)> {
        let (id, partition) = entry.split_first_chunk::<16>()?;
        Some((Uuid::from_bytes(*id), i32::from_be_bytes(partition.try_into().ok()?)))
    };
    entries.chunks_exact(ENTRY_BYTES).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_format_of_version_1_stays_readable() {
        let entries = BTreeSet::from([(Uuid::from_bytes([7; 16]), 3)]);
        let golden = [b"HWCP\x00\x01\x00\x00\x00\x01".as_slice(), &[7; 16], &[0, 0, 0, 3]].concat();
        let golden = [golden.as_slice(), &crc32c(&golden).to_be_bytes()].concat();
        assert_eq!(encode(&entries), golden);
        assert_eq!(decode(&golden), Some(entries));
    }

    proptest! {
        #[test]
        fn a_changed_byte_or_a_missing_end_is_noticed(
            entries in prop::collection::btree_set((any::<[u8; 16]>().prop_map(Uuid::from_bytes), any::<i32>()), 0..5),
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let bytes = encode(&entries);
            prop_assert_eq!(decode(&bytes), Some(entries));
            let mut damaged = bytes.clone();
            damaged[at.index(bytes.len())] ^= flip;
            prop_assert_eq!(decode(&damaged), None);
            prop_assert_eq!(decode(&bytes[..at.index(bytes.len())]), None);
        }
    }
}
