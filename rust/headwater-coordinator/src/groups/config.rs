//! The settings of group coordination, by their Kafka names.

/// Settings of group coordination. `Default` gives Kafka's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`, default 6,000.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`, default 1,800,000 (30 minutes).
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`, default 3,000: how long an empty group waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`, default unbounded: most members of a group.
    pub size_max: usize,
    /// `offset.metadata.max.bytes`, default 4,096. Counted in UTF-16 units, as Kafka does.
    pub offset_metadata_units_max: usize,
    /// `offsets.retention.minutes` in milliseconds, default 7 days.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`, default 600,000 (10 minutes).
    pub offsets_retention_check_interval_ms: i64,
}

/// How long a member that joins for the first time may wait for the rebalance to end before it is forgotten.
///
/// It has no member id yet and so cannot send heartbeats; if its client went away and tried again, what it left
/// behind would otherwise hold up the group for ever. Kafka's value, not configurable there either.
pub(crate) const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 5 * 60 * 1000;

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            size_max: usize::MAX,
            offset_metadata_units_max: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_interval_ms: 600_000,
        }
    }
}
