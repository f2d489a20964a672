//! Connections: TCP for other processes, local sockets that also carry files, frames in memory within one process.
//!
//! Sockets exist on the real side only. Every listener and stream is listed in a table that [`close_inherited_in_child`]
//! empties in a forked child, which would otherwise keep ports and connections open after their owner is gone.
//! Deliberately absent: TLS, framing, and time limits (`tokio::time::timeout` around any of these works).

mod fork;
mod local;
mod memory;
mod sendfile;
mod stream;
mod tcp;

pub use fork::close_inherited_in_child;
pub use local::{LocalListener, LocalStream, ReadOnlyFile, connect_local, listen_local};
pub use memory::{
    DIRECTION_BYTES_MAX, FRAME_OVERHEAD_BYTES, Frame, MemoryConnection, MemoryListener, MemoryNetwork,
    MemoryReceiver, MemorySender, PENDING_CONNECTIONS_MAX,
};
pub use sendfile::{SENDFILE_BYTES_MAX, SendFileError, is_cached, read_ahead, sendfile};
pub use stream::Stream;
pub use tcp::{TcpListener, TcpStream, connect, listen};
