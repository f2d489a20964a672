//! How answers go over a connection within one machine: in parts, some of which are lent.
//!
//! ```text
//!   answer  length of the frame (4) │ part │ part │ …      parts until the frame is whole
//!   part    0 │ length (4) │ bytes
//!           1 │ length (4) │ position (8)                  with the first byte a file, opened for reading
//! ```
//!
//! Numbers are big-endian. The frame is the one that would go over TCP; requests go as they do there.

/// A part whose bytes follow.
pub const WRITTEN: u8 = 0;

/// A part that is a range of a file, which comes as a descriptor.
pub const LENT: u8 = 1;

/// What the names of brokers' local sockets begin with.
pub const LOCAL_NAME_PREFIX: &str = "headwater-";
