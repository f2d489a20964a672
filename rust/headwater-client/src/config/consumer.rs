//! Settings of the consumer.

use super::value::{
    BUDGET, BYTES, COUNT, FLAG, FLAG_IF_SET, MILLISECONDS, TEXT, TEXT_IF_SET, TIMEOUT, Value,
};
use super::{ClientConfig, ConfigError, settings};

/// Where to start when there is no committed offset, or the one there is no longer exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoOffsetReset {
    /// At the first record that is still retained.
    Earliest,
    /// After the last record.
    Latest,
    /// Nowhere: the poll fails.
    None,
    /// At the first record not older than so many milliseconds.
    ByDuration(i64),
}

/// Which records of transactions are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    /// All, also those of open and aborted transactions.
    ReadUncommitted,
    /// Only those of committed transactions, and only up to the first open one.
    ReadCommitted,
}

impl IsolationLevel {
    pub(crate) fn wire(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// How a group shares partitions among its members. The names on the wire are Kafka's, so that mixed groups work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssignmentStrategy {
    /// Consecutive partitions of each topic to each member.
    Range,
    /// Partitions of all topics in turn.
    RoundRobin,
    /// Balanced, keeping what a member has; everything is revoked before a rebalance.
    Sticky,
    /// Balanced, keeping what a member has; only what moves is revoked.
    CooperativeSticky,
}

impl AssignmentStrategy {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Reads a name of the wire or a class name of the Java client.
    pub fn from_name(name: &str) -> Option<Self> {
        let short = name.rsplit('.').next().unwrap_or(name).trim_end_matches("Assignor");
        match short.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
            "range" => Some(Self::Range),
            "roundrobin" => Some(Self::RoundRobin),
            "sticky" => Some(Self::Sticky),
            "cooperativesticky" => Some(Self::CooperativeSticky),
            _ => None,
        }
    }
}

const RESET: Value<AutoOffsetReset> = Value {
    expects: "earliest, latest, none or by_duration:<ISO 8601 duration>",
    parse: |text| match text {
        "earliest" | "smallest" | "beginning" => Some(AutoOffsetReset::Earliest),
        "latest" | "largest" | "end" => Some(AutoOffsetReset::Latest),
        "none" | "error" => Some(AutoOffsetReset::None),
        _ => parse_duration(text.strip_prefix("by_duration:")?).map(AutoOffsetReset::ByDuration),
    },
    show: |reset| match reset {
        AutoOffsetReset::Earliest => "earliest".into(),
        AutoOffsetReset::Latest => "latest".into(),
        AutoOffsetReset::None => "none".into(),
        AutoOffsetReset::ByDuration(ms) => format!("by_duration:PT{}.{:03}S", ms / 1000, ms % 1000),
    },
};

const ISOLATION: Value<IsolationLevel> = Value {
    expects: "read_uncommitted or read_committed",
    parse: |text| match text {
        "read_uncommitted" => Some(IsolationLevel::ReadUncommitted),
        "read_committed" => Some(IsolationLevel::ReadCommitted),
        _ => None,
    },
    show: |level| match level {
        IsolationLevel::ReadUncommitted => "read_uncommitted".into(),
        IsolationLevel::ReadCommitted => "read_committed".into(),
    },
};

const STRATEGIES: Value<Vec<AssignmentStrategy>> = Value {
    expects: "a list of range, roundrobin, sticky, cooperative-sticky",
    parse: |text| {
        let strategies: Option<Vec<_>> =
            text.split(',').map(|name| AssignmentStrategy::from_name(name.trim())).collect();
        strategies.filter(|list| !list.is_empty())
    },
    show: |list| list.iter().map(|strategy| strategy.name()).collect::<Vec<_>>().join(","),
};

