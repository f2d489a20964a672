//! The byte level of a connection within the machine: bytes are written, large ranges of segments are lent, in the parts
//! of [`headwater_protocol::lending`].
//!
//! Every reply, range by range, is what it would be over TCP: what may be seen has been decided by the handler. Only the
//! client copies the bytes of a lent range, out of the page cache, and nothing of it passes through a socket. A range
//! stays readable though its segment is deleted meanwhile; until the client has read it, it keeps its space on disk.

use std::collections::VecDeque;
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use headwater_env::net::{LocalStream, ReadOnlyFile, is_cached};
use headwater_env::{DiskFile, Env};
use headwater_protocol::lending::{LENT, WRITTEN};
use tokio::io::AsyncWriteExt;

use super::limits::Limits;
use super::stream::{Inbound, write_bytes};
use super::{ConnectionError, Frame, Transport};
use crate::metrics::Metrics;
use crate::reply::{Chunk, FileRange, length_prefix};

/// Smaller ranges are written: to hand over a descriptor takes as long.
const LENT_BYTES_MIN: usize = 32 * 1024;

/// Bytes that wait to be written before they are; a range that is not lent is read in pieces of this size.
const PENDING_BYTES_MAX: usize = 256 * 1024;

/// A connection of a client on the same machine.
pub(super) struct LocalTransport<E: Env> {
    env: E,
    stream: LocalStream,
    inbound: Inbound,
    outbound: Outbound,
    metrics: Metrics,
}

/// What is to be written.
#[derive(Default)]
struct Outbound {
    pending: VecDeque<Bytes>,
    bytes: usize,
}

