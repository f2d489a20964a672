//! Taking records back: truncation to an offset, and starting over at one.
//!
//! Both lower the recovery point durably before they touch a file. Otherwise a crash in the middle would leave a log
//! that is shorter than its recovery point says, which is what loss looks like; and lost removals of later segments
//! leave a border that does not fit, which a scan above the recovery point cuts off.

use std::sync::Arc;

use headwater_env::{DiskFile, Env, crashsafe};

use super::load::replay;
use super::{Inner, Log, Moved, Published, State};
use crate::context::read_failed;
use crate::descriptors::FileKind;
use crate::epoch_cache::{self, EpochCache};
use crate::error::StorageError;
use crate::producer_state::Producers;
use crate::scan::Walk;
use crate::segment::{Segment, snapshot_path};
use crate::sparse_index::{SparseIndex, read_entries};

use super::append::marker_of;
use super::load::read_snapshot;
use super::repair::{remove_segment_files, rewrite_indexes};

impl<E: Env> Log<E> {
    /// Removes every record at or above `offset`, durably; returns the log end, which lies below `offset` where that
    /// is inside a batch. Offsets at or above the log end change nothing but the epochs. Blocking.
    ///
    /// # Errors
    /// [`StorageError`]; a failure in the middle takes the directory offline.
    pub fn truncate_to(&self, offset: i64) -> Result<i64, StorageError> {
        let first_base = self.0.segments.load().first().map_or(0, |segment| segment.base_offset());
        if offset < first_base {
            self.restart_at(offset)?;
            return Ok(offset);
        }
        let alone = self.0.lock_flushing();
        self.0.check_open()?;
        let mut guard = self.0.state();
        let state = &mut *guard;
        let Published { log_start, log_end, .. } = self.0.published();
        if offset >= log_end {
            state.epochs_dirty |= state.epochs.truncate_from_end(offset);
            return Ok(log_end);
        }
        let segments = self.0.segments.load_full();
        let index = Inner::floor(&segments, offset).unwrap_or(0);
        let active = Arc::clone(&segments[index]);
        let located = active.locate(&self.0.context, offset, active.size())?;
        let position = located.map_or(active.size(), |found| found.position);
        let end = self.end_before(&active, offset, position)?;
        if end < log_start {
            // The batch that spans the log start goes, and with it all that could be read.
            drop(guard);
            drop(alone);
            self.restart_at(offset)?;
            return Ok(offset);
        }
        self.lower_recovery_point(end)?;

        // The list goes first: readers that come now no longer see what is about to be removed.
        self.0.segments.store(Arc::new(segments[..=index].to_vec()));
        self.publish_truncation(&active, position, end);
        for segment in segments[index + 1..].iter().rev() {
            segment.release(&self.0.context);
            remove_segment_files(&self.0.context, &self.0.folder, segment.base_offset())?;
        }
        self.cut_active(&active, position, end)?;
        self.reset_state(state, active, end)?;
        drop(guard);
        drop(alone);
        self.0.notify(Moved::LogEnd);
        Ok(end)
    }

    /// Removes everything and begins anew at `offset`, durably: a follower whose leader's log begins elsewhere.
    /// Blocking.
    ///
    /// # Errors
    /// [`StorageError`]; a failure in the middle takes the directory offline.
    pub fn restart_at(&self, offset: i64) -> Result<(), StorageError> {
        let alone = self.0.lock_flushing();
        self.0.check_open()?;
        let mut guard = self.0.state();
        let state = &mut *guard;
        let old = self.0.segments.load_full();
        let log_end = self.0.published().log_end;
        // Above the old end, a log start at the new offset makes all of it obsolete at once, and recovery finishes the
        // removal. Below it nothing but the removal itself says what is gone, so the order must be kept.
        let ordered = offset < log_end;
        if ordered {
            let first_base = old.first().map_or(0, |segment| segment.base_offset());
            self.lower_recovery_point(offset.min(first_base))?;
        } else {
            // The recovery point stays for now: the old tail above it may be torn, and is not damage.
            self.publish_restart(offset);
            self.0.context.persist_offsets()?;
        }
        for segment in old.iter().rev() {
            segment.release(&self.0.context);
            remove_segment_files(&self.0.context, &self.0.folder, segment.base_offset())?;
            if ordered {
                self.0.context.sync_dir(&self.0.folder)?;
            }
        }
        self.0.context.sync_dir(&self.0.folder)?;
        // None of the old producers has a batch in the new log.
        self.remove_snapshots_above(-1)?;
        self.0.context.sync_dir(&self.0.folder)?;
        let segment = Arc::new(Segment::create(&self.0.context, &self.0.folder, offset)?);
        self.0.segments.store(Arc::new(vec![Arc::clone(&segment)]));
        self.publish_truncation(&segment, 0, offset);
        self.publish_restart(offset);
        state.epochs = EpochCache::default();
        state.unsynced.clear();
        state.unsynced_snapshots.clear();
        self.reset_state(state, segment, offset)?;
        self.0.published_mut().flushed = offset;
        self.0.context.persist_offsets()?;
        drop(guard);
        drop(alone);
        self.0.notify(Moved::LogEnd);
        Ok(())
    }

