//! Opening one segment: trusting it, or scanning it.
//!
//! Below the recovery point everything was synced, so only its outline is looked at; above it nothing is believed
//! before its CRC has been checked. Index entries that may not have been synced are thrown away and made anew.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use headwater_env::{Disk, DiskFile, Env, OpenMode};

use crate::config::{LogConfig, OpenHints};
use crate::context::{Context, read_failed};
use crate::descriptors::FileKind;
use crate::error::{Damage, StorageError};
use crate::offset_index::OffsetEntry;
use crate::scan::{Found, Walk, WalkError, verify_crc};
use crate::segment::{Indexes, Segment, file_path};
use crate::sparse_index::{IndexEntry, SparseIndex, read_entries};
use crate::time_index::TimeEntry;
use crate::transaction_index::AbortedEntry;
use crate::types::{Cut, DiskFileOf, RecoveryReport};

/// Bytes behind the last index entry from which on the index is taken for incomplete, unless the interval is larger.
const UNINDEXED_BYTES_MAX: u64 = 1 << 20;

/// What is known before a segment is opened.
pub(super) struct Recovery<'a, E: Env> {
    pub(super) context: &'a Context<E>,
    pub(super) folder: &'a Arc<Path>,
    pub(super) config: &'a LogConfig,
    pub(super) hints: OpenHints,
    /// Index entries of the segment with the recovery point are believed below this offset only: that of a snapshot,
    /// which is never written before the index entries below it are on stable storage.
    pub(super) indexed_to: i64,
    /// Segments that have a transaction index.
    pub(super) aborted: &'a BTreeSet<i64>,
}

/// A segment, and what opening it found.
pub(super) struct OpenedSegment<E: Env> {
    pub(super) segment: Arc<Segment<E>>,
    /// Offset after its last record.
    pub(super) end_offset: i64,
    /// Its log was scanned and needs a sync.
    pub(super) scanned: bool,
    /// Its index files must be written.
    pub(super) reindexed: bool,
    /// Its transaction index cannot be read.
    pub(super) aborted_lost: bool,
    /// Where its torn tail begins, and the bytes behind.
    pub(super) cut: Option<(Damage, u64)>,
}

/// Index entries that can be trusted, and where to walk from.
struct Trusted {
    indexes: Indexes,
    position: u64,
    /// Whether the files hold more than was kept.
    excess: bool,
}

/// What a walk over the tail found.
struct Scan {
    end_offset: i64,
    /// First byte whose CRC was checked.
    checked_from: Option<u64>,
    /// Where the first bad byte is, and what is wrong with it.
    bad: Option<(u64, String)>,
}

