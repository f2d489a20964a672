//! The topic keys.

use super::key::{Key, Unit, Valid};

const MAX: &str = "9223372036854775807";

/// Every topic key, sorted by name.
pub(super) const TOPIC_KEYS: &[Key] = &[
    Key::list("cleanup.policy", "delete", "What happens to old segments: `delete` drops them by time and size, `compact` keeps the last record of each key.")
        .valid(Valid::ListOf(&["compact", "delete"]))
        .like(&[("log.cleanup.policy", Unit::Same)]),
    Key::int("compression.gzip.level", "-1", "The gzip level for batches that the broker compresses itself.")
        .valid(Valid::BetweenOr(1, 9, -1))
        .like(&[("compression.gzip.level", Unit::Same)])
        .ignored(),
    Key::int("compression.lz4.level", "9", "The lz4 level for batches that the broker compresses itself.")
        .valid(Valid::Between(1, 17))
        .like(&[("compression.lz4.level", Unit::Same)])
        .ignored(),
    Key::string("compression.type", "producer", "The codec of the stored batches. Batches are kept as the producer sent them, whatever is set here.")
        .valid(Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .like(&[("compression.type", Unit::Same)])
        .ignored(),
    Key::int("compression.zstd.level", "3", "The zstd level for batches that the broker compresses itself.")
        .valid(Valid::Between(-131_072, 22))
        .like(&[("compression.zstd.level", Unit::Same)])
        .ignored(),
    Key::long("delete.retention.ms", "86400000", "How long a tombstone of a compacted topic stays readable, in milliseconds.")
        .from(0)
        .like(&[("log.cleaner.delete.retention.ms", Unit::Same)]),
    Key::long("file.delete.delay.ms", "60000", "How long the files of a dropped segment stay on disk, in milliseconds.")
        .from(0)
        .like(&[("log.segment.delete.delay.ms", Unit::Same)]),
    Key::long("flush.messages", MAX, "The number of records after which Kafka forces an fsync. Here `headwater.flush` decides.")
        .from(1)
        .like(&[("log.flush.interval.messages", Unit::Same)])
        .ignored(),
    Key::long("flush.ms", MAX, "The time after which Kafka forces an fsync, in milliseconds. Here `headwater.flush` decides.")
        .from(0)
        .like(&[("log.flush.interval.ms", Unit::Same), ("log.flush.scheduler.interval.ms", Unit::Same)])
        .ignored(),
    Key::list("follower.replication.throttled.replicas", "", "The replicas whose catching up is throttled at the follower.").ignored(),
    Key::string("headwater.flush", "fsync", "`fsync`: a record counts as committed once it is on stable storage. `none`: the page cache is enough, as in Kafka.")
        .valid(Valid::OneOf(&["fsync", "none"]))
        .like(&[("headwater.flush", Unit::Same)]),
    Key::boolean("headwater.verify.reads", "true", "Whether bytes that an earlier process wrote have their checksums verified before they are first read.")
        .like(&[("headwater.verify.reads", Unit::Same)]),
    Key::int("index.interval.bytes", "4096", "How many bytes of a log lie between two entries of its offset index.")
        .from(0)
        .like(&[("log.index.interval.bytes", Unit::Same)]),
    Key::list("leader.replication.throttled.replicas", "", "The replicas whose catching up is throttled at the leader.").ignored(),
    Key::long("local.retention.bytes", "-2", "The size to keep on this machine when segments also go to remote storage.")
        .from(-2)
        .like(&[("log.local.retention.bytes", Unit::Same)])
        .ignored(),
    Key::long("local.retention.ms", "-2", "The time to keep on this machine when segments also go to remote storage, in milliseconds.")
        .from(-2)
        .like(&[("log.local.retention.ms", Unit::Same)])
        .ignored(),
    Key::long("max.compaction.lag.ms", MAX, "The longest time a record of a compacted topic stays uncompacted, in milliseconds.")
        .from(1)
        .like(&[("log.cleaner.max.compaction.lag.ms", Unit::Same)]),
    Key::int("max.message.bytes", "1048588", "The largest record batch that is accepted, in bytes, as it is sent.")
        .from(0)
        .like(&[("message.max.bytes", Unit::Same)]),
    Key::long("message.timestamp.after.max.ms", "3600000", "How far ahead of the broker's clock a record's timestamp may be, in milliseconds.")
        .from(0)
        .like(&[("log.message.timestamp.after.max.ms", Unit::Same)]),
    Key::long("message.timestamp.before.max.ms", MAX, "How far behind the broker's clock a record's timestamp may be, in milliseconds.")
        .from(0)
        .like(&[("log.message.timestamp.before.max.ms", Unit::Same)]),
    Key::string("message.timestamp.type", "CreateTime", "Whether a record's timestamp is the producer's or the time of the append.")
        .valid(Valid::OneOf(&["CreateTime", "LogAppendTime"]))
        .like(&[("log.message.timestamp.type", Unit::Same)]),
    Key::double("min.cleanable.dirty.ratio", "0.5", "The share of a log that must be uncompacted before it is compacted.")
        .valid(Valid::Fraction)
        .like(&[("log.cleaner.min.cleanable.ratio", Unit::Same)]),
    Key::long("min.compaction.lag.ms", "0", "The time for which a record of a compacted topic is surely kept, in milliseconds.")
        .from(0)
        .like(&[("log.cleaner.min.compaction.lag.ms", Unit::Same)]),
    Key::int("min.insync.replicas", "1", "How many replicas must be in sync for a write with acks=all to be accepted.")
        .from(1)
        .like(&[("min.insync.replicas", Unit::Same)]),
    Key::boolean("preallocate", "false", "Whether Kafka reserves a segment's space when it is created.")
        .like(&[("log.preallocate", Unit::Same)])
        .ignored(),
    Key::boolean("remote.log.copy.disable", "false", "Whether copying to remote storage is suspended.").ignored(),
    Key::boolean("remote.log.delete.on.disable", "false", "Whether remote data goes away when remote storage is switched off.").ignored(),
    Key::boolean("remote.storage.enable", "false", "Whether segments also go to remote storage.").ignored(),
    Key::long("retention.bytes", "-1", "The size of a partition beyond which its oldest segments are dropped; -1 for no limit.")
        .like(&[("log.retention.bytes", Unit::Same)]),
    Key::long("retention.ms", "604800000", "The age, by record timestamp, beyond which segments are dropped, in milliseconds; -1 for no limit.")
        .from(-1)
        .like(&[
            ("log.retention.ms", Unit::Same),
            ("log.retention.minutes", Unit::Minutes),
            ("log.retention.hours", Unit::Hours),
        ]),
    Key::int("segment.bytes", "1073741824", "The size at which a segment is closed and the next one begun, in bytes.")
        .from(1_048_576)
        .like(&[("log.segment.bytes", Unit::Same)]),
    Key::int("segment.index.bytes", "10485760", "The largest size of a segment's index files, in bytes.")
        .from(4)
        .like(&[("log.index.size.max.bytes", Unit::Same)]),
    Key::long("segment.jitter.ms", "0", "By how much at most the age limit of a segment is brought forward at random, in milliseconds.")
        .from(0)
        .like(&[("log.roll.jitter.ms", Unit::Same), ("log.roll.jitter.hours", Unit::Hours)]),
    Key::long("segment.ms", "604800000", "The age at which a segment is closed and the next one begun, in milliseconds.")
        .from(1)
        .like(&[("log.roll.ms", Unit::Same), ("log.roll.hours", Unit::Hours)]),
    Key::boolean("unclean.leader.election.enable", "false", "Whether a replica that is not in sync may become leader, losing records.")
        .like(&[("unclean.leader.election.enable", Unit::Same)])
        .ignored(),
];
