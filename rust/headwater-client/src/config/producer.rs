//! Settings of the producer.

use super::value::{BUDGET, BYTES, COUNT, FLAG, FLAG_IF_SET, MILLISECONDS, RETRIES, TIMEOUT, Value};
use super::{ClientConfig, ConfigError, settings};
use headwater_record::Compression;

/// How many replicas must have a record before it counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// None: the broker does not even answer, and no offset is known.
    None,
    /// The leader has appended it.
    Leader,
    /// Every in-sync replica has it.
    All,
}

impl Acks {
    pub(crate) fn wire(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

const ACKS: Value<Acks> = Value {
    expects: "0, 1 or all (-1)",
    parse: |text| match text {
        "0" => Some(Acks::None),
        "1" => Some(Acks::Leader),
        "all" | "-1" => Some(Acks::All),
        _ => None,
    },
    show: |acks| match acks {
        Acks::None => "0".into(),
        Acks::Leader => "1".into(),
        Acks::All => "all".into(),
    },
};

const COMPRESSION: Value<Compression> = Value {
    expects: "none, gzip, snappy, lz4 or zstd",
    parse: |text| text.parse().ok(),
    show: |codec| codec.to_string(),
};

const IN_FLIGHT: Value<usize> = Value {
    expects: "a whole number from 1 to 1000",
    parse: |text| text.parse().ok().filter(|count| (1..=1000).contains(count)),
    show: usize::to_string,
};

settings! {
    /// Settings of [`Producer`](crate::Producer).
    pub struct ProducerConfig embeds client: ClientConfig {
        /// How many replicas must have a record before it counts as delivered.
        "acks" acks: Acks = Acks::All, ACKS;
        /// Whether a retry can never double or reorder records. Unset means yes, unless `acks`, `retries` or `max.in.flight.requests.per.connection` rule it out.
        "enable.idempotence" enable_idempotence: Option<bool> = None, FLAG_IF_SET;
        /// Milliseconds that a batch waits for more records before it is sent.
        "linger.ms" linger_ms: u64 = 5, MILLISECONDS;
        /// Bytes (before compression) at which a batch is sent without lingering.
        "batch.size" batch_size: usize = 16_384, BYTES;
        /// The most bytes to which a batch may grow while earlier batches of its partition still wait to be sent. Under back-pressure few large batches move far more than many small ones; `batch.size` itself, if larger, wins.
        "headwater.batch.size.max" headwater_batch_size_max: usize = 524_288, BYTES;
        /// Bytes of records that may wait for delivery; when they are used up, `produce` waits.
        "buffer.memory" buffer_memory: usize = 32 << 20, BUDGET;
        /// The most milliseconds that `produce` waits for metadata or memory.
        "max.block.ms" max_block_ms: u64 = 60_000, MILLISECONDS;
        /// Codec of the batches.
        "compression.type" compression_type: Compression = Compression::None, COMPRESSION;
        /// Requests to one broker that may be unanswered. With idempotence the order is kept up to 5.
        "max.in.flight.requests.per.connection" max_in_flight_requests_per_connection: usize = 5, IN_FLIGHT;
        /// The largest request and the largest single record, in bytes.
        "max.request.size" max_request_size: usize = 1 << 20, BYTES;
        /// How often one batch is sent again after a retriable error; `delivery.timeout.ms` usually ends it first.
        "retries" retries: u32 = i32::MAX as u32, RETRIES;
        /// Milliseconds from `produce` until a record is reported as delivered or failed.
        "delivery.timeout.ms" delivery_timeout_ms: u64 = 120_000, TIMEOUT;
        /// Whether records with a key are spread like records without one.
        "partitioner.ignore.keys" partitioner_ignore_keys: bool = false, FLAG;
        /// Topics whose handle one producer keeps.
        "headwater.topics.max" headwater_topics_max: usize = 10_000, COUNT;
    }
}

impl ProducerConfig {
    /// Whether the producer will be idempotent.
    pub fn idempotent(&self) -> bool {
        self.enable_idempotence.unwrap_or(
            self.acks == Acks::All && self.retries > 0 && self.max_in_flight_requests_per_connection <= 5,
        )
    }

    /// Checks that the settings agree with each other.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.client.validate()?;
        if self.enable_idempotence == Some(true) {
            self.validate_idempotence()?;
        }
        if self.delivery_timeout_ms < self.linger_ms.saturating_add(self.client.request_timeout_ms) {
            return Err(ConfigError::Conflict(format!(
                "delivery.timeout.ms={} must be at least linger.ms + request.timeout.ms = {}",
                self.delivery_timeout_ms,
                self.linger_ms.saturating_add(self.client.request_timeout_ms)
            )));
        }
        Ok(())
    }

    fn validate_idempotence(&self) -> Result<(), ConfigError> {
        let need = |what: &str| Err(ConfigError::Conflict(format!("enable.idempotence=true needs {what}")));
        if self.acks != Acks::All {
            return need("acks=all");
        }
        if self.retries == 0 {
            return need("retries above 0");
        }
        if self.max_in_flight_requests_per_connection > 5 {
            return need("max.in.flight.requests.per.connection of at most 5");
        }
        Ok(())
    }

    /// The most bytes one batch may reach.
    pub(crate) fn batch_limit(&self) -> usize {
        self.headwater_batch_size_max.min(self.max_request_size).max(self.batch_size)
    }
}
