//! Making appends durable, and closing.
//!
//! ```text
//!   sealed and unsynced: log, indexes, snapshot ──► active: log, aborted ──► folder ──► epochs ──► flushed = end
//! ```
//!
//! A file is dirty from its roll until it and its directory entry are synced; only then may `flushed`, which is the
//! recovery point, pass it. A failed fsync takes the directory offline and is never tried again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use headwater_env::{Disk, DiskFile, Env, OpenMode, crashsafe};

use super::{Log, Moved};
use crate::context::Counters;
use crate::epoch_cache;
use crate::error::StorageError;
use crate::segment::{Segment, snapshot_path};

/// Bytes appended after the newest snapshot that make the periodic pass take another one, so that an unclean open
/// need not walk a whole segment to know its producers.
const SNAPSHOT_INTERVAL_BYTES: u64 = 16 << 20;

/// What one flush has to do, taken under the lock.
struct Work<E: Env> {
    target: i64,
    active: Option<Arc<Segment<E>>>,
    sealed: Vec<Arc<Segment<E>>>,
    snapshots: Vec<(i64, Arc<[u8]>)>,
    epochs: Option<String>,
    names: u64,
    names_dirty: bool,
}

impl<E: Env> Log<E> {
    /// Makes everything appended so far durable; returns the flushed offset. Blocking.
    ///
    /// # Errors
    /// A failed fsync takes the directory offline: [`StorageError::Offline`], now and for ever.
    pub fn flush(&self) -> Result<i64, StorageError> {
        let _alone = self.0.lock_flushing();
        self.flush_alone(true)
    }

    /// Makes the sealed segments durable, which moves the recovery point to the active one.
    pub(crate) fn flush_sealed(&self) -> Result<i64, StorageError> {
        let _alone = self.0.lock_flushing();
        self.flush_alone(false)
    }

    pub(super) fn flush_alone(&self, whole: bool) -> Result<i64, StorageError> {
        self.0.check_open()?;
        self.flush_work(whole)
    }

    pub(super) fn flush_work(&self, whole: bool) -> Result<i64, StorageError> {
        let context = &self.0.context;
        let work = self.take_work(whole);
        for segment in &work.sealed {
            segment.sync_log(context)?;
            segment.sync_indexes(context)?;
        }
        for (offset, producers) in &work.snapshots {
            self.write_snapshot(*offset, producers)?;
        }
        let mut names_dirty = work.names_dirty;
        if let Some(active) = &work.active {
            active.sync_log(context)?;
            names_dirty |= active.flush_aborted(context)?;
        }
        if names_dirty {
            context.sync_dir(&self.0.folder)?;
        }
        if let Some(epochs) = &work.epochs {
            let path = self.0.folder.join(epoch_cache::FILE_NAME);
            crashsafe::write_file(context.env.disk(), &path, epochs.as_bytes())
                .map_err(|error| context.write_failed(&path, "write", error))?;
        }
        Ok(self.finish_work(&work))
    }

    fn take_work(&self, whole: bool) -> Work<E> {
        let state = self.0.state();
        let published = self.0.published();
        let target = if whole { published.log_end } else { published.active_base };
        let behind = published.flushed < target;
        // The counter is for what waits on a flush; under the lock no append can slip between it and the target.
        if whole {
            Counters::add(
                &self.0.context.counters.batches,
                self.0.unflushed_batches.swap(0, Ordering::Relaxed),
            );
        }
        Work {
            target,
            active: (whole && behind).then(|| Arc::clone(&state.active)),
            sealed: state.unsynced.clone(),
            snapshots: state.unsynced_snapshots.clone(),
            epochs: state.epochs_dirty.then(|| state.epochs.encode()),
            names: state.names,
            names_dirty: state.names != state.names_synced || !state.unsynced_snapshots.is_empty(),
        }
    }

    fn finish_work(&self, work: &Work<E>) -> i64 {
        let mut state = self.0.state();
        state.names_synced = state.names_synced.max(work.names);
        if work.epochs.as_ref().is_some_and(|written| *written == state.epochs.encode()) {
            state.epochs_dirty = false;
        }
        let written = |offset| work.snapshots.iter().any(|(other, _)| *other == offset);
        state.unsynced_snapshots.retain(|(offset, _)| !written(*offset));
        let synced = |segment: &Arc<Segment<E>>| work.sealed.iter().any(|other| Arc::ptr_eq(other, segment));
        state.unsynced.retain(|segment| !synced(segment));
        let mut published = self.0.published_mut();
        let moved = work.target > published.flushed;
        published.flushed = published.flushed.max(work.target);
        let flushed = published.flushed;
        drop(published);
        drop(state);
        work.sealed.iter().for_each(|segment| segment.unpin());
        if moved {
            self.0.notify(Moved::Flushed);
        }
        flushed
    }

