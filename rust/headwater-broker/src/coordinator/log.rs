//! What a coordinator needs of its log, so that it runs on a partition, in a test's memory, and on a simulated disk
//! alike.

use bytes::BytesMut;
use headwater_coordinator::Refusal;

/// The log of one coordinator partition. Clones are the same log. Nobody else appends to it.
pub(crate) trait CoordinatorLog: Clone + Send + Sync + 'static {
    /// The first offset that can be read.
    fn start(&self) -> i64;

    /// The offset of the next record.
    fn end(&self) -> i64;

    /// Everything below is committed.
    fn high_watermark(&self) -> i64;

    /// The largest batch that it takes, in bytes.
    fn batch_bytes_max(&self) -> usize;

    /// Appends one batch and returns the offset of its first record. When it fails, nothing of the batch is in the
    /// log.
    fn append(&self, batch: BytesMut, now_ms: i64) -> Result<i64, Refusal>;

    /// Returns once everything below `offset` is committed.
    fn committed(&self, offset: i64) -> impl Future<Output = Result<(), LogGone>> + Send;

    /// Reads whole batches from the one that holds `offset` on, at least one, otherwise about `bytes_max`; the last
    /// may be cut short. Replaces what is in `buffer`. Blocking.
    fn read(&self, offset: i64, bytes_max: usize, buffer: &mut Vec<u8>) -> Result<(), LogFailure>;

    /// Moves the start up to `offset`, which must be committed; what is below may be gone for good. Blocking.
    fn delete_before(&self, offset: i64) -> Result<(), LogFailure>;
}

/// The log will not commit any more: leadership is lost, the topic is deleted, the directory failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator's log is gone")]
pub(crate) struct LogGone;

/// The log could not be read or shortened; what the disk says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LogFailure(pub(crate) String);
