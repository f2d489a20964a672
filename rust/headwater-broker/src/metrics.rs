//! The broker's metrics, in a registry of its own: several brokers may live in one process.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::coordinator::CoordinatorMetrics;

/// What a request is counted under.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    api: &'static str,
    version: i32,
}

/// The metrics of one broker. Clones are the same metrics.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
    pub(crate) connections_failed: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) sendfile_bytes: Counter,
    pub(crate) lent_bytes: Counter,
    pub(crate) request_memory_waits: Counter,
    pub(crate) connection_limit_waits: Counter,
    pub(crate) produced_bytes: Counter,
    pub(crate) fetched_bytes: Counter,
    pub(crate) fetch_sessions: Gauge,
    pub(crate) fetch_sessions_refused: Counter,
    pub(crate) group_coordinator: CoordinatorMetrics,
    fsyncs: Counter,
    flush_rounds: Counter,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// Metrics at zero.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("headwater");
        let mut metrics = Metrics {
            registry: Arc::default(),
            requests: Family::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            connections_failed: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            sendfile_bytes: Counter::default(),
            lent_bytes: Counter::default(),
            request_memory_waits: Counter::default(),
            connection_limit_waits: Counter::default(),
            produced_bytes: Counter::default(),
            fetched_bytes: Counter::default(),
            fetch_sessions: Gauge::default(),
            fetch_sessions_refused: Counter::default(),
            group_coordinator: CoordinatorMetrics::default(),
            fsyncs: Counter::default(),
            flush_rounds: Counter::default(),
        };
        registry.register("requests", "Requests by API and version", metrics.requests.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register("fetch_sessions", "Fetch sessions remembered", metrics.fetch_sessions.clone());
        metrics.group_coordinator.register(&mut registry, "group_coordinator", "groups");
        let counters: [(&str, &str, &Counter); 13] = [
            (
                "connections_refused",
                "Connections closed at once because of max.connections",
                &metrics.connections_refused,
            ),
            (
                "connections_failed",
                "Connections ended by what their client sent",
                &metrics.connections_failed,
            ),
            ("bytes_in", "Bytes of requests", &metrics.bytes_in),
            ("bytes_out", "Bytes of replies, those sent by sendfile and lent included", &metrics.bytes_out),
            ("sendfile_bytes", "Bytes sent from segment files by sendfile", &metrics.sendfile_bytes),
            (
                "lent_bytes",
                "Bytes of segment files that clients on this machine read by a descriptor",
                &metrics.lent_bytes,
            ),
            (
                "request_memory_waits",
                "Requests that waited for memory before they were read",
                &metrics.request_memory_waits,
            ),
            (
                "connection_limit_waits",
                "Times a connection was not read because of its limits",
                &metrics.connection_limit_waits,
            ),
            ("produced_bytes", "Bytes of record batches appended by producers", &metrics.produced_bytes),
            ("fetched_bytes", "Bytes of record batches answered to fetches", &metrics.fetched_bytes),
            (
                "fetch_sessions_refused",
                "Fetch sessions not given because the cache was full",
                &metrics.fetch_sessions_refused,
            ),
            ("fsyncs", "Calls of fsync for segment files", &metrics.fsyncs),
            ("flush_rounds", "Rounds of shared fsyncs", &metrics.flush_rounds),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// Counts a request.
    pub(crate) fn count_request(&self, api: &'static str, version: i16) {
        self.requests.get_or_create(&RequestLabels { api, version: version.into() }).inc();
    }

    /// Takes over what the data directory has counted since it was opened.
    pub(crate) fn set_flushes(&self, fsyncs: u64, rounds: u64) {
        self.fsyncs.inc_by(fsyncs.saturating_sub(self.fsyncs.get()));
        self.flush_rounds.inc_by(rounds.saturating_sub(self.flush_rounds.get()));
    }

    /// All metrics in the text format of OpenMetrics.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Bytes that went from segment files to sockets without passing through this process.
    pub fn sendfile_bytes(&self) -> u64 {
        self.sendfile_bytes.get()
    }

    /// Bytes of segment files that clients on this machine read by a descriptor they were given.
    pub fn lent_bytes(&self) -> u64 {
        self.lent_bytes.get()
    }

    /// Calls of fsync for segment files, as of the last look at the data directory.
    pub fn fsyncs(&self) -> u64 {
        self.fsyncs.get()
    }

    /// Open connections.
    pub fn connections(&self) -> i64 {
        self.connections.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_in_one_process_count_apart() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.count_request("Fetch", 12);
        one.count_request("Fetch", 4);
        one.set_flushes(3, 2);
        one.set_flushes(5, 2);
        assert_eq!(one.fsyncs(), 5);
        assert!(one.encode().contains("headwater_requests_total{api=\"Fetch\",version=\"12\"} 1"));
        one.group_coordinator.live.set(7);
        one.group_coordinator.load_seconds.observe(0.5);
        let text = one.encode();
        assert!(text.contains("headwater_group_coordinator_live 7"), "{text}");
        assert!(text.contains("headwater_group_coordinator_load_seconds_count 1"), "{text}");
        assert!(!other.encode().contains("api=\"Fetch\""));
    }
}
