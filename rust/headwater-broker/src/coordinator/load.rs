//! Reading a coordinator's log into its shard, in pieces on the blocking pool.

use headwater_coordinator::{EndTransaction, RecordPosition, ReplayError, Shard};
use headwater_env::Env;
use headwater_record::control::{ControlError, EndTransactionMarker};
use headwater_record::{BatchError, BatchView, DecompressBuffer, batches};

use super::log::{CoordinatorLog, LogFailure};

/// Most bytes that one compressed batch may become. Coordinators write uncompressed; other writers' batches are
/// bounded by `max.message.bytes` before compression.
const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

/// Why a log could not be replayed. The partition is not coordinated while that lasts: answers from half a state would
/// lose offsets that are there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The disk could not be read.
    #[error("cannot read the log at offset {offset}: {source}")]
    Read {
        /// Where.
        offset: i64,
        /// What the disk says.
        source: LogFailure,
    },
    /// A batch, or a record in it, is damaged.
    #[error("damaged batch at offset {offset}: {source}")]
    Batch {
        /// Where.
        offset: i64,
        /// What is wrong.
        source: BatchError,
    },
    /// A transaction marker is damaged.
    #[error("damaged transaction marker at offset {offset}: {source}")]
    Marker {
        /// Where.
        offset: i64,
        /// What is wrong.
        source: ControlError,
    },
    /// The log ends before its end offset.
    #[error("nothing can be read at offset {offset}, below the log end")]
    Hole {
        /// Where.
        offset: i64,
    },
    /// The coordinator does not understand a record.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Replays the whole log into `shard`.
pub(super) async fn load<E: Env, S: Shard, L: CoordinatorLog>(
    env: &E,
    log: &L,
    shard: S,
    buffer_bytes: usize,
) -> Result<S, LoadError> {
    let mut reader =
        Reader { shard, next: log.start(), buffer: Vec::new(), decompressed: DecompressBuffer::new() };
    while reader.next < log.end() {
        let log = log.clone();
        reader = env.blocking(move || reader.replay_piece(&log, buffer_bytes)).await?;
    }
    Ok(reader.shard)
}

struct Reader<S> {
    shard: S,
    /// The next record to replay.
    next: i64,
    buffer: Vec<u8>,
    decompressed: DecompressBuffer,
}

impl<S: Shard> Reader<S> {
    fn replay_piece<L: CoordinatorLog>(mut self, log: &L, buffer_bytes: usize) -> Result<Self, LoadError> {
        let offset = self.next;
        log.read(offset, buffer_bytes, &mut self.buffer)
            .map_err(|source| LoadError::Read { offset, source })?;
        let buffer = std::mem::take(&mut self.buffer);
        for batch in batches(&buffer) {
            let batch = batch.map_err(|source| LoadError::Batch { offset: self.next, source })?;
            self.replay_batch(&batch)?;
        }
        if self.next == offset {
            return Err(LoadError::Hole { offset });
        }
        self.buffer = buffer;
        // What is committed needs no way back.
        self.shard.committed(log.high_watermark().min(self.next));
        Ok(self)
    }

    fn replay_batch(&mut self, batch: &BatchView<'_>) -> Result<(), LoadError> {
        let header = batch.header();
        let base = header.base_offset;
        let damaged = |source| LoadError::Batch { offset: base, source };
        batch.verify_crc().map_err(damaged)?;
        let producer = header.is_transactional().then_some(header.producer_id);
        let records = batch.records(&mut self.decompressed, DECOMPRESSED_BYTES_MAX).map_err(damaged)?;
        for record in records {
            let record = record.map_err(damaged)?;
            // The first batch may begin below the log start.
            if record.offset < self.next {
                continue;
            }
            if header.is_control() {
                let marker = EndTransactionMarker::decode(&record)
                    .map_err(|source| LoadError::Marker { offset: record.offset, source })?;
                if let Some(marker) = marker {
                    let end = if marker.commit { EndTransaction::Commit } else { EndTransaction::Abort };
                    self.shard.replay_end_transaction(record.offset, header.producer_id, end);
                }
            } else if let Some(key) = record.key {
                let position = RecordPosition { offset: record.offset, transactional_producer_id: producer };
                self.shard.replay(position, key, record.value)?;
            }
        }
        self.next = header.next_offset();
        Ok(())
    }
}
