//! One partition's log in Kafka's own file formats, and the data directory that holds many of them.
//!
//! ```text
//! data directory                     <topic>-<partition>/
//!   meta.properties .lock              00000000000000000000.log        record batches
//!   .kafka_cleanshutdown               00000000000000000000.index      offset -> position, sparse
//!   recovery-point-offset-checkpoint   00000000000000000000.timeindex  timestamp -> offset, sparse
//!   log-start-offset-checkpoint        00000000000000000000.txnindex   aborted transactions
//!   replication-offset-checkpoint      00000000000000004711.snapshot   producer state
//!                                      leader-epoch-checkpoint  partition.metadata
//! ```
//!
//! [`Log`] appends, reads, truncates, recovers and retains; [`LogDir`] opens, creates, deletes, checkpoints and
//! shares fsyncs; [`ReadOnlyDir`] looks into a stopped broker's directory without writing a byte; [`verify`]
//! checks one offline. Deliberately absent: requests and error codes, replication and ISR (the high watermark
//! comes from outside), validation of a producer's records (`headwater-record` does it), compaction.

mod checkpoint;
mod config;
mod context;
mod descriptors;
mod epoch_cache;
mod error;
mod flusher;
pub mod laws;
mod log;
mod log_dir;
mod offset_index;
mod producer_state;
mod scan;
mod segment;
mod sparse_index;
mod time_index;
mod transaction_index;
mod trust;
mod types;
pub mod verify;

pub use config::{CleanupPolicy, LogConfig, LogIdentity, OpenHints};
pub use error::{
    AppendError, Damage, DeleteRecordsError, DirectoryFailure, OpenError, ReadError, StorageError,
};
pub use log::Log;
pub use log_dir::{
    FlushCounters, FoundLog, LoadFailure, LoadedLogs, LogDir, LogDirOptions, OpenDirError, Placement,
    ReadOnlyDir, ReadOnlyLog,
};
pub use types::{
    AbortedTransaction, Appended, Cut, DiskFileOf, EpochEnd, Isolation, LogListener, Origin, ProducerView,
    Progress, RecoveryReport, Retired, Slice, TimestampOffset,
};
