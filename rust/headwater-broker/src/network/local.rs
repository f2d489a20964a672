//! The byte level of a connection within the machine: bytes are written, large ranges of segments are lent.
//!
//! ```text
//!   reply   length of the frame (4) │ part │ part │ …      parts until the frame is whole
//!   part    0 │ length (4) │ bytes
//!           1 │ length (4) │ position (8)                  with the first byte the file, open for reading
//! ```
//!
//! Requests are frames as over TCP, and every reply, range by range, is what it would be over TCP: what may be seen has
//! been decided by the handler. Only the client copies the bytes of a lent range, out of the page cache, and nothing of
//! it passes through a socket. A range stays readable though its segment is deleted meanwhile; a descriptor in flight
//! keeps its space on disk taken.

use std::collections::VecDeque;
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use headwater_env::net::{LocalStream, ReadOnlyFile};
use headwater_env::{DiskFile, Env};
use tokio::io::AsyncWriteExt;

use super::limits::Limits;
use super::stream::{Inbound, write_bytes};
use super::{ConnectionError, Frame, Transport};
use crate::metrics::Metrics;
use crate::reply::{Chunk, FileRange, length_prefix};

/// A part of bytes.
const WRITTEN: u8 = 0;
/// A part that is lent.
const LENT: u8 = 1;

/// Smaller ranges are written: to hand over a descriptor takes as long.
const LENT_BYTES_MIN: usize = 32 * 1024;

/// A connection of a client on the same machine.
pub(super) struct LocalTransport<E: Env> {
    env: E,
    stream: LocalStream,
    inbound: Inbound,
    metrics: Metrics,
}

impl<E: Env> LocalTransport<E> {
    /// A transport over `stream`.
    pub(super) fn new(env: E, stream: LocalStream, limits: Limits, metrics: Metrics) -> LocalTransport<E> {
        LocalTransport { env, stream, inbound: Inbound::new(limits, metrics.clone()), metrics }
    }

    async fn flush(&mut self, pending: &mut VecDeque<Bytes>) -> io::Result<()> {
        write_bytes(&mut self.stream, pending, &self.metrics).await
    }

    /// Hands over a range; gives it back where the system refuses to, which it does before anything has gone.
    async fn lend(&mut self, file: &ReadOnlyFile, range: FileRange<E>) -> io::Result<Option<FileRange<E>>> {
        let mut part = part(LENT, range.length)?;
        part.put_u64(range.position);
        let sent = match self.stream.send_with_file(&part, file).await {
            Ok(sent) => sent,
            Err(error) => {
                tracing::debug!(%error, "a segment cannot be lent");
                return Ok(Some(range));
            }
        };
        self.stream.write_all(&part[sent..]).await?;
        self.metrics.lent_bytes.inc_by(range.length as u64);
        self.metrics.bytes_out.inc_by((part.len() + range.length) as u64);
        Ok(None)
    }
}

impl<E: Env> Transport<E> for LocalTransport<E> {
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
                    Chunk::Bytes(bytes) => write(&mut pending, bytes)?,
                    Chunk::File(range) => {
                        let refused = match to_lend(&range) {
                            Some(file) => {
                                self.flush(&mut pending).await?;
                                self.lend(&file, range).await?
                            }
                            None => Some(range),
                        };
                        if let Some(range) = refused {
                            write(&mut pending, range.read(&self.env).await?)?;
                        }
                    }
                }
            }
        }
        self.flush(&mut pending).await?;
        Ok(())
    }
}

/// The file of a range that is worth it, opened for reading; `None` where that cannot be done.
fn to_lend<E: Env>(range: &FileRange<E>) -> Option<ReadOnlyFile> {
    if range.length < LENT_BYTES_MIN {
        return None;
    }
    let opened = ReadOnlyFile::of(range.file.raw_fd()?);
    opened.inspect_err(|error| tracing::debug!(%error, "a segment cannot be lent")).ok()
}

fn write(pending: &mut VecDeque<Bytes>, bytes: Bytes) -> io::Result<()> {
    pending.push_back(part(WRITTEN, bytes.len())?.freeze());
    pending.push_back(bytes);
    Ok(())
}

/// The beginning of a part.
fn part(kind: u8, length: usize) -> io::Result<BytesMut> {
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let mut part = BytesMut::with_capacity(16);
    part.put_u8(kind);
    part.put_u32(length);
    Ok(part)
}