    /// Offset after the last batch that ends at or before `position`: what an open would find as the log end.
    fn end_before(&self, active: &Segment<E>, offset: i64, position: u64) -> Result<i64, StorageError> {
        let from = active.position_below(&self.0.context, offset)?;
        let file = active.log_file(&self.0.context)?;
        let mut end = active.base_offset();
        let mut walk = Walk::new(&*file, from, position);
        while let Some(found) = walk.next().map_err(|error| active.walk_failed(error))? {
            end = found.header.next_offset();
        }
        Ok(end)
    }

    fn publish_restart(&self, offset: i64) {
        let mut published = self.0.published_mut();
        published.log_start = offset;
        published.log_end = offset;
        published.flushed = published.flushed.min(offset);
        published.high_watermark = offset;
        published.first_unstable = None;
    }

    fn lower_recovery_point(&self, offset: i64) -> Result<(), StorageError> {
        {
            let mut published = self.0.published_mut();
            if published.flushed <= offset {
                return Ok(());
            }
            published.flushed = offset;
        }
        self.0.context.persist_offsets()
    }

    fn publish_truncation(&self, active: &Segment<E>, position: u64, end: i64) {
        active.set_size(position);
        active.trust().truncate(position);
        let mut published = self.0.published_mut();
        published.generation += 1;
        published.log_end = end;
        published.flushed = published.flushed.min(end);
        published.high_watermark = published.high_watermark.min(end);
        published.active_base = active.base_offset();
        published.active_size = position;
    }

    /// Cuts the log file and its indexes; a sealed segment becomes active again.
    fn cut_active(&self, active: &Segment<E>, position: u64, end: i64) -> Result<(), StorageError> {
        let context = &self.0.context;
        let path = active.path(FileKind::Log);
        let file = active.pin(context)?;
        file.set_len(position).map_err(|error| context.health.fail(&path, "truncate", error))?;
        active.sync_log(context)?;
        self.load_indexes(active)?;
        let base = active.base_offset();
        {
            let mut indexes = active.indexes_mut();
            let below = |relative: u32| base + i64::from(relative) < end;
            indexes.offsets.truncate_where(|entry| below(entry.relative_offset));
            indexes.times.truncate_where(|entry| below(entry.relative_offset));
            indexes.aborted.truncate_where(|entry| entry.last_offset < end);
        }
        self.measure(active, position)?;
        rewrite_indexes(context, active)
    }

    /// Brings the indexes of a sealed segment back into memory.
    fn load_indexes(&self, segment: &Segment<E>) -> Result<(), StorageError> {
        let mut indexes = segment.indexes_mut();
        if indexes.offsets.in_memory().is_none() {
            let entries = self.read_index(segment, FileKind::OffsetIndex)?;
            indexes.offsets = SparseIndex::active(entries, indexes.offsets.len());
        }
        if indexes.times.in_memory().is_none() {
            let entries = self.read_index(segment, FileKind::TimeIndex)?;
            indexes.times = SparseIndex::active(entries, indexes.times.len());
        }
        if indexes.aborted.in_memory().is_none() {
            let entries = match indexes.aborted.len() {
                0 => Vec::new(),
                _ => self.read_index(segment, FileKind::TransactionIndex)?,
            };
            indexes.aborted = SparseIndex::active(entries, indexes.aborted.len());
        }
        Ok(())
    }

