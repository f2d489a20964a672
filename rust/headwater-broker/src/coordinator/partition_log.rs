//! A partition as the log of its coordinator.

use std::sync::Arc;

use bytes::BytesMut;
use headwater_coordinator::Refusal;
use headwater_env::Env;
use headwater_log::{AppendError, Isolation, Origin, StorageError};

use super::log::{CoordinatorLog, LogFailure, LogGone};
use crate::partition::{Partition, WriteError};

impl<E: Env> CoordinatorLog for Arc<Partition<E>> {
    fn start(&self) -> i64 {
        self.log().log_start()
    }

    fn end(&self) -> i64 {
        self.log().log_end()
    }

    fn high_watermark(&self) -> i64 {
        self.log().high_watermark()
    }

    fn batch_bytes_max(&self) -> usize {
        self.settings().max_message_bytes
    }

    fn append(&self, batch: BytesMut, now_ms: i64) -> Result<i64, Refusal> {
        // What a coordinator promises must survive the loss of this broker, so it asks for all replicas.
        let appended = Partition::append(self, batch, Origin::Coordinator, true, now_ms);
        appended.map(|appended| appended.first_offset).map_err(|error| refusal(&error))
    }

    async fn committed(&self, offset: i64) -> Result<(), LogGone> {
        Partition::committed(self, offset).await.map_err(|_| LogGone)
    }

    fn read(&self, offset: i64, bytes_max: usize, buffer: &mut Vec<u8>) -> Result<(), LogFailure> {
        let slice = Partition::read(self, offset, bytes_max as u64, true, Isolation::LogEnd)
            .map_err(|error| LogFailure(error.to_string()))?;
        slice.read_into(buffer).map_err(|error| LogFailure(format!("{}: {error}", slice.path.display())))
    }

    fn delete_before(&self, offset: i64) -> Result<(), LogFailure> {
        self.log().delete_records_before(offset).map(drop).map_err(|error| LogFailure(error.to_string()))
    }
}

fn refusal(error: &WriteError) -> Refusal {
    match error {
        WriteError::NotEnoughReplicas { .. } => Refusal::NotEnoughReplicas,
        WriteError::Append(AppendError::FencedLeaderEpoch { .. }) => Refusal::NotCoordinator,
        WriteError::Append(AppendError::Storage(StorageError::Closed)) => Refusal::NotCoordinator,
        WriteError::Append(AppendError::TooLarge { .. }) => Refusal::TooLarge,
        WriteError::Append(_) => Refusal::Storage,
    }
}
