//! What connections over byte streams have in common: frames in, vectored writes out.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};

use super::frame::FrameBuffer;
use super::limits::Limits;
use super::{ConnectionError, Frame};
use crate::metrics::Metrics;

/// The most slices of one vectored write.
const SLICES_MAX: usize = 64;

/// Frames out of a stream, each admitted to memory before it is read.
pub(super) struct Inbound {
    buffer: FrameBuffer,
    /// Memory for the frame that has begun.
    admitted: Option<OwnedSemaphorePermit>,
    limits: Limits,
    metrics: Metrics,
}

impl Inbound {
    /// Nothing read yet.
    pub(super) fn new(limits: Limits, metrics: Metrics) -> Inbound {
        let buffer = FrameBuffer::new(limits.request_bytes_max);
        Inbound { buffer, admitted: None, limits, metrics }
    }

    /// The next frame that is already here and for which there is memory.
    pub(super) fn buffered(&mut self) -> Result<Option<Frame>, ConnectionError> {
        let Some(length) = self.buffer.announced()? else { return Ok(None) };
        if self.admitted.is_none() {
            match self.limits.memory.clone().try_acquire_many_owned(self.limits.permits(length)) {
                Ok(permit) => self.admitted = Some(permit),
                Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return Ok(None),
            }
        }
        self.whole()
    }

    /// The next frame of `stream`; `None` once the peer has closed. Cancel-safe.
    pub(super) async fn receive(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<Option<Frame>, ConnectionError> {
        loop {
            self.admit().await?;
            if let Some(frame) = self.whole()? {
                return Ok(Some(frame));
            }
            if stream.read_buf(&mut self.buffer.room()).await? == 0 {
                return match self.buffer.is_in_frame() {
                    true => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                    false => Ok(None),
                };
            }
        }
    }

    /// The frame that is here and admitted.
    fn whole(&mut self) -> Result<Option<Frame>, ConnectionError> {
        let Some(memory) = self.admitted.take() else { return Ok(None) };
        match self.buffer.take()? {
            Some(bytes) => {
                self.metrics.bytes_in.inc_by(bytes.len() as u64);
                Ok(Some(Frame { bytes, memory }))
            }
            None => {
                self.admitted = Some(memory);
                Ok(None)
            }
        }
    }

    /// Takes memory for the frame that has begun, waiting for it if need be.
    async fn admit(&mut self) -> Result<(), ConnectionError> {
        let Some(length) = self.buffer.announced()? else { return Ok(()) };
        if self.admitted.is_none() {
            let permits = self.limits.permits(length);
            let memory = self.limits.memory.clone();
            self.admitted = match memory.clone().try_acquire_many_owned(permits) {
                Ok(permit) => Some(permit),
                Err(_) => {
                    self.metrics.request_memory_waits.inc();
                    let permit = memory.acquire_many_owned(permits).await;
                    Some(permit.map_err(|_| io::Error::other("the broker is stopping"))?)
                }
            };
        }
        Ok(())
    }
}

/// Writes all that is pending.
pub(super) async fn write_bytes(
    stream: &mut (impl AsyncWrite + Unpin),
    pending: &mut VecDeque<Bytes>,
    metrics: &Metrics,
) -> io::Result<()> {
    while !pending.is_empty() {
        let slices: Vec<IoSlice<'_>> =
            pending.iter().take(SLICES_MAX).map(|bytes| IoSlice::new(bytes)).collect();
        let mut written = stream.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        metrics.bytes_out.inc_by(written as u64);
        while let Some(first) = pending.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            pending.pop_front();
        }
    }
    Ok(())
}