settings! {
    /// Settings of [`Consumer`](crate::Consumer).
    pub struct ConsumerConfig embeds client: ClientConfig {
        /// The group whose members share the partitions. Without one there are no commits.
        "group.id" group_id: Option<String> = None, TEXT_IF_SET;
        /// Name that makes this a static member: it may restart within the session timeout without a rebalance.
        "group.instance.id" group_instance_id: Option<String> = None, TEXT_IF_SET;
        /// The group protocol; only classic exists so far.
        "group.protocol" group_protocol: String = "classic".into(), TEXT;
        /// Assignment strategies this member can use, best first.
        "partition.assignment.strategy" partition_assignment_strategy: Vec<AssignmentStrategy> = vec![AssignmentStrategy::Range, AssignmentStrategy::CooperativeSticky], STRATEGIES;
        /// Milliseconds without a heartbeat after which the broker takes the member for dead.
        "session.timeout.ms" session_timeout_ms: u64 = 45_000, TIMEOUT;
        /// Milliseconds between heartbeats.
        "heartbeat.interval.ms" heartbeat_interval_ms: u64 = 3_000, TIMEOUT;
        /// The most milliseconds between two polls before the member leaves its group.
        "max.poll.interval.ms" max_poll_interval_ms: u64 = 300_000, TIMEOUT;
        /// The most records that one poll hands out.
        "max.poll.records" max_poll_records: usize = 500, COUNT;
        /// Where to start without a usable committed offset. Unset means latest with a group and earliest without one.
        "auto.offset.reset" auto_offset_reset: Option<AutoOffsetReset> = None, RESET_IF_SET;
        /// Whether positions are committed in the background. Unset means yes with a group.
        "enable.auto.commit" enable_auto_commit: Option<bool> = None, FLAG_IF_SET;
        /// Milliseconds between background commits.
        "auto.commit.interval.ms" auto_commit_interval_ms: u64 = 5_000, MILLISECONDS;
        /// Bytes that a broker waits for before it answers a fetch.
        "fetch.min.bytes" fetch_min_bytes: usize = 1, BYTES;
        /// The most bytes of one fetch answer, beyond its first batch.
        "fetch.max.bytes" fetch_max_bytes: usize = 52_428_800, BYTES;
        /// Milliseconds that a broker waits for `fetch.min.bytes`.
        "fetch.max.wait.ms" fetch_max_wait_ms: u64 = 500, MILLISECONDS;
        /// The most bytes of one partition in one fetch answer, beyond its first batch.
        "max.partition.fetch.bytes" max_partition_fetch_bytes: usize = 1 << 20, BYTES;
        /// Bytes fetched ahead of the polls; at the limit fetching pauses.
        "headwater.queued.bytes.max" headwater_queued_bytes_max: usize = 64 << 20, BUDGET;
        /// Which records of transactions are seen.
        "isolation.level" isolation_level: IsolationLevel = IsolationLevel::ReadUncommitted, ISOLATION;
        /// Whether the checksum of every batch is verified.
        "check.crcs" check_crcs: bool = true, FLAG;
        /// Whether asking for a topic that does not exist may create it, if the broker allows it too.
        "allow.auto.create.topics" allow_auto_create_topics: bool = true, FLAG;
        /// Whether a pattern never matches internal topics.
        "exclude.internal.topics" exclude_internal_topics: bool = true, FLAG;
        /// The rack this consumer stands in; brokers may name a nearer replica to read from.
        "client.rack" client_rack: String = String::new(), TEXT;
        /// Milliseconds for one whole call such as a commit, retries included.
        "default.api.timeout.ms" default_api_timeout_ms: u64 = 60_000, TIMEOUT;
    }
}

const RESET_IF_SET: Value<Option<AutoOffsetReset>> = Value {
    expects: RESET.expects,
    parse: |text| (RESET.parse)(text).map(Some),
    show: |reset| reset.as_ref().map(RESET.show).unwrap_or_default(),
};

impl ConsumerConfig {
    /// The reset policy in force.
    pub fn offset_reset(&self) -> AutoOffsetReset {
        self.auto_offset_reset.unwrap_or(match self.group_id {
            Some(_) => AutoOffsetReset::Latest,
            None => AutoOffsetReset::Earliest,
        })
    }

    /// Whether positions are committed in the background.
    pub fn auto_commit(&self) -> bool {
        self.group_id.is_some() && self.enable_auto_commit.unwrap_or(true)
    }

    /// Checks that the settings agree with each other.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.client.validate()?;
        let conflict = |message: String| Err(ConfigError::Conflict(message));
        if !self.group_protocol.eq_ignore_ascii_case("classic") {
            return conflict(format!(
                "group.protocol={} does not exist here yet; only classic does",
                self.group_protocol
            ));
        }
        if self.heartbeat_interval_ms >= self.session_timeout_ms {
            return conflict(format!(
                "heartbeat.interval.ms={} must be below session.timeout.ms={}",
                self.heartbeat_interval_ms, self.session_timeout_ms
            ));
        }
        if self.group_id.is_none() && self.enable_auto_commit == Some(true) {
            return conflict("enable.auto.commit=true needs a group.id".into());
        }
        if self.group_id.is_none() && self.group_instance_id.is_some() {
            return conflict("group.instance.id needs a group.id".into());
        }
        Ok(())
    }
}

/// Reads the days-to-seconds part of an ISO 8601 duration (`P1DT2H`, `PT0.5S`) as milliseconds.
fn parse_duration(text: &str) -> Option<i64> {
    let rest = text.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = 0_f64;
    for (part, units) in
        [(days, &[('D', 86_400_000_f64)][..]), (time, &[('H', 3.6e6), ('M', 6e4), ('S', 1e3)][..])]
    {
        let mut number = String::new();
        let mut units = units.iter();
        for letter in part.chars() {
            if letter.is_ascii_digit() || letter == '.' {
                number.push(letter);
                continue;
            }
            let (_, scale) = units.find(|(unit, _)| *unit == letter)?;
            total += number.parse::<f64>().ok()? * scale;
            number.clear();
        }
        if !number.is_empty() {
            return None;
        }
    }
    (total <= 1e15).then_some(total.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_iso_8601() {
        assert_eq!(parse_duration("P1D"), Some(86_400_000));
        assert_eq!(parse_duration("P1DT2H3M4.5S"), Some(86_400_000 + 7_200_000 + 180_000 + 4_500));
        assert_eq!(parse_duration("PT0.25S"), Some(250));
        for bad in ["", "P", "PT", "1D", "P1", "PT1D", "PT5S3M", "P1Y"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn defaults_depend_on_the_group() {
        let lone = ConsumerConfig::default();
        assert_eq!(lone.offset_reset(), AutoOffsetReset::Earliest);
        assert!(!lone.auto_commit());
        let member = ConsumerConfig::from_pairs([("group.id", "g")]).unwrap();
        assert_eq!(member.offset_reset(), AutoOffsetReset::Latest);
        assert!(member.auto_commit());
    }

    #[test]
    fn strategies_read_java_class_names() {
        let config = ConsumerConfig::from_pairs([(
            "partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.RangeAssignor, org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
        )])
        .unwrap();
        assert_eq!(
            config.partition_assignment_strategy,
            [AssignmentStrategy::Range, AssignmentStrategy::CooperativeSticky]
        );
    }
}
