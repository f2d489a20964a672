//! Kafka's protocol: every message that a Kafka 4 client may send to a broker, and what answers it, in all
//! versions; the records of the internal topics; error codes; frames.
//!
//! ```text
//! schema/*.schema  --cargo xtask codegen-->  src/messages, src/records     committed, never edited
//! frame.rs         length | header | message
//! reader.rs        bytes to values: bounded by what remains, borrows from the frame
//! writer.rs        values to chunks: large bytes are not copied, records may stay in their file
//! ```
//!
//! Deliberately absent: I/O; which APIs and versions a broker offers (its own table); what is inside
//! record batches (`headwater-record`); messages that only brokers and controllers send each other
//! (listed in `schema/README.md`).

mod error;
mod error_code;
pub mod frame;
mod header;
pub mod lending;
mod message;
pub mod messages;
mod reader;
pub mod records;
mod text;
mod versioned;
mod writer;

pub use error::{DecodeError, EncodeError, FrameError};
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader};
pub use headwater_record::Uuid;
pub use message::{Message, Request};
pub use messages::api_key::ApiKey;
pub use reader::{MEMORY_BASE, MEMORY_PER_BYTE, Reader};
pub use text::Str;
pub use versioned::{
    RecordKey, decode_key, decode_versioned, decode_versioned_leniently, encode_key, encode_versioned,
    record_type,
};
pub use writer::{CHUNK_BYTES_MIN, Piece, Writer};
