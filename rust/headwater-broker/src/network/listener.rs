//! Accepting connections.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_env::Env;
use headwater_env::net::{LocalListener, MemoryConnection, MemoryListener, TcpListener};

use super::connection::Connection;
use super::local::LocalTransport;
use super::memory::MemoryTransport;
use super::tcp::TcpTransport;
use super::{ConnectionError, Transport};
use crate::context::{ConnectionContext, PeerAddress, Principal};
use crate::node::Node;

/// How long accepting rests when the system has no descriptors left.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Accepts TCP connections until the broker stops.
pub(crate) async fn accept_tcp<E: Env>(node: Arc<Node<E>>, name: Arc<str>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! { biased;
            () = node.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let local = stream.local_addr().ok().map(|address| address.ip());
                let context = context(&name, PeerAddress::Tcp(peer), local);
                let (env, limits, metrics) = (node.env.clone(), node.limits.clone(), node.metrics.clone());
                serve(&node, context, TcpTransport::new(env, stream, limits, metrics));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST_AFTER_FAILURE).await;
            }
        }
    }
}

/// Accepts connections of the same user's processes on this machine until the broker stops.
pub(crate) async fn accept_local<E: Env>(node: Arc<Node<E>>, name: Arc<str>, listener: LocalListener) {
    loop {
        let accepted = tokio::select! { biased;
            () = node.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                let context = context(&name, PeerAddress::Local, None);
                let (env, limits, metrics) = (node.env.clone(), node.limits.clone(), node.metrics.clone());
                serve(&node, context, LocalTransport::new(env, stream, limits, metrics));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::debug!("another user's process was turned away");
            }
            Err(error) => {
                tracing::warn!(%error, "a local connection could not be accepted");
                tokio::time::sleep(REST_AFTER_FAILURE).await;
            }
        }
    }
}

/// Accepts connections from within the process until the broker stops.
pub(crate) async fn accept_memory<E: Env>(node: Arc<Node<E>>, name: Arc<str>, mut listener: MemoryListener) {
    loop {
        let accepted: Option<MemoryConnection> = tokio::select! { biased;
            () = node.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // Another broker has taken the node id; TCP goes on.
        let Some(connection) = accepted else { return };
        let context = context(&name, PeerAddress::Memory, None);
        let (env, limits, metrics) = (node.env.clone(), node.limits.clone(), node.metrics.clone());
        serve(&node, context, MemoryTransport::new(env, connection, limits, metrics));
    }
}

fn context(listener: &Arc<str>, peer: PeerAddress, local: Option<IpAddr>) -> Arc<ConnectionContext> {
    Arc::new(ConnectionContext { principal: Principal::anonymous(), listener: listener.clone(), peer, local })
}

/// Starts the task of a connection, or drops it if there are too many.
fn serve<E: Env, T: Transport<E> + 'static>(
    node: &Arc<Node<E>>,
    context: Arc<ConnectionContext>,
    transport: T,
) {
    let open = node.metrics.connections.inc();
    if usize::try_from(open).unwrap_or(0) >= node.limits.connections_max {
        node.metrics.connections.dec();
        node.metrics.connections_refused.inc();
        return;
    }
    let peer = context.peer;
    let connection = Connection::new(node.clone(), context, transport, node.stop.clone());
    let node_at_end = node.clone();
    node.spawn("connection", async move {
        if let Err(error) = connection.run().await {
            report(&node_at_end, peer, &error);
        }
        node_at_end.metrics.connections.dec();
    });
}

/// One line for a connection that its client ended by what it sent.
fn report<E: Env>(node: &Node<E>, peer: PeerAddress, error: &ConnectionError) {
    match error {
        // Clients come and go.
        ConnectionError::Io(error) => tracing::debug!(%peer, %error, "connection lost"),
        ConnectionError::Panic(_) => {
            node.metrics.connections_failed.inc();
            tracing::error!(%peer, %error, "connection closed");
        }
        _ => {
            node.metrics.connections_failed.inc();
            tracing::warn!(%peer, %error, "connection closed");
        }
    }
}
