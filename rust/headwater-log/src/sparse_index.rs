//! A sorted array of fixed-size entries that is in memory while it grows and in a file once it is sealed.
//!
//! ```text
//!   active:  entries in memory ── a prefix of them already written to the file
//!   sealed:  all written, memory dropped; look-ups read the file
//! ```
//!
//! Nothing is mapped: a mapped index on a full disk is a SIGBUS. The three index files differ in their entries only
//! ([`crate::offset_index`], [`crate::time_index`], [`crate::transaction_index`]).

use std::io;

use headwater_env::DiskFile;

/// Entries read at once when a look-up has narrowed the file down: 4 KiB of the smallest kind.
const BLOCK_ENTRIES: usize = 512;
/// No index file is larger: `segment.index.bytes` is an i32 and a segment below 2 GiB cannot fill this.
pub(crate) const INDEX_FILE_SIZE_MAX: u64 = 1 << 28;

/// One entry of an index file, big-endian.
pub(crate) trait IndexEntry: Copy + PartialEq + std::fmt::Debug {
    /// Bytes in the file.
    const SIZE: usize;
    /// What the entries are sorted by.
    type Key: Ord + Copy;
    fn key(&self) -> Self::Key;
    fn encode(&self, out: &mut Vec<u8>);
    /// From exactly [`IndexEntry::SIZE`] bytes; `None` if no entry can look like this.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// The entries of one index of one segment.
#[derive(Debug)]
pub(crate) struct SparseIndex<T> {
    /// All entries; `None` once sealed.
    memory: Option<Vec<T>>,
    count: usize,
    last: Option<T>,
    /// Entries at the front that the file holds; `written <= count`.
    written: usize,
}

impl<T: IndexEntry> SparseIndex<T> {
    /// An index that may grow, of which the first `written` entries are in its file.
    pub(crate) fn active(entries: Vec<T>, written: usize) -> SparseIndex<T> {
        let (count, last) = (entries.len(), entries.last().copied());
        SparseIndex { memory: Some(entries), count, last, written: written.min(count) }
    }