impl<E: Env> LocalTransport<E> {
    /// A transport over `stream`.
    pub(super) fn new(env: E, stream: LocalStream, limits: Limits, metrics: Metrics) -> LocalTransport<E> {
        let inbound = Inbound::new(limits, metrics.clone());
        LocalTransport { env, stream, inbound, outbound: Outbound::default(), metrics }
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.outbound.bytes = 0;
        write_bytes(&mut self.stream, &mut self.outbound.pending, &self.metrics).await
    }

    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.outbound.push(part(WRITTEN, bytes.len())?.freeze());
        self.outbound.push(bytes);
        if self.outbound.bytes >= PENDING_BYTES_MAX { self.flush().await } else { Ok(()) }
    }

    /// Hands over a range; false where the system refuses to, which it does before anything has gone.
    async fn lend(&mut self, file: &ReadOnlyFile, range: &FileRange<E>) -> io::Result<bool> {
        self.flush().await?;
        let mut part = part(LENT, range.length)?;
        part.put_u64(range.position);
        let sent = match self.stream.send_with_file(&part, file).await {
            Ok(sent) => sent,
            Err(error) if is_refusal(&error) => {
                tracing::debug!(%error, "a segment cannot be lent");
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        self.stream.write_all(&part[sent..]).await?;
        self.metrics.lent_bytes.inc_by(range.length as u64);
        self.metrics.bytes_out.inc_by((part.len() + range.length) as u64);
        Ok(true)
    }

    /// Writes a range in pieces, reading what is not in memory on the blocking pool.
    async fn copy(&mut self, mut range: FileRange<E>) -> io::Result<()> {
        while range.length > 0 {
            let length = range.length.min(PENDING_BYTES_MAX);
            let piece: FileRange<E> =
                FileRange { file: range.file.clone(), position: range.position, length };
            let is_cold = range.file.raw_fd().is_some_and(|file| !is_cached(file, range.position, length));
            let bytes =
                if is_cold { self.env.blocking(move || piece.read_now()).await } else { piece.read_now() };
            self.write(bytes?).await?;
            range.position += length as u64;
            range.length -= length;
        }
        Ok(())
    }
}

impl Outbound {
    fn push(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.pending.push_back(bytes);
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
        for chunks in replies {
            self.outbound.push(length_prefix(&chunks)?);
            for chunk in chunks {
                match chunk {
                    Chunk::Bytes(bytes) => self.write(bytes).await?,
                    Chunk::File(range) => {
                        let is_lent = match to_lend(&range) {
                            Some(file) => self.lend(&file, &range).await?,
                            None => false,
                        };
                        if !is_lent {
                            self.copy(range).await?;
                        }
                    }
                }
            }
        }
        self.flush().await?;
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

/// Whether the connection is well and only the descriptor is not let through: too many are on their way (ETOOMANYREFS,
/// which has no kind of its own), or a security module is against it.
fn is_refusal(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// The beginning of a part.
fn part(kind: u8, length: usize) -> io::Result<BytesMut> {
    let length = u32::try_from(length).map_err(io::Error::other)?;
    let mut part = BytesMut::with_capacity(16);
    part.put_u8(kind);
    part.put_u32(length);
    Ok(part)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use headwater_env::net::{connect_local, listen_local};
    use headwater_env::real::RealEnv;
    use headwater_env::{Disk, OpenMode};
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::config::BrokerConfig;

    async fn connected(test: &str) -> (LocalTransport<RealEnv>, LocalStream) {
        let name = format!("headwater-test-{}-{test}", std::process::id());
        let listener = listen_local(&name).unwrap();
        let far = connect_local(&name).unwrap();
        let near = listener.accept().await.unwrap();
        let limits = Limits::new(&BrokerConfig::new("/nowhere"));
        (LocalTransport::new(RealEnv::new(), near, limits, Metrics::new()), far)
    }

    fn range(directory: &tempfile::TempDir, length: usize) -> FileRange<RealEnv> {
        let env = RealEnv::new();
        let file = env.disk().open(&directory.path().join("file"), OpenMode::Create).unwrap();
        let content: Vec<u8> = (0..length).map(|index| (index * 31 + index / 255) as u8).collect();
        file.write_all_at(&content, 0).unwrap();
        FileRange { file: Arc::new(file), position: 0, length }
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_costs_little_memory() {
        const SMALL: usize = LENT_BYTES_MIN - 1;
        let directory = tempfile::tempdir().unwrap();
        let (mut transport, _far) = connected("slow").await;
        let small = range(&directory, SMALL);
        let chunk = || Chunk::File(FileRange { file: small.file.clone(), position: 0, length: SMALL });
        let replies: Vec<Vec<Chunk<RealEnv>>> =
            (0..100).map(|_| (0..10).map(|_| chunk()).collect()).collect();
        tokio::time::timeout(Duration::from_millis(200), transport.send(replies)).await.unwrap_err();
        let pending: usize = transport.outbound.pending.iter().map(Bytes::len).sum();
        assert!(pending < PENDING_BYTES_MAX + SMALL + 100, "{pending} of {}", 1000 * SMALL);
    }

    #[tokio::test]
    async fn a_range_that_is_not_lent_is_written_in_pieces() {
        let length = 3 * PENDING_BYTES_MAX + 1000;
        let directory = tempfile::tempdir().unwrap();
        let (mut transport, mut far) = connected("pieces").await;
        let writing = async {
            transport.copy(range(&directory, length)).await.unwrap();
            transport.flush().await.unwrap();
            drop(transport);
        };
        let mut received = Vec::new();
        let (_, read) = tokio::join!(writing, far.read_to_end(&mut received));
        read.unwrap();
        let (mut content, mut rest) = (Vec::new(), &received[..]);
        while let [kind, a, b, c, d, more @ ..] = rest {
            assert_eq!(*kind, WRITTEN);
            let (bytes, after) = more.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
            assert!(bytes.len() <= PENDING_BYTES_MAX);
            content.extend_from_slice(bytes);
            rest = after;
        }
        let expected: Vec<u8> = (0..length).map(|index| (index * 31 + index / 255) as u8).collect();
        assert!(content == expected, "byte for byte");
    }
}
