//! The connections of one client: opened when first needed, one per node and lane, reopened with backoff.

use super::connection::Connection;
use super::transport::{FrameReader, FrameWriter, over_local, over_tcp};
use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::runtime::{Backoff, Runtime};
use headwater_env::net::{MemoryNetwork, TcpStream, connect_local};
use headwater_protocol::lending::LOCAL_NAME_PREFIX;
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

/// How long a broker that has just answered by TCP may take to answer by its local socket.
const LOCAL_SETUP_MAX: Duration = Duration::from_secs(1);
/// How long a local socket that could not be used, or that brought nonsense, is not tried again.
const LOCAL_REST: Duration = Duration::from_secs(60);

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
    local_not_before: Option<Instant>,
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
                connecting: tokio::sync::Mutex::new(Attempts {
                    backoff,
                    not_before: None,
                    local_not_before: None,
                }),
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
        let was_garbled = slot.current().as_ref().is_some_and(|(_, former)| former.was_garbled());
        if was_garbled {
            attempts.local_not_before = Some(self.runtime.now() + LOCAL_REST);
        }
        match self.connect(address).await {
            Ok((mut connection, same_machine)) => {
                let may_be_local = lane == Lane::Fetch && same_machine && self.config.headwater_local_reads;
                if may_be_local && attempts.local_not_before.is_none_or(|at| at <= self.runtime.now()) {
                    match self.nearer(&connection, address).await {
                        Some(nearer) => connection = nearer,
                        None => attempts.local_not_before = Some(self.runtime.now() + LOCAL_REST),
                    }
                }
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

    /// A new connection, and whether it leads to an address of this machine.
    async fn connect(&self, address: &Address) -> Result<(Connection, bool), ClientError> {
        let unreachable = |reason: String| ClientError::Unreachable { node: address.to_string(), reason };
        let limit = Duration::from_millis(self.config.socket_connection_setup_timeout_ms);
        let connecting = async {
            let Wire { ends, same_machine } =
                self.wire(address).await.map_err(|error| unreachable(error.to_string()))?;
            Ok((self.open(address, ends).await?, same_machine))
        };
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(ClientError::Closed),
            outcome = tokio::time::timeout(limit, connecting) =>
                outcome.unwrap_or_else(|_| Err(unreachable(format!("no connection within {limit:?}")))),
        }
    }

    async fn open(&self, address: &Address, ends: Ends) -> Result<Connection, ClientError> {
        Connection::open(&self.runtime, &self.config, address.to_string(), ends, &self.closed).await
    }

    /// A connection to the same broker by its local socket, if it offers one. Whatever stands in its way, TCP does as
    /// well.
    async fn nearer(&self, connection: &Connection, address: &Address) -> Option<Connection> {
        let name = connection.local_name().filter(|name| name.starts_with(LOCAL_NAME_PREFIX))?;
        let opening = async {
            let stream = connect_local(name).map_err(|error| error.to_string())?;
            let ends = over_local(stream, self.config.headwater_receive_bytes_max, self.recycler.clone());
            self.open(address, ends).await.map_err(|error| error.to_string())
        };
        let opened = tokio::select! {
            biased;
            () = self.closed.cancelled() => return None,
            outcome = tokio::time::timeout(LOCAL_SETUP_MAX, opening) =>
                outcome.unwrap_or_else(|_| Err(format!("no answer within {LOCAL_SETUP_MAX:?}"))),
        };
        opened.inspect_err(|error| tracing::debug!(node = %address, error, "reading over TCP")).ok()
    }

    async fn wire(&self, address: &Address) -> std::io::Result<Wire> {
        match (address, &self.memory) {
            (Address::Memory(id), Some(network)) => {
                let (sender, receiver) = network.connect(*id).await?.split();
                let ends =
                    (FrameWriter::Memory(sender), FrameReader::Memory(receiver, self.recycler.clone()));
                Ok(Wire { ends, same_machine: false })
            }
            (Address::Memory(_), None) => Err(std::io::ErrorKind::Unsupported.into()),
            (Address::Tcp { host, port }, _) => {
                let stream = headwater_env::net::connect(host, *port).await?;
                let same_machine = is_on_this_machine(&stream);
                let bytes_max = self.config.headwater_receive_bytes_max;
                Ok(Wire { ends: over_tcp(stream, bytes_max, self.recycler.clone()), same_machine })
            }
        }
    }

    /// Ends a connection, if there is one, so that the next request opens another, without a backoff.
    pub(crate) fn renew(&self, target: Target, lane: Lane) {
        let Some(slot) = self.slots().get(&(target, lane)).map(Arc::clone) else { return };
        if let Some((_, connection)) = slot.current().take() {
            connection.close("closed by this side");
        }
        if let Ok(mut attempts) = slot.connecting.try_lock() {
            attempts.not_before = None;
        }
    }

    /// Forgets all connections; those in use end when their users let go, or by the cancellation of the client.
    pub(crate) fn clear(&self) {
        self.slots().clear();
    }
}

