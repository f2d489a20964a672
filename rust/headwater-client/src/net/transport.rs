//! The wire under a connection: TCP with length-prefixed frames, a local socket whose answers may lend files, or
//! frames over memory.

use super::local::LocalReader;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use headwater_env::net::{Frame, LocalStream, MemoryReceiver, MemorySender, TcpStream};
use headwater_protocol::frame::length_prefix;
use headwater_record::Recycler;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// Read at a time while small frames are expected.
const READ_BYTES: usize = 16 * 1024;
/// A frame of this length gets a buffer of its own, into which it is read without a copy.
pub(super) const LARGE_BYTES: usize = 64 * 1024;
/// Room made at once for a frame whose length is known; beyond it, the buffer grows as bytes arrive.
pub(super) const RESERVE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Slices handed to one vectored write.
const SLICES_MAX: usize = 64;

pub(crate) enum FrameWriter {
    Tcp(Arc<TcpStream>),
    Local(Arc<LocalStream>),
    Memory(MemorySender),
}

pub(crate) enum FrameReader {
    Tcp(TcpReader),
    Local(LocalReader),
    Memory(MemoryReceiver, Recycler),
}

/// The wire over a stream. Frames above `bytes_max` are refused; large ones land in the buffers of `recycler`.
pub(crate) fn over_tcp(
    stream: TcpStream,
    bytes_max: usize,
    recycler: Recycler,
) -> (FrameWriter, FrameReader) {
    let stream = Arc::new(stream);
    let reader = TcpReader { stream: Arc::clone(&stream), ahead: BytesMut::new(), bytes_max, recycler };
    (FrameWriter::Tcp(stream), FrameReader::Tcp(reader))
}

/// The wire over a local socket, with the same bounds.
pub(crate) fn over_local(
    stream: LocalStream,
    bytes_max: usize,
    recycler: Recycler,
) -> (FrameWriter, FrameReader) {
    let stream = Arc::new(stream);
    let reader = LocalReader::new(Arc::clone(&stream), bytes_max, recycler);
    (FrameWriter::Local(stream), FrameReader::Local(reader))
}

impl FrameWriter {
    /// Sends frames in order, as few system calls as it takes.
    pub(crate) async fn send(&mut self, frames: &mut Vec<Frame>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => write_all(&**stream, &mut prefixed(frames)?).await,
            Self::Local(stream) => write_all(&**stream, &mut prefixed(frames)?).await,
            Self::Memory(sender) => {
                for frame in frames.drain(..) {
                    sender.send(frame).await?;
                }
                Ok(())
            }
        }
    }
}

/// The chunks of frames, with the length before each frame.
fn prefixed(frames: &mut Vec<Frame>) -> io::Result<Vec<Bytes>> {
    let mut chunks = Vec::with_capacity(frames.iter().map(|frame| frame.len() + 1).sum());
    for frame in frames.drain(..) {
        let length: usize = frame.iter().map(Bytes::len).sum();
        let prefix =
            length_prefix(length).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        chunks.push(Bytes::copy_from_slice(&prefix));
        chunks.extend(frame);
    }
    Ok(chunks)
}

/// What a frame is written to.
trait Sink {
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    fn writable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Sink for TcpStream {
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).try_write_vectored(slices)
    }

    async fn writable(&self) -> io::Result<()> {
        (**self).writable().await
    }
}

impl Sink for LocalStream {
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).try_write_vectored(slices)
    }

    async fn writable(&self) -> io::Result<()> {
        (**self).writable().await
    }
}

async fn write_all(stream: &(impl Sink + Sync), chunks: &mut [Bytes]) -> io::Result<()> {
    let mut first = 0;
    while first < chunks.len() {
        if chunks[first].is_empty() {
            first += 1;
            continue;
        }
        let end = chunks.len().min(first + SLICES_MAX);
        let mut written = {
            let slices: Vec<IoSlice<'_>> =
                chunks[first..end].iter().map(|chunk| IoSlice::new(chunk)).collect();
            match stream.try_write_vectored(&slices) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drop(slices);
                    stream.writable().await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while written > 0 {
            let part = written.min(chunks[first].len());
            chunks[first].advance(part);
            written -= part;
            if chunks[first].is_empty() {
                first += 1;
            }
        }
    }
    Ok(())
}

impl FrameReader {
    /// The next frame in one piece; `None` when the peer has closed between frames.
    pub(crate) async fn recv(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Tcp(reader) => reader.frame().await,
            Self::Local(reader) => reader.frame().await,
            Self::Memory(receiver, recycler) => Ok(receiver.recv().await?.map(|frame| join(frame, recycler))),
        }
    }
}

