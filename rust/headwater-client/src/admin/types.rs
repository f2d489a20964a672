//! What goes into and comes out of the admin calls.

use crate::metadata::{Node, PartitionMetadata};
use headwater_record::{TopicPartition, Uuid};
use std::collections::BTreeMap;

/// A topic to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None` is the broker's default (`num.partitions`).
    pub partitions: Option<i32>,
    /// How many replicas; `None` is the broker's default.
    pub replication_factor: Option<i16>,
    /// Replicas per partition; the two above are left `None` then.
    pub assignment: BTreeMap<i32, Vec<i32>>,
    /// Topic settings.
    pub configs: BTreeMap<String, String>,
}

/// How many partitions a topic shall have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewPartitions {
    /// All of them, those it has included.
    pub count: i32,
    /// Replicas of each partition that is added; `None` leaves the choice to the controller.
    pub assignment: Option<Vec<Vec<i32>>>,
}

impl From<i32> for NewPartitions {
    fn from(count: i32) -> Self {
        Self { count, assignment: None }
    }
}

/// A topic just created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; zero from brokers before 2.8.
    pub topic_id: Uuid,
    /// How many partitions; -1 if the broker does not say.
    pub partitions: i32,
    /// How many replicas; -1 if the broker does not say.
    pub replication_factor: i16,
    /// Its settings, as far as the broker says.
    pub configs: Vec<ConfigEntry>,
}

/// A topic as metadata shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id.
    pub topic_id: Uuid,
    /// Whether it belongs to the broker itself.
    pub internal: bool,
    /// Its partitions by index.
    pub partitions: Vec<PartitionMetadata>,
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id.
    pub topic_id: Uuid,
    /// Whether it belongs to the broker itself.
    pub internal: bool,
}

/// The brokers of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Id of the cluster.
    pub cluster_id: String,
    /// Node id of the controller, -1 if unknown.
    pub controller_id: i32,
    /// Brokers by node id.
    pub nodes: Vec<Node>,
}

/// What has settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// A broker by node id; `None` is the default of all brokers.
    Broker(Option<i32>),
    /// A consumer group.
    Group(String),
}

impl std::fmt::Display for ConfigResource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Topic(name) => write!(formatter, "topic {name}"),
            Self::Broker(Some(id)) => write!(formatter, "broker {id}"),
            Self::Broker(None) => formatter.write_str("all brokers"),
            Self::Group(name) => write!(formatter, "group {name}"),
        }
    }
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None` if sensitive or unset.
    pub value: Option<String>,
    /// Kafka's number of where the value comes from (1 topic, 2 dynamic broker, 4 static broker, 5 default, …).
    pub source: i8,
    /// Whether it cannot be changed.
    pub read_only: bool,
    /// Whether the value is secret.
    pub sensitive: bool,
    /// Kafka's number of the type (1 boolean, 2 string, 3 int, 5 long, 7 list, …); 0 if it was not told.
    pub config_type: i8,
    /// What it means, if asked for and known.
    pub documentation: Option<String>,
    /// Values that it would fall back to, nearest first: name, value, source.
    pub synonyms: Vec<(String, Option<String>, i8)>,
}

impl ConfigEntry {
    /// Whether the value is the default.
    pub fn is_default(&self) -> bool {
        self.source == 5
    }
}

/// A change of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// Sets it.
    Set(String, String),
    /// Back to its default.
    Delete(String),
    /// Adds to a list.
    Append(String, String),
    /// Takes from a list.
    Subtract(String, String),
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group_id: String,
    /// `consumer`, `connect`, … or empty.
    pub protocol_type: String,
    /// `Stable`, `Empty`, …; empty from old brokers.
    pub state: String,
    /// `classic`, `consumer`, …; empty from old brokers.
    pub group_type: String,
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub group_id: String,
    /// `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Dead`.
    pub state: String,
    /// `consumer`, `connect`, … or empty.
    pub protocol_type: String,
    /// The assignment strategy in use.
    pub protocol: String,
    /// The broker that coordinates it.
    pub coordinator: Option<Node>,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// How a member of a group is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberName {
    /// By the id that the coordinator has given it.
    Id(String),
    /// By its `group.instance.id`, which a static member has (KIP-345).
    Instance(String),
}

impl std::fmt::Display for MemberName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(formatter, "member {id}"),
            Self::Instance(id) => write!(formatter, "static member {id}"),
        }
    }
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// Its static name.
    pub group_instance_id: Option<String>,
    /// Its client id.
    pub client_id: String,
    /// Its address.
    pub client_host: String,
    /// Its partitions, sorted; empty for protocols other than `consumer`.
    pub assignment: Vec<TopicPartition>,
}

/// Which offset of a partition is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first retained one.
    Earliest,
    /// The one after the last visible record.
    Latest,
    /// The first whose record is not older than so many milliseconds since the epoch.
    AtTime(i64),
    /// The record with the largest time stamp.
    MaxTimestamp,
    /// The first that the leader has on its own disks (KIP-405).
    EarliestLocal,
    /// The last that is in remote storage (KIP-1005).
    LatestTiered,
}