    fn read_index<T: crate::sparse_index::IndexEntry>(
        &self,
        segment: &Segment<E>,
        kind: FileKind,
    ) -> Result<Vec<T>, StorageError> {
        use headwater_env::{Disk, OpenMode};
        let path = segment.path(kind);
        let file = self.0.context.env.disk().open(&path, OpenMode::Read);
        file.and_then(|file| read_entries(&file))
            .map(|(entries, _)| entries)
            .map_err(|error| read_failed(&path, error))
    }

    /// Finds again what is not in the index files: the largest timestamp and the bytes since the last entry.
    fn measure(&self, active: &Segment<E>, position: u64) -> Result<(), StorageError> {
        let file = active.pin(&self.0.context)?;
        let mut indexes = active.indexes_mut();
        let base = active.base_offset();
        let interval = self.0.config.load().index_interval_bytes;
        let last = indexes.offsets.last();
        let last_time = indexes.times.last();
        indexes.max_timestamp = last_time.map_or(-1, |entry| entry.timestamp);
        indexes.max_timestamp_offset = last_time.map_or(-1, |entry| base + i64::from(entry.relative_offset));
        indexes.first_timestamp = None;
        let failed = |error| active.walk_failed(error);
        if let Some(first) = Walk::new(&*file, 0, position).next().map_err(failed)? {
            indexes.first_timestamp = Some(first.header.max_timestamp);
        }
        let from = last.map_or(0, |entry| u64::from(entry.position));
        let mut walk = Walk::new(&*file, from, position);
        let mut indexed = last.is_some();
        indexes.bytes_since_entry = 0;
        while let Some(found) = walk.next().map_err(failed)? {
            if std::mem::take(&mut indexed) {
                indexes.bytes_since_entry = found.header.size() as u64;
            } else {
                indexes.add_batch(base, found.position, &found.header, interval);
            }
        }
        Ok(())
    }

    /// Epochs and producers as of `end`, and everything of the old tail forgotten.
    fn reset_state(
        &self,
        state: &mut State<E>,
        active: Arc<Segment<E>>,
        end: i64,
    ) -> Result<(), StorageError> {
        let context = &self.0.context;
        let segments = self.0.segments.load_full();
        state.unsynced.retain(|segment| segment.base_offset() < active.base_offset());
        state.unsynced_snapshots.retain(|(offset, _)| *offset <= end);
        state.snapshot_offset = self.remove_snapshots_above(end)?;
        state.snapshot_position = 0;
        state.active = active;
        state.epochs.truncate_from_end(end);
        let path = self.0.folder.join(epoch_cache::FILE_NAME);
        crashsafe::write_file(context.env.disk(), &path, state.epochs.encode().as_bytes())
            .map_err(|error| context.write_failed(&path, "write", error))?;
        state.epochs_dirty = false;
        context.sync_dir(&self.0.folder)?;
        state.names_synced = state.names;
        let from = state.snapshot_offset;
        let mut producers = match from {
            ..0 => Producers::default(),
            _ => read_snapshot(context, &self.0.folder, from)?.unwrap_or_default(),
        };
        producers.set_now(context.env.wall_ms());
        replay(context, &segments, from, end, |_, header, view| {
            if header.base_offset >= from {
                let marker = view.and_then(|view| marker_of(&view).ok().flatten());
                producers.replay(header, marker, |_| {});
            }
        })?;
        let mut published = self.0.published_mut();
        producers.on_high_watermark(published.high_watermark);
        published.first_unstable = producers.first_unstable();
        state.producers = producers;
        Ok(())
    }

    /// Removes the snapshots of what was cut; returns the newest that is left, -1 without one.
    fn remove_snapshots_above(&self, end: i64) -> Result<i64, StorageError> {
        use headwater_env::Disk;
        let disk = self.0.context.env.disk();
        let names = disk.read_dir(&self.0.folder).map_err(|error| read_failed(&self.0.folder, error))?;
        let mut newest = -1;
        for entry in names {
            let Some((offset, ".snapshot")) = super::parse_name(&entry.name) else { continue };
            if offset > end {
                let path = snapshot_path(&self.0.folder, offset);
                disk.remove_file(&path)
                    .map_err(|error| self.0.context.write_failed(&path, "remove", error))?;
            } else if read_snapshot(&self.0.context, &self.0.folder, offset)?.is_some() {
                newest = newest.max(offset);
            }
        }
        Ok(newest)
    }
}