/// Both directions of a connection.
type Ends = (FrameWriter, FrameReader);

/// A connection on which nothing has been said.
struct Wire {
    ends: Ends,
    /// Whether it leads to an address of this machine; over memory that is of no use.
    same_machine: bool,
}

/// Whether the stream's ends have the same address. Another machine's offer of a local socket is not looked at: it would
/// name whatever listens here.
fn is_on_this_machine(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => local.ip() == peer.ip(),
        _ => false,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use bytes::{Bytes, BytesMut};
    use headwater_env::net::{listen, listen_local};
    use headwater_env::real::RealEnv;
    use headwater_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
    use headwater_protocol::{ApiKey, RequestHeader, Str, frame};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Answers the version handshake, in parts on a local socket; then the connection.
    async fn shake_hands<S>(mut stream: S, offer: Option<&str>, in_parts: bool) -> S
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let mut received = BytesMut::new();
        let request: Bytes = loop {
            if let Some(request) = frame::split_frame(&mut received, 1 << 20).unwrap() {
                break request;
            }
            assert!(stream.read_buf(&mut received).await.unwrap() > 0, "a whole request");
        };
        let (header, _): (RequestHeader, ApiVersionsRequest) = frame::decode_request(request).unwrap();
        let answer =
            ApiVersionsResponse { local_name: offer.map(Str::from), ..ApiVersionsResponse::default() };
        let (version, id) = (header.api_version, header.correlation_id);
        let body = frame::encode_response(&answer, ApiKey::ApiVersions, version, id).unwrap().into_bytes();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let part = if in_parts { [&[0], &length[..]].concat() } else { Vec::new() };
        stream.write_all(&[&length[..], &part, &body].concat()).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn fetches_go_by_a_local_socket_and_back_to_tcp_when_it_brings_nonsense() {
        let name = format!("headwater-test-{}-pool", std::process::id());
        let local = listen_local(&name).unwrap();
        let tcp = listen("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp { host: "127.0.0.1".into(), port: tcp.local_addr().unwrap().port() };
        let config = ClientConfig { reconnect_backoff_ms: 0, ..ClientConfig::default() };
        let pool = Pool::new(Runtime::new(RealEnv::new()), config, None, CancellationToken::new());
        let serve_tcp = async || shake_hands(tcp.accept().await.unwrap().0, Some(&name), false).await;
        let serve_local = async || shake_hands(local.accept().await.unwrap(), None, true).await;

        // Nobody but the fetches is led to the local socket.
        let general = pool.get(Target::Node(1), Lane::General, &address);
        let (general, _tcp_1) = tokio::join!(general, serve_tcp());
        general.unwrap();

        let (fetching, _tcp_2, mut near) =
            tokio::join!(pool.get(Target::Node(1), Lane::Fetch, &address), serve_tcp(), serve_local());
        let fetching = fetching.unwrap();
        assert!(fetching.is_open());
        near.write_all(&[0, 0, 0, 1, 99, 0, 0, 0, 1]).await.unwrap();
        while fetching.is_open() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }

        // Served over TCP alone: were the local socket tried, nobody would answer there.
        let again = pool.get(Target::Node(1), Lane::Fetch, &address);
        let (again, tcp_3) = tokio::join!(again, serve_tcp());
        let again = again.unwrap();
        assert!(again.is_open() && !again.was_garbled());
        drop(tcp_3);
        while again.is_open() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }

        // When it has rested, the local socket has another chance.
        let slot = pool.slot(Target::Node(1), Lane::Fetch);
        slot.connecting.lock().await.local_not_before = Some(pool.runtime.now());
        let (third, _tcp_4, _near) =
            tokio::join!(pool.get(Target::Node(1), Lane::Fetch, &address), serve_tcp(), serve_local());
        assert!(third.unwrap().is_open());
    }

    #[tokio::test]
    async fn a_local_socket_that_is_not_there_or_says_nothing_leaves_tcp() {
        let name = format!("headwater-test-{}-silent", std::process::id());
        let tcp = listen("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp { host: "127.0.0.1".into(), port: tcp.local_addr().unwrap().port() };
        // Less than is waited for a local socket: TCP must not be given up for it.
        let config = ClientConfig { socket_connection_setup_timeout_ms: 200, ..ClientConfig::default() };
        let pool = || Pool::new(Runtime::new(RealEnv::new()), config.clone(), None, CancellationToken::new());
        let serve_tcp = async || shake_hands(tcp.accept().await.unwrap().0, Some(&name), false).await;

        let missing = pool();
        let (connection, _tcp) =
            tokio::join!(missing.get(Target::Node(1), Lane::Fetch, &address), serve_tcp());
        assert!(connection.unwrap().is_open());

        let _listening = listen_local(&name).unwrap();
        let silent = pool();
        let (connection, _tcp) =
            tokio::join!(silent.get(Target::Node(1), Lane::Fetch, &address), serve_tcp());
        assert!(connection.unwrap().is_open());
    }
}