    /// Writes and syncs a snapshot; its name is synced with the others. A torn one is told by its CRC.
    fn write_snapshot(&self, offset: i64, producers: &[u8]) -> Result<(), StorageError> {
        let context = &self.0.context;
        let path = snapshot_path(&self.0.folder, offset);
        let file = context.env.disk().open(&path, OpenMode::Truncate);
        let file = file.and_then(|file| file.write_all_at(producers, 0).map(|()| file));
        let file = file.map_err(|error| context.write_failed(&path, "write", error))?;
        file.sync().map_err(|error| context.health.fail(&path, "fsync", error))?;
        Counters::add(&context.counters.fsyncs, 1);
        Ok(())
    }

    /// Makes an unclean open cheap: writes and syncs the active index, and a snapshot where the last one is old.
    ///
    /// Part of the directory's periodic pass, before the recovery point goes to the checkpoint. Blocking.
    pub(crate) fn checkpoint(&self) -> Result<(), StorageError> {
        let _alone = self.0.lock_flushing();
        self.0.check_open()?;
        let (active, unsnapshotted) = {
            let state = self.0.state();
            (Arc::clone(&state.active), state.active.size().saturating_sub(state.snapshot_position))
        };
        self.sync_active_index(&active)?;
        if unsnapshotted >= SNAPSHOT_INTERVAL_BYTES { self.snapshot_alone() } else { Ok(()) }
    }

    /// Takes a snapshot of the producers at the log end, durably, in place of the last one of this kind. Blocking.
    pub(crate) fn checkpoint_with_snapshot(&self) -> Result<(), StorageError> {
        let _alone = self.0.lock_flushing();
        self.0.check_open()?;
        self.snapshot_alone()
    }

    fn sync_active_index(&self, active: &Segment<E>) -> Result<(), StorageError> {
        if active.indexes().has_pending() {
            active.write_indexes(&self.0.context, false)?;
            active.sync_indexes(&self.0.context)?;
            // The transaction index may have been created by this, and has nothing pending for the next flush.
            self.0.state().names += 1;
        }
        Ok(())
    }

    /// A snapshot vouches for the index entries below it, so both are taken at the same moment, and the index is on
    /// stable storage before the snapshot is written.
    fn snapshot_alone(&self) -> Result<(), StorageError> {
        let context = &self.0.context;
        let (active, offset, position, producers) = {
            let state = self.0.state();
            let offset = self.0.published().log_end;
            if state.snapshot_offset == offset {
                return Ok(());
            }
            // Finished, so that time entries written later are of later batches.
            state.active.write_indexes(context, true)?;
            (Arc::clone(&state.active), offset, state.active.size(), state.producers.to_snapshot())
        };
        active.sync_indexes(context)?;
        let path = snapshot_path(&self.0.folder, offset);
        crashsafe::write_file(context.env.disk(), &path, &producers)
            .map_err(|error| context.write_failed(&path, "write", error))?;
        let replaced = {
            let mut state = self.0.state();
            let replaced = state.snapshot_offset;
            if replaced > offset {
                // A roll came in between and took its own.
                return Ok(());
            }
            (state.snapshot_offset, state.snapshot_position) = (offset, position);
            replaced
        };
        // A snapshot above the recovery point is not used, so the older one stays until the log is flushed.
        self.flush_work(true)?;
        self.remove_snapshot_between_segments(replaced);
        Ok(())
    }

    /// Removes a snapshot that was taken in the middle of a segment, now that there is a newer one.
    fn remove_snapshot_between_segments(&self, offset: i64) {
        let at_border = self.0.segments.load().iter().any(|segment| segment.base_offset() == offset);
        if !at_border {
            let path = snapshot_path(&self.0.folder, offset);
            if let Err(error) = self.0.context.env.disk().remove_file(&path) {
                tracing::debug!(path = %path.display(), %error, "old snapshot not removed");
            }
        }
    }

    /// Flushes, writes indexes and a snapshot, and refuses everything from then on. Blocking; the second time nothing.
    ///
    /// # Errors
    /// Whatever stopped the files from being complete: the directory must then not be marked clean.
    pub fn close(&self) -> Result<(), StorageError> {
        let _alone = self.0.lock_flushing();
        if self.0.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.0.context.health.check()?;
        {
            let _state = self.0.state();
            // Under the lock, so that no append comes after the last flush.
            self.0.closed.store(true, Ordering::Release);
        }
        let active = Arc::clone(&self.0.state().active);
        active.write_indexes(&self.0.context, true)?;
        active.sync_indexes(&self.0.context)?;
        self.0.state().names += 1;
        self.snapshot_alone()?;
        self.flush_work(true)?;
        self.release();
        Ok(())
    }

    /// Refuses everything from now on and writes nothing: the log is being deleted.
    pub(crate) fn abandon(&self) {
        let _alone = self.0.lock_flushing();
        let _state = self.0.state();
        self.0.closed.store(true, Ordering::Release);
        self.release();
    }

    fn release(&self) {
        self.0.segments.load().iter().for_each(|segment| segment.release(&self.0.context));
    }
}
