//! Connections within one machine, which can carry open files besides bytes.
//!
//! A Unix socket in Linux's abstract namespace: it has no file that could be left behind, it is seen by the processes
//! of the same network namespace, and it is gone with the process that listens. Both ends check that the other one
//! belongs to the same user. A file crosses as a descriptor opened for reading, whatever the sender's own can do. That
//! guards against accidents, not against a hostile process of the same user, which can open the file behind any
//! descriptor once more, for writing. Other systems have no such sockets; there, listening and connecting fail with
//! `Unsupported`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::task::coop::consume_budget;

use super::fork::Own;
use super::sendfile::{is_cached, read_ahead};
use super::stream::Stream;

/// The most that is read of a file before other tasks of the thread get their turn.
const TURN_BYTES: usize = 256 * 1024;

/// What the kernel calls every user who has no number in this process's user namespace: they are not all the same one.
const OVERFLOW_UID: u32 = 65_534;

/// A listening socket.
#[derive(Debug)]
pub struct LocalListener(Own<tokio::net::UnixListener>);

/// A connected socket whose other end belongs to the same user.
pub type LocalStream = Stream<tokio::net::UnixStream>;

/// A file opened for reading. Clones are the same open file. A forked child gives its copy up, as it does with sockets.
#[derive(Debug, Clone)]
pub struct ReadOnlyFile(Arc<Own<OwnedFd>>);

/// Listens on `name`, which no other process of the network namespace may have. To be called within a tokio runtime
/// that has I/O.
///
/// # Errors
/// What the system says; `Unsupported` where there are no such sockets.
pub fn listen_local(name: &str) -> io::Result<LocalListener> {
    let listener = system::listen(name)?;
    Ok(LocalListener(Own::new(tokio::net::UnixListener::from_std(listener)?)))
}

/// Connects to the process that listens on `name`, never waiting for it.
///
/// # Errors
/// `PermissionDenied` if that process is another user's, `Unsupported` where there are no such sockets, and what
/// the system says.
pub fn connect_local(name: &str) -> io::Result<LocalStream> {
    LocalStream::new(tokio::net::UnixStream::from_std(system::connect(name)?)?)
}

impl LocalListener {
    /// The next connection. Errors concern that connection (`PermissionDenied`: of another user) or the want of
    /// descriptors; listening goes on.
    pub async fn accept(&self) -> io::Result<LocalStream> {
        let (stream, _) = self.0.accept().await?;
        LocalStream::new(stream)
    }
}

impl LocalStream {
    fn new(stream: tokio::net::UnixStream) -> io::Result<Self> {
        let stream = Own::new(stream);
        let peer = stream.peer_cred()?.uid();
        if peer != rustix::process::geteuid().as_raw() || peer == OVERFLOW_UID {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Self(stream))
    }

    /// Sends a first part of `bytes`, at least one of them, and with the first byte `file`. Returns how many went;
    /// the others are to be written. Nothing has gone after an error. Cancel-safe.
    pub async fn send_with_file(&self, bytes: &[u8], file: &ReadOnlyFile) -> io::Result<usize> {
        self.0.async_io(Interest::WRITABLE, || system::send(&*self.0, bytes, file.0.as_fd())).await
    }

    /// Reads what is there, at most as much as `buffer` holds, waiting for the first byte; 0 at the end of the
    /// stream. A file that came with the bytes is appended to `files`. Cancel-safe.
    ///
    /// # Errors
    /// `InvalidData` if a file was lost on the way, for want of descriptors in this process for example.
    pub async fn receive(
        &self,
        buffer: &mut [u8],
        files: &mut impl Extend<ReadOnlyFile>,
    ) -> io::Result<usize> {
        self.0.async_io(Interest::READABLE, || system::receive(&*self.0, buffer, files)).await
    }
}

