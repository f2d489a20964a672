//! Settings that producer, consumer and admin share: connections, retries, metadata.

use super::value::{BYTES, COUNT, FLAG, MILLISECONDS, TEXT, TIMEOUT};
use super::{ConfigError, settings};
use std::time::Duration;

settings! {
    /// Settings of connections and metadata, shared by every kind of client.
    pub struct ClientConfig {
        /// Name sent with every request, for the broker's logs and quotas.
        "client.id" client_id: String = "headwater".into(), TEXT;
        /// Milliseconds to wait for the answer to one request before its connection is given up.
        "request.timeout.ms" request_timeout_ms: u64 = 30_000, TIMEOUT;
        /// Milliseconds before the first retry of a failed request; doubles with each failure, with 20 % of jitter.
        "retry.backoff.ms" retry_backoff_ms: u64 = 100, MILLISECONDS;
        /// The most milliseconds between two retries of a request.
        "retry.backoff.max.ms" retry_backoff_max_ms: u64 = 1_000, MILLISECONDS;
        /// Milliseconds before connecting again to a node that failed; doubles with each failure, with 20 % of jitter.
        "reconnect.backoff.ms" reconnect_backoff_ms: u64 = 50, MILLISECONDS;
        /// The most milliseconds between two attempts to connect to a node.
        "reconnect.backoff.max.ms" reconnect_backoff_max_ms: u64 = 1_000, MILLISECONDS;
        /// Milliseconds for connecting to a node, version handshake included.
        "socket.connection.setup.timeout.ms" socket_connection_setup_timeout_ms: u64 = 10_000, TIMEOUT;
        /// Milliseconds without traffic after which a connection is closed.
        "connections.max.idle.ms" connections_max_idle_ms: u64 = 540_000, TIMEOUT;
        /// Milliseconds after which metadata is fetched again though nothing failed.
        "metadata.max.age.ms" metadata_max_age_ms: u64 = 300_000, TIMEOUT;
        /// How to talk to brokers; only PLAINTEXT exists so far.
        "security.protocol" security_protocol: String = "PLAINTEXT".into(), TEXT;
        /// The largest answer that is read, in bytes; a longer one closes the connection.
        "headwater.receive.bytes.max" headwater_receive_bytes_max: usize = 256 << 20, BYTES;
        /// Whether consumers read segments in place where a Headwater broker of the same user on the same (Linux) machine lends them.
        "headwater.local.reads" headwater_local_reads: bool = true, FLAG;
        /// Requests that may wait in one connection's queue; more make their senders wait.
        "headwater.connection.queue.requests.max" headwater_connection_queue_requests_max: usize = 256, COUNT;
    }
}

impl ClientConfig {
    /// Checks that the settings agree with each other.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.security_protocol.eq_ignore_ascii_case("PLAINTEXT") {
            return Err(ConfigError::Conflict(format!(
                "security.protocol={} does not exist here yet; only PLAINTEXT does",
                self.security_protocol
            )));
        }
        Ok(())
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}
