//! One segment: every batch, and every entry of its three indexes against the batches.
//!
//! The indexes are read whole (a few MiB) and compared while the log streams by, so memory does not grow with it.

use std::io;
use std::path::Path;

use headwater_env::{Disk, DiskFile, OpenMode};
use headwater_record::BatchView;

use super::VerifyReport;
use crate::config::OpenHints;
use crate::descriptors::FileKind;
use crate::epoch_cache::EpochCache;
use crate::log::marker_of;
use crate::offset_index::OffsetEntry;
use crate::producer_state::Producers;
use crate::scan::{Found, Walk, WalkError, read_batch, verify_crc};
use crate::segment::file_path;
use crate::sparse_index::{IndexEntry, read_entries};
use crate::time_index::TimeEntry;
use crate::transaction_index::AbortedEntry;

/// What earlier segments and other files lead to expect.
pub(super) struct Expectations {
    pub(super) hints: OpenHints,
    pub(super) epochs: Option<EpochCache>,
    pub(super) producers: Producers,
    pub(super) knows_producers: bool,
    pub(super) last_epoch: i32,
    pub(super) is_last: bool,
}

/// Where a segment ends.
pub(super) struct SegmentEnd {
    pub(super) end_offset: i64,
}

/// The indexes of one segment, each with how far it has been compared.
struct Indexes {
    offsets: Vec<OffsetEntry>,
    offsets_seen: usize,
    times: Vec<TimeEntry>,
    times_seen: usize,
    max_timestamp: i64,
}

pub(super) fn verify<D: Disk>(
    disk: &D,
    folder: &Path,
    base: i64,
    expectations: &mut Expectations,
    report: &mut VerifyReport,
) -> io::Result<SegmentEnd> {
    let path = file_path(folder, base, FileKind::Log);
    let log = disk.open(&path, OpenMode::Read)?;
    let length = log.len()?;
    let mut indexes = Indexes {
        offsets: index(disk, &file_path(folder, base, FileKind::OffsetIndex), true, report)?,
        offsets_seen: 0,
        times: index(disk, &file_path(folder, base, FileKind::TimeIndex), true, report)?,
        times_seen: 0,
        max_timestamp: -1,
    };
    let mut aborted = Vec::new();
    let mut end = SegmentEnd { end_offset: base };
    let (mut crc_buffer, mut batch_buffer) = (Vec::new(), Vec::new());
    let mut walk = Walk::new(&log, 0, length);
    loop {
        let step = walk.next().and_then(|found| {
            if let Some(found) = &found {
                in_order(base, &end, expectations, found)?;
                verify_crc(&log, found, &mut crc_buffer)?;
            }
            Ok(found)
        });
        match step {
            Ok(None) => break,
            Ok(Some(found)) => {
                report.batches += 1;
                report.records += u64::try_from(found.header.record_count).unwrap_or_default();
                report.bytes += found.header.size() as u64;
                end.end_offset = found.header.next_offset();
                expectations.last_epoch = found.header.partition_leader_epoch;
                epoch_fits(&path, expectations, &found, report);
                indexes.compare(folder, base, &found, report);
                let mut view = None;
                if found.header.is_control() {
                    read_batch(&log, &found, &mut batch_buffer)?;
                    view = BatchView::new(&batch_buffer).ok();
                }
                let marker = view.and_then(|view| marker_of(&view).ok().flatten());
                expectations.producers.replay(&found.header, marker, |entry| aborted.push(entry));
            }
            Err(WalkError::Read(error)) => return Err(error),
            Err(WalkError::Bad { position, reason }) => {
                let hints = expectations.hints;
                if !hints.clean_shutdown && end.end_offset >= hints.recovery_point {
                    report.note(&path, Some(position), format!("{reason}: to be cut at the next start"));
                } else {
                    report.error(&path, Some(position), reason);
                }
                break;
            }
        }
    }
    indexes.finish(folder, base, end.end_offset, expectations, report);
    compare_aborted(disk, folder, base, &aborted, expectations, report)?;
    Ok(end)
}

/// Reads an index; a missing one is a finding if it is `expected`.
fn index<D: Disk, T: IndexEntry>(
    disk: &D,
    path: &Path,
    expected: bool,
    report: &mut VerifyReport,
) -> io::Result<Vec<T>> {
    let file = match disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if expected {
                report.note(path, None, "missing: to be built at the next start");
            }
            return Ok(Vec::new());
        }
        other => other?,
    };
    let (entries, whole) = read_entries::<T, _>(&file)?;
    if !whole {
        let position = (entries.len() * T::SIZE) as u64;
        report.error(path, Some(position), "not an entry");
    }
    Ok(entries)
}

fn in_order(
    base: i64,
    end: &SegmentEnd,
    expectations: &Expectations,
    found: &Found,
) -> Result<(), WalkError> {
    let header = &found.header;
    let bad = |reason| Err(WalkError::Bad { position: found.position, reason });
    if header.base_offset < end.end_offset {
        return bad(format!("offset {} after {}", header.base_offset, end.end_offset - 1));
    }
    if header.last_offset() - base > i64::from(i32::MAX) {
        return bad(format!("offset {} is too far from the segment's base {base}", header.last_offset()));
    }
    if header.partition_leader_epoch < expectations.last_epoch {
        return bad(format!(
            "leader epoch {} after {}",
            header.partition_leader_epoch, expectations.last_epoch
        ));
    }
    Ok(())
}

