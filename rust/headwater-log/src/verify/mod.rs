//! Checking a stopped broker's files offline: every CRC, index entry, offset, snapshot and checkpoint.
//!
//! Nothing is believed and nothing is mended; each finding names a file and, where it has one, a position. It reads
//! the files by itself instead of opening the logs, so that it also finds what an open would quietly mend.

mod partition;
mod segment;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use headwater_env::Disk;
use headwater_record::TopicPartition;

use crate::checkpoint::{HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS, decode_offsets, read_text};
use crate::config::OpenHints;
use crate::log_dir::{CLEAN_MARKER, Metadata};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// What the next start mends by itself, such as a torn tail after an unclean stop.
    Note,
    /// What should not be: damage, or loss.
    Error,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file or folder.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub position: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if let Some(position) = self.position {
            write!(formatter, " at byte {position}")?;
        }
        write!(formatter, ": {}", self.what)
    }
}

/// What was looked at and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Partitions looked at.
    pub partitions: u64,
    /// Segments looked at.
    pub segments: u64,
    /// Batches whose CRC holds.
    pub batches: u64,
    /// Records in them, by their headers.
    pub records: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// What is wrong, in the order it was met.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Whether there is no finding of severity [`Severity::Error`].
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }

    fn note(&mut self, file: &Path, position: Option<u64>, what: impl Into<String>) {
        self.add(Severity::Note, file, position, what.into());
    }

    fn error(&mut self, file: &Path, position: Option<u64>, what: impl Into<String>) {
        self.add(Severity::Error, file, position, what.into());
    }

    fn add(&mut self, severity: Severity, file: &Path, position: Option<u64>, what: String) {
        self.findings.push(Finding { severity, file: file.to_owned(), position, what });
    }
}

/// Checks a data directory with all its partitions. The caller sees to it that no broker runs on it.
///
/// # Errors
/// When a file or folder that is there cannot be read.
pub fn verify_directory<D: Disk>(disk: &D, directory: &Path) -> io::Result<VerifyReport> {
    let mut report = VerifyReport::default();
    match Metadata::read(disk, directory) {
        Ok(Some(_)) => {}
        Ok(None) => report.error(&directory.join("meta.properties"), None, "missing"),
        Err(error) => report.error(directory, None, error.to_string()),
    }
    let clean_shutdown = disk.exists(&directory.join(CLEAN_MARKER))?;
    let recovery_points = checkpoint(disk, directory, RECOVERY_POINTS, &mut report)?;
    let log_starts = checkpoint(disk, directory, LOG_STARTS, &mut report)?;
    let high_watermarks = checkpoint(disk, directory, HIGH_WATERMARKS, &mut report)?;
    for entry in disk.read_dir(directory)?.into_iter().filter(|entry| entry.is_dir) {
        let Some(partition) = TopicPartition::from_folder_name(&entry.name) else { continue };
        let of =
            |offsets: &BTreeMap<TopicPartition, i64>| offsets.get(&partition).copied().unwrap_or_default();
        let hints = OpenHints {
            recovery_point: of(&recovery_points),
            log_start: of(&log_starts),
            high_watermark: of(&high_watermarks),
            clean_shutdown,
        };
        partition::verify(disk, &directory.join(&entry.name), hints, &mut report)?;
    }
    Ok(report)
}

/// Checks one partition's folder, with what the directory's checkpoints say of it.
///
/// # Errors
/// When a file or folder that is there cannot be read.
pub fn verify_partition<D: Disk>(disk: &D, folder: &Path, hints: OpenHints) -> io::Result<VerifyReport> {
    let mut report = VerifyReport::default();
    partition::verify(disk, folder, hints, &mut report)?;
    Ok(report)
}

fn checkpoint<D: Disk>(
    disk: &D,
    directory: &Path,
    name: &str,
    report: &mut VerifyReport,
) -> io::Result<BTreeMap<TopicPartition, i64>> {
    let path = directory.join(name);
    let decoded = match read_text(disk, &path) {
        Ok(text) => {
            text.as_deref().map_or(Ok(BTreeMap::new()), decode_offsets).map_err(|error| error.to_string())
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err("not text".to_owned()),
        Err(error) => return Err(error),
    };
    Ok(decoded.unwrap_or_else(|reason| {
        report.error(&path, None, reason);
        BTreeMap::new()
    }))
}
