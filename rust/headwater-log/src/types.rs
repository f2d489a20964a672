//! What goes into a log's operations and what comes out of them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use headwater_env::{Disk, DiskFile, Env};

use crate::error::Damage;

/// The file type of an environment's disk.
pub type DiskFileOf<E> = <<E as Env>::Disk as Disk>::File;

/// Who appends, which decides what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: sequence numbers are checked, control batches refused.
    Client,
    /// A group or transaction coordinator of this broker: markers allowed, no sequence check.
    Coordinator,
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub first_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Largest timestamp of the batches, in ms; -1 if they have none.
    pub max_timestamp: i64,
    /// The time the batches were stamped with, with LogAppendTime, in ms.
    pub log_append_time: Option<i64>,
    /// Log start offset at the time.
    pub log_start: i64,
    /// The batch was already there: nothing was written, the offsets are the original ones.
    pub duplicate: bool,
}

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// To the log end: followers.
    LogEnd,
    /// To the high watermark: consumers.
    HighWatermark,
    /// To the last stable offset, with the list of aborted transactions: `read_committed` consumers.
    LastStable,
}

/// The offsets of a log at one moment. Always `log_start <= last_stable <= high_watermark <= log_end` and
/// `flushed <= log_end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// First offset that can be read.
    pub log_start: i64,
    /// Offset after the last appended record.
    pub log_end: i64,
    /// Everything below is on stable storage here.
    pub flushed: i64,
    /// Everything below is committed.
    pub high_watermark: i64,
    /// Everything below is committed and belongs to no open transaction.
    pub last_stable: i64,
}

/// A transaction that was aborted, as Fetch names it to the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: i64,
    /// Offset of the transaction's first record.
    pub first_offset: i64,
}

/// A range of bytes of one segment: whole batches, but that the last may be cut short by the byte limit.
///
/// The file stays open while the slice lives, also when retention unlinks it meanwhile. Bytes below the log
/// end never change, except by a truncation (then a read may come back short: drop what was read).
pub struct Slice<E: Env> {
    /// The segment's file.
    pub file: Arc<DiskFileOf<E>>,
    /// Its path when it was opened, for messages.
    pub path: PathBuf,
    /// Where the bytes begin.
    pub position: u64,
    /// How many there are; 0 when there is nothing to read yet.
    pub length: u64,
    /// Base offset of the segment.
    pub segment_base: i64,
    /// Whether the segment is sealed: its bytes never change again and may be mapped while the slice lives.
    pub sealed: bool,
    /// Offset at which visibility ends for the isolation asked for: records at or above it must not be shown
    /// (a batch is never cut by it).
    pub bound: i64,
    /// With [`Isolation::LastStable`]: the aborted transactions that touch these bytes.
    pub aborted: Vec<AbortedTransaction>,
    /// The log's offsets when the bounds were taken.
    pub progress: Progress,
}

impl<E: Env> Slice<E> {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Reads all of it into `buffer`, replacing what was there.
    ///
    /// # Errors
    /// What the disk says; `UnexpectedEof` when the log was truncated meanwhile.
    pub fn read_into(&self, buffer: &mut Vec<u8>) -> io::Result<()> {
        // The length was computed from the segment's size, not read from a disk or a wire.
        buffer.clear();
        buffer.resize(usize::try_from(self.length).map_err(io::Error::other)?, 0);
        self.file.read_exact_at(buffer, self.position)
    }
}

impl<E: Env> std::fmt::Debug for Slice<E> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Slice")
            .field("path", &self.path)
            .field("position", &self.position)
            .field("length", &self.length)
            .field("bound", &self.bound)
            .field("aborted", &self.aborted)
            .finish_non_exhaustive()
    }
}

/// A record found by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The record's timestamp, in ms.
    pub timestamp: i64,
    /// Its offset.
    pub offset: i64,
    /// Leader epoch of its batch, -1 if unknown.
    pub leader_epoch: i32,
}

/// The answer to "where does this epoch end" (KIP-101, KIP-279).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch not above the one asked for, -1 if there is none.
    pub epoch: i32,
    /// Offset at which it ends, -1 if there is none.
    pub end_offset: i64,
}

/// A producer the log remembers, as DescribeProducers tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerView {
    /// The producer.
    pub producer_id: i64,
    /// Its newest epoch.
    pub producer_epoch: i16,
    /// Its last sequence number, -1 if none.
    pub last_sequence: i32,
    /// Timestamp of its last batch, in ms.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that wrote its last marker, -1 if none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction, -1 if none.
    pub current_transaction_first_offset: i64,
}

/// A torn tail that recovery cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where the first bad byte was, and what was wrong with it.
    pub at: Damage,
    /// Bytes removed, later segments included.
    pub bytes: u64,
    /// Segments removed whole.
    pub segments: usize,
}

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes whose CRC was checked.
    pub scanned_bytes: u64,
    /// Segments whose indexes were built anew.
    pub rebuilt_indexes: Vec<i64>,
    /// The torn tail, if there was one.
    pub cut: Option<Cut>,
    /// Odd things that do no harm: a hole below the recovery point, an unreadable snapshot.
    pub warnings: Vec<String>,
}

/// What a retention pass removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Segments removed.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Told when a log's offsets move, on the thread that moved them and outside the log's lock.
///
/// The values are read from the log; calls may come late, twice, or one for several moves. An implementation
/// must not block: it usually puts the partition on a queue.
pub trait LogListener: Send + Sync + 'static {
    /// Records were appended, or the log was truncated.
    fn log_end_changed(&self);
    /// More of the log is on stable storage.
    fn flushed_changed(&self);
    /// The directory went offline: nothing more will be flushed.
    fn failed(&self);
}
