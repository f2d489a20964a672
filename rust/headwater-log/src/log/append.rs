//! Appending, as leader and as follower, and rolling to a new segment.
//!
//! What needs no order is done before the lock: parsing headers, stamping LogAppendTime (which computes a CRC). Under
//! it: the sequence check, the offsets, one write, the index. A failed write is cut back, so that the log is as
//! before; where even that fails the directory goes offline.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use headwater_env::{DiskFile, Env};
use headwater_record::control::EndTransactionMarker;
use headwater_record::{
    BatchError, BatchHeader, BatchView, DecompressBuffer, NO_TIMESTAMP, TimestampType, batches, patch,
};

use super::{Log, Moved, State};
use crate::config::LogConfig;
use crate::descriptors::FileKind;
use crate::error::{AppendError, StorageError};
use crate::producer_state::Checked;
use crate::segment::{RollQuestion, Segment};
use crate::types::{Appended, Origin};

/// Decompressed size of a control batch, which holds one small record.
const CONTROL_BATCH_SIZE_MAX: usize = 64 << 10;
/// Offsets one follower append may span, so that it always fits one segment's relative offsets.
const FOLLOWER_SPAN_MAX: i64 = (i32::MAX / 2) as i64;

/// What is known of the batches before the lock is taken.
struct Summary {
    records: i64,
    max_timestamp: i64,
    batch_count: u64,
}

impl<E: Env> Log<E> {
    /// Appends a producer's or a coordinator's batches, which the caller has validated.
    ///
    /// Base offset and leader epoch are written into `batches`, with LogAppendTime also the timestamp. A batch that
    /// an idempotent producer sent before is not written again: [`Appended::duplicate`].
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then.
    pub fn append_as_leader(
        &self,
        mut batches: impl AsMut<[u8]>,
        leader_epoch: i32,
        origin: Origin,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let bytes = batches.as_mut();
        self.0.check_open()?;
        let config = self.0.config.load();
        let summary = prepare(bytes, &config, origin, now_ms)?;
        let appended = self.append_checked(bytes, &config, &summary, leader_epoch, origin, now_ms)?;
        if !appended.duplicate {
            self.after_append(&config, summary.batch_count);
        }
        Ok(appended)
    }

    fn append_checked(
        &self,
        bytes: &mut [u8],
        config: &LogConfig,
        summary: &Summary,
        leader_epoch: i32,
        origin: Origin,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let mut guard = self.0.state();
        let state = &mut *guard;
        self.0.check_open()?;
        if let Some(current_epoch) = state.epochs.latest()
            && leader_epoch < current_epoch
        {
            return Err(AppendError::FencedLeaderEpoch { leader_epoch, current_epoch });
        }
        let published = self.0.published();
        let (log_start, first_offset) = (published.log_start, published.log_end);
        state.draft.clear();
        state.producers.set_now(now_ms);
        if let Some(Checked::Duplicate { first_offset, last_offset, timestamp }) =
            check_producers(state, bytes, first_offset, origin)?
        {
            let log_append_time =
                (config.timestamp_type == TimestampType::LogAppendTime).then_some(timestamp);
            let max_timestamp = timestamp;
            let duplicate = true;
            return Ok(Appended {
                first_offset,
                last_offset,
                max_timestamp,
                log_append_time,
                log_start,
                duplicate,
            });
        }
        let last_offset = first_offset + summary.records - 1;
        let question = RollQuestion {
            size: bytes.len() as u64,
            max_timestamp: summary.max_timestamp,
            last_offset,
            now_ms,
        };
        if state.active.must_roll(config, &question) {
            self.roll(state, first_offset)?;
        }
        assign(bytes, first_offset, leader_epoch)?;
        self.write(&state.active, bytes)?;
        if state.epochs.assign(leader_epoch, first_offset) {
            state.epochs_dirty = true;
        }
        let active = Arc::clone(&state.active);
        self.index(&active, bytes, config);
        let mut indexes = active.indexes_mut();
        state.producers.commit(&mut state.draft, |entry| indexes.aborted.push(entry));
        drop(indexes);
        self.publish_append(state, bytes.len() as u64, last_offset + 1);
        let log_append_time = (config.timestamp_type == TimestampType::LogAppendTime).then_some(now_ms);
        let max_timestamp = summary.max_timestamp;
        Ok(Appended {
            first_offset,
            last_offset,
            max_timestamp,
            log_append_time,
            log_start,
            duplicate: false,
        })
    }

