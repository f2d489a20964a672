//! The errors, one enum per operation, variants named by what the caller does next.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes on disk that cannot be what was written: bit rot, a foreign hand, a lying disk. Never served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {position}: {reason}", file.display())]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub position: u64,
    /// What is wrong there.
    pub reason: String,
}

/// Why a data directory went offline: a failed fsync, or a write that could not be undone. Final until restart.
#[derive(Clone, Debug, thiserror::Error)]
#[error("log directory {} is offline: {operation} of {} failed: {error}", directory.display(), path.display())]
pub struct DirectoryFailure {
    /// The data directory.
    pub directory: PathBuf,
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried.
    pub operation: &'static str,
    /// What the operating system said.
    pub error: Arc<io::Error>,
}

/// Anything that any operation can meet at the disk.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// No space or quota. Nothing was changed; try again when there is room. KAFKA_STORAGE_ERROR.
    #[error("no space left for {}", path.display())]
    StorageFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// The directory is offline; stop using it. KAFKA_STORAGE_ERROR.
    #[error(transparent)]
    Offline(#[from] Arc<DirectoryFailure>),
    /// The log was closed or deleted; look the partition up again. NOT_LEADER_OR_FOLLOWER.
    #[error("the log is closed")]
    Closed,
    /// The bytes are damaged; the partition needs another replica, or a person. KAFKA_STORAGE_ERROR.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A read failed; the caller may try once more. KAFKA_STORAGE_ERROR.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: Arc<io::Error>,
    },
}

/// Why a log could not be opened. Other logs of the directory are not affected.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder belongs to another topic of the same name: set it aside.
    #[error("{} belongs to topic id {found}, not {expected}", folder.display())]
    WrongTopicId {
        /// The folder.
        folder: PathBuf,
        /// The id in `partition.metadata`.
        found: headwater_record::Uuid,
        /// The id that was asked for.
        expected: headwater_record::Uuid,
    },
    /// The folder does not exist although it should: offline, never recreated empty.
    #[error("{} does not exist", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder exists although it should not.
    #[error("{} already exists", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// The disk, or damage below the recovery point: the partition is offline.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why nothing was appended. Unless [`AppendError::Storage`] says offline, the log is as before.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Not a batch, or not whole: CORRUPT_MESSAGE.
    #[error("not a record batch: {0}")]
    Malformed(#[from] headwater_record::BatchError),
    /// Nothing to append, or a header that no validated batch has: INVALID_RECORD.
    #[error("invalid batch: {reason}")]
    Invalid {
        /// What is wrong.
        reason: &'static str,
    },
    /// More bytes in one append than a segment holds: RECORD_LIST_TOO_LARGE.
    #[error("{size} bytes do not fit a segment of {segment_bytes} bytes")]
    TooLarge {
        /// Bytes of the append.
        size: usize,
        /// `segment.bytes`.
        segment_bytes: u32,
    },
    /// The producer skipped a sequence number: OUT_OF_ORDER_SEQUENCE_NUMBER.
    #[error(
        "producer {producer_id} epoch {producer_epoch} sent sequence {base_sequence} after {last_sequence} (offset {offset})"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// Its epoch in the batch.
        producer_epoch: i16,
        /// The first sequence number of the batch.
        base_sequence: i32,
        /// The last sequence number in the log, -1 if none.
        last_sequence: i32,
        /// Where the batch would have gone.
        offset: i64,
    },
    /// A newer instance of the producer has written: INVALID_PRODUCER_EPOCH.
    #[error("producer {producer_id} has epoch {current_epoch}, the batch comes from epoch {producer_epoch}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// Its epoch in the batch.
        producer_epoch: i16,
        /// Its newest epoch.
        current_epoch: i16,
    },
    /// A plain batch in the middle of the producer's transaction: INVALID_TXN_STATE.
    #[error(
        "producer {producer_id} has a transaction open since offset {first_offset} and sent a batch outside it"
    )]
    InvalidTransactionState {
        /// The producer.
        producer_id: i64,
        /// First offset of the open transaction.
        first_offset: i64,
    },
    /// A marker from an old transaction coordinator: TRANSACTION_COORDINATOR_FENCED.
    #[error(
        "producer {producer_id}: a marker of coordinator epoch {coordinator_epoch} came after one of {current_epoch}"
    )]
    TransactionCoordinatorFenced {
        /// The producer.
        producer_id: i64,
        /// The marker's epoch.
        coordinator_epoch: i32,
        /// The newest epoch.
        current_epoch: i32,
    },
    /// A follower was given a batch below its log end: truncate first.
    #[error("batch at offset {base_offset} is below the log end {log_end}")]
    BelowLogEnd {
        /// The batch's base offset.
        base_offset: i64,
        /// The log end.
        log_end: i64,
    },
    /// The leader epoch goes backwards: FENCED_LEADER_EPOCH.
    #[error("leader epoch {leader_epoch} is older than {current_epoch}")]
    FencedLeaderEpoch {
        /// The epoch of the append.
        leader_epoch: i32,
        /// The newest in the log.
        current_epoch: i32,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why nothing was read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// Outside the log: OFFSET_OUT_OF_RANGE; the reader resets to one of the bounds.
    #[error("offset {offset} is outside [{log_start}, {log_end}]")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: i64,
        /// First offset that can be read.
        log_start: i64,
        /// Offset after the last record.
        log_end: i64,
    },
    /// The disk, or damage.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why records could not be deleted by request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeleteRecordsError {
    /// Above the high watermark, or negative: OFFSET_OUT_OF_RANGE.
    #[error("cannot delete up to {offset}: the high watermark is {high_watermark}")]
    AboveHighWatermark {
        /// What was asked for.
        offset: i64,
        /// The high watermark.
        high_watermark: i64,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
