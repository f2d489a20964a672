//! What can go wrong, one enum per family of operations, each variant named by what the caller can do about it.
//!
//! Every error of an operation has a `kafka_code`, the number a Kafka client is answered with. The messages are for
//! people: they reach the client beside the code.

use std::path::PathBuf;

use headwater_record::Uuid;

use crate::records::RecordError;

const UNKNOWN_SERVER_ERROR: i16 = -1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC_EXCEPTION: i16 = 17;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const INVALID_PARTITIONS: i16 = 37;
const INVALID_REPLICATION_FACTOR: i16 = 38;
const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
const INVALID_CONFIG: i16 = 40;
const NOT_CONTROLLER: i16 = 41;
const INVALID_REQUEST: i16 = 42;
const POLICY_VIOLATION: i16 = 44;
const KAFKA_STORAGE_ERROR: i16 = 56;
const FENCED_LEADER_EPOCH: i16 = 74;
const STALE_BROKER_EPOCH: i16 = 77;
const INVALID_UPDATE_VERSION: i16 = 95;
const UNKNOWN_TOPIC_ID: i16 = 100;
const BROKER_ID_NOT_REGISTERED: i16 = 102;
const INELIGIBLE_REPLICA: i16 = 107;
const INVALID_REGISTRATION: i16 = 119;

/// Why the metadata directory could not be opened. Nothing of it is changed, unless noted.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another controller, here or in another process, has the directory.
    #[error("metadata directory {} is in use: {reason}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds it.
        reason: String,
    },
    /// The directory belongs to another node.
    #[error("metadata directory {} belongs to node {found}, not to node {wanted}", path.display())]
    WrongNode {
        /// The directory.
        path: PathBuf,
        /// The node id in the options.
        wanted: i32,
        /// The node id on disk.
        found: i32,
    },
    /// The directory belongs to another cluster.
    #[error("metadata directory {} belongs to cluster {found}, not to cluster {wanted}", path.display())]
    WrongCluster {
        /// The directory.
        path: PathBuf,
        /// The cluster id in the options.
        wanted: Uuid,
        /// The cluster id on disk.
        found: Uuid,
    },
    /// A newer version wrote this. Use that version.
    #[error("{} is of version {found}, this program reads up to {supported}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The newest version that can be read.
        supported: u64,
    },
    /// A newer version wrote one of the records. Use that version.
    #[error(
        "metadata record type {record_type} version {version} was written by a newer version of this program"
    )]
    NewerRecord {
        /// Its type.
        record_type: u16,
        /// Its version.
        version: u8,
    },
    /// What was once durable is damaged or missing. Restore it from a copy; nothing was cut.
    #[error("{} is damaged at byte {position}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// The disk said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The quorum did not come up.
    #[error("the metadata quorum did not start: {0}")]
    Quorum(String),
    /// The first records of a new cluster could not be committed.
    #[error("the first metadata records were not committed: {0}")]
    Bootstrap(#[from] ProposeError),
}

/// Why a decision could not be made durable. Whether it took effect is known: it did not, except for `Stopped` and
/// `Storage`, after which the next start may still find it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Ask the leader.
    #[error("this node does not lead the metadata quorum{}", leader.map(|id| format!(", node {id} does")).unwrap_or_default())]
    NotLeader {
        /// Node id of the leader, where known.
        leader: Option<i32>,
    },
    /// Make room on the disk, then try again: the controller goes on.
    #[error("no space left for metadata: {0}")]
    NoSpace(String),
    /// The metadata directory failed and is offline until the next start.
    #[error("the metadata log failed: {0}")]
    Storage(String),
    /// The controller is stopped.
    #[error("the controller is stopped")]
    Stopped,
    /// Ask for less at once.
    #[error("the change takes {bytes} bytes of metadata, more than the {limit} allowed at once")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A decision did not replay: a defect of this program. Nothing was written.
    #[error("a metadata decision could not be replayed: {0}")]
    Defect(String),
}

