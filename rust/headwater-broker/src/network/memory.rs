//! The byte level of a connection within the process: frames are handed over as they are.

use std::io;

use bytes::{Bytes, BytesMut};
use headwater_env::Env;
use headwater_env::net::{MemoryConnection, MemoryReceiver, MemorySender};
use headwater_protocol::FrameError;

use super::limits::Limits;
use super::{ConnectionError, Frame, Transport};
use crate::metrics::Metrics;
use crate::reply::Chunk;

/// A connection of a client in the same process.
pub(super) struct MemoryTransport<E: Env> {
    env: E,
    sender: MemorySender,
    receiver: MemoryReceiver,
    /// A frame that waits for its memory.
    waiting: Option<Bytes>,
    limits: Limits,
    metrics: Metrics,
}

impl<E: Env> MemoryTransport<E> {
    /// A transport over `connection`.
    pub(super) fn new(
        env: E,
        connection: MemoryConnection,
        limits: Limits,
        metrics: Metrics,
    ) -> MemoryTransport<E> {
        let (sender, receiver) = connection.split();
        MemoryTransport { env, sender, receiver, waiting: None, limits, metrics }
    }
}

impl<E: Env> Transport<E> for MemoryTransport<E> {
    fn buffered(&mut self) -> Result<Option<Frame>, ConnectionError> {
        let Some(bytes) = self.waiting.take() else { return Ok(None) };
        match self.limits.memory.clone().try_acquire_many_owned(self.limits.permits(bytes.len())) {
            Ok(memory) => Ok(Some(Frame { bytes, memory })),
            Err(_) => {
                self.waiting = Some(bytes);
                Ok(None)
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Frame>, ConnectionError> {
        if self.waiting.is_none() {
            let Some(chunks) = self.receiver.recv().await? else { return Ok(None) };
            let length: usize = chunks.iter().map(Bytes::len).sum();
            if length > self.limits.request_bytes_max {
                return Err(FrameError::TooLarge { length, limit: self.limits.request_bytes_max }.into());
            }
            self.metrics.bytes_in.inc_by(length as u64);
            self.waiting = Some(join(chunks, length));
        }
        let length = self.waiting.as_ref().map_or(0, Bytes::len);
        let memory = self.limits.memory.clone().acquire_many_owned(self.limits.permits(length)).await;
        let memory = memory.map_err(|_| io::Error::other("the broker is stopping"))?;
        Ok(self.waiting.take().map(|bytes| Frame { bytes, memory }))
    }

    async fn send(&mut self, replies: Vec<Vec<Chunk<E>>>) -> Result<(), ConnectionError> {
        for chunks in replies {
            let mut frame = Vec::with_capacity(chunks.len());
            for chunk in chunks {
                self.metrics.bytes_out.inc_by(chunk.length() as u64);
                frame.push(match chunk {
                    Chunk::Bytes(bytes) => bytes,
                    Chunk::File(range) => range.read(&self.env).await?,
                });
            }
            self.sender.send(frame).await?;
        }
        Ok(())
    }
}

/// The frame in one piece: what decodes it wants its strings and records as slices of one buffer.
fn join(mut chunks: Vec<Bytes>, length: usize) -> Bytes {
    if chunks.len() == 1 {
        return chunks.swap_remove(0);
    }
    let mut whole = BytesMut::with_capacity(length);
    chunks.iter().for_each(|chunk| whole.extend_from_slice(chunk));
    whole.freeze()
}
