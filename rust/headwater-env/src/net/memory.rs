//! Frames between tasks of one process, in place of a byte stream.
//!
//! A broker embedded in the process of its client needs neither a port nor copies: a frame is handed over as the
//! list of chunks it was built from. A broker is reached by its node id, so the host in its metadata need not be
//! reachable. Each direction holds a bounded number of bytes; a sender waits when the reader is slow. Built on
//! `tokio::sync` alone, so it works on both sides.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::task::coop::consume_budget;

/// One frame without its length prefix, in chunks.
pub type Frame = Vec<Bytes>;

/// Unread bytes that one direction of a connection holds before its sender waits. One larger frame passes alone.
pub const DIRECTION_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What each frame counts on top of its bytes, so that empty frames are bounded too.
pub const FRAME_OVERHEAD_BYTES: usize = 64;

/// Connections that wait to be accepted before `connect` waits.
pub const PENDING_CONNECTIONS_MAX: usize = 128;

/// The brokers that can be reached within this process, by node id. Clones are the same network.
#[derive(Debug, Clone)]
pub struct MemoryNetwork {
    nodes: Arc<Mutex<Nodes>>,
    direction_bytes_max: usize,
}

#[derive(Debug, Default)]
struct Nodes {
    listening: HashMap<i32, Node>,
    next_id: u64,
}

#[derive(Debug)]
struct Node {
    /// Tells a listener from its successor on the same node id.
    id: u64,
    connections: mpsc::Sender<MemoryConnection>,
}

/// Accepts the connections to one node id. Dropping it makes the node unreachable.
#[derive(Debug)]
pub struct MemoryListener {
    node_id: i32,
    id: u64,
    network: MemoryNetwork,
    connections: mpsc::Receiver<MemoryConnection>,
}

/// One end of a connection. Dropping it, or both its halves, closes it.
#[derive(Debug)]
pub struct MemoryConnection {
    sender: MemorySender,
    receiver: MemoryReceiver,
}

/// The sending half. Dropping it lets the peer read what was sent and then the end.
#[derive(Debug)]
pub struct MemorySender(Arc<Direction>);

/// The receiving half. Dropping it makes the peer's sends fail.
#[derive(Debug)]
pub struct MemoryReceiver(Arc<Direction>);

#[derive(Debug)]
struct Direction {
    state: Mutex<Queue>,
    bytes_max: usize,
    // Each has one waiter at most, since both halves are used through `&mut`; a permit given early is kept for it.
    filled: Notify,
    drained: Notify,
}

/// `bytes` is the sum over `frames`, overhead included.
#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    sender_gone: bool,
    receiver_gone: bool,
}

impl MemoryNetwork {
    /// An empty network with [`DIRECTION_BYTES_MAX`].
    pub fn new() -> Self {
        Self::with_direction_bytes_max(DIRECTION_BYTES_MAX)
    }

    /// An empty network whose connections hold at most so many unread bytes per direction.
    pub fn with_direction_bytes_max(direction_bytes_max: usize) -> Self {
        Self { nodes: Arc::default(), direction_bytes_max }
    }

    /// Makes `node_id` reachable. A former listener of the same id accepts no more connections.
    pub fn listen(&self, node_id: i32) -> MemoryListener {
        let (sender, receiver) = mpsc::channel(PENDING_CONNECTIONS_MAX);
        let mut nodes = self.table();
        let id = nodes.next_id;
        nodes.next_id += 1;
        nodes.listening.insert(node_id, Node { id, connections: sender });
        MemoryListener { node_id, id, network: self.clone(), connections: receiver }
    }

    /// Connects to a node; `ConnectionRefused` if nobody listens there. Does not wait for the other end to accept,
    /// unless [`PENDING_CONNECTIONS_MAX`] are waiting already.
    pub async fn connect(&self, node_id: i32) -> io::Result<MemoryConnection> {
        let refused = || {
            io::Error::new(io::ErrorKind::ConnectionRefused, format!("no broker {node_id} in this process"))
        };
        let node =
            self.table().listening.get(&node_id).map(|node| node.connections.clone()).ok_or_else(refused)?;
        let (ours, theirs) = MemoryConnection::pair(self.direction_bytes_max);
        node.send(theirs).await.map_err(|_| refused())?;
        Ok(ours)
    }