    /// An index that is all in its file.
    pub(crate) fn sealed(count: usize, last: Option<T>) -> SparseIndex<T> {
        SparseIndex { memory: None, count, last, written: count }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn last(&self) -> Option<T> {
        self.last
    }

    pub(crate) fn in_memory(&self) -> Option<&[T]> {
        self.memory.as_deref()
    }

    /// Adds an entry behind the last; only while active.
    pub(crate) fn push(&mut self, entry: T) {
        debug_assert!(self.last.is_none_or(|last| last.key() <= entry.key()), "index entries are sorted");
        if let Some(memory) = &mut self.memory {
            memory.push(entry);
            self.count += 1;
            self.last = Some(entry);
        }
    }

    /// Keeps the entries of the longest prefix that `keep` accepts; only while active.
    pub(crate) fn truncate_where(&mut self, keep: impl FnMut(&T) -> bool) {
        if let Some(memory) = &mut self.memory {
            let kept = memory.iter().copied().take_while(keep).count();
            memory.truncate(kept);
            self.count = kept;
            self.last = memory.last().copied();
            self.written = self.written.min(kept);
        }
    }

    /// Whether the file lacks entries.
    pub(crate) fn has_pending(&self) -> bool {
        self.written < self.count
    }

    /// Appends what the file lacks. A failure changes nothing: the next attempt writes the same place.
    pub(crate) fn write_pending<F: DiskFile>(&mut self, file: &F) -> io::Result<()> {
        let Some(memory) = &self.memory else { return Ok(()) };
        let pending = memory.get(self.written..).unwrap_or_default();
        if !pending.is_empty() {
            let mut bytes = Vec::with_capacity(pending.len() * T::SIZE);
            pending.iter().for_each(|entry| entry.encode(&mut bytes));
            file.write_all_at(&bytes, (self.written * T::SIZE) as u64)?;
            self.written = self.count;
        }
        Ok(())
    }

    /// Cuts the file to the entries that are still there and counts as written.
    pub(crate) fn cut_file<F: DiskFile>(&self, file: &F) -> io::Result<()> {
        file.set_len((self.written * T::SIZE) as u64)
    }

    /// Drops the memory if the file has everything.
    pub(crate) fn seal(&mut self) {
        if !self.has_pending() {
            self.memory = None;
        }
    }

    /// The last entry whose key is not above `key`, in memory; `None` if the file must be asked.
    pub(crate) fn floor_in_memory(&self, key: T::Key) -> Option<Option<T>> {
        self.memory.as_ref().map(|memory| floor_of(memory, key))
    }

    /// The last entry whose key is not above `key`, from the file.
    pub(crate) fn floor_in_file<F: DiskFile>(&self, file: &F, key: T::Key) -> io::Result<Option<T>> {
        let block = self.block_around(file, |entry| entry.key() > key)?;
        Ok(floor_of(&block, key))
    }

    /// The first entry that is `behind`, from the file; all entries after one that is behind are so too.
    pub(crate) fn first_in_file<F: DiskFile>(
        &self,
        file: &F,
        behind: impl Fn(&T) -> bool,
    ) -> io::Result<Option<T>> {
        let block = self.block_around(file, &behind)?;
        Ok(block.into_iter().find(|entry| behind(entry)))
    }

    /// A block of entries that holds the border between those that are not `behind` and those that are.
    fn block_around<F: DiskFile>(&self, file: &F, behind: impl Fn(&T) -> bool) -> io::Result<Vec<T>> {
        // Invariant: entries below `low` are not behind, entries from `high` on are.
        let (mut low, mut high) = (0, self.count);
        while high - low > BLOCK_ENTRIES {
            let middle = low + (high - low) / 2;
            if self.read_range(file, middle, middle + 1)?.first().is_none_or(&behind) {
                high = middle;
            } else {
                low = middle;
            }
        }
        // One more on either side, so that the border itself is inside.
        self.read_range(file, low.saturating_sub(1), high + 1)
    }

    /// The entries `from..to` of the file.
    pub(crate) fn read_range<F: DiskFile>(&self, file: &F, from: usize, to: usize) -> io::Result<Vec<T>> {
        let mut bytes = vec![0; to.min(self.count).saturating_sub(from) * T::SIZE];
        file.read_exact_at(&mut bytes, (from * T::SIZE) as u64)?;
        Ok(bytes.chunks_exact(T::SIZE).map_while(T::decode).collect())
    }
}

fn floor_of<T: IndexEntry>(entries: &[T], key: T::Key) -> Option<T> {
    let above = entries.partition_point(|entry| entry.key() <= key);
    above.checked_sub(1).and_then(|index| entries.get(index)).copied()
}

/// All whole entries of a file, up to the first that cannot be one, and whether the file held nothing else.
pub(crate) fn read_entries<T: IndexEntry, F: DiskFile>(file: &F) -> io::Result<(Vec<T>, bool)> {
    let length = file.len()?;
    if length > INDEX_FILE_SIZE_MAX {
        return Ok((Vec::new(), false));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0)?;
    let entries: Vec<T> = bytes.chunks_exact(T::SIZE).map_while(T::decode).collect();
    let whole = entries.len() * T::SIZE == bytes.len();
    Ok((entries, whole))
}

#[cfg(test)]
mod tests {
    use headwater_env::{Disk, OpenMode, real::RealDisk};

    use super::*;
    use crate::offset_index::OffsetEntry;

    fn entry(number: u32) -> OffsetEntry {
        OffsetEntry { relative_offset: number * 10, position: number * 4096 }
    }

    #[test]
    fn file_and_memory_agree() {
        let folder = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&folder.path().join("x.index"), OpenMode::Create).unwrap();
        let mut index = SparseIndex::active((1..=1500).map(entry).collect(), 0);
        index.write_pending(&file).unwrap();
        for key in [0, 9, 10, 11, 19, 20, 4999, 5000, 7505, 14_999, 15_000, 15_001, u32::MAX] {
            let expected = index.floor_in_memory(key).unwrap();
            assert_eq!(index.floor_in_file(&file, key).unwrap(), expected, "{key}");
        }
        index.seal();
        assert!(index.in_memory().is_none());
        let (entries, whole) = read_entries::<OffsetEntry, _>(&file).unwrap();
        assert!(whole);
        assert_eq!(entries.len(), 1500);
        assert_eq!(entries.last().copied(), index.last());
    }

    #[test]
    fn truncation_forgets_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&folder.path().join("x.index"), OpenMode::Create).unwrap();
        let mut index = SparseIndex::active((1..=10).map(entry).collect(), 0);
        index.write_pending(&file).unwrap();
        index.truncate_where(|entry| entry.relative_offset < 50);
        index.cut_file(&file).unwrap();
        index.push(entry(7));
        index.write_pending(&file).unwrap();
        let (entries, _) = read_entries::<OffsetEntry, _>(&file).unwrap();
        assert_eq!(entries, [1, 2, 3, 4, 7].map(entry));
    }
}
