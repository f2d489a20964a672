//! One segment: a `.log` file, its indexes, and what is known about both.
//!
//! The active segment holds its descriptor and its indexes in memory. Once sealed and synced, both go: the files
//! are then reached through the directory's bounded descriptor cache.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use headwater_env::{Disk, DiskFile, Env, OpenMode};
use headwater_record::{BatchHeader, NO_TIMESTAMP};

use crate::config::LogConfig;
use crate::context::{Context, Counters, read_failed};
use crate::descriptors::FileKind;
use crate::error::{Damage, StorageError};
use crate::offset_index::OffsetEntry;
use crate::scan::{Found, Walk, WalkError, verify_crc};
use crate::sparse_index::{IndexEntry, SparseIndex};
use crate::time_index::TimeEntry;
use crate::transaction_index::AbortedEntry;
use crate::trust::Trust;
use crate::types::DiskFileOf;

/// Largest relative offset an index entry may hold; Kafka reads it as a signed number.
const RELATIVE_OFFSET_MAX: i64 = i32::MAX as i64;

/// Keys of the descriptor cache. Process-wide, so that segments of different logs never share one.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// See the module.
pub(crate) struct Segment<E: Env> {
    id: u64,
    base_offset: i64,
    folder: Arc<Path>,
    /// Bytes of whole batches; the file may be longer only while an append is under way, or opened read-only.
    size: AtomicU64,
    /// The open file while the segment is active or not yet synced.
    pinned: Mutex<Option<Arc<DiskFileOf<E>>>>,
    indexes: RwLock<Indexes>,
    trust: Mutex<Trust>,
}

/// The three indexes and what their upkeep needs.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) offsets: SparseIndex<OffsetEntry>,
    pub(crate) times: SparseIndex<TimeEntry>,
    pub(crate) aborted: SparseIndex<AbortedEntry>,
    /// Largest timestamp of any batch, in ms, and the last offset of the first batch that has it.
    pub(crate) max_timestamp: i64,
    pub(crate) max_timestamp_offset: i64,
    /// Largest timestamp of the first batch, which the segment's age counts from.
    pub(crate) first_timestamp: Option<i64>,
    /// Bytes appended since the last offset entry.
    pub(crate) bytes_since_entry: u64,
    /// When this process opened or created the segment, in ms; stands in for missing timestamps.
    pub(crate) opened_ms: i64,
}

impl Indexes {
    /// Of a segment without batches.
    pub(crate) fn empty(opened_ms: i64) -> Indexes {
        Indexes {
            offsets: SparseIndex::active(Vec::new(), 0),
            times: SparseIndex::active(Vec::new(), 0),
            aborted: SparseIndex::active(Vec::new(), 0),
            max_timestamp: NO_TIMESTAMP,
            max_timestamp_offset: -1,
            first_timestamp: None,
            bytes_since_entry: 0,
            opened_ms,
        }
    }

