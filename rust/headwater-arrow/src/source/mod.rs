//! Where raw batches come from, one partition at a time.

mod cluster;
mod log;
mod memory;
mod read_only;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use headwater_client::FetchedPartition;

use crate::{FilePosition, Interrupt, SourceError};

pub use cluster::{ClusterSources, SCAN_SETTINGS};
pub use headwater_log::AbortedTransaction;
pub use log::{LogSource, SegmentReader};
pub use memory::MemorySource;
pub use read_only::{ReadOnlySources, StoppedDirError};

/// Which records of transactions are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All, up to the high watermark: Kafka's default.
    #[default]
    ReadUncommitted,
    /// Those of committed transactions, up to the first open one.
    ReadCommitted,
}

/// The offsets that a partition can be read between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First offset that is retained.
    pub start: i64,
    /// Offset after the last visible record: the high watermark, or the last stable offset.
    pub end: i64,
}

/// Consecutive batches as they stand in the log; the last one may be cut short.
#[derive(Clone, Debug, Default)]
pub struct RawBatches {
    /// The bytes, beginning with a batch. May be a mapped file that stays mapped while these live.
    pub bytes: Bytes,
    /// Transactions whose records must be skipped, as far as they touch these batches.
    pub aborted: Vec<AbortedTransaction>,
    /// Where the bytes begin, if they were read from a file.
    pub file: Option<FilePosition>,
    /// Whether somebody has already compared the CRCs, or was told not to.
    pub verified: bool,
    /// The offset after these batches, if the source knows it. It may lie beyond them, after batches that are
    /// not handed out, and then there may be no bytes at all.
    pub end_offset: Option<i64>,
}

impl RawBatches {
    /// Batches of unknown origin, their CRCs to be verified.
    pub fn new(bytes: Bytes) -> RawBatches {
        RawBatches { bytes, ..RawBatches::default() }
    }

    /// What a consumer fetched.
    pub fn fetched(fetched: FetchedPartition) -> RawBatches {
        let aborted = fetched
            .aborted
            .iter()
            .map(|transaction| AbortedTransaction {
                producer_id: transaction.producer_id,
                first_offset: transaction.first_offset,
            })
            .collect();
        RawBatches {
            bytes: fetched.bytes,
            aborted,
            file: None,
            verified: !fetched.checksums_due,
            end_offset: Some(fetched.end_offset),
        }
    }
}

/// One partition to be read. All methods block.
pub trait PartitionSource: Send {
    /// The topic.
    fn topic(&self) -> &Arc<str>;

    /// The partition.
    fn partition(&self) -> i32;

    /// Says that [`PartitionSource::bounds`] will be asked for: a source may then look up those of several at once.
    fn expect_bounds(&mut self) {}

    /// What can be read now.
    ///
    /// # Errors
    /// [`SourceError`].
    fn bounds(&mut self, interrupt: &dyn Interrupt) -> Result<Bounds, SourceError>;

    /// The first offset whose record has a timestamp (in ms) of at least `timestamp`; `None` if there is none.
    ///
    /// # Errors
    /// [`SourceError`].
    fn offset_for_timestamp(
        &mut self,
        timestamp: i64,
        interrupt: &dyn Interrupt,
    ) -> Result<Option<i64>, SourceError>;

    /// Says that `range` will be read, from its start on and after whatever was announced before: a source may read ahead.
    fn announce(&mut self, range: Range<i64>) {
        let _ = range;
    }

    /// Batches from the one that holds `offset` on, or from the next one after a gap: about `bytes_max`, but at
    /// least one whole batch. Only asked for offsets below the end that [`PartitionSource::bounds`] told.
    ///
    /// # Errors
    /// [`SourceError`].
    fn read(
        &mut self,
        offset: i64,
        bytes_max: usize,
        interrupt: &dyn Interrupt,
    ) -> Result<RawBatches, SourceError>;
}