/// The chunks of a frame in one piece; copies unless there is just one.
fn join(mut frame: Frame, recycler: &Recycler) -> Bytes {
    if frame.len() == 1 {
        return frame.swap_remove(0);
    }
    let mut whole = recycler.take(frame.iter().map(Bytes::len).sum());
    frame.iter().for_each(|chunk| whole.extend_from_slice(chunk));
    recycler.share(whole)
}

pub(crate) struct TcpReader {
    stream: Arc<TcpStream>,
    /// Read and not yet handed out: small frames, and the beginnings of large ones.
    ahead: BytesMut,
    bytes_max: usize,
    recycler: Recycler,
}

impl TcpReader {
    async fn frame(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let mut missing = READ_BYTES;
            if let Some(prefix) = self.ahead.first_chunk::<4>() {
                let length = frame_length(*prefix, self.bytes_max)?;
                if self.ahead.len() >= 4 + length {
                    self.ahead.advance(4);
                    return Ok(Some(self.ahead.split_to(length).freeze()));
                }
                if length >= LARGE_BYTES {
                    self.ahead.advance(4);
                    return self.large(length).await.map(Some);
                }
                missing = missing.max(4 + length - self.ahead.len());
            }
            self.ahead.reserve(missing);
            if read_some(&self.stream, &mut self.ahead, missing).await? == 0 {
                return if self.ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// A frame of which the beginning may have been read ahead, and nothing behind its end.
    async fn large(&mut self, length: usize) -> io::Result<Bytes> {
        let mut frame = self.recycler.take(length.min(RESERVE_BYTES_MAX));
        frame.extend_from_slice(&self.ahead);
        self.ahead.clear();
        while frame.len() < length {
            let missing = length - frame.len();
            if frame.len() == frame.capacity() {
                frame.reserve_exact(missing.min(frame.len()));
            }
            if read_some(&self.stream, &mut frame, missing).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.recycler.share(frame))
    }
}

/// Reads at least one byte and at most `bytes_max`, as far as there is room; 0 at the end of the stream.
async fn read_some(stream: &TcpStream, buffer: &mut impl BufMut, bytes_max: usize) -> io::Result<usize> {
    loop {
        match stream.try_read_buf(&mut (&mut *buffer).limit(bytes_max)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
            outcome => return outcome,
        }
    }
}

pub(super) fn frame_length(prefix: [u8; 4], bytes_max: usize) -> io::Result<usize> {
    let announced = i32::from_be_bytes(prefix);
    usize::try_from(announced).ok().filter(|length| *length <= bytes_max).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("an answer of {announced} bytes is announced, {bytes_max} are allowed (headwater.receive.bytes.max)"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lengths_are_bounded() {
        assert_eq!(frame_length(5_i32.to_be_bytes(), 10).unwrap(), 5);
        assert!(frame_length(11_i32.to_be_bytes(), 10).is_err());
        assert!(frame_length((-1_i32).to_be_bytes(), 10).is_err());
        assert!(frame_length(i32::MAX.to_be_bytes(), 1 << 28).is_err());
    }

    #[tokio::test]
    async fn frames_cross_tcp_whole_whatever_their_size() {
        let listener = headwater_env::net::listen("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (near, far) = tokio::join!(headwater_env::net::connect("127.0.0.1", port), listener.accept());
        let (mut writer, _keep) = over_tcp(near.unwrap(), 1 << 28, Recycler::new(0));
        let (_keep_too, mut reader) = over_tcp(far.unwrap().0, 1 << 28, Recycler::new(1 << 20));
        let sizes =
            [0_usize, 1, 70_000, 80_000, 9_000_000, 3, LARGE_BYTES, LARGE_BYTES - 1, 65_000, 66_000, 5];
        let sending = async {
            let mut frames: Vec<Frame> =
                sizes.iter().map(|size| vec![Bytes::from(vec![*size as u8; *size])]).collect();
            writer.send(&mut frames).await.unwrap();
        };
        let receiving = async {
            for size in sizes {
                let frame = reader.recv().await.unwrap().unwrap();
                assert_eq!(frame.len(), size);
                assert!(frame.iter().all(|byte| *byte == size as u8));
            }
        };
        tokio::join!(sending, receiving);
    }
}