    /// Takes in a batch that begins at `position`.
    pub(crate) fn add_batch(&mut self, base_offset: i64, position: u64, header: &BatchHeader, interval: u32) {
        if self.first_timestamp.is_none() {
            self.first_timestamp = Some(header.max_timestamp);
        }
        if header.max_timestamp > self.max_timestamp {
            self.max_timestamp = header.max_timestamp;
            self.max_timestamp_offset = header.last_offset();
        }
        if self.bytes_since_entry > u64::from(interval) {
            // Both fit: the caller rolls before the relative offset or the position could overflow.
            let relative_offset = (header.last_offset() - base_offset) as u32;
            self.offsets.push(OffsetEntry { relative_offset, position: position as u32 });
            self.add_time_entry(base_offset);
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += header.size() as u64;
    }

    /// Brings the time index up to the largest timestamp: at every offset entry, at a roll and at a clean close.
    pub(crate) fn add_time_entry(&mut self, base_offset: i64) {
        let last = self.times.last().map_or(NO_TIMESTAMP, |entry| entry.timestamp);
        if self.max_timestamp > last {
            let relative_offset = (self.max_timestamp_offset - base_offset) as u32;
            self.times.push(TimeEntry { timestamp: self.max_timestamp, relative_offset });
        }
    }

    /// Whether an index file lacks entries.
    pub(crate) fn has_pending(&self) -> bool {
        self.offsets.has_pending() || self.times.has_pending() || self.aborted.has_pending()
    }

    /// Whether an index file has reached its size.
    fn is_full(&self, config: &LogConfig) -> bool {
        let entries_max = |size: usize| config.segment_index_bytes as usize / size;
        self.offsets.len() >= entries_max(OffsetEntry::SIZE)
            || self.times.len() + 1 >= entries_max(TimeEntry::SIZE)
    }
}

impl<E: Env> Segment<E> {
    /// A segment as it was found or made; `own_from`: bytes from there on are this process's own.
    pub(crate) fn new(
        folder: &Arc<Path>,
        base_offset: i64,
        size: u64,
        own_from: u64,
        pinned: Option<Arc<DiskFileOf<E>>>,
        indexes: Indexes,
    ) -> Segment<E> {
        Segment {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            base_offset,
            folder: Arc::clone(folder),
            size: AtomicU64::new(size),
            pinned: Mutex::new(pinned),
            indexes: RwLock::new(indexes),
            trust: Mutex::new(Trust::new(own_from)),
        }
    }

    /// Creates the files of a new segment. Their names are not durable yet.
    pub(crate) fn create(
        context: &Context<E>,
        folder: &Arc<Path>,
        base_offset: i64,
    ) -> Result<Segment<E>, StorageError> {
        let disk = context.env.disk();
        let create = |kind| {
            let path = file_path(folder, base_offset, kind);
            disk.open(&path, OpenMode::Truncate).map_err(|error| context.write_failed(&path, "create", error))
        };
        // The log comes last: without it the other two are left-overs that recovery removes.
        create(FileKind::OffsetIndex)?;
        create(FileKind::TimeIndex)?;
        let file = Arc::new(create(FileKind::Log)?);
        let indexes = Indexes::empty(context.env.wall_ms());
        Ok(Segment::new(folder, base_offset, 0, 0, Some(file), indexes))
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(crate) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    pub(crate) fn path(&self, kind: FileKind) -> PathBuf {
        file_path(&self.folder, self.base_offset, kind)
    }

    pub(crate) fn indexes(&self) -> RwLockReadGuard<'_, Indexes> {
        self.indexes.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn indexes_mut(&self) -> RwLockWriteGuard<'_, Indexes> {
        self.indexes.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log file: the pinned one, or one of the cache.
    pub(crate) fn log_file(&self, context: &Context<E>) -> Result<Arc<DiskFileOf<E>>, StorageError> {
        if let Some(file) = &*self.pinned.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(file));
        }
        self.sealed_file(context, FileKind::Log)
    }

    fn sealed_file(&self, context: &Context<E>, kind: FileKind) -> Result<Arc<DiskFileOf<E>>, StorageError> {
        context
            .descriptors
            .get(&context.env, self.id, kind, || self.path(kind))
            .map_err(|error| read_failed(&self.path(kind), error))
    }

