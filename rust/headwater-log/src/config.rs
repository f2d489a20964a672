//! What a log is told about itself: which partition it is, how it rolls, retains and flushes.
//!
//! Names and defaults are Kafka's topic configuration; resolving broker and topic levels into one value is
//! the broker's work. Compaction keys are absent until compaction exists.

use std::sync::Arc;

use headwater_record::{TimestampType, TopicPartition, Uuid};

/// Which partition a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Id of the topic, written to `partition.metadata`. [`Uuid::ZERO`]: unknown, neither written nor compared.
    pub topic_id: Uuid,
    /// Index of the partition.
    pub partition: i32,
}

impl LogIdentity {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, topic_id: Uuid, partition: i32) -> LogIdentity {
        LogIdentity { topic: topic.into(), topic_id, partition }
    }

    /// The name without the id.
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(Arc::clone(&self.topic), self.partition)
    }
}

/// `cleanup.policy`: what may remove records. Both may be set; neither means that nothing is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Whole segments go by time and size.
    pub delete: bool,
    /// Only the newest record of each key must stay.
    pub compact: bool,
}

impl CleanupPolicy {
    /// `delete`, Kafka's default.
    pub const DELETE: CleanupPolicy = CleanupPolicy { delete: true, compact: false };
    /// `compact`: never deleted by time or size.
    pub const COMPACT: CleanupPolicy = CleanupPolicy { delete: false, compact: true };
    /// `compact,delete`.
    pub const COMPACT_DELETE: CleanupPolicy = CleanupPolicy { delete: true, compact: true };
}

/// The settings of one log, resolved. [`LogConfig::default`] gives Kafka's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment never grows beyond this, in bytes. Default 1 GiB, at most `i32::MAX`.
    pub segment_bytes: u32,
    /// `segment.ms`: a batch this much younger than the first of its segment starts a new one. Default 7 days.
    pub segment_ms: i64,
    /// `segment.index.bytes`: an index file of this size is full and rolls the segment. Default 10 MiB.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: bytes of batches between two index entries. Default 4096.
    pub index_interval_bytes: u32,
    /// `cleanup.policy`. Default delete.
    pub cleanup_policy: CleanupPolicy,
    /// `retention.ms`: segments whose newest record is older go. -1: never. Default 7 days.
    pub retention_ms: i64,
    /// `retention.bytes`: the oldest segments go while the log stays at least this large. -1: never (the default).
    pub retention_bytes: i64,
    /// `message.timestamp.type`. With LogAppendTime a leader stamps every batch. Default CreateTime.
    pub timestamp_type: TimestampType,
    /// `producer.id.expiration.ms`: producers whose last batch is older are forgotten. Default 1 day.
    pub producer_id_expiration_ms: i64,
    /// `headwater.flush`: whether appends wake the flusher, so that "flushed" follows the log end. `false` is
    /// the value `none`: the page cache decides, as in Kafka. Default true.
    pub flush: bool,
    /// `headwater.verify.reads`: whether bytes that an earlier process wrote have their CRC checked when they
    /// are read for the first time, so that bit rot is refused instead of served. Default true.
    pub verify_reads: bool,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            cleanup_policy: CleanupPolicy::DELETE,
            retention_ms: 7 * DAY_MS,
            retention_bytes: -1,
            timestamp_type: TimestampType::CreateTime,
            producer_id_expiration_ms: DAY_MS,
            flush: true,
            verify_reads: true,
        }
    }
}

/// What the data directory's checkpoints say about a log when it is opened. The default is a log that was
/// never checkpointed: everything in it is scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenHints {
    /// Everything below this offset is on stable storage and was whole. An unclean open scans from here.
    pub recovery_point: i64,
    /// Log start offset, if it was moved past the first segment's base.
    pub log_start: i64,
    /// High watermark at the last checkpoint; clamped to what is there.
    pub high_watermark: i64,
    /// Whether the last process closed the directory cleanly: nothing is scanned.
    pub clean_shutdown: bool,
}
