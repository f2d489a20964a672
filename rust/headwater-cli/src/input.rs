//! stdin, read on a thread of its own and cut into lines of bounded length.
//!
//! At most [`CHUNKS_MAX`] chunks wait in the channel, so input without end needs no memory without end. Lines are bytes:
//! NUL and what is not UTF-8 pass as they are, and a last line counts even if nothing ends it.

use headwater_env::Env;
use headwater_env::real::RealEnv;
use std::io::{self, Read};
use tokio::sync::mpsc;

const CHUNK_BYTES: usize = 64 << 10;
const CHUNKS_MAX: usize = 4;

/// Chunks of stdin as they come.
pub(crate) struct Input {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
}

impl Input {
    pub(crate) fn stdin(env: &RealEnv) -> Self {
        Self::new(env, io::stdin())
    }

    fn new(env: &RealEnv, mut source: impl Read + Send + 'static) -> Self {
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        // The thread ends with the input, or when a chunk finds nobody; one that waits for a terminal outlives the run.
        drop(env.blocking(move || {
            loop {
                let mut chunk = vec![0; CHUNK_BYTES];
                let chunk = match source.read(&mut chunk) {
                    Ok(0) => return,
                    Ok(count) => {
                        chunk.truncate(count);
                        Ok(chunk)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let last = chunk.is_err();
                if sender.blocking_send(chunk).is_err() || last {
                    return;
                }
            }
        }));
        Self { chunks }
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.chunks.recv().await.transpose()
    }
}

/// A line longer than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineTooLong;

/// Cuts chunks into lines.
pub(crate) struct Lines {
    delimiter: u8,
    length_max: usize,
    /// The beginning of a line that did not end in its chunk.
    begun: Vec<u8>,
    /// Whether `begun` has been handed out as a whole line.
    done: bool,
}

impl Lines {
    pub(crate) fn new(delimiter: u8, length_max: usize) -> Self {
        Self { delimiter, length_max, begun: Vec::new(), done: false }
    }

    /// The next line of `rest`, which is advanced past it; `None` when the rest has no end of line and was kept.
    pub(crate) fn next<'a, 'chunk: 'a>(
        &'a mut self,
        rest: &mut &'chunk [u8],
    ) -> Result<Option<&'a [u8]>, LineTooLong> {
        if std::mem::take(&mut self.done) {
            self.begun.clear();
        }
        let chunk = *rest;
        let end = chunk.iter().position(|byte| *byte == self.delimiter);
        let head = &chunk[..end.unwrap_or(chunk.len())];
        if self.begun.len() + head.len() > self.length_max {
            return Err(LineTooLong);
        }
        let Some(end) = end else {
            self.begun.extend_from_slice(head);
            *rest = &[];
            return Ok(None);
        };
        *rest = &chunk[end + 1..];
        if self.begun.is_empty() {
            return Ok(Some(head));
        }
        self.begun.extend_from_slice(head);
        self.done = true;
        Ok(Some(&self.begun))
    }

    /// What is left at the end of the input.
    pub(crate) fn last(self) -> Option<Vec<u8>> {
        (!self.done && !self.begun.is_empty()).then_some(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]], length_max: usize) -> Result<Vec<Vec<u8>>, LineTooLong> {
        let mut lines = Lines::new(b'\n', length_max);
        let mut found = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            while let Some(line) = lines.next(&mut rest)? {
                found.push(line.to_vec());
            }
        }
        found.extend(lines.last());
        Ok(found)
    }

    #[test]
    fn lines_do_not_depend_on_chunks() {
        let text = b"one\n\ntw\0o\n\xff three";
        let expected: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        for size in 1..=text.len() {
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(cut(&chunks, 100).as_ref(), Ok(&expected), "chunks of {size}");
        }
        assert_eq!(cut(&[], 9), Ok(vec![]));
        assert_eq!(cut(&[b"a\n"], 9), Ok(vec![b"a".to_vec()]), "an end of line begins no line");
    }

    #[test]
    fn a_long_line_is_refused_before_it_is_whole() {
        assert_eq!(cut(&[b"12345"], 5), Ok(vec![b"12345".to_vec()]));
        assert_eq!(cut(&[b"123", b"456"], 5), Err(LineTooLong));
        assert_eq!(cut(&[b"123", b"456\n"], 5), Err(LineTooLong));
        assert_eq!(cut(&[b"123456\n"], 5), Err(LineTooLong));
    }

    #[tokio::test]
    async fn input_ends() {
        let mut input = Input::new(&RealEnv::new(), &b"abc"[..]);
        assert_eq!(input.chunk().await.unwrap().as_deref(), Some(&b"abc"[..]));
        assert!(input.chunk().await.unwrap().is_none());
    }
}
