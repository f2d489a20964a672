//! What can stop a scan. Everything that concerns a partition names it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::ArrowError;
use headwater_client::ClientError;
use headwater_log::{OpenError, StorageError};
use headwater_record::BatchError;

use crate::Interruption;

/// A place in a segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePosition {
    /// The file.
    pub path: PathBuf,
    /// Bytes from its start.
    pub position: u64,
}

impl fmt::Display for FilePosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.path.display(), self.position)
    }
}

/// Why bytes could not be decoded. Nothing of a damaged batch is handed out.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The batch is damaged: repair the log, or scan around it.
    #[error("{topic}-{partition}: the batch at offset {offset} is damaged{}: {source}", place(.file))]
    Corrupt {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Base offset of the batch; where that cannot be read, the offset that was expected next.
        offset: i64,
        /// Where it lies, if it was read from a file.
        file: Option<FilePosition>,
        /// What is wrong with it.
        source: BatchError,
    },
    /// A value does not fit its schema: mend the schema, or ask for a column of errors.
    #[error("{topic}-{partition}: the value at offset {offset} is bad: {reason}")]
    BadValue {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// The columns could not be put together; a mistake of this crate, not of the data.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

fn place(file: &Option<FilePosition>) -> String {
    file.as_ref().map(|file| format!(" ({file})")).unwrap_or_default()
}

/// Why a source could not say or give what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The records were deleted, by retention or on request, before they were read: start again from the bounds.
    #[error("offset {offset} is outside [{start}, {end}]")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: i64,
        /// First offset that can be read.
        start: i64,
        /// Offset after the last.
        end: i64,
    },
    /// The source has no more records although it said so: the log was truncated meanwhile, or is damaged.
    #[error("no records from offset {offset} on, although the partition should go on to {end}")]
    Missing {
        /// The first offset that is missing.
        offset: i64,
        /// The end by the bounds.
        end: i64,
    },
    /// A log of this machine cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A stopped broker's log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The cluster does not answer, or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Asked to stop while waiting.
    #[error(transparent)]
    Interrupted(#[from] Interruption),
}

/// Why a scan ended early. Reaches Arrow's readers as `ArrowError::ExternalError`.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A batch could not be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A partition could not be read.
    #[error("{topic}-{partition}: {source}")]
    Source {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Why.
        source: SourceError,
    },
    /// The plan names partitions that the topic does not have.
    #[error("the topic has no partitions {partitions:?}")]
    UnknownPartitions {
        /// Their numbers.
        partitions: Vec<i32>,
    },
    /// Asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interruption),
}

impl ScanError {
    pub(crate) fn source(topic: &Arc<str>, partition: i32, source: SourceError) -> ScanError {
        match source {
            SourceError::Interrupted(reason) => ScanError::Interrupted(reason),
            source => ScanError::Source { topic: topic.clone(), partition, source },
        }
    }
}

impl From<ScanError> for ArrowError {
    fn from(error: ScanError) -> ArrowError {
        match error {
            ScanError::Decode(DecodeError::Arrow(error)) => error,
            other => ArrowError::ExternalError(Box::new(other)),
        }
    }
}
