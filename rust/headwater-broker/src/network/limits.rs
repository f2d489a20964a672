//! How much a connection, and all of them together, may have in flight.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::config::BrokerConfig;

/// Limits of the network side, from the broker's configuration.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// `socket.request.max.bytes`: a larger frame ends its connection before anything is allocated.
    pub(crate) request_bytes_max: usize,
    /// `headwater.connection.requests.max`: unanswered requests of one connection.
    pub(crate) connection_requests_max: usize,
    /// `headwater.connection.bytes.max`: bytes of unanswered requests and of waiting replies of one
    /// connection, one of which may be larger.
    pub(crate) connection_bytes_max: usize,
    /// `connections.max.idle.ms`; `None` for never.
    pub(crate) idle_max: Option<Duration>,
    /// `max.connections`.
    pub(crate) connections_max: usize,
    /// The memory for requests of all connections, one permit for each byte.
    pub(crate) memory: Arc<Semaphore>,
    /// How many permits there are in all; a larger request takes them all.
    pub(crate) memory_bytes: usize,
}

impl Limits {
    /// The limits that `config` sets.
    pub(crate) fn new(config: &BrokerConfig) -> Limits {
        let queued = config.long("queued.max.request.bytes");
        let memory_bytes = match usize::try_from(queued) {
            Ok(bytes) if bytes > 0 => bytes,
            _ => config.count("headwater.request.memory.bytes"),
        };
        // A request takes at most u32::MAX permits at a time, and there is no sense in more.
        let memory_bytes = memory_bytes.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Limits {
            request_bytes_max: config.count("socket.request.max.bytes"),
            connection_requests_max: config.count("headwater.connection.requests.max"),
            connection_bytes_max: config.count("headwater.connection.bytes.max"),
            idle_max: u64::try_from(config.long("connections.max.idle.ms")).ok().map(Duration::from_millis),
            connections_max: config.count("max.connections"),
            memory: Arc::new(Semaphore::new(memory_bytes)),
            memory_bytes,
        }
    }

    /// How many permits a frame of `length` bytes takes.
    pub(crate) fn permits(&self, length: usize) -> u32 {
        u32::try_from(length.min(self.memory_bytes)).unwrap_or(u32::MAX)
    }
}
