//! What the broker's answer about one batch means (KIP-98, KIP-360): a table, apart from its doing.

use super::delivery::Delivered;
use super::sealed::{PartitionState, Sealed};
use crate::error::ClientError;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::produce::PartitionProduceResponse;

/// What is to be done with a batch.
#[derive(Debug)]
pub(crate) enum Verdict {
    Delivered(Delivered),
    /// Refused as too large: send its records in smaller batches.
    Split,
    /// Send it again; `bump`: under a new epoch, from sequence 0.
    Retry {
        error: ClientError,
        stale_metadata: bool,
        bump: bool,
    },
    /// Report the failure; `bump`: its sequence numbers are missing now, so later batches need a new epoch.
    Failed {
        error: ClientError,
        bump: bool,
    },
    /// Report the failure; the producer id itself is of no use any more.
    NewIdentity(ClientError),
}

pub(crate) fn judge(
    partition: &PartitionState,
    batch: &Sealed,
    result: Option<&PartitionProduceResponse>,
) -> Verdict {
    let subject = || format!("{}-{}", partition.queue.topic, partition.queue.partition);
    let Some(result) = result else {
        let reason = format!("nothing about {}", subject());
        let error = ClientError::Malformed { node: "the leader".into(), api: "Produce", reason };
        return Verdict::Failed { error, bump: true };
    };
    let code = ErrorCode::from_wire(result.error_code);
    let message = result.record_errors.first().and_then(|record| record.batch_index_error_message.as_deref());
    let message = message.or(result.error_message.as_deref()).map(str::to_owned);
    let refused = || ClientError::Refused { code, subject: subject(), message: message.clone() };
    let again = |bump: bool| Verdict::Retry { error: refused(), stale_metadata: false, bump };
    match code {
        // The broker has it already: an earlier answer was lost.
        ErrorCode::None | ErrorCode::DuplicateSequenceNumber => Verdict::Delivered(Delivered {
            base_offset: result.base_offset,
            log_append_time: Some(result.log_append_time_ms).filter(|time| *time >= 0),
        }),
        ErrorCode::MessageTooLarge if batch.records > 1 => Verdict::Split,
        // Sealed before the last bump: it is stamped anew when it is sent again.
        ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId
            if partition.bump || !partition.is_current(batch) =>
        {
            again(false)
        }
        ErrorCode::UnknownProducerId => again(true),
        // An earlier batch is still to be sent again; this one is next after it.
        ErrorCode::OutOfOrderSequenceNumber if !partition.is_oldest(batch) => again(false),
        // The gap is an earlier batch that failed without reaching the log; this one surely is not in the log.
        ErrorCode::OutOfOrderSequenceNumber if partition.unresolved => again(true),
        // Acknowledged records are missing there: never hide that.
        ErrorCode::OutOfOrderSequenceNumber => Verdict::Failed { error: refused(), bump: true },
        ErrorCode::InvalidProducerEpoch | ErrorCode::ProducerFenced | ErrorCode::InvalidProducerIdMapping => {
            Verdict::NewIdentity(refused())
        }
        code if code.is_retriable() => {
            Verdict::Retry { error: refused(), stale_metadata: leader_moved(code), bump: false }
        }
        _ => Verdict::Failed { error: refused(), bump: true },
    }
}

fn leader_moved(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::KafkaStorageError
            | ErrorCode::NetworkException
    )
}
