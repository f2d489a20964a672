//! Opening a partition's folder, the reading half: what is there, what of it is good, what must be mended.
//!
//! ```text
//!   segments:  0 ───────── 100 ───────── 200 ─────── 300 ──── end
//!              └ wholly below the recovery point ┘     └ from here on every CRC, then cut at the first bad byte
//!                index looked at, log walked from
//!                the last index entry: its end must fit
//! ```
//!
//! Nothing is written here, so that a stopped broker's folder can be read as it stands; [`super::repair`] carries the
//! findings out. Damage below the recovery point is an error, never cut.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_env::{Disk, Env};
use headwater_record::BatchView;

use super::append::marker_of;
use super::recover::{OpenedSegment, Recovery};
use crate::checkpoint::read_text;
use crate::config::{LogConfig, OpenHints};
use crate::context::{Context, read_failed};
use crate::descriptors::FileKind;
use crate::epoch_cache::{self, EpochCache};
use crate::error::{Damage, OpenError, StorageError};
use crate::producer_state::Producers;
use crate::scan::{Walk, read_batch};
use crate::segment::{Segment, snapshot_path};
use crate::types::{Cut, RecoveryReport};

/// No snapshot is larger: some five million producers.
pub(crate) const SNAPSHOT_SIZE_MAX: usize = 256 << 20;
/// Bytes before a snapshot's offset that are walked to recall the batches a snapshot does not hold.
const RECALL_BYTES: u64 = 1 << 20;

/// A log as it was found.
pub(crate) struct LoadedLog<E: Env> {
    pub(crate) folder: Arc<Path>,
    pub(crate) segments: Vec<Arc<Segment<E>>>,
    pub(crate) active: Arc<Segment<E>>,
    pub(crate) log_start: i64,
    pub(crate) log_end: i64,
    pub(crate) producers: Producers,
    pub(crate) epochs: EpochCache,
    /// Offset of the newest snapshot that was used or -1.
    pub(crate) snapshot_offset: i64,
    pub(crate) report: RecoveryReport,
    pub(crate) repairs: Repairs<E>,
}

/// What has to be written before the log can be appended to.
pub(crate) struct Repairs<E: Env> {
    /// Segments to remove, oldest first.
    pub(crate) drop_segments: Vec<i64>,
    /// Segments whose log was scanned: cut to their size and synced, indexes too.
    pub(crate) scanned: Vec<Arc<Segment<E>>>,
    /// Segments of which only the indexes are to be written.
    pub(crate) reindexed: Vec<Arc<Segment<E>>>,
    /// Left-overs of deletions and crashes.
    pub(crate) leftovers: Vec<PathBuf>,
    /// Whether `leader-epoch-checkpoint` is to be written.
    pub(crate) epochs: bool,
    /// Whether the first segment's files are to be created.
    pub(crate) create: bool,
    /// Snapshots to write: offset and content.
    pub(crate) snapshots: Vec<(i64, Vec<u8>)>,
    /// Snapshots above this offset speak of batches that a crash may have replaced.
    pub(crate) distrusted_above: i64,
}

/// What the names in a folder say.
#[derive(Debug, Default)]
struct Listing {
    logs: BTreeSet<i64>,
    aborted: BTreeSet<i64>,
    snapshots: BTreeSet<i64>,
    indexes: Vec<(i64, String)>,
    leftovers: Vec<String>,
}

/// Splits `00000000000000000042.log` into its offset and suffix.
pub(crate) fn parse_name(name: &str) -> Option<(i64, &str)> {
    let (number, suffix) = name.split_at_checked(20)?;
    let plain = number.bytes().all(|letter| letter.is_ascii_digit());
    if plain { Some((number.parse().ok()?, suffix)) } else { None }
}

