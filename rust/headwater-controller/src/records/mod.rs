//! The metadata records: the only words in which a decision reaches disk, other nodes and the image.
//!
//! ```text
//!   batch  := version u8 (1) | count u32 | record*
//!   record := type u16 | version u8 | length u32 | body
//! ```
//!
//! All integers are big-endian. A batch is what one raft entry carries; a snapshot is made of batches too. Types and
//! versions are never used again for something else. A type or version that is not known was written by a newer
//! program: it is refused ([`RecordError::Newer`]), never skipped, because a skipped record is a wrong image.
//!
//! Absent on purpose: ACLs, SCRAM credentials and quotas, which come with what uses them, as new types.

pub(crate) mod codec;
pub(crate) mod format;
#[cfg(test)]
mod tests;

use headwater_record::Uuid;

use crate::image::{ConfigResource, Endpoint};
pub(crate) use codec::{Decoder, Encoder};

/// The version of the batch frame.
const BATCH_VERSION: u8 = 1;

/// A record on disk or from another node cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// Written by a newer version of this program.
    #[error(
        "metadata record type {record_type} version {version} was written by a newer version of this program"
    )]
    Newer {
        /// Its type.
        record_type: u16,
        /// Its version.
        version: u8,
    },
    /// The bytes are not a record.
    #[error("malformed metadata: {0}")]
    Malformed(String),
    /// The record does not fit the image it is replayed on.
    #[error("metadata record does not fit: {0}")]
    Misfit(String),
}

/// A topic comes into being; its partitions follow in [`PartitionRecord`]s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicRecord {
    pub(crate) name: String,
    pub(crate) id: Uuid,
}

/// A partition comes into being (or, in a snapshot, is as it is).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionRecord {
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) elr: Vec<i32>,
    pub(crate) last_known_elr: Vec<i32>,
    /// `NO_LEADER` when there is none.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) partition_epoch: i32,
    /// One per replica, in the order of `replicas`; zero while the broker has not chosen.
    pub(crate) directories: Vec<Uuid>,
}

/// A partition changes: what is `None` stays. The partition epoch grows by one, and the leader epoch too where `leader`
/// is given, even if it names the same broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionChangeRecord {
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) replicas: Option<Vec<i32>>,
    pub(crate) isr: Option<Vec<i32>>,
    pub(crate) elr: Option<Vec<i32>>,
    pub(crate) last_known_elr: Option<Vec<i32>>,
    pub(crate) leader: Option<i32>,
    pub(crate) directories: Option<Vec<Uuid>>,
}

impl PartitionChangeRecord {
    /// A change of nothing but the partition epoch.
    pub(crate) fn of(topic_id: Uuid, partition: i32) -> PartitionChangeRecord {
        PartitionChangeRecord {
            topic_id,
            partition,
            replicas: None,
            isr: None,
            elr: None,
            last_known_elr: None,
            leader: None,
            directories: None,
        }
    }
}

/// One key of one resource gets a value, or loses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigRecord {
    pub(crate) resource: ConfigResource,
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

/// A broker registers, anew or again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerRecord {
    pub(crate) node_id: i32,
    /// Drawn by the process at its start: tells a restart from a repeated request.
    pub(crate) incarnation: Uuid,
    /// `None` means the raft index of the entry that carries this record.
    pub(crate) epoch: Option<i64>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) rack: Option<String>,
    pub(crate) directories: Vec<Uuid>,
    pub(crate) fenced: bool,
}

/// A broker is fenced or let in again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FencingRecord {
    pub(crate) node_id: i32,
    pub(crate) epoch: i64,
    pub(crate) fenced: bool,
}

/// A block of producer ids is given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducerIdsRecord {
    pub(crate) node_id: i32,
    pub(crate) broker_epoch: i64,
    /// The first id of the next block.
    pub(crate) next: i64,
}

/// A raft id is taken, for ever, by one directory of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RaftIdRecord {
    pub(crate) raft_id: u64,
    pub(crate) node_id: i32,
    pub(crate) directory: Uuid,
}

/// Everything that can be said about a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetadataRecord {
    /// Nothing: makes an entry where one is needed.
    NoOp,
    /// A feature is finalised at a level; zero takes it away.
    FeatureLevel {
        name: String,
        level: i16,
    },
    RaftId(RaftIdRecord),
    Broker(BrokerRecord),
    RemoveBroker {
        node_id: i32,
        epoch: i64,
    },
    Fencing(FencingRecord),
    Topic(TopicRecord),
    Partition(PartitionRecord),
    PartitionChange(PartitionChangeRecord),
    /// The topic, its partitions and its configs go.
    RemoveTopic {
        id: Uuid,
    },
    Config(ConfigRecord),
    ProducerIds(ProducerIdsRecord),
}

/// Encodes records as one batch.
pub(crate) fn encode_batch(records: &[MetadataRecord]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.u8(BATCH_VERSION);
    encoder.list(records, |encoder, record| record.encode(encoder));
    encoder.into_bytes()
}

/// Decodes what [`encode_batch`] made.
///
/// # Errors
/// `Newer` for a batch or record that this program does not know, `Malformed` for bytes that are neither.
pub(crate) fn decode_batch(bytes: &[u8]) -> Result<Vec<MetadataRecord>, RecordError> {
    let mut decoder = Decoder::new(bytes);
    let version = decoder.u8()?;
    if version != BATCH_VERSION {
        return Err(RecordError::Newer { record_type: 0, version });
    }
    let records = decoder.list(format::RECORD_SIZE_MIN, MetadataRecord::decode)?;
    decoder.finish()?;
    Ok(records)
}
