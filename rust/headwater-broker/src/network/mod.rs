//! Connections, from bytes to handlers and back.
//!
//! ```text
//!   TCP, local bytes ──▶ FrameBuffer ─┐                ┌─▶ ready ───────────▶ outbox ──▶ vectored write,
//!                                     ├─▶ connection ──┤                        ▲         sendfile, descriptor
//!   memory frames ────────────────────┘   (one task)   └─▶ FuturesOrdered ──────┘ in request order
//! ```
//!
//! A connection is one task. It reads a frame, decodes the header and polls the handler once before it
//! looks at the next frame: so requests take effect in arrival order, and only waits overlap. What is not
//! ready then goes into an ordered queue; replies leave in request order. All of them share everything
//! above [`Transport`]. Deliberately absent: TLS and SASL.

mod connection;
mod dispatch;
mod frame;
mod limits;
mod listener;
mod local;
mod memory;
mod stream;
mod tcp;

use std::io;

use bytes::Bytes;
use headwater_env::Env;
use tokio::sync::OwnedSemaphorePermit;

use crate::reply::Chunk;

pub(crate) use limits::Limits;
pub(crate) use listener::{accept_local, accept_memory, accept_tcp};

/// A request as it came in, with the memory it was admitted for.
pub(crate) struct Frame {
    /// Header and body.
    pub(crate) bytes: Bytes,
    /// Given back when the request is answered.
    pub(crate) memory: OwnedSemaphorePermit,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The peer went away in the middle of something, or the socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The length of a frame is out of bounds.
    #[error("{0}")]
    Frame(#[from] headwater_protocol::FrameError),
    /// A request that is answered with the end of the connection.
    #[error("{0}")]
    Handler(#[from] crate::reply::HandlerError),
    /// A defect of a handler; the broker goes on.
    #[error("a handler panicked: {0}")]
    Panic(String),
    /// A range of a segment could not be sent as a whole.
    #[error("cannot send from a segment: {0}")]
    SendFile(#[from] headwater_env::net::SendFileError),
}

/// The byte level of a connection.
pub(crate) trait Transport<E: Env>: Send {
    /// The next frame that is already here and for which there is memory.
    fn buffered(&mut self) -> Result<Option<Frame>, ConnectionError>;

    /// The next frame; `None` once the peer has closed. Cancel-safe.
    fn receive(&mut self) -> impl Future<Output = Result<Option<Frame>, ConnectionError>> + Send;

    /// Sends replies, each of them a frame. Not cancel-safe.
    fn send(
        &mut self,
        replies: Vec<Vec<Chunk<E>>>,
    ) -> impl Future<Output = Result<(), ConnectionError>> + Send;
}
