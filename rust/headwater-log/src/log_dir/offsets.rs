//! A directory's three offset checkpoints and its clean-shutdown marker.
//!
//! A file is only written when its text differs from what was written last, so an idle broker writes nothing. What
//! the checkpoints say of partitions that could not be opened is carried over: forgetting a recovery point would let
//! the next start take damage for a torn tail.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use headwater_env::{Disk, Env, crashsafe};
use headwater_record::TopicPartition;

use super::OpenDirError;
use crate::checkpoint::{
    HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS, decode_offsets, encode_offsets, read_text,
};
use crate::config::OpenHints;
use crate::context::{Context, read_failed};
use crate::error::StorageError;

/// Name of the marker, and its content as Kafka writes it.
pub(crate) const CLEAN_MARKER: &str = ".kafka_cleanshutdown";
const CLEAN_MARKER_TEXT: &str = "{\"version\":0,\"brokerEpoch\":-1}";

/// The values of all three files, by partition.
pub(crate) type Offsets = BTreeMap<TopicPartition, OpenHints>;

/// Reads the three files; with the marker, every partition was closed cleanly.
pub(crate) fn read<D: Disk>(disk: &D, directory: &Path) -> Result<(Offsets, bool), OpenDirError> {
    let marker = directory.join(CLEAN_MARKER);
    let clean_shutdown = disk.exists(&marker).map_err(|error| read_failed(&marker, error))?;
    let mut offsets = Offsets::new();
    type Set = fn(&mut OpenHints, i64);
    let fields: [(&str, Set); 3] = [
        (RECOVERY_POINTS, |hints, offset| hints.recovery_point = offset),
        (LOG_STARTS, |hints, offset| hints.log_start = offset),
        (HIGH_WATERMARKS, |hints, offset| hints.high_watermark = offset),
    ];
    for (name, set) in fields {
        let path = directory.join(name);
        let Some(text) = read_text(disk, &path).map_err(|error| read_failed(&path, error))? else { continue };
        let entries = decode_offsets(&text)
            .map_err(|error| OpenDirError::Malformed { path, reason: error.to_string() })?;
        for (partition, offset) in entries {
            set(offsets.entry(partition).or_default(), offset.max(0));
        }
    }
    offsets.values_mut().for_each(|hints| hints.clean_shutdown = clean_shutdown);
    Ok((offsets, clean_shutdown))
}

/// The texts that are in the files, as far as this process wrote them.
#[derive(Debug, Default)]
pub(crate) struct Written {
    texts: BTreeMap<&'static str, String>,
}

impl Written {
    /// Writes what changed. High watermarks move all the time and are only worth a write in the periodic pass.
    pub(crate) fn update<E: Env>(
        &mut self,
        context: &Context<E>,
        directory: &Path,
        offsets: &Offsets,
        with_high_watermarks: bool,
    ) -> Result<(), StorageError> {
        let of = |get: fn(&OpenHints) -> i64| -> BTreeMap<TopicPartition, i64> {
            offsets.iter().map(|(partition, hints)| (partition.clone(), get(hints))).collect()
        };
        // The log start first: a crash in between must not find a recovery point above a log start that is to come.
        let mut starts = of(|hints| hints.log_start);
        starts.retain(|_, start| *start > 0);
        self.write(context, directory, LOG_STARTS, encode_offsets(&starts))?;
        self.write(context, directory, RECOVERY_POINTS, encode_offsets(&of(|hints| hints.recovery_point)))?;
        if with_high_watermarks {
            self.write(
                context,
                directory,
                HIGH_WATERMARKS,
                encode_offsets(&of(|hints| hints.high_watermark)),
            )?;
        }
        Ok(())
    }

    fn write<E: Env>(
        &mut self,
        context: &Context<E>,
        directory: &Path,
        name: &'static str,
        text: String,
    ) -> Result<(), StorageError> {
        if self.texts.get(name) == Some(&text) {
            return Ok(());
        }
        let path = directory.join(name);
        crashsafe::write_file(context.env.disk(), &path, text.as_bytes())
            .map_err(|error| context.write_failed(&path, "write", error))?;
        self.texts.insert(name, text);
        Ok(())
    }
}

/// Leaves the marker, after everything else is durable.
pub(crate) fn mark_clean<E: Env>(context: &Context<E>, directory: &Path) -> Result<(), StorageError> {
    let path = directory.join(CLEAN_MARKER);
    crashsafe::write_file(context.env.disk(), &path, CLEAN_MARKER_TEXT.as_bytes())
        .map_err(|error| context.write_failed(&path, "write", error))
}

/// Removes the marker, before anything is appended.
pub(crate) fn unmark_clean<E: Env>(context: &Context<E>, directory: &Path) -> Result<(), StorageError> {
    let path = directory.join(CLEAN_MARKER);
    let removed: io::Result<()> = crashsafe::remove_file_durably(context.env.disk(), &path);
    removed.map_err(|error| context.write_failed(&path, "remove", error))
}