impl ProposeError {
    /// The Kafka error code a client is answered with.
    pub fn kafka_code(&self) -> i16 {
        match self {
            ProposeError::NotLeader { .. } | ProposeError::Stopped => NOT_CONTROLLER,
            ProposeError::NoSpace(_) | ProposeError::Storage(_) => KAFKA_STORAGE_ERROR,
            ProposeError::TooLarge { .. } => POLICY_VIOLATION,
            ProposeError::Defect(_) => UNKNOWN_SERVER_ERROR,
        }
    }
}

impl From<RecordError> for ProposeError {
    fn from(error: RecordError) -> Self {
        ProposeError::Defect(error.to_string())
    }
}

/// Creating and deleting topics and partitions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Choose another name.
    #[error("{0}")]
    InvalidName(String),
    /// It is there already.
    #[error("topic `{0}` already exists")]
    AlreadyExists(String),
    /// No topic of this name.
    #[error("there is no topic `{0}`")]
    UnknownName(String),
    /// No topic of this id.
    #[error("there is no topic with id {0}")]
    UnknownId(Uuid),
    /// Ask for another number of partitions.
    #[error("{0}")]
    InvalidPartitions(String),
    /// Ask for fewer replicas or start more brokers.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// Mend the manual assignment.
    #[error("{0}")]
    InvalidAssignment(String),
    /// Mend the configuration.
    #[error("{0}")]
    InvalidConfig(String),
    /// The request contradicts itself.
    #[error("{0}")]
    InvalidRequest(String),
    /// Ask for less at once.
    #[error("{0}")]
    TooMany(String),
    /// The quorum could not take it.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl TopicError {
    /// The Kafka error code a client is answered with.
    pub fn kafka_code(&self) -> i16 {
        match self {
            TopicError::InvalidName(_) => INVALID_TOPIC_EXCEPTION,
            TopicError::AlreadyExists(_) => TOPIC_ALREADY_EXISTS,
            TopicError::UnknownName(_) => UNKNOWN_TOPIC_OR_PARTITION,
            TopicError::UnknownId(_) => UNKNOWN_TOPIC_ID,
            TopicError::InvalidPartitions(_) => INVALID_PARTITIONS,
            TopicError::InvalidReplicationFactor(_) => INVALID_REPLICATION_FACTOR,
            TopicError::InvalidAssignment(_) => INVALID_REPLICA_ASSIGNMENT,
            TopicError::InvalidConfig(_) => INVALID_CONFIG,
            TopicError::InvalidRequest(_) => INVALID_REQUEST,
            TopicError::TooMany(_) => POLICY_VIOLATION,
            TopicError::Propose(error) => error.kafka_code(),
        }
    }
}

/// Changing configurations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Mend key or value.
    #[error("{0}")]
    Invalid(String),
    /// The request contradicts itself.
    #[error("{0}")]
    InvalidRequest(String),
    /// No topic of this name.
    #[error("there is no topic `{0}`")]
    UnknownTopic(String),
    /// No broker of this id.
    #[error("broker {0} is not registered")]
    UnknownBroker(i32),
    /// The quorum could not take it.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl ConfigError {
    /// The Kafka error code a client is answered with.
    pub fn kafka_code(&self) -> i16 {
        match self {
            ConfigError::Invalid(_) => INVALID_CONFIG,
            ConfigError::InvalidRequest(_) => INVALID_REQUEST,
            ConfigError::UnknownTopic(_) => UNKNOWN_TOPIC_OR_PARTITION,
            ConfigError::UnknownBroker(_) => BROKER_ID_NOT_REGISTERED,
            ConfigError::Propose(error) => error.kafka_code(),
        }
    }
}

