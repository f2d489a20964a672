//! What the coordinators of one internal topic count, all partitions together.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// From a millisecond to more than four minutes.
const LOAD_SECONDS_FIRST: f64 = 0.001;
const LOAD_SECONDS_FACTOR: f64 = 4.0;
const LOAD_SECONDS_BUCKETS: u16 = 10;

/// The metrics of one coordinator runtime. Clones are the same metrics.
#[derive(Clone, Debug)]
pub(crate) struct CoordinatorMetrics {
    /// What is coordinated: groups.
    pub(crate) live: Gauge,
    /// Writes that are appended and wait for the high watermark.
    pub(crate) pending_appends: Gauge,
    /// How long it took to replay a partition's log.
    pub(crate) load_seconds: Histogram,
    /// Attempts at it that failed.
    pub(crate) load_failures: Counter,
}

impl Default for CoordinatorMetrics {
    fn default() -> CoordinatorMetrics {
        let buckets = exponential_buckets(LOAD_SECONDS_FIRST, LOAD_SECONDS_FACTOR, LOAD_SECONDS_BUCKETS);
        CoordinatorMetrics {
            live: Gauge::default(),
            pending_appends: Gauge::default(),
            load_seconds: Histogram::new(buckets),
            load_failures: Counter::default(),
        }
    }
}

impl CoordinatorMetrics {
    /// Makes them known to a broker's registry, `prefix` telling one kind of coordinator from another.
    pub(crate) fn register(&self, registry: &mut Registry, prefix: &str, coordinated: &str) {
        let registry = registry.sub_registry_with_prefix(prefix);
        registry.register("live", format!("The {coordinated} coordinated by this broker"), self.live.clone());
        registry.register(
            "pending_appends",
            "Writes that are appended and not committed yet",
            self.pending_appends.clone(),
        );
        registry.register_with_unit(
            "load",
            "How long it took to read a partition when this broker began to coordinate it",
            Unit::Seconds,
            self.load_seconds.clone(),
        );
        registry.register(
            "load_failures",
            "Attempts to read a partition that failed; they are repeated",
            self.load_failures.clone(),
        );
    }
}

/// A part of a gauge: what one task has added to it, taken back when the task ends.
pub(super) struct Share {
    gauge: Gauge,
    added: i64,
}

impl Share {
    pub(super) fn of(gauge: &Gauge) -> Share {
        Share { gauge: gauge.clone(), added: 0 }
    }

    pub(super) fn set(&mut self, value: usize) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        if value != self.added {
            self.gauge.inc_by(value - self.added);
            self.added = value;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
