//! A reply: the response header and body as chunks, each of them bytes or a range of a segment file.
//!
//! The same chunks serve every kind of connection: plaintext TCP gathers the bytes into vectored writes and
//! sends file ranges with `sendfile`; local connections lend large ones; memory connections read the ranges
//! into `Bytes`. A reply does not contain its own length prefix; the connection adds it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use headwater_env::{Disk, DiskFile, Env};
use headwater_protocol::{EncodeError, Message, ResponseHeader, Writer, frame};

use crate::context::RequestContext;

/// A range of a segment that is larger than this is read on the blocking pool, since it may be cold.
const INLINE_READ_BYTES_MAX: usize = 1024 * 1024;

/// A piece of a reply.
pub(crate) enum Chunk<E: Env> {
    /// Encoded bytes.
    Bytes(Bytes),
    /// Bytes of a segment file, as they are on disk.
    File(FileRange<E>),
}

/// A range of a file that nobody changes any more: a log only grows, and what was cut off is never handed
/// out, because readers stop at the high watermark.
pub(crate) struct FileRange<E: Env> {
    /// The open file; the range stays readable when the segment is deleted meanwhile.
    pub(crate) file: Arc<<E::Disk as Disk>::File>,
    /// Where the range starts, in bytes.
    pub(crate) position: u64,
    /// How long it is, in bytes.
    pub(crate) length: usize,
}

impl<E: Env> Chunk<E> {
    /// Its length in bytes.
    pub(crate) fn length(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::File(range) => range.length,
        }
    }
}

impl<E: Env> FileRange<E> {
    /// The bytes of the range, read on the blocking pool if they are many.
    pub(crate) async fn read(self, env: &E) -> io::Result<Bytes> {
        match self.length > INLINE_READ_BYTES_MAX {
            true => env.blocking(move || self.read_now()).await,
            false => self.read_now(),
        }
    }

    /// The bytes of the range, read at once.
    pub(crate) fn read_now(self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.length];
        self.file.read_exact_at(&mut bytes, self.position)?;
        Ok(Bytes::from(bytes))
    }
}

/// What stands before a reply in a byte stream: its length.
pub(crate) fn length_prefix<E: Env>(chunks: &[Chunk<E>]) -> io::Result<Bytes> {
    let length: usize = chunks.iter().map(Chunk::length).sum();
    let prefix = frame::length_prefix(length).map_err(io::Error::other)?;
    Ok(Bytes::copy_from_slice(&prefix))
}

/// What goes back for one request.
pub(crate) struct Reply<E: Env> {
    /// `None` for a request that is not answered (`acks=0`).
    pub(crate) chunks: Option<Vec<Chunk<E>>>,
    /// For how long the connection reads nothing more after this reply, in milliseconds (KIP-219).
    pub(crate) throttle_ms: i32,
}

/// Why a request gets no reply but the end of its connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandlerError {
    /// The body is not what its version says. Kafka disconnects, since nothing after it can be trusted.
    #[error("malformed request: {0}")]
    Malformed(#[from] headwater_protocol::DecodeError),
    /// The response cannot be said in this version: a fault of ours.
    #[error("response cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// Kafka disconnects in this case, because the protocol has no other way to say no.
    #[error("{0}")]
    Disconnect(&'static str),
}

impl<E: Env> Reply<E> {
    /// A reply of nothing: the request asked for no answer.
    pub(crate) fn none() -> Reply<E> {
        Reply { chunks: None, throttle_ms: 0 }
    }

    /// The reply that carries `response` in the version of the request.
    pub(crate) fn message<M: Message>(
        context: &RequestContext,
        response: &M,
        throttle_ms: i32,
    ) -> Result<Reply<E>, HandlerError> {
        let mut writer = Reply::<E>::begin(context)?;
        response.encode(&mut writer, context.api_version)?;
        Ok(Reply::from_writer(writer, throttle_ms))
    }

    /// A writer that already holds the response header.
    pub(crate) fn begin(context: &RequestContext) -> Result<Writer, HandlerError> {
        let mut writer = Writer::new();
        let header = ResponseHeader { correlation_id: context.correlation_id };
        header.encode(&mut writer, context.api_key, context.api_version)?;
        Ok(writer)
    }

    /// The reply of what `writer` holds.
    pub(crate) fn from_writer(writer: Writer, throttle_ms: i32) -> Reply<E> {
        let chunks = writer.into_chunks().into_iter().map(Chunk::Bytes).collect();
        Reply { chunks: Some(chunks), throttle_ms }
    }
}