impl<E: Env> Recovery<'_, E> {
    /// Nothing below this offset is scanned.
    pub(super) fn recovery_point(&self) -> i64 {
        if self.hints.clean_shutdown { i64::MAX } else { self.hints.recovery_point }
    }

    fn open_log(&self, base: i64) -> Result<(DiskFileOf<E>, u64), StorageError> {
        let path = file_path(self.folder, base, FileKind::Log);
        let file = self.context.env.disk().open(&path, OpenMode::Read);
        let opened = file.and_then(|file| file.len().map(|length| (file, length)));
        let (file, length) = opened.map_err(|error| read_failed(&path, error))?;
        if length > u64::from(u32::MAX) {
            let reason = format!("{length} bytes are more than a segment can have");
            return Err(Damage { file: path, position: u64::from(u32::MAX), reason }.into());
        }
        Ok((file, length))
    }

    fn damage(&self, base: i64, error: WalkError) -> StorageError {
        let file = file_path(self.folder, base, FileKind::Log);
        match error {
            WalkError::Read(error) => read_failed(&file, error),
            WalkError::Bad { position, reason } => Damage { file, position, reason }.into(),
        }
    }

    /// A segment wholly below the recovery point.
    pub(super) fn open_sealed(
        &self,
        base: i64,
        next_base: Option<i64>,
        report: &mut RecoveryReport,
    ) -> Result<OpenedSegment<E>, StorageError> {
        let (log, length) = self.open_log(base)?;
        let outline = self.outline(base, &log, length)?;
        let (mut indexes, end_offset, reindexed) = match outline {
            Some((indexes, end_offset)) => (indexes, end_offset, false),
            None => {
                report.rebuilt_indexes.push(base);
                let mut indexes = Indexes::empty(self.context.env.wall_ms());
                let end_offset = self.walk(base, &mut indexes, Walk::new(&log, 0, length))?;
                indexes.add_time_entry(base);
                (indexes, end_offset, true)
            }
        };
        let aborted_lost = self.open_aborted(base, &mut indexes, true)?;
        if !aborted_lost {
            indexes.aborted.seal();
        }
        if let Some(next) = next_base.filter(|next| *next != end_offset) {
            let file = file_path(self.folder, base, FileKind::Log);
            if end_offset > next {
                let reason =
                    format!("offset {} lies in the next segment, which begins at {next}", end_offset - 1);
                return Err(Damage { file, position: length, reason }.into());
            }
            report.warnings.push(format!("{}: no records in {end_offset}..{next}", file.display()));
        }
        let segment = Segment::new(self.folder, base, length, length, None, indexes);
        Ok(OpenedSegment {
            segment: Arc::new(segment),
            end_offset,
            scanned: false,
            reindexed: reindexed || aborted_lost,
            aborted_lost,
            cut: None,
        })
    }

    /// The indexes as their files have them and the end of the log, if the files fit the log.
    fn outline(
        &self,
        base: i64,
        log: &DiskFileOf<E>,
        length: u64,
    ) -> Result<Option<(Indexes, i64)>, StorageError> {
        let Some((offset_count, last_offset)) =
            self.last_entry::<OffsetEntry>(base, FileKind::OffsetIndex)?
        else {
            return Ok(None);
        };
        let Some((time_count, last_time)) = self.last_entry::<TimeEntry>(base, FileKind::TimeIndex)? else {
            return Ok(None);
        };
        let mut indexes = Indexes::empty(self.context.env.wall_ms());
        let position = last_offset.map_or(0, |entry| u64::from(entry.position));
        if !entry_fits(log, base, length, last_offset) {
            return Ok(None);
        }
        let walk = Walk::new(log, position, length);
        let end_offset = self.walk(base, &mut indexes, walk)?;
        let unindexed = length - position;
        let interval = u64::from(self.config.index_interval_bytes);
        if unindexed > UNINDEXED_BYTES_MAX.max(8 * interval) && indexes.offsets.len() > 0 {
            return Ok(None);
        }
        let time_fits = match last_time {
            Some(entry) => {
                base + i64::from(entry.relative_offset) < end_offset
                    && entry.timestamp >= indexes.max_timestamp
            }
            None => indexes.max_timestamp < 0,
        };
        if !time_fits {
            return Ok(None);
        }
        indexes.max_timestamp = last_time.map_or(-1, |entry| entry.timestamp);
        indexes.max_timestamp_offset = last_time.map_or(-1, |entry| base + i64::from(entry.relative_offset));
        indexes.offsets = SparseIndex::sealed(offset_count, last_offset);
        indexes.times = SparseIndex::sealed(time_count, last_time);
        Ok(Some((indexes, end_offset)))
    }

    /// Number of entries and the last one; `None` if the file is missing or its size is odd.
    fn last_entry<T: IndexEntry>(
        &self,
        base: i64,
        kind: FileKind,
    ) -> Result<Option<(usize, Option<T>)>, StorageError> {
        let path = file_path(self.folder, base, kind);
        let read = || -> io::Result<Option<(usize, Option<T>)>> {
            let file = self.context.env.disk().open(&path, OpenMode::Read)?;
            let length = file.len()?;
            let count = usize::try_from(length).unwrap_or(usize::MAX) / T::SIZE;
            if !length.is_multiple_of(T::SIZE as u64) || length > crate::sparse_index::INDEX_FILE_SIZE_MAX {
                return Ok(None);
            }
            if count == 0 {
                return Ok(Some((0, None)));
            }
            let mut bytes = vec![0; T::SIZE];
            file.read_exact_at(&mut bytes, length - T::SIZE as u64)?;
            Ok(T::decode(&bytes).map(|entry| (count, Some(entry))))
        };
        match read() {
            Ok(found) => Ok(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(read_failed(&path, error)),
        }
    }

    /// Walks to the end of the log, which must be the end of a batch; returns the offset after it.
    fn walk(
        &self,
        base: i64,
        indexes: &mut Indexes,
        mut walk: Walk<'_, DiskFileOf<E>>,
    ) -> Result<i64, StorageError> {
        let mut end_offset = base;
        while let Some(found) = walk.next().map_err(|error| self.damage(base, error))? {
            check_order(base, end_offset, &found).map_err(|error| self.damage(base, error))?;
            end_offset = found.header.next_offset();
            indexes.add_batch(base, found.position, &found.header, self.config.index_interval_bytes);
        }
        Ok(end_offset)
    }

    /// The last segment, or one that the recovery point lies in or before.
    pub(super) fn open_tail(
        &self,
        base: i64,
        last_epoch: &mut i32,
        report: &mut RecoveryReport,
    ) -> Result<OpenedSegment<E>, StorageError> {
        let (log, length) = self.open_log(base)?;
        let Trusted { mut indexes, position, excess } = self.trusted_entries(base, &log, length, report)?;
        if let Ok(Some(first)) = Walk::new(&log, 0, length).next() {
            indexes.first_timestamp = Some(first.header.max_timestamp);
        }
        let walk = Walk::new(&log, position, length);
        let scan = self.scan(base, &log, walk, &mut indexes, last_epoch)?;
        let mut size = length;
        let mut cut = None;
        if let Some((position, reason)) = scan.bad {
            let damage = Damage { file: file_path(self.folder, base, FileKind::Log), position, reason };
            if scan.end_offset < self.recovery_point() {
                return Err(damage.into());
            }
            size = position;
            cut = Some((damage, length - position));
        }
        let aborted_lost = self.open_aborted(base, &mut indexes, self.hints.clean_shutdown)?;
        let segment = Segment::new(self.folder, base, size, size, None, indexes);
        if let Some(from) = scan.checked_from {
            segment.trust().add(from, size);
            report.scanned_bytes += size - from;
        }
        Ok(OpenedSegment {
            segment: Arc::new(segment),
            end_offset: scan.end_offset,
            scanned: !self.hints.clean_shutdown,
            reindexed: excess || aborted_lost,
            aborted_lost,
            cut,
        })
    }

    /// Walks to the end or the first bad byte, checking everything above the recovery point.
    fn scan(
        &self,
        base: i64,
        log: &DiskFileOf<E>,
        mut walk: Walk<'_, DiskFileOf<E>>,
        indexes: &mut Indexes,
        last_epoch: &mut i32,
    ) -> Result<Scan, StorageError> {
        let mut scan = Scan { end_offset: base, checked_from: None, bad: None };
        let mut buffer = Vec::new();
        // The walk begins at the batch of the last index entry, which is in the index already.
        let mut indexed = indexes.offsets.last().is_some();
        loop {
            let step = walk.next().and_then(|found| {
                let Some(found) = found else { return Ok(None) };
                check_order(base, scan.end_offset, &found)?;
                if found.header.next_offset() > self.recovery_point() {
                    check_epoch(*last_epoch, &found)?;
                    verify_crc(log, &found, &mut buffer)?;
                    scan.checked_from.get_or_insert(found.position);
                }
                Ok(Some(found))
            });
            match step {
                Ok(None) => return Ok(scan),
                Ok(Some(found)) => {
                    scan.end_offset = found.header.next_offset();
                    *last_epoch = found.header.partition_leader_epoch;
                    if std::mem::take(&mut indexed) {
                        indexes.bytes_since_entry = found.header.size() as u64;
                    } else {
                        indexes.add_batch(
                            base,
                            found.position,
                            &found.header,
                            self.config.index_interval_bytes,
                        );
                    }
                }
                Err(WalkError::Bad { position, reason }) => {
                    scan.bad = Some((position, reason));
                    return Ok(scan);
                }
                Err(error) => return Err(self.damage(base, error)),
            }
        }
    }

    /// The entries of both sparse indexes that are known to be synced, if the last of them points at its batch.
    fn trusted_entries(
        &self,
        base: i64,
        log: &DiskFileOf<E>,
        length: u64,
        report: &mut RecoveryReport,
    ) -> Result<Trusted, StorageError> {
        let below = |relative: u32| base + i64::from(relative) < self.indexed_to;
        let (offsets, offsets_whole) = self.entries::<OffsetEntry>(base, FileKind::OffsetIndex)?;
        let (times, times_whole) = self.entries::<TimeEntry>(base, FileKind::TimeIndex)?;
        let (offset_count, time_count) = (offsets.len(), times.len());
        let mut offsets = ascending(offsets, |entry| {
            (below(entry.relative_offset) && u64::from(entry.position) < length).then_some(entry.position)
        });
        let mut times = ascending(times, |entry| below(entry.relative_offset).then_some(entry.timestamp));
        // Behind the synced entries there may be torn ones that pass for good until the log is asked.
        while !entry_fits(log, base, length, offsets.last().copied()) {
            offsets.pop();
        }
        while times.last().is_some_and(|entry| !time_fits(log, base, length, &offsets, *entry)) {
            times.pop();
        }
        let mut indexes = Indexes::empty(self.context.env.wall_ms());
        let popped = offsets.len() != offset_count || times.len() != time_count;
        let excess = !offsets_whole || !times_whole || popped;
        let times_lost = times.is_empty() && !offsets.is_empty();
        if times_lost || (popped && self.hints.clean_shutdown) {
            report.rebuilt_indexes.push(base);
            return Ok(Trusted { indexes, position: 0, excess: true });
        }
        let position = offsets.last().map_or(0, |entry| u64::from(entry.position));
        // Without an offset entry the walk begins at the first batch and finds every timestamp again.
        if let Some(last) = times.last().filter(|_| !offsets.is_empty()) {
            indexes.max_timestamp = last.timestamp;
            indexes.max_timestamp_offset = base + i64::from(last.relative_offset);
        }
        let (offset_count, time_count) = (offsets.len(), times.len());
        indexes.offsets = SparseIndex::active(offsets, offset_count);
        indexes.times = SparseIndex::active(times, time_count);
        Ok(Trusted { indexes, position, excess })
    }

    /// All entries of an index file and whether there was nothing else; a missing file has none.
    fn entries<T: IndexEntry>(&self, base: i64, kind: FileKind) -> Result<(Vec<T>, bool), StorageError> {
        let path = file_path(self.folder, base, kind);
        let file = self.context.env.disk().open(&path, OpenMode::Read);
        match file.and_then(|file| read_entries(&file)) {
            Ok(entries) => Ok(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), false)),
            Err(error) => Err(read_failed(&path, error)),
        }
    }

    /// Loads the transaction index, if there is one; `true` if it cannot be trusted and must be replayed.
    fn open_aborted(&self, base: i64, indexes: &mut Indexes, synced: bool) -> Result<bool, StorageError> {
        if !self.aborted.contains(&base) {
            return Ok(false);
        }
        let (entries, whole) = self.entries::<AbortedEntry>(base, FileKind::TransactionIndex)?;
        let count = entries.len();
        let kept = ascending(entries, |entry| Some(entry.last_offset));
        // A torn entry can look like a good one, so an index that may not have been synced is not believed at all.
        let lost = !whole || !synced || kept.len() != count;
        indexes.aborted =
            if lost { SparseIndex::active(Vec::new(), 0) } else { SparseIndex::active(kept, count) };
        Ok(lost)
    }

    /// The cut of a segment's tail together with the segments behind it.
    pub(super) fn cut_with_later(
        &self,
        opened: &OpenedSegment<E>,
        cut: Option<(Damage, u64)>,
        dropped: &[i64],
    ) -> Cut {
        let (at, bytes) = cut.unwrap_or_else(|| {
            let reason =
                format!("the segment ends at offset {}, the next begins elsewhere", opened.end_offset);
            (Damage { file: opened.segment.path(FileKind::Log), position: opened.segment.size(), reason }, 0)
        });
        let later: u64 =
            dropped.iter().filter_map(|base| self.open_log(*base).ok()).map(|(_, length)| length).sum();
        Cut { at, bytes: bytes + later, segments: dropped.len() }
    }
}