    /// Appends what was fetched from the leader: bytes, offsets and epochs are kept. A batch cut short at the end,
    /// as a fetch may have it, is left out.
    ///
    /// # Errors
    /// [`AppendError::Malformed`] for a wrong CRC or no whole batch, [`AppendError::BelowLogEnd`]; batches before
    /// the offending one may have been appended when the fetch spans more than 2^30 offsets.
    pub fn append_as_follower(&self, fetched: &[u8]) -> Result<Appended, AppendError> {
        self.0.check_open()?;
        let config = self.0.config.load();
        let mut rest = fetched;
        let mut appended: Option<Appended> = None;
        let mut batch_count = 0;
        while !rest.is_empty() {
            let group = group_of(rest, config.segment_bytes as usize)?;
            if group.bytes.is_empty() {
                break;
            }
            let one = self.append_group(&config, &group)?;
            batch_count += group.batch_count;
            rest = &rest[group.bytes.len()..];
            appended = Some(match appended {
                None => one,
                Some(before) => Appended { first_offset: before.first_offset, ..one },
            });
        }
        let Some(appended) = appended else {
            return Err(BatchError::Incomplete {
                needed: headwater_record::BATCH_OVERHEAD,
                available: fetched.len(),
            }
            .into());
        };
        self.after_append(&config, batch_count);
        Ok(appended)
    }

    fn append_group(&self, config: &LogConfig, group: &Group<'_>) -> Result<Appended, AppendError> {
        let (first_offset, last_offset) = (group.first_offset, group.last_offset);
        if !self.0.state().active.can_hold(last_offset) && first_offset - self.log_end() > FOLLOWER_SPAN_MAX {
            self.jump_to(first_offset)?;
        }
        let mut guard = self.0.state();
        let state = &mut *guard;
        self.0.check_open()?;
        let published = self.0.published();
        if first_offset < published.log_end {
            return Err(AppendError::BelowLogEnd { base_offset: first_offset, log_end: published.log_end });
        }
        let size = group.bytes.len() as u64;
        let now_ms = self.0.context.env.wall_ms();
        let question = RollQuestion { size, max_timestamp: group.max_timestamp, last_offset, now_ms };
        if state.active.must_roll(config, &question) {
            self.roll(state, published.log_end)?;
        }
        state.producers.set_now(now_ms);
        self.write(&state.active, group.bytes)?;
        let active = Arc::clone(&state.active);
        self.index(&active, group.bytes, config);
        let mut indexes = active.indexes_mut();
        for view in batches(group.bytes).flatten() {
            let header = view.header();
            if state.epochs.assign(header.partition_leader_epoch, header.base_offset) {
                state.epochs_dirty = true;
            }
            // What cannot be read as a marker ended no transaction on the leader either.
            let marker = marker_of(&view).ok().flatten();
            state.producers.replay(header, marker, |entry| indexes.aborted.push(entry));
        }
        drop(indexes);
        self.publish_append(state, size, last_offset + 1);
        Ok(Appended {
            first_offset,
            last_offset,
            max_timestamp: group.max_timestamp,
            log_append_time: None,
            log_start: published.log_start,
            duplicate: false,
        })
    }

    /// Writes behind the active segment's last batch, or leaves it as it was.
    fn write(&self, active: &Segment<E>, bytes: &[u8]) -> Result<(), StorageError> {
        let context = &self.0.context;
        let file = active.pin(context)?;
        let position = active.size();
        let Err(error) = file.write_all_at(bytes, position) else { return Ok(()) };
        let path = active.path(FileKind::Log);
        match file.set_len(position) {
            Ok(()) => Err(context.write_failed(&path, "write", error)),
            // Half a batch stands behind the end and cannot be removed: nothing may be appended after it.
            Err(cut) => Err(context.health.fail(&path, "truncate", cut)),
        }
    }

