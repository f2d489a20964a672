//! The byte level of a TCP connection: vectored writes for bytes, `sendfile` for ranges of segments.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::{Buf, Bytes};
use headwater_env::net::{SENDFILE_BYTES_MAX, TcpStream, is_cached, read_ahead, sendfile};
use headwater_env::{DiskFile, Env};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};

use super::frame::FrameBuffer;
use super::limits::Limits;
use super::{ConnectionError, Frame, Transport};
use crate::metrics::Metrics;
use crate::reply::{Chunk, FileRange};

/// The most slices of one vectored write.
const SLICES_MAX: usize = 64;

/// A TCP connection.
pub(super) struct TcpTransport<E: Env> {
    env: E,
    stream: TcpStream,
    buffer: FrameBuffer,
    /// Memory for the frame that has begun.
    admitted: Option<OwnedSemaphorePermit>,
    limits: Limits,
    metrics: Metrics,
}

impl<E: Env> TcpTransport<E> {
    /// A transport over `stream`.
    pub(super) fn new(env: E, stream: TcpStream, limits: Limits, metrics: Metrics) -> TcpTransport<E> {
        let buffer = FrameBuffer::new(limits.request_bytes_max);
        TcpTransport { env, stream, buffer, admitted: None, limits, metrics }
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

    async fn write_bytes(&mut self, pending: &mut VecDeque<Bytes>) -> io::Result<()> {
        while !pending.is_empty() {
            let slices: Vec<IoSlice<'_>> =
                pending.iter().take(SLICES_MAX).map(|bytes| IoSlice::new(bytes)).collect();
            let mut written = self.stream.write_vectored(&slices).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.metrics.bytes_out.inc_by(written as u64);
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

    async fn write_file(&mut self, range: FileRange<E>) -> Result<(), ConnectionError> {
        let mut position = range.position;
        let mut left = range.length;
        while left > 0 {
            let turn = left.min(SENDFILE_BYTES_MAX);
            self.bring_in(&range, position, turn).await?;
            let Some(file) = range.file.raw_fd() else {
                return self.write_copy(&range, position, left).await;
            };
            let sent = sendfile(&self.stream, file, &mut position, turn).await?;
            left -= sent;
            self.metrics.sendfile_bytes.inc_by(sent as u64);
            self.metrics.bytes_out.inc_by(sent as u64);
        }
        Ok(())
    }

    /// Has the blocking pool read what is not in memory, so that `sendfile` does not stop a worker.
    async fn bring_in(&self, range: &FileRange<E>, position: u64, length: usize) -> io::Result<()> {
        let cold = |file: BorrowedFd<'_>| !is_cached(file, position, length);
        if range.file.raw_fd().is_some_and(cold) {
            let file = range.file.clone();
            let read =
                move || file.raw_fd().map_or(Ok(()), |file| read_ahead(file.as_fd(), position, length));
            self.env.blocking(read).await?;
        }
        Ok(())
    }

    /// Files without a descriptor are copied.
    async fn write_copy(
        &mut self,
        range: &FileRange<E>,
        position: u64,
        length: usize,
    ) -> Result<(), ConnectionError> {
        let mut bytes = vec![0; length];
        range.file.read_exact_at(&mut bytes, position)?;
        self.write_bytes(&mut VecDeque::from([Bytes::from(bytes)])).await?;
        Ok(())
    }
}

impl<E: Env> Transport<E> for TcpTransport<E> {
    fn buffered(&mut self) -> Result<Option<Frame>, ConnectionError> {
        let Some(length) = self.buffer.announced()? else { return Ok(None) };
        if self.admitted.is_none() {
            match self.limits.memory.clone().try_acquire_many_owned(self.limits.permits(length)) {
                Ok(permit) => self.admitted = Some(permit),
                Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return Ok(None),
            }
        }
        self.whole()
    }

    async fn receive(&mut self) -> Result<Option<Frame>, ConnectionError> {
        loop {
            self.admit().await?;
            if let Some(frame) = self.whole()? {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.buffer.room()).await? == 0 {
                return match self.buffer.is_in_frame() {
                    true => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                    false => Ok(None),
                };
            }
        }
    }

    async fn send(&mut self, replies: Vec<Vec<Chunk<E>>>) -> Result<(), ConnectionError> {
        let mut pending = VecDeque::new();
        for chunks in replies {
            let length: usize = chunks.iter().map(Chunk::length).sum();
            let length = i32::try_from(length).map_err(|_| io::Error::other("a reply of more than 2 GiB"))?;
            pending.push_back(Bytes::copy_from_slice(&length.to_be_bytes()));
            for chunk in chunks {
                match chunk {
                    Chunk::Bytes(bytes) => pending.push_back(bytes),
                    Chunk::File(range) => {
                        self.write_bytes(&mut pending).await?;
                        self.write_file(range).await?;
                    }
                }
            }
        }
        self.write_bytes(&mut pending).await?;
        Ok(())
    }
}
