//! TCP listeners and streams with the options every connection of ours has.

#![expect(clippy::disallowed_methods, reason = "this is the door to the network")]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{ToSocketAddrs, lookup_host};

use super::fork::Own;
use super::stream::Stream;

/// Connections that wait to be accepted before the system refuses more.
const BACKLOG: i32 = 1024;

/// A connection silent for this long is probed, so that one whose peer lost power ends some time.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// A listening socket.
#[derive(Debug)]
pub struct TcpListener(Own<tokio::net::TcpListener>);

/// A connected socket, `TCP_NODELAY` and keep-alive set.
pub type TcpStream = Stream<tokio::net::TcpStream>;

/// Listens on the first address of `address` that can be had (a `SocketAddr`, `"host:port"` or `(host, port)`; port
/// 0 lets the system choose). To be called within a tokio runtime that has I/O.
pub async fn listen(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut refusal = no_address();
    for address in lookup_host(address).await? {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// Connects to the first address of `host` that answers.
pub async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut refusal = no_address();
    for address in lookup_host((host, port)).await? {
        match tokio::net::TcpStream::connect(address).await.and_then(TcpStream::new) {
            Ok(stream) => return Ok(stream),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the host name has no address")
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Otherwise a restart fails for a minute while connections of the former process linger.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener(Own::new(tokio::net::TcpListener::from_std(socket.into())?)))
}

impl TcpListener {
    /// The next connection. Errors concern that connection or the want of descriptors; listening goes on.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((TcpStream::new(stream)?, peer))
    }

    /// Where it listens, with the port the system chose.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl TcpStream {
    fn new(stream: tokio::net::TcpStream) -> io::Result<Self> {
        // Listed first, so that a failing option below does not leave an unlisted socket for long.
        let stream = Own::new(stream);
        stream.set_nodelay(true)?;
        SockRef::from(&*stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE))?;
        Ok(Self(stream))
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}
