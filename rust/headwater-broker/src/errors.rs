//! The one place where the errors of operations become Kafka error codes.

use headwater_log::{AppendError, DeleteRecordsError, ReadError, StorageError};
use headwater_protocol::ErrorCode;
use headwater_record::{BatchError, ProduceError};

use crate::partition::{Unavailable, WriteError};

/// Why a partition cannot be used.
pub(crate) fn unavailable(error: Unavailable) -> ErrorCode {
    match error {
        Unavailable::Unknown => ErrorCode::UnknownTopicOrPartition,
        Unavailable::UnknownId => ErrorCode::UnknownTopicId,
        Unavailable::Starting => ErrorCode::NotLeaderOrFollower,
        Unavailable::Offline => ErrorCode::KafkaStorageError,
    }
}

/// Why the disk did not do it.
pub(crate) fn storage(error: &StorageError) -> ErrorCode {
    match error {
        StorageError::Closed => ErrorCode::NotLeaderOrFollower,
        StorageError::StorageFull { .. }
        | StorageError::Offline(_)
        | StorageError::Damaged(_)
        | StorageError::Read { .. } => ErrorCode::KafkaStorageError,
    }
}

/// Why a batch was not even taken to the log.
pub(crate) fn produce(error: &ProduceError) -> ErrorCode {
    match error {
        // Larger than allowed once unfolded: a producer that splits the batch gets it through.
        error if error.is_decompressed_too_large() => ErrorCode::MessageTooLarge,
        ProduceError::Corrupt(_) => ErrorCode::CorruptMessage,
        ProduceError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        ProduceError::UnsupportedMagic { .. }
        | ProduceError::InvalidBatch(_)
        | ProduceError::InvalidRecords(_) => ErrorCode::InvalidRecord,
        ProduceError::InvalidTimestamps(_) => ErrorCode::InvalidTimestamp,
    }
}

/// Why a batch is not in the log.
pub(crate) fn write(error: &WriteError) -> ErrorCode {
    match error {
        WriteError::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
        WriteError::Append(error) => append(error),
    }
}

fn append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Malformed(BatchError::UnsupportedMagic { .. }) => ErrorCode::UnsupportedForMessageFormat,
        AppendError::Malformed(_) => ErrorCode::CorruptMessage,
        AppendError::Invalid { .. } => ErrorCode::InvalidRecord,
        AppendError::TooLarge { .. } => ErrorCode::RecordListTooLarge,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::InvalidTransactionState { .. } => ErrorCode::InvalidTxnState,
        AppendError::TransactionCoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendError::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
        // Only followers are told so, and this broker follows nobody.
        AppendError::BelowLogEnd { .. } => ErrorCode::UnknownServerError,
        AppendError::Storage(error) => storage(error),
    }
}

/// Why nothing was read.
pub(crate) fn read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Storage(error) => storage(error),
    }
}

/// Why records were not deleted.
pub(crate) fn delete_records(error: &DeleteRecordsError) -> ErrorCode {
    match error {
        DeleteRecordsError::AboveHighWatermark { .. } => ErrorCode::OffsetOutOfRange,
        DeleteRecordsError::Storage(error) => storage(error),
    }
}