impl AsyncRead for LocalStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Not tokio's own: it takes a read of less than was asked for as the end of what is there, but the kernel ends
        // a read after every message that carried a file.
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl ReadOnlyFile {
    fn new(file: OwnedFd) -> Self {
        Self(Arc::new(Own::new(file)))
    }

    /// Opens the file behind `file` once more, for reading; it may have lost its name meanwhile.
    ///
    /// # Errors
    /// What the system says; `Unsupported` where an open file cannot be opened again.
    pub fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        system::reopen(file).map(Self::new)
    }

    /// Appends the `length` bytes at `position` to `buffer`, as far as it has room without growing. Reads inline what
    /// is in memory, and has the pool of blocking threads bring in the rest; gives way to other tasks now and then.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before the range does; `InvalidInput` without room for the range.
    pub async fn read(&self, buffer: &mut Vec<u8>, position: u64, length: usize) -> io::Result<()> {
        if buffer.capacity() - buffer.len() < length {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room for the range"));
        }
        let (mut position, mut left) = (position, length);
        while left > 0 {
            let turn = left.min(TURN_BYTES);
            if !is_cached(self.0.as_fd(), position, turn) {
                self.bring_in(position, turn).await?;
            }
            let count = self.read_once(buffer, position, turn)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            position += count as u64;
            left -= count;
            consume_budget().await;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door to the file")]
    async fn bring_in(&self, position: u64, length: usize) -> io::Result<()> {
        let file = self.0.clone();
        let reading = tokio::task::spawn_blocking(move || read_ahead(file.as_fd(), position, length));
        reading.await.map_err(io::Error::other)?
    }

    fn read_once(&self, buffer: &mut Vec<u8>, position: u64, turn: usize) -> io::Result<usize> {
        let room = &mut buffer.spare_capacity_mut()[..turn];
        let read = || rustix::io::pread(self.0.as_fd(), &mut *room, position).map(|(filled, _)| filled.len());
        let count = rustix::io::retry_on_intr(read)?;
        // SAFETY: the system has just written so many bytes behind the end, within the capacity.
        unsafe { buffer.set_len(buffer.len() + count) };
        Ok(count)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
    use std::os::unix::net::{UnixListener, UnixStream};

    use rustix::cmsg_space;
    use rustix::fs::{Mode, OFlags};
    use rustix::net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags,
    };
    use socket2::{Domain, SockAddr, Socket, Type};

    use super::ReadOnlyFile;

    /// Files that one message carries at most.
    const FILES_PER_MESSAGE: usize = 1;

    /// Connections that wait to be accepted before the system refuses more.
    const BACKLOG: i32 = 1024;

    fn socket() -> io::Result<Socket> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// A leading zero puts the name into the abstract namespace.
    fn address(name: &str) -> io::Result<SockAddr> {
        SockAddr::unix(format!("\0{name}"))
    }

    pub(super) fn listen(name: &str) -> io::Result<UnixListener> {
        let socket = socket()?;
        socket.bind(&address(name)?)?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    }

    pub(super) fn connect(name: &str) -> io::Result<UnixStream> {
        let socket = socket()?;
        socket.connect(&address(name)?)?;
        Ok(socket.into())
    }

    pub(super) fn reopen(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    }

    pub(super) fn send(stream: impl AsFd, bytes: &[u8], file: BorrowedFd<'_>) -> io::Result<usize> {
        let files = [file];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FILES_PER_MESSAGE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::Error::other("no room for a descriptor"));
        }
        let stream = stream.as_fd();
        let sent = rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
        });
        Ok(sent?)
    }

    pub(super) fn receive(
        stream: impl AsFd,
        buffer: &mut [u8],
        files: &mut impl Extend<ReadOnlyFile>,
    ) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FILES_PER_MESSAGE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let stream = stream.as_fd();
        let received = rustix::io::retry_on_intr(|| {
            let mut slices = [IoSliceMut::new(buffer)];
            rustix::net::recvmsg(stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)
        })?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                files.extend(received.map(ReadOnlyFile::new));
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            let text = "a descriptor was lost on the way: there may be none left in this process";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(received.bytes)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::ReadOnlyFile;

    fn unsupported<T>() -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn listen(_name: &str) -> io::Result<UnixListener> {
        unsupported()
    }

    pub(super) fn connect(_name: &str) -> io::Result<UnixStream> {
        unsupported()
    }

    pub(super) fn reopen(_file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        unsupported()
    }

    pub(super) fn send(_stream: impl AsFd, _bytes: &[u8], _file: BorrowedFd<'_>) -> io::Result<usize> {
        unsupported()
    }

    pub(super) fn receive(
        _stream: impl AsFd,
        _buffer: &mut [u8],
        _files: &mut impl Extend<ReadOnlyFile>,
    ) -> io::Result<usize> {
        unsupported()
    }
}
