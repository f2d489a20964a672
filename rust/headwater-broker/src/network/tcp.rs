//! The byte level of a TCP connection: vectored writes for bytes, `sendfile` for ranges of segments.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use headwater_env::net::{SENDFILE_BYTES_MAX, TcpStream, is_cached, read_ahead, sendfile};
use headwater_env::{DiskFile, Env};

use super::limits::Limits;
use super::stream::{Inbound, write_bytes};
use super::{ConnectionError, Frame, Transport};
use crate::metrics::Metrics;
use crate::reply::{Chunk, FileRange, length_prefix};

/// A TCP connection.
pub(super) struct TcpTransport<E: Env> {
    env: E,
    stream: TcpStream,
    inbound: Inbound,
    metrics: Metrics,
}

impl<E: Env> TcpTransport<E> {
    /// A transport over `stream`.
    pub(super) fn new(env: E, stream: TcpStream, limits: Limits, metrics: Metrics) -> TcpTransport<E> {
        TcpTransport { env, stream, inbound: Inbound::new(limits, metrics.clone()), metrics }
    }

    async fn write_bytes(&mut self, pending: &mut VecDeque<Bytes>) -> io::Result<()> {
        write_bytes(&mut self.stream, pending, &self.metrics).await
    }

    async fn write_file(&mut self, range: FileRange<E>) -> Result<(), ConnectionError> {
        let mut position = range.position;
        let mut left = range.length;
        while left > 0 {
            let turn = left.min(SENDFILE_BYTES_MAX);
            self.bring_in(&range, position, turn).await?;
            let Some(file) = range.file.raw_fd() else {
                // Files without a descriptor are copied.
                let rest: FileRange<E> = FileRange { file: range.file, position, length: left };
                self.write_bytes(&mut VecDeque::from([rest.read_now()?])).await?;
                return Ok(());
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
}

impl<E: Env> Transport<E> for TcpTransport<E> {
    fn buffered(&mut self) -> Result<Option<Frame>, ConnectionError> {
        self.inbound.buffered()
    }

    async fn receive(&mut self) -> Result<Option<Frame>, ConnectionError> {
        self.inbound.receive(&mut self.stream).await
    }

    async fn send(&mut self, replies: Vec<Vec<Chunk<E>>>) -> Result<(), ConnectionError> {
        let mut pending = VecDeque::new();
        for chunks in replies {
            pending.push_back(length_prefix(&chunks)?);
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