    fn index(&self, active: &Segment<E>, bytes: &[u8], config: &LogConfig) {
        let mut indexes = active.indexes_mut();
        let mut position = active.size();
        for view in batches(bytes).flatten() {
            indexes.add_batch(active.base_offset(), position, view.header(), config.index_interval_bytes);
            position += view.header().size() as u64;
        }
    }

    fn publish_append(&self, state: &State<E>, size: u64, log_end: i64) {
        let active_size = state.active.size() + size;
        state.active.set_size(active_size);
        let mut published = self.0.published_mut();
        published.log_end = log_end;
        published.active_size = active_size;
        published.first_unstable = state.producers.first_unstable();
    }

    fn after_append(&self, config: &LogConfig, batch_count: u64) {
        self.0.unflushed_batches.fetch_add(batch_count, Ordering::Relaxed);
        if config.flush {
            self.0.wake_flusher(self);
        }
        self.0.notify(Moved::LogEnd);
    }

    /// Seals the active segment and begins one at `base_offset`.
    pub(super) fn roll(&self, state: &mut State<E>, base_offset: i64) -> Result<(), StorageError> {
        let context = &self.0.context;
        // A later segment must never outlive the name of an earlier one, or a crash leaves a hole in the middle.
        if state.names != state.names_synced {
            context.sync_dir(&self.0.folder)?;
            state.names_synced = state.names;
        }
        state.active.write_indexes(context, true)?;
        let segment = Arc::new(Segment::create(context, &self.0.folder, base_offset)?);
        state.names += 1;
        state.unsynced.push(Arc::clone(&state.active));
        // Written by the flush, after the sealed segment's index: a snapshot vouches for the index entries below it.
        state.unsynced_snapshots.push((base_offset, state.producers.to_snapshot().into()));
        (state.snapshot_offset, state.snapshot_position) = (base_offset, 0);
        state.active = Arc::clone(&segment);
        let mut segments = Vec::clone(&self.0.segments.load());
        segments.push(segment);
        self.0.segments.store(Arc::new(segments));
        let mut published = self.0.published_mut();
        published.active_base = base_offset;
        published.active_size = 0;
        drop(published);
        if !self.0.config.load().flush {
            // The page cache keeps the records, but the recovery point should follow the sealed segments.
            self.0.wake_flusher(self);
        }
        Ok(())
    }

    /// Leaves a hole of more than 2^30 offsets, which a compacted leader can have, at a segment's border. Made durable
    /// at once, because recovery takes an unexpected border above the recovery point for a lost tail.
    fn jump_to(&self, offset: i64) -> Result<(), StorageError> {
        self.flush()?;
        {
            let mut state = self.0.state();
            self.roll(&mut state, offset)?;
            let mut published = self.0.published_mut();
            published.log_end = offset;
        }
        self.flush()?;
        self.0.context.persist_offsets()
    }
}

/// Parses and checks the headers; stamps the batches with LogAppendTime.
fn prepare(
    bytes: &mut [u8],
    config: &LogConfig,
    origin: Origin,
    now_ms: i64,
) -> Result<Summary, AppendError> {
    if bytes.len() as u64 > u64::from(config.segment_bytes) {
        return Err(AppendError::TooLarge { size: bytes.len(), segment_bytes: config.segment_bytes });
    }
    let mut summary = Summary { records: 0, max_timestamp: NO_TIMESTAMP, batch_count: 0 };
    let mut rest = bytes;
    while !rest.is_empty() {
        let header = *BatchView::new(rest)?.header();
        if header.record_count < 1 || header.last_offset_delta < 0 {
            return Err(AppendError::Invalid { reason: "a batch without records" });
        }
        if header.is_control() && origin == Origin::Client {
            return Err(AppendError::Invalid { reason: "a control batch from a client" });
        }
        let (batch, tail) = rest.split_at_mut(header.size());
        let mut timestamp = header.max_timestamp;
        if config.timestamp_type == TimestampType::LogAppendTime {
            patch::set_log_append_time(batch, now_ms);
            timestamp = now_ms;
        }
        summary.records += i64::from(header.last_offset_delta) + 1;
        summary.max_timestamp = summary.max_timestamp.max(timestamp);
        summary.batch_count += 1;
        rest = tail;
    }
    if summary.batch_count == 0 {
        return Err(AppendError::Invalid { reason: "no batch" });
    }
    Ok(summary)
}

