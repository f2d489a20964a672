//! One partition: the borders of its segments, its snapshots, epochs and metadata.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use headwater_env::{Disk, crashsafe};

use super::VerifyReport;
use super::segment::{Expectations, SegmentEnd};
use crate::checkpoint::read_text;
use crate::config::OpenHints;
use crate::descriptors::FileKind;
use crate::epoch_cache::{self, EpochCache};
use crate::log::{METADATA_FILE, SNAPSHOT_SIZE_MAX, parse_name};
use crate::producer_state::Producers;
use crate::segment::{file_path, snapshot_path};

pub(super) fn verify<D: Disk>(
    disk: &D,
    folder: &Path,
    hints: OpenHints,
    report: &mut VerifyReport,
) -> io::Result<()> {
    report.partitions += 1;
    metadata(disk, folder, report)?;
    let mut bases = BTreeSet::new();
    let mut snapshots = BTreeSet::new();
    let mut names = BTreeSet::new();
    for entry in disk.read_dir(folder)?.into_iter().filter(|entry| !entry.is_dir) {
        match parse_name(&entry.name) {
            Some((base, ".log")) => _ = bases.insert(base),
            Some((offset, ".snapshot")) => _ = snapshots.insert(offset),
            _ => {}
        }
        names.insert(entry.name);
    }
    for name in &names {
        if let Some((base, ".index" | ".timeindex" | ".txnindex")) = parse_name(name)
            && !bases.contains(&base)
        {
            report.note(&folder.join(name), None, "an index without a log");
        }
    }
    let epochs = epochs(disk, folder, report)?;
    let mut snapshot_at_start = None;
    for offset in &snapshots {
        let loaded = snapshot(disk, folder, *offset, report)?;
        if Some(offset) == bases.first() {
            snapshot_at_start = loaded;
        }
    }
    // Without the state at the first segment, transactions that began before it are not known.
    let knows_producers = bases.first() == Some(&0) || snapshot_at_start.is_some();
    let mut expectations = Expectations {
        hints,
        epochs,
        producers: snapshot_at_start.unwrap_or_default(),
        knows_producers,
        last_epoch: -1,
        is_last: false,
    };
    let mut end: Option<SegmentEnd> = None;
    for (index, base) in bases.iter().enumerate() {
        if let Some(before) = &end {
            border(folder, before, *base, hints, report);
        }
        report.segments += 1;
        expectations.is_last = index + 1 == bases.len();
        end = Some(super::segment::verify(disk, folder, *base, &mut expectations, report)?);
    }
    let log_end = end.map_or(hints.log_start, |end| end.end_offset);
    ends(folder, log_end, hints, report);
    for offset in snapshots.iter().filter(|offset| **offset > log_end) {
        report.note(&snapshot_path(folder, *offset), None, format!("beyond the log end {log_end}"));
    }
    Ok(())
}

fn border(folder: &Path, before: &SegmentEnd, base: i64, hints: OpenHints, report: &mut VerifyReport) {
    let path = file_path(folder, base, FileKind::Log);
    if before.end_offset > base {
        report.error(
            &path,
            Some(0),
            format!("begins below offset {}, where the one before ends", before.end_offset),
        );
    } else if before.end_offset < base {
        let what = format!("no records in {}..{base}", before.end_offset);
        if hints.clean_shutdown || base <= hints.recovery_point {
            // Compaction leaves such holes, so they are no proof of loss.
            report.note(&path, None, what);
        } else {
            report.note(&path, None, format!("{what}: to be cut at the next start"));
        }
    }
}

fn ends(folder: &Path, log_end: i64, hints: OpenHints, report: &mut VerifyReport) {
    if log_end < hints.recovery_point {
        let what =
            format!("ends at offset {log_end}, but everything below {} was flushed", hints.recovery_point);
        report.error(folder, None, what);
    }
    if log_end < hints.high_watermark {
        let what = format!("ends at offset {log_end}, the high watermark was {}", hints.high_watermark);
        report.note(folder, None, what);
    }
}

fn metadata<D: Disk>(disk: &D, folder: &Path, report: &mut VerifyReport) -> io::Result<()> {
    let path = folder.join(METADATA_FILE);
    match read_text(disk, &path) {
        Ok(Some(text)) => {
            let topic_id = text.strip_prefix("version: 0\ntopic_id: ").map(str::trim_end);
            if topic_id.is_none_or(|id| id.parse::<headwater_record::Uuid>().is_err()) {
                report.error(&path, None, "not a partition's metadata, version 0");
            }
        }
        Ok(None) => report.note(&path, None, "missing"),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => report.error(&path, None, "not text"),
        Err(error) => return Err(error),
    }
    Ok(())
}

fn epochs<D: Disk>(disk: &D, folder: &Path, report: &mut VerifyReport) -> io::Result<Option<EpochCache>> {
    let path = folder.join(epoch_cache::FILE_NAME);
    match read_text(disk, &path) {
        Ok(Some(text)) => match EpochCache::decode(&text) {
            Ok(epochs) => return Ok(Some(epochs)),
            Err(error) => report.error(&path, None, error.to_string()),
        },
        Ok(None) => report.note(&path, None, "missing"),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => report.error(&path, None, "not text"),
        Err(error) => return Err(error),
    }
    Ok(None)
}

fn snapshot<D: Disk>(
    disk: &D,
    folder: &Path,
    offset: i64,
    report: &mut VerifyReport,
) -> io::Result<Option<Producers>> {
    let path = snapshot_path(folder, offset);
    let bytes = crashsafe::read_file(disk, &path, SNAPSHOT_SIZE_MAX)?;
    match Producers::from_snapshot(&bytes) {
        Ok(producers) => Ok(Some(producers)),
        // An older snapshot does as well, so nothing is lost by it.
        Err(error) => {
            report.note(&path, None, error.to_string());
            Ok(None)
        }
    }
}
