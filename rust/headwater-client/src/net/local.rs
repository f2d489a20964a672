//! Answers over a local socket: bytes, and ranges of files that are lent to be read here, in the parts of
//! [`headwater_protocol::lending`].
//!
//! The frame that comes out is the one that TCP would have brought. Whatever is wrong with an answer, the file that it
//! lends included, is `InvalidData`, and for a while the next connections go over TCP.

use super::transport::{LARGE_BYTES, RESERVE_BYTES_MAX, frame_length};
use bytes::{Buf, Bytes, BytesMut};
use headwater_env::net::{LocalStream, ReadOnlyFile};
use headwater_protocol::lending::{LENT, WRITTEN};
use headwater_record::Recycler;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Read at a time: answers are small where their records are lent.
const READ_BYTES: usize = 16 * 1024;
/// Files that may be waiting to be read; a part takes its own before the next one is looked at.
const FILES_MAX: usize = 1024;

pub(crate) struct LocalReader {
    stream: Arc<LocalStream>,
    /// Where the system puts what it has.
    scratch: Box<[u8]>,
    /// Read and not yet used, with the files that came with it, in order.
    ahead: BytesMut,
    files: VecDeque<ReadOnlyFile>,
    bytes_max: usize,
    recycler: Recycler,
}

impl LocalReader {
    pub(super) fn new(stream: Arc<LocalStream>, bytes_max: usize, recycler: Recycler) -> Self {
        let scratch = vec![0; READ_BYTES].into_boxed_slice();
        Self { stream, scratch, ahead: BytesMut::new(), files: VecDeque::new(), bytes_max, recycler }
    }

    /// The next frame; `None` when the peer has closed between frames.
    pub(super) async fn frame(&mut self) -> io::Result<Option<Bytes>> {
        if self.ahead.is_empty() && self.more().await? == 0 {
            return Ok(None);
        }
        let length = frame_length(self.array().await?, self.bytes_max)?;
        if length < LARGE_BYTES {
            return self.collect(length, Vec::with_capacity(length)).await.map(|frame| Some(frame.into()));
        }
        let frame = self.recycler.take(length.min(RESERVE_BYTES_MAX));
        let frame = self.collect(length, frame).await?;
        Ok(Some(self.recycler.share(frame)))
    }

    async fn collect(&mut self, length: usize, mut frame: Vec<u8>) -> io::Result<Vec<u8>> {
        while frame.len() < length {
            let [kind] = self.array().await?;
            let part = u32::from_be_bytes(self.array().await?) as usize;
            if part > length - frame.len() {
                return Err(broken("a part beyond the end of its answer"));
            }
            match kind {
                WRITTEN => self.written(part, &mut frame).await?,
                LENT => {
                    let position = u64::from_be_bytes(self.array().await?);
                    let file = self.files.pop_front().ok_or_else(|| broken("a part without its file"))?;
                    frame.reserve_exact(part);
                    let read = file.read(&mut frame, position, part).await;
                    read.map_err(|error| broken(&format!("a range that was lent cannot be read: {error}")))?;
                }
                _ => return Err(broken("a part of an unknown kind")),
            }
        }
        Ok(frame)
    }

    async fn written(&mut self, length: usize, frame: &mut Vec<u8>) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            if self.ahead.is_empty() {
                self.expect_more().await?;
            }
            let piece = left.min(self.ahead.len());
            if frame.capacity() - frame.len() < piece {
                // Doubled at most, and never more than the part takes: its length is only announced.
                frame.reserve_exact(left.min(frame.len().max(piece)));
            }
            frame.extend_from_slice(&self.ahead[..piece]);
            self.ahead.advance(piece);
            left -= piece;
        }
        Ok(())
    }

    async fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        loop {
            if let Some(bytes) = self.ahead.first_chunk::<N>().copied() {
                self.ahead.advance(N);
                return Ok(bytes);
            }
            self.expect_more().await?;
        }
    }

    async fn expect_more(&mut self) -> io::Result<()> {
        match self.more().await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        let count = self.stream.receive(&mut self.scratch, &mut self.files).await?;
        if self.files.len() > FILES_MAX {
            return Err(broken("files that no part asks for"));
        }
        self.ahead.extend_from_slice(&self.scratch[..count]);
        Ok(count)
    }
}