/// Whether the entry points at the batch it names; trivially so without an entry.
fn entry_fits<F: DiskFile>(log: &F, base: i64, length: u64, entry: Option<OffsetEntry>) -> bool {
    let Some(entry) = entry else { return true };
    let expected = base + i64::from(entry.relative_offset);
    matches!(
        Walk::new(log, u64::from(entry.position), length).next(),
        Ok(Some(found)) if found.header.last_offset() == expected
    )
}

/// Whether the entry names a batch with that timestamp.
fn time_fits<F: DiskFile>(
    log: &F,
    base: i64,
    length: u64,
    offsets: &[OffsetEntry],
    entry: TimeEntry,
) -> bool {
    let above = offsets.partition_point(|offset| offset.relative_offset <= entry.relative_offset);
    let position = above.checked_sub(1).map_or(0, |index| u64::from(offsets[index].position));
    let expected = base + i64::from(entry.relative_offset);
    let mut walk = Walk::new(log, position, length);
    while let Ok(Some(found)) = walk.next() {
        if found.header.last_offset() >= expected {
            return found.header.last_offset() == expected && found.header.max_timestamp == entry.timestamp;
        }
    }
    false
}

/// The longest prefix whose keys rise, as far as `key` gives one.
fn ascending<T, K: Ord>(mut entries: Vec<T>, key: impl Fn(&T) -> Option<K>) -> Vec<T> {
    let mut before = None;
    let kept = entries
        .iter()
        .take_while(|entry| {
            let key = key(entry);
            let rises = key.is_some() && key > before;
            before = key;
            rises
        })
        .count();
    entries.truncate(kept);
    entries
}

fn check_order(base: i64, end_offset: i64, found: &Found) -> Result<(), WalkError> {
    let header = &found.header;
    let bad = |reason| Err(WalkError::Bad { position: found.position, reason });
    if header.base_offset < end_offset {
        return bad(format!("offset {} after {}", header.base_offset, end_offset - 1));
    }
    if header.last_offset() - base > i64::from(i32::MAX) {
        return bad(format!("offset {} is too far from the segment's base {base}", header.last_offset()));
    }
    Ok(())
}

fn check_epoch(last_epoch: i32, found: &Found) -> Result<(), WalkError> {
    let epoch = found.header.partition_leader_epoch;
    if epoch < last_epoch {
        let reason = format!("leader epoch {epoch} after {last_epoch}");
        return Err(WalkError::Bad { position: found.position, reason });
    }
    Ok(())
}
