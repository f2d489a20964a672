//! Letting old records go: retention by time and size, and DeleteRecords.
//!
//! The log start moves first, durably; then whole segments below it go. A crash in between leaves segments below the
//! log start, which the next pass removes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_env::{Disk, Env};

use super::{Inner, Log};
use crate::descriptors::FileKind;
use crate::error::{DeleteRecordsError, StorageError};
use crate::segment::{Segment, file_path, snapshot_path};
use crate::types::Retired;

impl<E: Env> Log<E> {
    /// Moves the log start to `offset` (-1: the high watermark), durably; returns it. Whole segments below go with
    /// the next [`Log::apply_retention`]. An offset below the log start changes nothing. Blocking.
    ///
    /// # Errors
    /// [`DeleteRecordsError::AboveHighWatermark`], or the disk: then the records are no longer visible, but may be
    /// again after a crash.
    pub fn delete_records_before(&self, offset: i64) -> Result<i64, DeleteRecordsError> {
        self.0.check_open()?;
        let log_start = {
            let mut published = self.0.published_mut();
            let high_watermark = published.high_watermark;
            let target = if offset == -1 { high_watermark } else { offset };
            if target < 0 || target > high_watermark {
                return Err(DeleteRecordsError::AboveHighWatermark { offset, high_watermark });
            }
            if target <= published.log_start {
                return Ok(published.log_start);
            }
            published.log_start = target;
            target
        };
        self.0.context.persist_offsets()?;
        self.0.forget_epochs_below(log_start);
        self.0.send_progress();
        Ok(log_start)
    }

    /// Removes the segments that retention by time, by size and the log start no longer keep, all of them below the
    /// high watermark; forgets expired producers. Blocking.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn apply_retention(&self, now_ms: i64) -> Result<Retired, StorageError> {
        let alone = self.0.lock_flushing();
        self.0.check_open()?;
        let config = self.0.config.load();
        self.0.state().producers.remove_expired(now_ms, config.producer_id_expiration_ms);
        let (count, whole_log) = self.retirable(now_ms);
        if count == 0 {
            return Ok(Retired::default());
        }
        let (retired, log_start) = {
            let mut guard = self.0.state();
            let state = &mut *guard;
            if whole_log {
                let log_end = self.0.published().log_end;
                // An append may have come since the count was taken: then the last segment stays.
                if self.0.published().high_watermark < log_end {
                    return Ok(Retired::default());
                }
                self.roll(state, log_end)?;
            }
            let segments = self.0.segments.load_full();
            let log_start = segments.get(count).map_or(0, |segment| segment.base_offset());
            let mut published = self.0.published_mut();
            published.log_start = published.log_start.max(log_start);
            (segments[..count].to_vec(), log_start)
        };
        // The first segment that stays carries the producers of those that go, in its snapshot.
        self.flush_work(false)?;
        self.0.context.persist_offsets()?;
        {
            self.0.forget_epochs_below(log_start);
            let mut state = self.0.state();
            state.unsynced.retain(|segment| segment.base_offset() >= log_start);
            let kept = self.0.segments.load().iter().skip(count).map(Arc::clone).collect();
            self.0.segments.store(Arc::new(kept));
        }
        let bytes = retired.iter().map(|segment| segment.size()).sum();
        delete_segments(&self.0, &retired)?;
        drop(alone);
        self.0.send_progress();
        Ok(Retired { segments: count, bytes })
    }

    /// How many of the oldest segments may go, and whether that is all of them.
    fn retirable(&self, now_ms: i64) -> (usize, bool) {
        let config = self.0.config.load();
        let segments = self.0.segments.load();
        let published = self.0.published();
        let by_policy = config.cleanup_policy.delete;
        let mut excess = match config.retention_bytes {
            keep @ 0.. if by_policy => self.size().saturating_sub(keep as u64),
            _ => 0,
        };
        let mut count = 0;
        for (index, segment) in segments.iter().enumerate() {
            let next_base = segments.get(index + 1).map_or(published.log_end, |next| next.base_offset());
            let is_empty_active = index + 1 == segments.len() && segment.size() == 0;
            if is_empty_active || published.high_watermark < next_base {
                break;
            }
            let indexes = segment.indexes();
            let newest = if indexes.max_timestamp >= 0 { indexes.max_timestamp } else { indexes.opened_ms };
            let too_old =
                by_policy && config.retention_ms >= 0 && now_ms.saturating_sub(newest) > config.retention_ms;
            let too_large = excess > 0 && excess >= segment.size();
            let below_start = index + 1 < segments.len() && next_base <= published.log_start;
            if !(too_old || too_large || below_start) {
                break;
            }
            excess = excess.saturating_sub(segment.size());
            count = index + 1;
        }
        (count, count == segments.len())
    }
}

impl<E: Env> Inner<E> {
    /// Only once the log start is durable: a crash that takes it back needs the epochs below it again.
    fn forget_epochs_below(&self, log_start: i64) {
        let mut state = self.state();
        state.epochs_dirty |= state.epochs.truncate_from_start(log_start);
    }
}

/// Renames the files of segments to `.deleted`, makes that durable, then gives their room back.
///
/// Readers that hold a file go on reading it.
fn delete_segments<E: Env>(log: &Inner<E>, segments: &[Arc<Segment<E>>]) -> Result<(), StorageError> {
    let disk = log.context.env.disk();
    let mut renamed = Vec::new();
    for segment in segments {
        segment.release(&log.context);
        for path in files_of(&log.folder, segment.base_offset()) {
            let mut deleted = path.clone().into_os_string();
            deleted.push(".deleted");
            let deleted = PathBuf::from(deleted);
            match disk.rename(&path, &deleted) {
                Ok(()) => renamed.push(deleted),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(log.context.write_failed(&path, "rename", error)),
            }
        }
    }
    log.context.sync_dir(&log.folder)?;
    for path in renamed {
        disk.remove_file(&path).map_err(|error| log.context.write_failed(&path, "remove", error))?;
    }
    Ok(())
}

fn files_of(folder: &Path, base: i64) -> impl Iterator<Item = PathBuf> {
    let kinds = [FileKind::Log, FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex];
    kinds.map(|kind| file_path(folder, base, kind)).into_iter().chain([snapshot_path(folder, base)])
}