/// Checks every batch against its producer; a duplicate answers for the whole append.
fn check_producers<E: Env>(
    state: &mut State<E>,
    bytes: &[u8],
    first_offset: i64,
    origin: Origin,
) -> Result<Option<Checked>, AppendError> {
    let mut base_offset = first_offset;
    for view in batches(bytes) {
        let view = view?;
        let marker = marker_of(&view)?;
        match state.producers.check(&mut state.draft, view.header(), marker, base_offset, origin)? {
            Checked::Fresh => base_offset += i64::from(view.header().last_offset_delta) + 1,
            duplicate @ Checked::Duplicate { .. } => return Ok(Some(duplicate)),
        }
    }
    Ok(None)
}

/// Writes offsets and epoch into the batches.
fn assign(bytes: &mut [u8], first_offset: i64, leader_epoch: i32) -> Result<(), AppendError> {
    let mut rest = bytes;
    let mut base_offset = first_offset;
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest)?;
        let size = header.size().min(rest.len());
        let (batch, tail) = rest.split_at_mut(size);
        patch::set_base_offset(batch, base_offset);
        patch::set_leader_epoch(batch, leader_epoch);
        base_offset += i64::from(header.last_offset_delta) + 1;
        rest = tail;
    }
    Ok(())
}

/// The transaction marker in a control batch; `None` for other batches and other control records.
pub(crate) fn marker_of(view: &BatchView<'_>) -> Result<Option<EndTransactionMarker>, BatchError> {
    if !view.header().is_control() {
        return Ok(None);
    }
    let mut buffer = DecompressBuffer::new();
    let mut records = view.records(&mut buffer, CONTROL_BATCH_SIZE_MAX)?;
    let Some(record) = records.next() else { return Ok(None) };
    // A control record of a type or version that is not known ends no transaction.
    Ok(EndTransactionMarker::decode(&record?).ok().flatten())
}

/// Whole batches of a fetch, near enough in offsets and few enough in bytes to share a segment.
struct Group<'a> {
    bytes: &'a [u8],
    first_offset: i64,
    last_offset: i64,
    max_timestamp: i64,
    batch_count: u64,
}

fn group_of(fetched: &[u8], size_max: usize) -> Result<Group<'_>, AppendError> {
    let mut group =
        Group { bytes: &[], first_offset: -1, last_offset: -1, max_timestamp: NO_TIMESTAMP, batch_count: 0 };
    let mut iter = batches(fetched);
    while let Some(view) = iter.next() {
        let view = view?;
        view.verify_crc()?;
        let header = view.header();
        if header.base_offset < 0
            || header.last_offset_delta < 0
            || header.next_offset() <= header.base_offset
        {
            return Err(AppendError::Invalid { reason: "impossible offsets" });
        }
        if group.batch_count == 0 {
            group.first_offset = header.base_offset;
        } else if header.base_offset <= group.last_offset {
            return Err(AppendError::BelowLogEnd {
                base_offset: header.base_offset,
                log_end: group.last_offset + 1,
            });
        }
        let spans_too_much = header.last_offset() - group.first_offset > FOLLOWER_SPAN_MAX;
        if group.batch_count > 0 && (spans_too_much || iter.position() > size_max) {
            break;
        }
        group.last_offset = header.last_offset();
        group.max_timestamp = group.max_timestamp.max(header.max_timestamp);
        group.batch_count += 1;
        group.bytes = &fetched[..iter.position()];
    }
    Ok(group)
}