/// Registering, fencing and removing brokers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Mend the registration.
    #[error("{0}")]
    Invalid(String),
    /// Register first.
    #[error("broker {0} is not registered")]
    NotRegistered(i32),
    /// A later incarnation has registered: stop.
    #[error("broker {node_id} has epoch {current}, not {given}")]
    StaleEpoch {
        /// The broker.
        node_id: i32,
        /// The epoch of its registration.
        current: i64,
        /// The epoch given.
        given: i64,
    },
    /// The quorum could not take it.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl BrokerError {
    /// The Kafka error code a client is answered with.
    pub fn kafka_code(&self) -> i16 {
        match self {
            BrokerError::Invalid(_) => INVALID_REGISTRATION,
            BrokerError::NotRegistered(_) => BROKER_ID_NOT_REGISTERED,
            BrokerError::StaleEpoch { .. } => STALE_BROKER_EPOCH,
            BrokerError::Propose(error) => error.kafka_code(),
        }
    }
}

/// Allocating producer ids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProducerIdError {
    /// The asking broker is not registered, or no longer under this epoch.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// All 2^63 are given out.
    #[error("there are no producer ids left")]
    Exhausted,
    /// The quorum could not take it.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl ProducerIdError {
    /// The Kafka error code a client is answered with.
    pub fn kafka_code(&self) -> i16 {
        match self {
            ProducerIdError::Broker(error) => error.kafka_code(),
            ProducerIdError::Exhausted => UNKNOWN_SERVER_ERROR,
            ProducerIdError::Propose(error) => error.kafka_code(),
        }
    }
}

/// Changing the ISR of a partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// The asking broker is not registered, or no longer under this epoch.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// No topic of this id.
    #[error("there is no topic with id {0}")]
    UnknownTopic(Uuid),
    /// The topic has no such partition.
    #[error("topic {topic_id} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic_id: Uuid,
        /// The partition.
        partition: i32,
    },
    /// The asker knows a later epoch than this controller: find the new controller.
    #[error("partition {partition} of topic {topic_id} is behind the caller here")]
    AskNewerController {
        /// The topic.
        topic_id: Uuid,
        /// The partition.
        partition: i32,
    },
    /// Another leader has taken over: stop leading.
    #[error(
        "leader epoch {given} of partition {partition} of topic {topic_id} has been replaced by {current}"
    )]
    FencedLeaderEpoch {
        /// The topic.
        topic_id: Uuid,
        /// The partition.
        partition: i32,
        /// The epoch in the image.
        current: i32,
        /// The epoch given.
        given: i32,
    },
    /// The partition has changed: look at it again, then ask again.
    #[error(
        "partition epoch {given} of partition {partition} of topic {topic_id} has been replaced by {current}"
    )]
    StalePartitionEpoch {
        /// The topic.
        topic_id: Uuid,
        /// The partition.
        partition: i32,
        /// The epoch in the image.
        current: i32,
        /// The epoch given.
        given: i32,
    },
    /// A member of the new ISR is fenced or has restarted since: ask again without it.
    #[error("broker {broker} cannot enter the ISR of partition {partition} of topic {topic_id}")]
    IneligibleReplica {
        /// The topic.
        topic_id: Uuid,
        /// The partition.
        partition: i32,
        /// The broker.
        broker: i32,
    },
    /// The request contradicts itself or the image.
    #[error("{0}")]
    InvalidRequest(String),
    /// The quorum could not take it.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl PartitionError {
    /// The Kafka error code a broker is answered with.
    pub fn kafka_code(&self) -> i16 {
        match self {
            PartitionError::Broker(error) => error.kafka_code(),
            PartitionError::UnknownTopic(_) => UNKNOWN_TOPIC_ID,
            PartitionError::UnknownPartition { .. } => UNKNOWN_TOPIC_OR_PARTITION,
            PartitionError::AskNewerController { .. } => NOT_CONTROLLER,
            PartitionError::FencedLeaderEpoch { .. } => FENCED_LEADER_EPOCH,
            PartitionError::StalePartitionEpoch { .. } => INVALID_UPDATE_VERSION,
            PartitionError::IneligibleReplica { .. } => INELIGIBLE_REPLICA,
            PartitionError::InvalidRequest(_) => INVALID_REQUEST,
            PartitionError::Propose(error) => error.kafka_code(),
        }
    }
}