fn epoch_fits(path: &Path, expectations: &Expectations, found: &Found, report: &mut VerifyReport) {
    let Some(epochs) = &expectations.epochs else { return };
    let header = &found.header;
    // The epoch that spans the log start begins there, even when that is inside a batch.
    let offset = header.base_offset.max(expectations.hints.log_start);
    let above = epochs.entries().partition_point(|(_, start)| *start <= offset);
    let known = above.checked_sub(1).map(|index| epochs.entries()[index].0);
    let flushed = expectations.hints.clean_shutdown || header.base_offset < expectations.hints.recovery_point;
    // Records below the log start are on their way out, the checkpoint no longer speaks of them.
    let visible = header.last_offset() >= expectations.hints.log_start;
    if flushed
        && visible
        && header.partition_leader_epoch >= 0
        && known != Some(header.partition_leader_epoch)
    {
        let what = format!(
            "leader epoch {} at offset {}, the epoch checkpoint says {known:?}",
            header.partition_leader_epoch, header.base_offset
        );
        report.error(path, Some(found.position), what);
    }
}

impl Indexes {
    /// Compares the entries that should point at this batch.
    fn compare(&mut self, folder: &Path, base: i64, found: &Found, report: &mut VerifyReport) {
        let header = &found.header;
        while let Some(entry) = self.offsets.get(self.offsets_seen)
            && u64::from(entry.position) <= found.position
        {
            let points_here = u64::from(entry.position) == found.position;
            if !points_here || base + i64::from(entry.relative_offset) != header.last_offset() {
                let what = format!("entry {entry:?} does not point at a batch with that last offset");
                report.error(
                    &file_path(folder, base, FileKind::OffsetIndex),
                    Some(self.offset_position()),
                    what,
                );
            }
            self.offsets_seen += 1;
        }
        while let Some(entry) = self.times.get(self.times_seen)
            && base + i64::from(entry.relative_offset) <= header.last_offset()
        {
            let points_here = base + i64::from(entry.relative_offset) == header.last_offset();
            let is_news = entry.timestamp > self.max_timestamp;
            if !points_here || !is_news || entry.timestamp != header.max_timestamp {
                let what = format!("entry {entry:?} is not the first batch with that timestamp");
                report.error(&file_path(folder, base, FileKind::TimeIndex), Some(self.time_position()), what);
            }
            self.times_seen += 1;
        }
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
    }

    /// What is left once the log has ended.
    fn finish(
        &self,
        folder: &Path,
        base: i64,
        end_offset: i64,
        expectations: &Expectations,
        report: &mut VerifyReport,
    ) {
        let hints = expectations.hints;
        // After an unclean stop the entries above the recovery point are made anew.
        let settled = hints.clean_shutdown || (!expectations.is_last && end_offset < hints.recovery_point);
        let mut add = |kind, position, what: String| {
            let path = file_path(folder, base, kind);
            if settled { report.error(&path, position, what) } else { report.note(&path, position, what) }
        };
        if self.offsets_seen < self.offsets.len() {
            add(
                FileKind::OffsetIndex,
                Some(self.offset_position()),
                "entries behind the end of the log".to_owned(),
            );
        }
        if self.times_seen < self.times.len() {
            add(
                FileKind::TimeIndex,
                Some(self.time_position()),
                "entries behind the end of the log".to_owned(),
            );
        }
        let last = self.times.last().map_or(-1, |entry| entry.timestamp);
        if settled && last != self.max_timestamp {
            let what =
                format!("ends with timestamp {last}, the largest in the segment is {}", self.max_timestamp);
            add(FileKind::TimeIndex, None, what);
        }
    }

    fn offset_position(&self) -> u64 {
        (self.offsets_seen * OffsetEntry::SIZE) as u64
    }

    fn time_position(&self) -> u64 {
        (self.times_seen * TimeEntry::SIZE) as u64
    }
}

fn compare_aborted<D: Disk>(
    disk: &D,
    folder: &Path,
    base: i64,
    expected: &[AbortedEntry],
    expectations: &Expectations,
    report: &mut VerifyReport,
) -> io::Result<()> {
    let path = file_path(folder, base, FileKind::TransactionIndex);
    let found = index::<D, AbortedEntry>(disk, &path, false, report)?;
    let hints = expectations.hints;
    let settled = |entry: &AbortedEntry| hints.clean_shutdown || entry.last_offset < hints.recovery_point;
    for (number, entry) in found.iter().enumerate() {
        let position = Some((number * AbortedEntry::SIZE) as u64);
        let known = expected.contains(entry);
        if !known && settled(entry) && expectations.knows_producers {
            report.error(&path, position, format!("{entry:?} matches no abort marker"));
        }
    }
    // Of a segment below the log start a crash may have left the log without its indexes.
    let visible = |entry: &AbortedEntry| entry.last_offset >= hints.log_start;
    for entry in expected.iter().filter(|entry| settled(entry) && visible(entry) && !found.contains(entry)) {
        report.error(&path, None, format!("{entry:?} is missing"));
    }
    Ok(())
}
