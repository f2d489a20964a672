//! Topics as Arrow record batches, and retained segments as Parquet.
//!
//! ```text
//!  PartitionSource ── raw batches ──> Decoder ── columns ──> RecordBatch ──> Scan (RecordBatchReader) ──> export
//!   a Log in this process                                                     └─> FFI_ArrowArrayStream
//!   a stopped broker's directory
//!   a consumer over the network
//!
//!  with a `ValueSchema`, the bytes of JSON values become typed columns on the way: see `typed`
//!
//!  RecordBatchReader ── columns by role ──> send ── borrowed records ──> RecordSink (a producer)
//! ```
//!
//! Bytes of whole Kafka batches go in, columns come out; no object is made per record. Everything here blocks
//! and runs on the thread that asks for the next batch: call it outside the async runtime. Between batches an
//! [`Interrupt`] is asked whether to go on.
//!
//! Deliberately absent: Python (readers fit `FFI_ArrowArrayStream` as they are), and any decision about which topics
//! may be read or written.

mod columns;
mod decode;
mod error;
mod export;
mod interrupt;
mod partition;
mod plan;
mod requested;
mod scan;
mod schema;
pub mod send;
pub mod source;
mod typed;

pub use decode::{BatchLimits, Decoder, Filled, RawRange, decode_fetched};
pub use error::{DecodeError, FilePosition, ScanError, SourceError};
pub use export::{
    ExportError, ExportOptions, ExportProgress, ExportReport, PARTITION_COLUMN_NOTE, PartitionReport, export,
};
pub use interrupt::{CancelFlag, Deadline, Interrupt, Interruption, Uninterrupted};
pub use partition::PartitionScan;
pub use plan::{ScanBound, ScanPlan};
pub use requested::{as_requested, cast_batch};
pub use scan::Scan;
pub use schema::{BytesLayout, Column, Projection, ProjectionError};
pub use typed::{
    BadRows, DdlError, InferError, Inferred, ValueSchema, ValueSchemaError, infer_fetched, infer_values,
};
