//! The wire under a connection: TCP with length-prefixed frames, or frames over memory.

use bytes::{Buf, Bytes, BytesMut};
use headwater_env::net::{Frame, MemoryReceiver, MemorySender, TcpStream};
use std::io::{self, IoSlice};
use std::sync::Arc;

/// Read at least this many bytes at a time.
const READ_BYTES_MIN: usize = 64 * 1024;
/// Room made at once for a frame whose length is known; beyond it, the buffer grows as bytes arrive.
const RESERVE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Slices handed to one vectored write.
const SLICES_MAX: usize = 64;

pub(crate) enum FrameWriter {
    Tcp(Arc<TcpStream>),
    Memory(MemorySender),
}

pub(crate) enum FrameReader {
    Tcp { stream: Arc<TcpStream>, buffer: BytesMut, bytes_max: usize },
    Memory(MemoryReceiver),
}

pub(crate) fn over_tcp(stream: TcpStream, bytes_max: usize) -> (FrameWriter, FrameReader) {
    let stream = Arc::new(stream);
    let reader = FrameReader::Tcp { stream: Arc::clone(&stream), buffer: BytesMut::new(), bytes_max };
    (FrameWriter::Tcp(stream), reader)
}

impl FrameWriter {
    /// Sends frames in order, as few system calls as it takes.
    pub(crate) async fn send(&mut self, frames: &mut Vec<Frame>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                let mut chunks = Vec::with_capacity(frames.iter().map(|frame| frame.len() + 1).sum());
                for frame in frames.drain(..) {
                    let length: usize = frame.iter().map(Bytes::len).sum();
                    let length = i32::try_from(length)
                        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "frame above 2 GiB"))?;
                    chunks.push(Bytes::copy_from_slice(&length.to_be_bytes()));
                    chunks.extend(frame);
                }
                write_all(stream, &mut chunks).await
            }
            Self::Memory(sender) => {
                for frame in frames.drain(..) {
                    sender.send(frame).await?;
                }
                Ok(())
            }
        }
    }
}

async fn write_all(stream: &TcpStream, chunks: &mut [Bytes]) -> io::Result<()> {
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
            Self::Tcp { stream, buffer, bytes_max } => read_frame(stream, buffer, *bytes_max).await,
            Self::Memory(receiver) => Ok(receiver.recv().await?.map(join)),
        }
    }
}

/// The chunks of a frame in one piece; copies unless there is just one.
fn join(mut frame: Frame) -> Bytes {
    if frame.len() == 1 {
        return frame.swap_remove(0);
    }
    let mut whole = BytesMut::with_capacity(frame.iter().map(Bytes::len).sum());
    frame.iter().for_each(|chunk| whole.extend_from_slice(chunk));
    whole.freeze()
}

async fn read_frame(
    stream: &TcpStream,
    buffer: &mut BytesMut,
    bytes_max: usize,
) -> io::Result<Option<Bytes>> {
    loop {
        let missing = match buffer.first_chunk::<4>() {
            None => READ_BYTES_MIN,
            Some(prefix) => {
                let length = frame_length(*prefix, bytes_max)?;
                if buffer.len() >= 4 + length {
                    buffer.advance(4);
                    return Ok(Some(buffer.split_to(length).freeze()));
                }
                let missing = 4 + length - buffer.len();
                missing.min(RESERVE_BYTES_MAX.max(buffer.len())).max(READ_BYTES_MIN)
            }
        };
        if buffer.capacity() - buffer.len() < missing.min(READ_BYTES_MIN) || buffer.is_empty() {
            buffer.reserve(missing);
        }
        match stream.try_read_buf(buffer) {
            Ok(0) if buffer.is_empty() => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
            Err(error) => return Err(error),
        }
    }
}

fn frame_length(prefix: [u8; 4], bytes_max: usize) -> io::Result<usize> {
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
        let (mut writer, _keep) = over_tcp(near.unwrap(), 1 << 28);
        let (_keep_too, mut reader) = over_tcp(far.unwrap().0, 1 << 28);
        let sizes = [0_usize, 1, 70_000, 9_000_000, 3];
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