    /// Holds the log file open for writing.
    pub(crate) fn pin(&self, context: &Context<E>) -> Result<Arc<DiskFileOf<E>>, StorageError> {
        let mut pinned = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*pinned {
            return Ok(Arc::clone(file));
        }
        let path = self.path(FileKind::Log);
        let file =
            context.env.disk().open(&path, OpenMode::ReadWrite).map_err(|error| read_failed(&path, error))?;
        let file = Arc::new(file);
        *pinned = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Leaves the file to the cache, and the indexes to their files.
    pub(crate) fn unpin(&self) {
        *self.pinned.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut indexes = self.indexes_mut();
        indexes.offsets.seal();
        indexes.times.seal();
        indexes.aborted.seal();
    }

    /// Drops every descriptor: the segment is being deleted or closed.
    pub(crate) fn release(&self, context: &Context<E>) {
        *self.pinned.lock().unwrap_or_else(PoisonError::into_inner) = None;
        context.descriptors.forget(self.id);
    }

    /// Whether a batch with this last offset can be indexed here.
    pub(crate) fn can_hold(&self, last_offset: i64) -> bool {
        last_offset - self.base_offset <= RELATIVE_OFFSET_MAX
    }

    /// Whether an append has to go to a new segment.
    pub(crate) fn must_roll(&self, config: &LogConfig, append: &RollQuestion) -> bool {
        let size = self.size();
        if size == 0 {
            return false;
        }
        let indexes = self.indexes();
        // Age goes by the timestamps of batches where there are any, as in Kafka: a replayed log rolls alike.
        let age_ms = match indexes.first_timestamp {
            Some(first) if first >= 0 => append.max_timestamp.saturating_sub(first),
            _ => append.now_ms.saturating_sub(indexes.opened_ms),
        };
        size + append.size > u64::from(config.segment_bytes)
            || age_ms > config.segment_ms
            || indexes.is_full(config)
            || !self.can_hold(append.last_offset)
    }

    /// The first batch whose last offset is not below `offset`, among the first `limit` bytes.
    pub(crate) fn locate(
        &self,
        context: &Context<E>,
        offset: i64,
        limit: u64,
    ) -> Result<Option<Found>, StorageError> {
        let relative = offset.saturating_sub(self.base_offset).clamp(0, RELATIVE_OFFSET_MAX) as u32;
        let entry = self.floor_offset(context, relative)?;
        let file = self.log_file(context)?;
        if let Some(entry) = entry {
            let position = u64::from(entry.position);
            if position >= limit {
                return Ok(None);
            }
            let expected = self.base_offset + i64::from(entry.relative_offset);
            let mut walk = Walk::new(&*file, position, limit);
            // An index that does not point at its batch is of no use, but the log can be read without it.
            if let Ok(Some(found)) = walk.next()
                && found.header.last_offset() == expected
            {
                return self.walk_to(walk, Some(found), offset);
            }
            tracing::warn!(segment = %self.path(FileKind::OffsetIndex).display(), position, "index entry misses its batch");
        }
        self.walk_to(Walk::new(&*file, 0, limit), None, offset)
    }

    fn walk_to(
        &self,
        mut walk: Walk<'_, DiskFileOf<E>>,
        mut found: Option<Found>,
        offset: i64,
    ) -> Result<Option<Found>, StorageError> {
        loop {
            if let Some(found) = found
                && found.header.last_offset() >= offset
            {
                return Ok(Some(found));
            }
            found = walk.next().map_err(|error| self.walk_failed(error))?;
            if found.is_none() {
                return Ok(None);
            }
        }
    }

    /// What a failed walk over the log file means to a caller.
    pub(crate) fn walk_failed(&self, error: WalkError) -> StorageError {
        let file = self.path(FileKind::Log);
        match error {
            WalkError::Read(error) => read_failed(&file, error),
            WalkError::Bad { position, reason } => StorageError::Damaged(Damage { file, position, reason }),
        }
    }

    /// Where the batch of an index entry below `offset` begins; 0 without one.
    pub(crate) fn position_below(&self, context: &Context<E>, offset: i64) -> Result<u64, StorageError> {
        let below = offset - 1 - self.base_offset;
        if below < 0 {
            return Ok(0);
        }
        let entry = self.floor_offset(context, below.min(RELATIVE_OFFSET_MAX) as u32)?;
        Ok(entry.map_or(0, |entry| u64::from(entry.position)))
    }

    /// Last offset entry not above `relative`.
    fn floor_offset(&self, context: &Context<E>, relative: u32) -> Result<Option<OffsetEntry>, StorageError> {
        let indexes = self.indexes();
        if let Some(found) = indexes.offsets.floor_in_memory(relative) {
            return Ok(found);
        }
        if indexes.offsets.len() == 0 {
            return Ok(None);
        }
        let file = self.sealed_file(context, FileKind::OffsetIndex)?;
        let path = || self.path(FileKind::OffsetIndex);
        indexes.offsets.floor_in_file(&*file, relative).map_err(|error| read_failed(&path(), error))
    }

    /// Last offset of the first indexed batch that begins at or behind `position`.
    pub(crate) fn first_indexed_from(
        &self,
        context: &Context<E>,
        position: u64,
    ) -> Result<Option<i64>, StorageError> {
        let indexes = self.indexes();
        let at_or_behind = |entry: &OffsetEntry| u64::from(entry.position) >= position;
        let found = if let Some(entries) = indexes.offsets.in_memory() {
            let index = entries.partition_point(|entry| !at_or_behind(entry));
            entries.get(index).copied()
        } else if indexes.offsets.last().is_some_and(|last| at_or_behind(&last)) {
            let file = self.sealed_file(context, FileKind::OffsetIndex)?;
            let path = || self.path(FileKind::OffsetIndex);
            indexes
                .offsets
                .first_in_file(&*file, at_or_behind)
                .map_err(|error| read_failed(&path(), error))?
        } else {
            None
        };
        Ok(found.map(|entry| self.base_offset + i64::from(entry.relative_offset)))
    }

    /// Last time entry not above `timestamp`.
    pub(crate) fn floor_time(
        &self,
        context: &Context<E>,
        timestamp: i64,
    ) -> Result<Option<TimeEntry>, StorageError> {
        let indexes = self.indexes();
        if let Some(found) = indexes.times.floor_in_memory(timestamp) {
            return Ok(found);
        }
        if indexes.times.len() == 0 {
            return Ok(None);
        }
        let file = self.sealed_file(context, FileKind::TimeIndex)?;
        let path = || self.path(FileKind::TimeIndex);
        indexes.times.floor_in_file(&*file, timestamp).map_err(|error| read_failed(&path(), error))
    }

    /// Entry `number` and following of the transaction index, a bounded block of them.
    pub(crate) fn aborted_block(
        &self,
        context: &Context<E>,
        number: usize,
    ) -> Result<Vec<AbortedEntry>, StorageError> {
        const BLOCK: usize = 128;
        let indexes = self.indexes();
        let to = (number + BLOCK).min(indexes.aborted.len());
        if number >= to {
            return Ok(Vec::new());
        }
        if let Some(entries) = indexes.aborted.in_memory() {
            return Ok(entries.get(number..to).unwrap_or_default().to_vec());
        }
        let file = self.sealed_file(context, FileKind::TransactionIndex)?;
        let path = || self.path(FileKind::TransactionIndex);
        indexes.aborted.read_range(&*file, number, to).map_err(|error| read_failed(&path(), error))
    }

    /// Checks the CRC of every whole batch in `from..to` that was not checked yet. Returns where good bytes end.
    ///
    /// # Errors
    /// Damage at `from` itself: there is nothing that could be served.
    pub(crate) fn verify(&self, file: &DiskFileOf<E>, from: u64, to: u64) -> Result<u64, StorageError> {
        let mut position = from;
        let mut buffer = Vec::new();
        loop {
            while position < to
                && let Some(until) = self.trust().checked_until(position)
            {
                position = until;
            }
            if position >= to {
                return Ok(to);
            }
            let mut walk = Walk::new(file, position, self.size());
            let checked = walk.next().and_then(|found| match found {
                Some(found) if found.end() <= to => {
                    verify_crc(file, &found, &mut buffer).map(|()| Some(found))
                }
                // The byte limit cuts the last batch: a reader cannot use the part, and fetches it again whole.
                _ => Ok(None),
            });
            match checked {
                Ok(Some(found)) => {
                    self.trust().add(position, found.end());
                    position = found.end();
                }
                Ok(None) => return Ok(to),
                Err(error) if position == from => return Err(self.walk_failed(error)),
                Err(_) => return Ok(position),
            }
        }
    }

    /// Writes what the index files lack. With `finish`, brings the time index to the largest timestamp first.
    pub(crate) fn write_indexes(&self, context: &Context<E>, finish: bool) -> Result<(), StorageError> {
        let mut indexes = self.indexes_mut();
        if finish {
            indexes.add_time_entry(self.base_offset);
        }
        let Indexes { offsets, times, aborted, .. } = &mut *indexes;
        self.write_index(context, FileKind::OffsetIndex, offsets)?;
        self.write_index(context, FileKind::TimeIndex, times)?;
        self.write_index(context, FileKind::TransactionIndex, aborted)
    }

    fn write_index<T: IndexEntry>(
        &self,
        context: &Context<E>,
        kind: FileKind,
        index: &mut SparseIndex<T>,
    ) -> Result<(), StorageError> {
        if !index.has_pending() {
            return Ok(());
        }
        let path = self.path(kind);
        let file = context.env.disk().open(&path, OpenMode::Create);
        file.and_then(|file| index.write_pending(&file))
            .map_err(|error| context.write_failed(&path, "write", error))
    }

    /// Makes the index files durable; which of them exist is in the indexes.
    pub(crate) fn sync_indexes(&self, context: &Context<E>) -> Result<(), StorageError> {
        self.sync_file(context, FileKind::OffsetIndex)?;
        self.sync_file(context, FileKind::TimeIndex)?;
        self.sync_aborted(context)
    }

    /// Makes the transaction index durable, if there is one. Other than the two sparse ones it cannot be told from the
    /// log alone, so it must be complete up to the recovery point.
    fn sync_aborted(&self, context: &Context<E>) -> Result<(), StorageError> {
        if self.indexes().aborted.len() == 0 {
            Ok(())
        } else {
            self.sync_file(context, FileKind::TransactionIndex)
        }
    }

    /// Writes and syncs what the transaction index lacks: with every flush that covers an abort marker. `true` if it
    /// may have been created by this.
    pub(crate) fn flush_aborted(&self, context: &Context<E>) -> Result<bool, StorageError> {
        let mut indexes = self.indexes_mut();
        if !indexes.aborted.has_pending() {
            return Ok(false);
        }
        self.write_index(context, FileKind::TransactionIndex, &mut indexes.aborted)?;
        drop(indexes);
        self.sync_file(context, FileKind::TransactionIndex)?;
        Ok(true)
    }

    fn sync_file(&self, context: &Context<E>, kind: FileKind) -> Result<(), StorageError> {
        let path = self.path(kind);
        let file = context.env.disk().open(&path, OpenMode::ReadWrite);
        file.and_then(|file| file.sync()).map_err(|error| context.health.fail(&path, "fsync", error))?;
        Counters::add(&context.counters.fsyncs, 1);
        Ok(())
    }

    /// Makes the log file durable.
    pub(crate) fn sync_log(&self, context: &Context<E>) -> Result<(), StorageError> {
        let file = self.pin(context)?;
        file.sync().map_err(|error| context.health.fail(&self.path(FileKind::Log), "fsync", error))?;
        Counters::add(&context.counters.fsyncs, 1);
        Ok(())
    }
}

/// What an append brings, as far as rolling is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RollQuestion {
    /// Bytes.
    pub(crate) size: u64,
    /// Largest timestamp, in ms.
    pub(crate) max_timestamp: i64,
    pub(crate) last_offset: i64,
    pub(crate) now_ms: i64,
}

/// `<folder>/<base offset, 20 digits><suffix>`.
pub(crate) fn file_path(folder: &Path, base_offset: i64, kind: FileKind) -> PathBuf {
    folder.join(format!("{base_offset:020}{}", kind.suffix()))
}

/// `<folder>/<offset, 20 digits>.snapshot`.
pub(crate) fn snapshot_path(folder: &Path, offset: i64) -> PathBuf {
    folder.join(format!("{offset:020}.snapshot"))
}