fn list<E: Env>(context: &Context<E>, folder: &Path) -> Result<Listing, OpenError> {
    let entries = context.env.disk().read_dir(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => OpenError::Missing { folder: folder.to_owned() },
        _ => read_failed(folder, error).into(),
    })?;
    let mut listing = Listing::default();
    for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
        let name = entry.name;
        if [".deleted", ".cleaned", ".tmp"].iter().any(|suffix| name.ends_with(suffix)) {
            listing.leftovers.push(name);
            continue;
        }
        match parse_name(&name) {
            Some((offset, ".log")) => _ = listing.logs.insert(offset),
            Some((offset, ".snapshot")) => _ = listing.snapshots.insert(offset),
            Some((offset, ".index" | ".timeindex")) => listing.indexes.push((offset, name)),
            Some((offset, ".txnindex")) => {
                listing.aborted.insert(offset);
                listing.indexes.push((offset, name));
            }
            _ => {}
        }
    }
    Ok(listing)
}

/// Reads the folder; see the module.
pub(crate) fn load<E: Env>(
    context: &Context<E>,
    folder: &Path,
    config: &LogConfig,
    hints: OpenHints,
) -> Result<LoadedLog<E>, OpenError> {
    let folder: Arc<Path> = Arc::from(folder);
    let listing = list(context, &folder)?;
    let mut repairs = Repairs {
        drop_segments: Vec::new(),
        scanned: Vec::new(),
        reindexed: Vec::new(),
        leftovers: Vec::new(),
        epochs: false,
        create: false,
        snapshots: Vec::new(),
        distrusted_above: -1,
    };
    let mut report = RecoveryReport::default();
    let mut bases: Vec<i64> = listing.logs.iter().copied().collect();
    // Segments below the log start are left to the next pass of retention, which knows what must stay with them.
    let indexed_to = indexed_to(context, &folder, &listing, hints)?;
    let recovery =
        Recovery { context, folder: &folder, config, hints, indexed_to, aborted: &listing.aborted };
    let mut opened = open_segments(&recovery, &bases, &mut repairs, &mut report)?;
    drop_remnants(&mut opened, hints.log_start, &mut repairs);
    let first_base = opened.first().map_or(0, |first| first.segment.base_offset());
    let log_end = opened.last().map(|last| last.end_offset);
    let (log_start, log_end) = match log_end {
        Some(log_end) if log_end >= hints.log_start => (hints.log_start.max(first_base), log_end),
        _ => {
            // Nothing at or above the log start. That is how a restart at an offset looks after a crash; if more
            // than that was flushed, files are missing.
            check_nothing_lost(&folder, hints)?;
            repairs.drop_segments.append(&mut bases);
            repairs.scanned.clear();
            repairs.reindexed.clear();
            opened.clear();
            (hints.log_start, hints.log_start)
        }
    };
    check_reaches_recovery_point(&opened, log_end, hints)?;
    let mut segments: Vec<_> = opened.iter().map(|opened| Arc::clone(&opened.segment)).collect();
    if segments.is_empty() {
        if context.read_only {
            return Err(OpenError::Missing { folder: folder.to_path_buf() });
        }
        let indexes = crate::segment::Indexes::empty(context.env.wall_ms());
        segments.push(Arc::new(Segment::new(&folder, log_start, 0, 0, None, indexes)));
        repairs.create = true;
    }
    let active = Arc::clone(segments.last().ok_or(StorageError::Closed)?);
    let mut loaded = LoadedLog {
        epochs: EpochCache::default(),
        producers: Producers::default(),
        snapshot_offset: -1,
        folder,
        segments,
        active,
        log_start,
        log_end,
        report,
        repairs,
    };
    let rebuild_from =
        opened.iter().find(|opened| opened.aborted_lost).map(|opened| opened.segment.base_offset());
    load_state(context, config, hints, &listing, rebuild_from, &mut loaded)?;
    collect_leftovers(&listing, &mut loaded);
    Ok(loaded)
}

/// Below which offset the active index is known to be on stable storage.
fn indexed_to<E: Env>(
    context: &Context<E>,
    folder: &Path,
    listing: &Listing,
    hints: OpenHints,
) -> Result<i64, StorageError> {
    if hints.clean_shutdown {
        return Ok(i64::MAX);
    }
    for offset in listing.snapshots.range(..=hints.recovery_point).rev() {
        if read_snapshot(context, folder, *offset)?.is_some() {
            return Ok(*offset);
        }
    }
    Ok(0)
}

