//! Opening a partition's folder, the writing half: `partition.metadata`, and carrying out what [`super::load`] found.
//!
//! When this is done, everything in the log is on stable storage, and nothing that was cut can come back.

use std::path::Path;
use std::sync::Arc;

use headwater_env::{Disk, DiskFile, Env, OpenMode, crashsafe};
use headwater_record::Uuid;

use super::load::LoadedLog;
use crate::checkpoint::read_text;
use crate::config::LogIdentity;
use crate::context::{Context, read_failed};
use crate::descriptors::FileKind;
use crate::epoch_cache;
use crate::error::{Damage, OpenError, StorageError};
use crate::segment::{Segment, file_path, snapshot_path};
use crate::sparse_index::{IndexEntry, SparseIndex};

/// Name of the file with the topic id.
pub(crate) const METADATA_FILE: &str = "partition.metadata";

/// The topic id in a folder's `partition.metadata`; `None` if there is no such file.
pub(crate) fn read_topic_id<E: Env>(
    context: &Context<E>,
    folder: &Path,
) -> Result<Option<Uuid>, StorageError> {
    let path = folder.join(METADATA_FILE);
    let Some(text) = read_text(context.env.disk(), &path).map_err(|error| read_failed(&path, error))? else {
        return Ok(None);
    };
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix("version: "));
    let topic_id =
        lines.next().and_then(|line| line.strip_prefix("topic_id: ")).and_then(|id| id.parse().ok());
    match (version, topic_id) {
        (Some("0"), Some(topic_id)) => Ok(Some(topic_id)),
        _ => Err(Damage {
            file: path,
            position: 0,
            reason: "not a partition's metadata, version 0".to_owned(),
        }
        .into()),
    }
}

/// Creates the folder where it is missing, and compares or writes the topic id.
pub(super) fn prepare_folder<E: Env>(
    context: &Context<E>,
    folder: &Path,
    identity: &LogIdentity,
) -> Result<(), OpenError> {
    let disk = context.env.disk();
    if !disk.exists(folder).map_err(|error| read_failed(folder, error))? {
        crashsafe::create_dir_all(disk, folder)
            .map_err(|error| context.write_failed(folder, "create", error))?;
    }
    let expected = identity.topic_id;
    match read_topic_id(context, folder)? {
        _ if expected.is_zero() => Ok(()),
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(OpenError::WrongTopicId { folder: folder.to_owned(), found, expected }),
        None => {
            let path = folder.join(METADATA_FILE);
            let text = format!("version: 0\ntopic_id: {expected}");
            crashsafe::write_file(disk, &path, text.as_bytes())
                .map_err(|error| context.write_failed(&path, "write", error).into())
        }
    }
}

/// Mends what was found.
pub(super) fn apply<E: Env>(context: &Context<E>, loaded: &mut LoadedLog<E>) -> Result<(), StorageError> {
    let repairs = &loaded.repairs;
    let folder = Arc::clone(&loaded.folder);
    // Names that are removed here are only removed for good at the sync below, before anything is appended.
    for base in repairs.drop_segments.iter().rev() {
        remove_segment_files(context, &folder, *base)?;
    }
    for path in &repairs.leftovers {
        remove_if_there(context, path)?;
    }
    for segment in &repairs.scanned {
        cut_log(context, segment)?;
        segment.indexes_mut().add_time_entry(segment.base_offset());
        rewrite_indexes(context, segment)?;
    }
    for segment in &repairs.reindexed {
        rewrite_indexes(context, segment)?;
    }
    if repairs.create {
        loaded.active = Arc::new(Segment::create(context, &folder, loaded.log_start)?);
        loaded.segments = vec![Arc::clone(&loaded.active)];
    }
    if !repairs.scanned.is_empty() && loaded.snapshot_offset != loaded.log_end {
        // The next unclean open begins here.
        write_snapshot(context, &folder, loaded.log_end, &loaded.producers.to_snapshot())?;
        loaded.snapshot_offset = loaded.log_end;
    }
    for (offset, producers) in &repairs.snapshots {
        write_snapshot(context, &folder, *offset, producers)?;
    }
    if repairs.epochs {
        let path = folder.join(epoch_cache::FILE_NAME);
        crashsafe::write_file(context.env.disk(), &path, loaded.epochs.encode().as_bytes())
            .map_err(|error| context.write_failed(&path, "write", error))?;
    }
    let untouched = repairs.drop_segments.is_empty()
        && repairs.leftovers.is_empty()
        && repairs.scanned.is_empty()
        && repairs.reindexed.is_empty()
        && !repairs.create;
    if !untouched {
        context.sync_dir(&folder)?;
    }
    for segment in loaded.segments.iter().take(loaded.segments.len() - 1) {
        segment.unpin();
    }
    loaded.active.pin(context)?;
    Ok(())
}

