//! What the fuzz targets do with their bytes, and the seeds they start from.
//!
//! ```text
//!  libFuzzer ── bytes ──► fuzz_targets/<name>.rs ──► a check here ──► the decoder
//!                                                      └ panics when a promise is broken
//! ```
//!
//! Decoders that sit behind a checksum would never be reached by changed bytes, so a check may mend checksums first
//! ([`mend`]); a flag in the input says whether, so that the checksums themselves are tried, too. Inputs of several
//! parts (files, keys and values) are taken apart by a [`Feed`] and made by a [`Pack`]. Seeds come from the project's
//! own encoders ([`seeds`]); none is kept in the repository.
//!
//! Deliberately absent: anything that needs time, threads or a real disk. Files lie on the simulated one.

mod arrow;
mod batches;
pub(crate) mod entry;
mod feed;
mod groups;
mod log_files;
mod mend;
mod messages;
mod metadata;
#[path = "../../rust/headwater-cli/src/properties.rs"]
mod properties;
pub mod seeds;
mod settings;
#[path = "../../rust/headwater-protocol/tests/it/table.rs"]
mod table;

pub use arrow::arrow_decode;
pub use batches::{compression, record_batch};
pub use feed::{Feed, Pack};
pub use groups::{group_protocol, group_records};
pub use log_files::{data_directory, log_recovery};
pub use messages::{protocol_record, protocol_request, protocol_response};
pub use metadata::{metadata_log, metadata_records};
pub use settings::settings;
