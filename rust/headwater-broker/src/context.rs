//! What a handler knows about the request besides its body.
//!
//! A [`Call`] is handed to every handler by value: the node it runs on and the [`RequestContext`] of the
//! frame. Nothing in here refers to a socket, so that a handler cannot tell TCP from memory.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_env::Env;
use headwater_protocol::{ApiKey, Message, Str};

use crate::node::Node;
use crate::reply::{HandlerError, Reply};

/// Who sends the request, in Kafka's words (`User:ANONYMOUS` as long as a listener authenticates nobody).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Principal {
    /// The type, `User` for everyone who comes through a listener.
    pub(crate) kind: Arc<str>,
    /// The name within the type.
    pub(crate) name: Arc<str>,
}

impl Principal {
    /// The principal of a listener that authenticates nobody.
    pub(crate) fn anonymous() -> Principal {
        Principal { kind: "User".into(), name: "ANONYMOUS".into() }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PeerAddress {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A process on the same machine, by a local socket.
    Local,
    /// A client in the same process.
    Memory,
}

impl fmt::Display for PeerAddress {
    /// As Kafka prints a client's host: `/127.0.0.1`, without the port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddress::Tcp(address) => write!(f, "/{}", address.ip()),
            PeerAddress::Local => f.write_str("/local"),
            PeerAddress::Memory => f.write_str("/in-memory"),
        }
    }
}

/// What all requests of one connection have in common.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionContext {
    /// Who is at the other end.
    pub(crate) principal: Principal,
    /// The listener the connection came in by, `PLAINTEXT` unless it is named otherwise.
    pub(crate) listener: Arc<str>,
    /// Where it comes from.
    pub(crate) peer: PeerAddress,
    /// The address of ours that it has reached; `None` for memory.
    pub(crate) local: Option<IpAddr>,
}

impl ConnectionContext {
    /// Whether the other end has come by TCP from the address that it reached, and so is on this machine.
    pub(crate) fn is_from_this_machine(&self) -> bool {
        matches!(self.peer, PeerAddress::Tcp(peer) if self.local == Some(peer.ip()))
    }
}

/// One request, apart from its body.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    /// The connection's part.
    pub(crate) connection: Arc<ConnectionContext>,
    /// The API asked for.
    pub(crate) api_key: ApiKey,
    /// The version of request and response, within the range that the broker advertises.
    pub(crate) api_version: i16,
    /// Goes back in the response header.
    pub(crate) correlation_id: i32,
    /// What the client calls itself; not unique, not trusted.
    pub(crate) client_id: Option<Str>,
}

impl RequestContext {
    /// The client id, empty when the client gave none.
    pub(crate) fn client_id(&self) -> &str {
        self.client_id.as_deref().unwrap_or("")
    }
}

/// A request on its way through its handler.
pub(crate) struct Call<E: Env> {
    /// The broker.
    pub(crate) node: Arc<Node<E>>,
    /// The request's header and its connection.
    pub(crate) context: RequestContext,
    /// Holds back the connection's next request.
    pub(crate) order: Order,
}

/// Whether the connection's next request may start although this one is waiting.
///
/// Usually it may: a handler has done what must happen in arrival order before it first waits. One that
/// must wait earlier takes a [`Hold`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Order(Arc<AtomicBool>);

/// The next request of the connection does not start while this lives.
#[derive(Debug)]
pub(crate) struct Hold(Order);

impl Order {
    /// Keeps the next request from starting.
    pub(crate) fn hold(&self) -> Hold {
        self.0.store(true, Ordering::Relaxed);
        Hold(self.clone())
    }

    /// Whether the next request must not start yet.
    pub(crate) fn is_held(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

impl<E: Env> Call<E> {
    /// The version of the request.
    pub(crate) fn version(&self) -> i16 {
        self.context.api_version
    }

    /// How long the client is asked to hold back, in milliseconds: what quotas will decide, zero without
    /// them. Handlers put it into every response that has the field.
    pub(crate) fn throttle_ms(&self) -> i32 {
        0
    }

    /// The reply that carries `response`.
    pub(crate) fn reply<M: Message>(&self, response: &M) -> Result<Reply<E>, HandlerError> {
        Reply::message(&self.context, response, self.throttle_ms())
    }
}
