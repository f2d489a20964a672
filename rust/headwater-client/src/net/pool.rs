//! The connections of one client: opened when first needed, one per node and lane, reopened with backoff.

use super::connection::Connection;
use super::transport::{FrameReader, FrameWriter, over_tcp};
use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::runtime::{Backoff, Runtime};
use headwater_env::net::MemoryNetwork;
use headwater_record::Recycler;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Slots kept for nodes; far more than any cluster has brokers. Beyond it the closed ones are forgotten.
const SLOTS_MAX: usize = 4096;
/// Bytes of receive buffers that a client keeps for the next answers.
const FREE_BYTES_MAX: usize = 8 << 20;

/// Keeps requests that may wait long from holding up others: answers come in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Everything that is answered at once.
    General,
    /// Long polls.
    Fetch,
    /// Joins and heartbeats of a group.
    Group,
}

/// Who is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// A bootstrap server, by its place in the list.
    Seed(usize),
    /// A broker, by node id.
    Node(i32),
}

/// How to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Memory(i32),
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
            Self::Memory(id) => write!(formatter, "broker {id} (in this process)"),
        }
    }
}

pub(crate) struct Pool {
    runtime: Runtime,
    config: ClientConfig,
    memory: Option<MemoryNetwork>,
    slots: Mutex<HashMap<(Target, Lane), Arc<Slot>>>,
    recycler: Recycler,
    closed: CancellationToken,
}

struct Slot {
    /// Held while connecting, so that one attempt serves all who wait.
    connecting: tokio::sync::Mutex<Attempts>,
    current: Mutex<Option<(Address, Arc<Connection>)>>,
}

struct Attempts {
    backoff: Backoff,
    not_before: Option<Instant>,
}

impl Slot {
    fn current(&self) -> MutexGuard<'_, Option<(Address, Arc<Connection>)>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, address: &Address) -> Option<Arc<Connection>> {
        let current = self.current();
        current
            .as_ref()
            .filter(|(own, connection)| own == address && connection.is_open())
            .map(|(_, c)| Arc::clone(c))
    }
}

impl Pool {
    pub(crate) fn new(
        runtime: Runtime,
        config: ClientConfig,
        memory: Option<MemoryNetwork>,
        closed: CancellationToken,
    ) -> Self {
        let recycler = Recycler::new(FREE_BYTES_MAX);
        Self { runtime, config, memory, slots: Mutex::default(), recycler, closed }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(Target, Lane), Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, target: Target, lane: Lane) -> Arc<Slot> {
        let mut slots = self.slots();
        if slots.len() >= SLOTS_MAX {
            slots.retain(|_, slot| {
                slot.current().as_ref().is_some_and(|(_, connection)| connection.is_open())
            });
        }
        Arc::clone(slots.entry((target, lane)).or_insert_with(|| {
            let backoff =
                Backoff::new(self.config.reconnect_backoff_ms, self.config.reconnect_backoff_max_ms);
            Arc::new(Slot {
                connecting: tokio::sync::Mutex::new(Attempts { backoff, not_before: None }),
                current: Mutex::new(None),
            })
        }))
    }

    /// An open connection, if there is one.
    pub(crate) fn existing(&self, target: Target, lane: Lane, address: &Address) -> Option<Arc<Connection>> {
        self.slots().get(&(target, lane))?.open(address)
    }

    /// An open connection, opened now if need be; waits out the backoff after earlier failures.
    pub(crate) async fn get(
        &self,
        target: Target,
        lane: Lane,
        address: &Address,
    ) -> Result<Arc<Connection>, ClientError> {
        let slot = self.slot(target, lane);
        if let Some(connection) = slot.open(address) {
            return Ok(connection);
        }
        let mut attempts = slot.connecting.lock().await;
        if let Some(connection) = slot.open(address) {
            return Ok(connection);
        }
        if let Some(at) = attempts.not_before {
            tokio::time::sleep_until(at).await;
        }
        if self.closed.is_cancelled() {
            return Err(ClientError::Closed);
        }
        match self.connect(address).await {
            Ok(connection) => {
                attempts.backoff.reset();
                // A connection that breaks at once must not be reopened in a tight loop either.
                attempts.not_before =
                    Some(self.runtime.now() + Duration::from_millis(self.config.reconnect_backoff_ms));
                let connection = Arc::new(connection);
                *slot.current() = Some((address.clone(), Arc::clone(&connection)));
                Ok(connection)
            }
            Err(error) => {
                attempts.not_before = Some(self.runtime.now() + attempts.backoff.next(&self.runtime));
                Err(error)
            }
        }
    }

    async fn connect(&self, address: &Address) -> Result<Connection, ClientError> {
        let unreachable = |reason: String| ClientError::Unreachable { node: address.to_string(), reason };
        let limit = Duration::from_millis(self.config.socket_connection_setup_timeout_ms);
        let connecting = async {
            let wire = self.wire(address).await.map_err(|error| unreachable(error.to_string()))?;
            Connection::open(&self.runtime, &self.config, address.to_string(), wire, &self.closed).await
        };
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(ClientError::Closed),
            outcome = tokio::time::timeout(limit, connecting) =>
                outcome.unwrap_or_else(|_| Err(unreachable(format!("no connection within {limit:?}")))),
        }
    }

    async fn wire(&self, address: &Address) -> std::io::Result<(FrameWriter, FrameReader)> {
        match (address, &self.memory) {
            (Address::Memory(id), Some(network)) => {
                let (sender, receiver) = network.connect(*id).await?.split();
                Ok((FrameWriter::Memory(sender), FrameReader::Memory(receiver, self.recycler.clone())))
            }
            (Address::Memory(_), None) => Err(std::io::ErrorKind::Unsupported.into()),
            (Address::Tcp { host, port }, _) => {
                let stream = headwater_env::net::connect(host, *port).await?;
                Ok(over_tcp(stream, self.config.headwater_receive_bytes_max, self.recycler.clone()))
            }
        }
    }

    /// Forgets all connections; those in use end when their users let go, or by the cancellation of the client.
    pub(crate) fn clear(&self) {
        self.slots().clear();
    }
}
