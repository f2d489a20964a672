//! The four codecs, as Kafka's Java client frames them.
//!
//! Output is limited by the caller: a kilobyte of zstd can unfold to gigabytes. Contexts that are dear to
//! make (zstd, the lz4 hash table) live in thread-locals.

mod buffer;
mod encode;
mod snappy;
mod stream;

pub use buffer::DecompressBuffer;
pub use encode::{CompressError, compress, compress_into};
pub(crate) use stream::with_stream;

use crate::Compression;

/// Decompresses `source` into a new vector of at most `limit` bytes.
///
/// Use a [`DecompressBuffer`] where more than one batch is to be read.
///
/// # Errors
/// [`DecompressError`]: more than `limit` bytes, or not data of this codec.
pub fn decompress(codec: Compression, source: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    let mut buffer = DecompressBuffer::new();
    buffer.decompress(codec, source, limit)?;
    Ok(buffer.into_vec())
}

/// Why records could not be decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// They unfold to more than is allowed. Not necessarily corrupt: a larger limit may help.
    #[error("the {codec} data takes more than {limit} bytes decompressed")]
    TooLarge {
        /// The codec.
        codec: Compression,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Not data of this codec, or cut off.
    #[error("invalid {codec} data: {reason}")]
    Invalid {
        /// The codec.
        codec: Compression,
        /// What the codec says.
        reason: String,
    },
}

impl DecompressError {
    /// What a stream reported; our own errors come out as they went in.
    pub(crate) fn from_io(codec: Compression, error: std::io::Error) -> DecompressError {
        error.downcast().unwrap_or_else(|error| DecompressError::invalid(codec, error))
    }

    pub(crate) fn invalid(codec: Compression, reason: impl ToString) -> DecompressError {
        DecompressError::Invalid { codec, reason: reason.to_string() }
    }
}