fn open_segments<E: Env>(
    recovery: &Recovery<'_, E>,
    bases: &[i64],
    repairs: &mut Repairs<E>,
    report: &mut RecoveryReport,
) -> Result<Vec<OpenedSegment<E>>, StorageError> {
    let mut opened: Vec<OpenedSegment<E>> = Vec::with_capacity(bases.len());
    let mut last_epoch = -1;
    for (index, base) in bases.iter().enumerate() {
        let next_base = bases.get(index + 1).copied();
        // A flush that went beyond the border has synced the indexes too; one that ended exactly there may have come
        // before the roll that wrote them.
        let one = if next_base.is_some_and(|next| next < recovery.recovery_point()) {
            recovery.open_sealed(*base, next_base, report)?
        } else {
            recovery.open_tail(*base, &mut last_epoch, report)?
        };
        if one.scanned {
            repairs.scanned.push(Arc::clone(&one.segment));
        } else if one.reindexed {
            repairs.reindexed.push(Arc::clone(&one.segment));
        }
        let (end_offset, scanned, cut) = (one.end_offset, one.scanned, one.cut.clone());
        opened.push(one);
        let Some(next_base) = next_base else {
            report.cut = cut.map(|(at, bytes)| Cut { at, bytes, segments: 0 });
            break;
        };
        let border_fits = end_offset == next_base || next_base <= recovery.recovery_point();
        if cut.is_some() || (scanned && !border_fits) {
            // The tail of this segment is gone, so the later ones cannot be appended to it.
            let dropped = &bases[index + 1..];
            report.cut = Some(recovery.cut_with_later(&opened[index], cut, dropped));
            repairs.drop_segments.extend_from_slice(dropped);
            break;
        }
    }
    Ok(opened)
}

/// Removes what a crash left of segments that retention was deleting: those before a hole below the log start.
fn drop_remnants<E: Env>(opened: &mut Vec<OpenedSegment<E>>, log_start: i64, repairs: &mut Repairs<E>) {
    let is_hole = |pair: &[OpenedSegment<E>]| {
        let next_base = pair[1].segment.base_offset();
        pair[0].end_offset != next_base && next_base <= log_start
    };
    if let Some(index) = opened.windows(2).rposition(is_hole) {
        for remnant in opened.drain(..=index) {
            let kept = |segment: &Arc<Segment<E>>| !Arc::ptr_eq(segment, &remnant.segment);
            repairs.scanned.retain(kept);
            repairs.reindexed.retain(kept);
            repairs.drop_segments.push(remnant.segment.base_offset());
        }
    }
}

fn check_nothing_lost(folder: &Path, hints: OpenHints) -> Result<(), StorageError> {
    if hints.recovery_point > hints.log_start {
        let reason = format!(
            "no records at or above the log start {}, but everything below {} was on stable storage",
            hints.log_start, hints.recovery_point
        );
        return Err(Damage { file: folder.to_owned(), position: 0, reason }.into());
    }
    Ok(())
}

fn check_reaches_recovery_point<E: Env>(
    opened: &[OpenedSegment<E>],
    log_end: i64,
    hints: OpenHints,
) -> Result<(), StorageError> {
    match opened.last() {
        Some(last) if log_end < hints.recovery_point => {
            let reason = format!(
                "the log ends at offset {log_end}, but everything below {} was on stable storage",
                hints.recovery_point
            );
            Err(Damage { file: last.segment.path(FileKind::Log), position: last.segment.size(), reason }
                .into())
        }
        _ => Ok(()),
    }
}

