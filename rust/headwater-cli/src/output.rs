//! stdout, written on a thread of its own: a full pipe stops the command that writes, and nothing else.
//!
//! At most [`CHUNKS_MAX`] chunks wait in the channel. Once the reader of the pipe is gone, every call says
//! [`Failure::OutputClosed`], which ends a command in good order.

use crate::failure::Failure;
use headwater_env::Env;
use headwater_env::real::RealEnv;
use std::io::{self, Write};
use std::pin::Pin;
use tokio::sync::{mpsc, oneshot};

/// Bytes that are collected before they are handed to the writing thread.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that may wait for the writing thread.
const CHUNKS_MAX: usize = 4;

enum Job {
    Write(Vec<u8>),
    Flush(oneshot::Sender<()>),
}

type Writing = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A buffered stream of bytes to stdout.
pub(crate) struct Output {
    buffer: Vec<u8>,
    jobs: Option<mpsc::Sender<Job>>,
    writing: Option<Writing>,
}

impl Output {
    pub(crate) fn stdout(env: &RealEnv) -> Self {
        Self::new(env, io::stdout())
    }

    fn new(env: &RealEnv, mut sink: impl Write + Send + 'static) -> Self {
        let (jobs, mut queue) = mpsc::channel(CHUNKS_MAX);
        let writing = env.blocking(move || {
            while let Some(job) = queue.blocking_recv() {
                match job {
                    Job::Write(bytes) => sink.write_all(&bytes)?,
                    Job::Flush(done) => {
                        sink.flush()?;
                        // Nobody waits any more when the command was dropped.
                        let _ = done.send(());
                    }
                }
            }
            sink.flush()
        });
        Self { buffer: Vec::with_capacity(CHUNK_BYTES), jobs: Some(jobs), writing: Some(Box::pin(writing)) }
    }

    /// Where to append; nothing is written before the next call of another method.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Hands over what was appended if it is worth it.
    pub(crate) async fn relieve(&mut self) -> Result<(), Failure> {
        if self.buffer.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.hand_over().await
    }

    /// Returns when everything appended so far has been written.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        self.hand_over().await?;
        let (done, flushed) = oneshot::channel();
        self.submit(Job::Flush(done)).await?;
        match flushed.await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.why_closed().await),
        }
    }

    /// Writes the rest and ends the thread.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        self.hand_over().await?;
        self.jobs = None;
        match self.writing.take() {
            Some(writing) => writing.await.map_err(|error| closed(&error)),
            None => Ok(()),
        }
    }

    async fn hand_over(&mut self) -> Result<(), Failure> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        self.submit(Job::Write(bytes)).await
    }

    async fn submit(&mut self, job: Job) -> Result<(), Failure> {
        let sent = match &self.jobs {
            Some(jobs) => jobs.send(job).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(self.why_closed().await) }
    }

    async fn why_closed(&mut self) -> Failure {
        self.jobs = None;
        match self.writing.take() {
            Some(writing) => match writing.await {
                Err(error) => closed(&error),
                Ok(()) => Failure::OutputClosed,
            },
            None => Failure::OutputClosed,
        }
    }
}

fn closed(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::OutputClosed
    } else {
        Failure::io("stdout cannot be written", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Takes `room` bytes, then fails as a closed pipe does.
    struct Pipe {
        room: usize,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let count = bytes.len().min(self.room);
            self.room -= count;
            self.taken.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn everything_arrives_in_order() {
        let taken = Arc::default();
        let mut output = Output::new(&RealEnv::new(), Pipe { room: usize::MAX, taken: Arc::clone(&taken) });
        let mut expected = Vec::new();
        for number in 0..50_000 {
            let line = format!("{number}\n");
            expected.extend_from_slice(line.as_bytes());
            output.buffer().extend_from_slice(line.as_bytes());
            output.relieve().await.unwrap();
        }
        output.flush().await.unwrap();
        assert_eq!(*taken.lock().unwrap(), expected);
        output.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_pipe_is_told_as_such() {
        let mut output = Output::new(&RealEnv::new(), Pipe { room: 10, taken: Arc::default() });
        output.buffer().extend_from_slice(&[b'x'; 100]);
        assert!(matches!(output.flush().await, Err(Failure::OutputClosed)));
        output.buffer().push(b'x');
        assert!(matches!(output.flush().await, Err(Failure::OutputClosed)));
    }
}
