//! Topics as directories of Parquet files.
//!
//! ```text
//! flights.parquet/partition=0/part-00000.parquet
//!                 partition=1/part-00000.parquet
//! ```
//!
//! The number of the partition is in the folder's name and *not* in the files. Readers that know hive
//! partitioning (DuckDB, Polars, Spark, pyarrow, pandas) make an int column `partition` out of the folder; if
//! the files had one, too, pyarrow would refuse two types for one column and the others would hide one of them.
//!
//! Written into a staging directory beside the target, synced, and renamed at the end: see [`staging`].

mod file;
mod properties;
mod publish;
mod staging;

use std::io;
use std::path::{Path, PathBuf};

use headwater_env::{Disk, LockError, LockHolder};
use parquet::errors::ParquetError;

use crate::scan::begin_all;
use crate::source::PartitionSource;
use crate::{Column, PartitionScan, ScanError, ScanPlan};
use file::PartitionFile;
use staging::Staging;

/// What users should know of the `partition` column of exported files.
pub const PARTITION_COLUMN_NOTE: &str = "The partition is in the folder names (`partition=0/`), not in the files; hive-aware readers show it as a column.";

/// How to export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Replace an existing export (default: refuse).
    pub overwrite: bool,
    /// zstd level of the pages (default: 1).
    pub zstd_level: i32,
    /// Rows of a row group at most (default: 1 Mi).
    pub row_group_rows: usize,
    /// Bytes of a row group at most, encoded and before compression as far as that is known (default: 128 MiB).
    pub row_group_bytes: usize,
}

impl Default for ExportOptions {
    fn default() -> ExportOptions {
        ExportOptions { overwrite: false, zstd_level: 1, row_group_rows: 1 << 20, row_group_bytes: 128 << 20 }
    }
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportProgress {
    /// The partition being written.
    pub partition: i32,
    /// Rows written, over all partitions.
    pub rows: u64,
    /// Offsets passed, over all partitions.
    pub offsets_done: u64,
    /// Offsets to be passed, over all partitions; more than the rows where compaction or markers left gaps.
    pub offsets_total: u64,
}

/// What an export wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportReport {
    /// The directory.
    pub target: PathBuf,
    /// Partition by partition.
    pub partitions: Vec<PartitionReport>,
}

impl ExportReport {
    /// Rows over all partitions.
    pub fn rows(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.rows).sum()
    }

    /// Bytes of the log that were read, over all partitions.
    pub fn bytes_read(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.bytes_read).sum()
    }

    /// Bytes of the files, over all partitions.
    pub fn bytes_written(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.bytes_written).sum()
    }
}

/// What was written of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionReport {
    /// The partition.
    pub partition: i32,
    /// First offset of the exported range.
    pub start: i64,
    /// Offset after the exported range: the high watermark when the export began, unless the plan ends earlier.
    pub end: i64,
    /// Rows.
    pub rows: u64,
    /// Bytes of the log that were read.
    pub bytes_read: u64,
    /// Bytes of its file.
    pub bytes_written: u64,
    /// Its file, relative to the target.
    pub file: PathBuf,
}

/// Why an export failed. The target is then as it was before.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The target exists: choose another, or overwrite.
    #[error("{} already exists", target.display())]
    Exists {
        /// The target.
        target: PathBuf,
    },
    /// The target exists and is something else than an export, which is never overwritten.
    #[error("{} is not an export: it holds `{found}`", target.display())]
    NotAnExport {
        /// The target.
        target: PathBuf,
        /// What does not belong there.
        found: String,
    },
    /// Another export to the same target is running: wait for it.
    #[error("another export to {} is running, in {holder}", target.display())]
    Busy {
        /// The target.
        target: PathBuf,
        /// The process.
        holder: LockHolder,
    },
    /// The target cannot be a directory's name.
    #[error("{} cannot be written as a directory", target.display())]
    BadTarget {
        /// The target.
        target: PathBuf,
    },
    /// The zstd level does not exist.
    #[error("zstd level {level} does not exist")]
    BadLevel {
        /// The level.
        level: i32,
    },
    /// The topic could not be read.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A file or directory could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The Parquet writer gave up.
    #[error("cannot write {}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
}