    /// The node ids that can be reached, sorted.
    pub fn nodes(&self) -> Vec<i32> {
        let mut ids: Vec<i32> = self.table().listening.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn table(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryListener {
    /// The next connection; `None` once another listener has taken the node id.
    pub async fn accept(&mut self) -> Option<MemoryConnection> {
        self.connections.recv().await
    }

    /// The node id it listens on.
    pub fn node_id(&self) -> i32 {
        self.node_id
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        let mut nodes = self.network.table();
        if nodes.listening.get(&self.node_id).is_some_and(|node| node.id == self.id) {
            nodes.listening.remove(&self.node_id);
        }
    }
}

impl MemoryConnection {
    /// Two connected ends, each direction holding at most `direction_bytes_max` unread bytes.
    pub fn pair(direction_bytes_max: usize) -> (Self, Self) {
        let there = Direction::new(direction_bytes_max);
        let back = Direction::new(direction_bytes_max);
        let ours = Self { sender: MemorySender(there.clone()), receiver: MemoryReceiver(back.clone()) };
        let theirs = Self { sender: MemorySender(back), receiver: MemoryReceiver(there) };
        (ours, theirs)
    }

    /// See [`MemorySender::send`].
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        self.sender.send(frame).await
    }

    /// See [`MemoryReceiver::recv`].
    pub async fn recv(&mut self) -> io::Result<Option<Frame>> {
        self.receiver.recv().await
    }

    /// The two halves, for use by two tasks or in one `select!`.
    pub fn split(self) -> (MemorySender, MemoryReceiver) {
        (self.sender, self.receiver)
    }
}

impl MemorySender {
    /// Sends a frame, waiting while there is no room for it: it must fit under the byte limit or find nothing
    /// unread. `BrokenPipe` once the peer is gone. A cancelled send has sent nothing.
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        let size = frame_size(&frame);
        let mut frame = Some(frame);
        consume_budget().await;
        loop {
            {
                let mut queue = self.0.queue();
                if queue.receiver_gone {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                if queue.frames.is_empty() || size <= self.0.bytes_max.saturating_sub(queue.bytes) {
                    queue.bytes = queue.bytes.saturating_add(size);
                    queue.frames.extend(frame.take());
                    self.0.filled.notify_one();
                    return Ok(());
                }
            }
            self.0.drained.notified().await;
        }
    }
}

impl Drop for MemorySender {
    fn drop(&mut self) {
        self.0.queue().sender_gone = true;
        self.0.filled.notify_one();
    }
}

impl MemoryReceiver {
    /// The next frame; `None` once the peer has closed and everything was read. Cancel-safe. Never fails today; the
    /// result is that of a connection.
    pub async fn recv(&mut self) -> io::Result<Option<Frame>> {
        // A connection that always has something to read must not keep its thread to itself.
        consume_budget().await;
        loop {
            {
                let mut queue = self.0.queue();
                if let Some(frame) = queue.frames.pop_front() {
                    let size = frame_size(&frame);
                    queue.bytes = queue.bytes.saturating_sub(size);
                    self.0.drained.notify_one();
                    return Ok(Some(frame));
                }
                if queue.sender_gone {
                    return Ok(None);
                }
            }
            self.0.filled.notified().await;
        }
    }
}

impl Drop for MemoryReceiver {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.receiver_gone = true;
        queue.bytes = 0;
        // Frames may hold large buffers, and the sender may live long.
        let unread = std::mem::take(&mut queue.frames);
        drop(queue);
        drop(unread);
        self.0.drained.notify_one();
    }
}

/// What a frame counts against the limit of its direction.
fn frame_size(frame: &Frame) -> usize {
    frame.iter().fold(FRAME_OVERHEAD_BYTES, |sum, chunk| sum.saturating_add(chunk.len()))
}

impl Direction {
    fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), bytes_max, filled: Notify::new(), drained: Notify::new() })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change below keeps the queue whole at each step, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