/// Epochs and producers: the newest usable snapshot, then every batch behind it.
fn load_state<E: Env>(
    context: &Context<E>,
    config: &LogConfig,
    hints: OpenHints,
    listing: &Listing,
    rebuild_from: Option<i64>,
    loaded: &mut LoadedLog<E>,
) -> Result<(), OpenError> {
    let path = loaded.folder.join(epoch_cache::FILE_NAME);
    let text = read_text(context.env.disk(), &path).map_err(|error| read_failed(&path, error))?;
    let epochs = text.as_deref().map(EpochCache::decode);
    let known_epochs = matches!(epochs, Some(Ok(_)));
    if let Some(Err(error)) = &epochs {
        loaded.report.warnings.push(format!("{}: {error}; rebuilt from the batches", path.display()));
    }
    loaded.epochs = epochs.and_then(Result::ok).unwrap_or_default();
    loaded.epochs.truncate_from_end(if loaded.repairs.create { 0 } else { loaded.log_end });

    let trusted =
        if hints.clean_shutdown { loaded.log_end } else { loaded.log_end.min(hints.recovery_point) };
    // Nothing below the first segment can have been replaced, so its snapshot speaks the truth in any case.
    let trusted = trusted.max(loaded.segments.first().map_or(0, |first| first.base_offset()));
    loaded.repairs.distrusted_above = trusted;
    let limit = rebuild_from.map_or(trusted, |base| base.min(trusted)).min(loaded.log_end);
    // A log that starts over has none of the batches that old snapshots speak of.
    let limit = if loaded.repairs.create { -1 } else { limit };
    for offset in listing.snapshots.range(..=limit).rev() {
        if let Some(producers) = read_snapshot(context, &loaded.folder, *offset)? {
            loaded.producers = producers;
            loaded.snapshot_offset = *offset;
            break;
        }
        let path = snapshot_path(&loaded.folder, *offset);
        loaded.report.warnings.push(format!("{}: unusable, an older one does", path.display()));
        loaded.repairs.leftovers.push(path);
    }
    let now_ms = context.env.wall_ms();
    let (snapshot_offset, active_base) = (loaded.snapshot_offset, loaded.active.base_offset());
    loaded.producers.set_now(now_ms);
    loaded.producers.remove_expired_in_snapshot(now_ms, config.producer_id_expiration_ms, active_base);
    if !loaded.producers.is_empty() {
        recall_traces(context, loaded, snapshot_offset);
    }
    replay_tail(context, loaded, if known_epochs { snapshot_offset } else { -1 })?;
    loaded.epochs.truncate_from_start(loaded.log_start);
    loaded.repairs.epochs = text.is_none_or(|text| text != loaded.epochs.encode());
    Ok(())
}

/// Takes in every batch from `from` on, and makes the snapshots at borders of segments that could not be trusted anew:
/// truncation goes back to one of them, and retention leaves only that of the first segment.
fn replay_tail<E: Env>(
    context: &Context<E>,
    loaded: &mut LoadedLog<E>,
    from: i64,
) -> Result<(), StorageError> {
    let snapshot_offset = loaded.snapshot_offset;
    let first = super::Inner::floor(&loaded.segments, from).unwrap_or(0);
    for segment in loaded.segments.iter().skip(first) {
        if segment.base_offset() > snapshot_offset {
            loaded.repairs.snapshots.push((segment.base_offset(), loaded.producers.to_snapshot()));
        }
        replay(context, std::slice::from_ref(segment), from, loaded.log_end, |segment, header, view| {
            if header.partition_leader_epoch > loaded.epochs.latest().unwrap_or(-1) {
                loaded.epochs.assign(header.partition_leader_epoch, header.base_offset);
            }
            if header.base_offset >= snapshot_offset {
                let marker = view.and_then(|view| marker_of(&view).ok().flatten());
                let mut indexes = segment.indexes_mut();
                loaded.producers.replay(header, marker, |entry| {
                    if indexes.aborted.last().is_none_or(|last| last.last_offset < entry.last_offset) {
                        indexes.aborted.push(entry);
                    }
                });
            }
        })?;
    }
    Ok(())
}