impl ExportError {
    fn write(path: &Path, source: io::Error) -> ExportError {
        ExportError::Write { path: path.to_owned(), source }
    }

    fn lock(target: &Path, error: LockError) -> ExportError {
        match error {
            LockError::Held { holder, .. } => ExportError::Busy { target: target.to_owned(), holder },
            LockError::Io { path, source } => ExportError::Write { path, source },
        }
    }
}

/// Writes the partitions that `plan` chooses among `sources` below the directory `target` of `disk`. Blocking.
///
/// The plan's columns are written in its order, less `partition`; its layout does not matter. A killed run
/// leaves the target as it was, and a staging directory that the next run to the same target removes.
///
/// # Errors
/// [`ExportError`].
pub fn export<D: Disk>(
    disk: &D,
    plan: &ScanPlan,
    sources: Vec<Box<dyn PartitionSource>>,
    target: &Path,
    options: &ExportOptions,
    progress: &mut dyn FnMut(ExportProgress),
) -> Result<ExportReport, ExportError> {
    let plan = ScanPlan { projection: plan.projection.without(Column::Partition), ..plan.clone() };
    let chosen = plan.choose(sources).map_err(|partitions| ScanError::UnknownPartitions { partitions })?;
    let staging = Staging::begin(disk, target, options.overwrite)?;
    // A failed run cleans up after itself; only a killed one leaves that to the next.
    match write_partitions(disk, &plan, chosen, &staging, options, progress) {
        Ok(partitions) => {
            staging.publish(options.overwrite)?;
            Ok(ExportReport { target: target.to_owned(), partitions })
        }
        Err(error) => {
            staging.abandon();
            Err(error)
        }
    }
}

fn write_partitions<D: Disk>(
    disk: &D,
    plan: &ScanPlan,
    sources: Vec<Box<dyn PartitionSource>>,
    staging: &Staging<'_, D>,
    options: &ExportOptions,
    progress: &mut dyn FnMut(ExportProgress),
) -> Result<Vec<PartitionReport>, ExportError> {
    let scans = begin_all(plan, sources)?;
    let length = |scan: &PartitionScan| (scan.range().end - scan.range().start) as u64;
    let mut meter = Meter { rows: 0, before: 0, total: scans.iter().map(length).sum(), progress };
    let mut reports = Vec::with_capacity(scans.len());
    for scan in scans {
        let passed = length(&scan);
        reports.push(write_partition(disk, plan, scan, staging, options, &mut meter)?);
        meter.before += passed;
    }
    Ok(reports)
}

struct Meter<'a> {
    rows: u64,
    before: u64,
    total: u64,
    progress: &'a mut dyn FnMut(ExportProgress),
}

impl Meter<'_> {
    fn tell(&mut self, scan: &PartitionScan) {
        let here = (scan.position() - scan.range().start) as u64;
        (self.progress)(ExportProgress {
            partition: scan.partition(),
            rows: self.rows,
            offsets_done: self.before + here,
            offsets_total: self.total,
        });
    }
}

fn write_partition<D: Disk>(
    disk: &D,
    plan: &ScanPlan,
    mut scan: PartitionScan,
    staging: &Staging<'_, D>,
    options: &ExportOptions,
    meter: &mut Meter<'_>,
) -> Result<PartitionReport, ExportError> {
    let folder = PathBuf::from(format!("partition={}", scan.partition()));
    let directory = staging.create_folder(&folder)?;
    let relative = folder.join("part-00000.parquet");
    let path = staging.path().join(&relative);
    let properties = properties::writer_properties(&scan, &plan.projection, options)?;
    let mut file = PartitionFile::create(disk, &path, plan.projection.schema(), properties)?;
    let rows_before = meter.rows;
    while let Some(batch) = scan.next_batch()? {
        file.write(&batch)?;
        meter.rows += batch.num_rows() as u64;
        meter.tell(&scan);
    }
    let bytes_written = file.finish()?;
    disk.sync_dir(&directory).map_err(|error| ExportError::write(&directory, error))?;
    meter.tell(&scan);
    Ok(PartitionReport {
        partition: scan.partition(),
        start: scan.range().start,
        end: scan.range().end,
        rows: meter.rows - rows_before,
        bytes_read: scan.bytes(),
        bytes_written,
        file: relative,
    })
}