fn write_snapshot<E: Env>(
    context: &Context<E>,
    folder: &Path,
    offset: i64,
    producers: &[u8],
) -> Result<(), StorageError> {
    let path = snapshot_path(folder, offset);
    crashsafe::write_file(context.env.disk(), &path, producers)
        .map_err(|error| context.write_failed(&path, "write", error))
}

/// Removes the bytes behind the last good batch, and makes the rest durable: it may be in the page cache only.
fn cut_log<E: Env>(context: &Context<E>, segment: &Segment<E>) -> Result<(), StorageError> {
    let file = segment.pin(context)?;
    let path = segment.path(FileKind::Log);
    let length = file.len().map_err(|error| read_failed(&path, error))?;
    if length != segment.size() {
        file.set_len(segment.size()).map_err(|error| context.health.fail(&path, "truncate", error))?;
    }
    segment.sync_log(context)
}

/// Makes the index files exactly what is in memory, and durable.
pub(super) fn rewrite_indexes<E: Env>(
    context: &Context<E>,
    segment: &Segment<E>,
) -> Result<(), StorageError> {
    let mut indexes = segment.indexes_mut();
    rewrite(context, segment, FileKind::OffsetIndex, &mut indexes.offsets)?;
    rewrite(context, segment, FileKind::TimeIndex, &mut indexes.times)?;
    let aborted_path = segment.path(FileKind::TransactionIndex);
    let exists =
        context.env.disk().exists(&aborted_path).map_err(|error| read_failed(&aborted_path, error))?;
    if exists || indexes.aborted.len() > 0 {
        rewrite(context, segment, FileKind::TransactionIndex, &mut indexes.aborted)?;
    }
    Ok(())
}

fn rewrite<E: Env, T: IndexEntry>(
    context: &Context<E>,
    segment: &Segment<E>,
    kind: FileKind,
    index: &mut SparseIndex<T>,
) -> Result<(), StorageError> {
    if index.in_memory().is_none() {
        return Ok(());
    }
    let path = segment.path(kind);
    let file = context
        .env
        .disk()
        .open(&path, OpenMode::Create)
        .map_err(|error| context.write_failed(&path, "create", error))?;
    let written = index.cut_file(&file).and_then(|()| index.write_pending(&file));
    written.map_err(|error| context.write_failed(&path, "write", error))?;
    file.sync().map_err(|error| context.health.fail(&path, "fsync", error))
}

/// Removes log and indexes of a segment, the log last: without it the others are orphans that are recognised. Its
/// snapshot stays for now, since a crash may bring the log back.
pub(super) fn remove_segment_files<E: Env>(
    context: &Context<E>,
    folder: &Path,
    base: i64,
) -> Result<(), StorageError> {
    for kind in [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex, FileKind::Log] {
        remove_if_there(context, &file_path(folder, base, kind))?;
    }
    Ok(())
}

fn remove_if_there<E: Env>(context: &Context<E>, path: &Path) -> Result<(), StorageError> {
    match context.env.disk().remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(context.write_failed(path, "remove", error))
        }
        _ => Ok(()),
    }
}