/// The producers in the snapshot of `offset`; `None` if it is torn or damaged, which costs time only.
pub(super) fn read_snapshot<E: Env>(
    context: &Context<E>,
    folder: &Path,
    offset: i64,
) -> Result<Option<Producers>, StorageError> {
    let path = snapshot_path(folder, offset);
    let bytes = headwater_env::crashsafe::read_file(context.env.disk(), &path, SNAPSHOT_SIZE_MAX)
        .map_err(|error| read_failed(&path, error))?;
    let producers = Producers::from_snapshot(&bytes);
    if let Err(error) = &producers {
        tracing::warn!(path = %path.display(), %error, "producer snapshot not used");
    }
    Ok(producers.ok())
}

/// Hands every batch of `from..to` to `visit`, control batches with their bytes.
pub(super) fn replay<E: Env>(
    context: &Context<E>,
    segments: &[Arc<Segment<E>>],
    from: i64,
    to: i64,
    mut visit: impl FnMut(&Segment<E>, &headwater_record::BatchHeader, Option<BatchView<'_>>),
) -> Result<(), StorageError> {
    let first = super::Inner::floor(segments, from).unwrap_or(0);
    let mut buffer = Vec::new();
    for segment in segments.iter().skip(first) {
        let size = segment.size();
        if size == 0 || segment.base_offset() >= to {
            continue;
        }
        let Some(start) = segment.locate(context, from, size)? else { continue };
        let file = segment.log_file(context)?;
        let mut walk = Walk::new(&*file, start.position, size);
        while let Some(found) = walk.next().map_err(|error| segment.walk_failed(error))? {
            if found.header.base_offset >= to {
                return Ok(());
            }
            let mut view = None;
            if found.header.is_control() {
                read_batch(&*file, &found, &mut buffer)
                    .map_err(|error| read_failed(&segment.path(FileKind::Log), error))?;
                view = BatchView::new(&buffer).ok();
            }
            visit(segment, &found.header, view);
        }
    }
    Ok(())
}

/// A snapshot holds the last batch of each producer only; the log still has the ones before, which a producer with
/// several requests in flight may send again.
fn recall_traces<E: Env>(context: &Context<E>, loaded: &mut LoadedLog<E>, snapshot_offset: i64) {
    let Some(index) = super::Inner::floor(&loaded.segments, snapshot_offset - 1) else { return };
    let segment = &loaded.segments[index];
    let recalled = (|| -> Result<Vec<_>, StorageError> {
        let end = segment
            .locate(context, snapshot_offset, segment.size())?
            .map_or(segment.size(), |found| found.position);
        let from = match segment.first_indexed_from(context, end.saturating_sub(RECALL_BYTES))? {
            Some(offset) if end > RECALL_BYTES => offset,
            _ => segment.base_offset(),
        };
        let mut headers = Vec::new();
        let Some(start) = segment.locate(context, from, end)? else { return Ok(headers) };
        let file = segment.log_file(context)?;
        let mut walk = Walk::new(&*file, start.position, end);
        while let Some(found) = walk.next().map_err(|error| segment.walk_failed(error))? {
            headers.push(found.header);
        }
        Ok(headers)
    })();
    match recalled {
        Ok(headers) => headers.iter().rev().for_each(|header| loaded.producers.recall(header)),
        Err(error) => {
            loaded.report.warnings.push(format!("older batches of producers not recalled: {error}"))
        }
    }
}

/// Files without a log, snapshots above the end, temporary files.
fn collect_leftovers<E: Env>(listing: &Listing, loaded: &mut LoadedLog<E>) {
    let folder = &loaded.folder;
    let leftovers = &mut loaded.repairs.leftovers;
    leftovers.extend(listing.leftovers.iter().map(|name| folder.join(name)));
    let orphans = listing.indexes.iter().filter(|(base, _)| !listing.logs.contains(base));
    leftovers.extend(orphans.map(|(_, name)| folder.join(name)));
    for offset in &listing.snapshots {
        let at_border = loaded.segments.iter().any(|segment| segment.base_offset() == *offset);
        let useful = *offset == loaded.snapshot_offset || (at_border && !loaded.repairs.create);
        if *offset > loaded.repairs.distrusted_above || !useful {
            leftovers.push(snapshot_path(folder, *offset));
        }
    }
}