fn broken(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use headwater_env::net::{connect_local, listen_local};
    use headwater_env::real::RealDisk;
    use headwater_env::{Disk, DiskFile, OpenMode};
    use tokio::io::AsyncWriteExt;

    const BYTES_MAX: usize = 1 << 28;

    async fn connected(test: &str) -> (LocalStream, LocalReader) {
        let name = format!("headwater-test-{}-{test}", std::process::id());
        let listener = listen_local(&name).unwrap();
        let near = connect_local(&name).unwrap();
        let far = listener.accept().await.unwrap();
        (far, LocalReader::new(Arc::new(near), BYTES_MAX, Recycler::new(1 << 20)))
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 31 + index / 255) as u8).collect()
    }

    fn written(bytes: &[u8]) -> Vec<u8> {
        [&[WRITTEN][..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()
    }

    fn lent(position: u64, length: usize) -> Vec<u8> {
        [&[LENT][..], &(length as u32).to_be_bytes(), &position.to_be_bytes()].concat()
    }

    /// A file of `length` bytes, open for reading, whose name is gone when this returns.
    fn file(length: usize) -> ReadOnlyFile {
        let directory = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&directory.path().join("file"), OpenMode::Create).unwrap();
        file.write_all_at(&content(length), 0).unwrap();
        ReadOnlyFile::of(file.raw_fd().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn parts_make_whole_frames_whatever_their_sizes() {
        let (mut far, mut reader) = connected("frames").await;
        // Head and two ranges, as an answer to a fetch; an answer of bytes alone; an empty one; a large one of bytes.
        let plain = content(300_000);
        let sending = async {
            let file = file(20_000_000);
            far.write_all(&(9_500_010_u32).to_be_bytes()).await.unwrap();
            far.write_all(&written(b"head")).await.unwrap();
            for (position, length) in [(7, 500_000_usize), (1_000_000, 9_000_000)] {
                let part = lent(position, length);
                let sent = far.send_with_file(&part, &file).await.unwrap();
                far.write_all(&part[sent..]).await.unwrap();
            }
            far.write_all(&written(b"tail  ")).await.unwrap();
            far.write_all(&[&5_u32.to_be_bytes()[..], &written(b"small")].concat()).await.unwrap();
            far.write_all(&0_u32.to_be_bytes()).await.unwrap();
            far.write_all(&[&300_000_u32.to_be_bytes()[..], &written(&plain)].concat()).await.unwrap();
            drop(far);
        };
        let receiving = async {
            let all = content(20_000_000);
            let expected = [b"head", &all[7..500_007], &all[1_000_000..10_000_000], b"tail  "].concat();
            assert!(reader.frame().await.unwrap().unwrap() == expected, "byte for byte");
            assert_eq!(reader.frame().await.unwrap().unwrap(), "small");
            assert_eq!(reader.frame().await.unwrap().unwrap(), "");
            assert!(reader.frame().await.unwrap().unwrap() == plain);
            assert_eq!(reader.frame().await.unwrap(), None);
        };
        tokio::join!(sending, receiving);
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() {
        let frame = |length: u32, parts: &[u8]| [&length.to_be_bytes()[..], parts].concat();
        let cases = [
            ("larger than allowed", frame(BYTES_MAX as u32 + 1, &[]), "is announced"),
            ("a part too long", frame(3, &written(b"four")), "beyond the end"),
            ("no file", frame(3, &lent(0, 3)), "without its file"),
            ("unknown kind", frame(3, &[7, 0, 0, 0, 3]), "unknown kind"),
            ("cut in a part", frame(8, &written(b"four")), "end of file"),
            ("cut in a length", vec![0, 0], "end of file"),
        ];
        for (case, bytes, error) in cases {
            let (mut far, mut reader) = connected("hostile").await;
            far.write_all(&bytes).await.unwrap();
            drop(far);
            let found = reader.frame().await.unwrap_err().to_string();
            assert!(found.contains(error), "{case}: {found}");
        }
        let (far, mut reader) = connected("hostile").await;
        far.send_with_file(&frame(3000, &lent(0, 3000)), &file(2000)).await.unwrap();
        let error = reader.frame().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "a file too short: {error}");
    }

    #[tokio::test]
    async fn files_that_nobody_asks_for_have_an_end() {
        let (far, mut reader) = connected("many").await;
        let file = file(1);
        far.send_with_file(&1_000_000_u32.to_be_bytes(), &file).await.unwrap();
        let sending = async {
            // An endless part, and a file with each of its bytes.
            far.send_with_file(&[WRITTEN, 0, 0, 255, 255], &file).await.unwrap();
            while far.send_with_file(&[0], &file).await.is_ok() {}
        };
        let receiving = async {
            let error = reader.frame().await.unwrap_err();
            drop(reader);
            error
        };
        let ((), error) = tokio::join!(sending, receiving);
        assert!(error.to_string().contains("no part asks for"), "{error}");
    }
}
