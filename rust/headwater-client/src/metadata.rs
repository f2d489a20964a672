//! The cluster as a client last saw it: an immutable image, replaced whole.
//!
//! One task per client keeps the image fresh: when somebody wants it (an error told that a leader moved, a topic was
//! added) and when it grows older than `metadata.max.age.ms`. A client that is interested in no topic has no such task.

use crate::error::ClientError;
use arc_swap::ArcSwap;
use headwater_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use headwater_protocol::{ErrorCode, Str};
use headwater_record::Uuid;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its node id.
    pub id: i32,
    /// Host name or address that it advertises.
    pub host: String,
    /// Port that it advertises.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its index.
    pub partition: i32,
    /// Node id of the leader; `None` while there is none.
    pub leader: Option<i32>,
    /// The leader's epoch, -1 if unknown.
    pub leader_epoch: i32,
    /// Node ids of the replicas, preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids of the in-sync replicas.
    pub isr: Vec<i32>,
    /// Node ids of the replicas that are offline.
    pub offline: Vec<i32>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero from brokers before 2.8.
    pub id: Uuid,
    /// Whether it belongs to the broker itself.
    pub internal: bool,
    /// Its partitions; place and index agree.
    pub partitions: Vec<PartitionMetadata>,
}

/// The cluster at one moment, as far as this client asked.
#[derive(Debug, Clone, Default)]
pub struct ClusterMetadata {
    /// Id of the cluster.
    pub cluster_id: Option<String>,
    /// Node id of the controller.
    pub controller: Option<i32>,
    /// Brokers by node id.
    pub nodes: HashMap<i32, Node>,
    /// Topics that were asked for: metadata, or why there is none.
    pub topics: HashMap<Arc<str>, Result<Arc<TopicMetadata>, ClientError>>,
    /// Counts the answers seen; 0 before the first.
    pub(crate) version: u64,
}

impl ClusterMetadata {
    /// A topic, if it is known and usable.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicMetadata>> {
        self.topics.get(name)?.as_ref().ok()
    }

    /// A partition, if its topic is known and usable.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionMetadata> {
        self.topic(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }

    /// Node id of a partition's leader, if it is known.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.partition(topic, partition)?.leader
    }
}

/// What a request for metadata covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All topics.
    All,
    /// These topics; none means only the cluster.
    Topics(BTreeSet<Arc<str>>),
}

impl Scope {
    pub(crate) fn request(&self, version: i16, allow_auto_creation: bool) -> MetadataRequest {
        let topics = match self {
            // Version 0 has no null: there, the empty list means all.
            Self::All => (version == 0).then(Vec::new),
            Self::Topics(names) => {
                let topic = |name: &Arc<str>| MetadataRequestTopic {
                    name: Some(Str::from(&**name)),
                    ..Default::default()
                };
                Some(names.iter().map(topic).collect())
            }
        };
        MetadataRequest {
            topics,
            allow_auto_topic_creation: allow_auto_creation || version < 4,
            ..Default::default()
        }
    }
}

/// The image, who wants it fresh, and what for.
pub(crate) struct MetadataCache {
    image: ArcSwap<ClusterMetadata>,
    version: watch::Sender<u64>,
    interest: Mutex<Interest>,
    pub(crate) wanted: Notify,
    /// A new topic is asked for: no pause since the last answer.
    pub(crate) urgent: AtomicBool,
}

#[derive(Default)]
struct Interest {
    topics: BTreeSet<Arc<str>>,
    all: bool,
    allow_auto_creation: bool,
}

impl MetadataCache {
    pub(crate) fn new() -> Self {
        Self {
            image: ArcSwap::default(),
            version: watch::Sender::new(0),
            interest: Mutex::default(),
            wanted: Notify::new(),
            urgent: AtomicBool::new(false),
        }
    }

    fn interest(&self) -> MutexGuard<'_, Interest> {
        self.interest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn image(&self) -> Arc<ClusterMetadata> {
        self.image.load_full()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Asks for a refresh soon.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    fn want_at_once(&self) {
        self.urgent.store(true, Ordering::Release);
        self.want();
    }

    /// Adds a topic to what is kept fresh.
    pub(crate) fn add_topic(&self, name: &Arc<str>, allow_auto_creation: bool) {
        let mut interest = self.interest();
        interest.allow_auto_creation = allow_auto_creation;
        if interest.topics.insert(Arc::clone(name)) {
            drop(interest);
            self.want_at_once();
        }
    }

    /// Replaces what is kept fresh.
    pub(crate) fn set_scope(&self, scope: Scope, allow_auto_creation: bool) {
        {
            let mut interest = self.interest();
            interest.allow_auto_creation = allow_auto_creation;
            match scope {
                Scope::All => interest.all = true,
                Scope::Topics(topics) => {
                    interest.all = false;
                    interest.topics = topics;
                }
            }
        }
        self.want_at_once();
    }

    pub(crate) fn scope(&self) -> (Scope, bool) {
        let interest = self.interest();
        let scope = if interest.all { Scope::All } else { Scope::Topics(interest.topics.clone()) };
        (scope, interest.allow_auto_creation)
    }

    /// Takes over an answer. With `replace` it stands for all topics, otherwise it is added to the others.
    pub(crate) fn publish(&self, answer: &MetadataResponse, replace: bool) -> Arc<ClusterMetadata> {
        let mut version = 0;
        self.image.rcu(|old| {
            let image = next_image(old, answer, replace);
            version = image.version;
            image
        });
        let image = self.image.load_full();
        self.version.send_replace(version);
        image
    }

    /// Adds a broker that another answer told of.
    pub(crate) fn add_node(&self, node: &Node) {
        if self.image.load().nodes.get(&node.id) == Some(node) {
            return;
        }
        self.image.rcu(|old| {
            let mut image = ClusterMetadata::clone(old);
            image.nodes.insert(node.id, node.clone());
            image
        });
    }
}

fn next_image(old: &ClusterMetadata, answer: &MetadataResponse, replace: bool) -> ClusterMetadata {
    let mut topics = if replace { HashMap::new() } else { old.topics.clone() };
    for topic in &answer.topics {
        let Some(name) = topic.name.as_deref() else { continue };
        let before = old.topics.get(name);
        let name: Arc<str> = before
            .and(old.topics.get_key_value(name))
            .map_or_else(|| name.into(), |(key, _)| Arc::clone(key));
        let known = before.and_then(|topic| topic.as_ref().ok());
        topics.insert(Arc::clone(&name), read_topic(name, topic, known));
    }
    let nodes = answer.brokers.iter().map(|broker| {
        let rack = broker.rack.as_deref().map(str::to_owned);
        (broker.node_id, Node { id: broker.node_id, host: broker.host.to_string(), port: broker.port, rack })
    });
    ClusterMetadata {
        cluster_id: answer.cluster_id.as_deref().map(str::to_owned),
        controller: Some(answer.controller_id).filter(|id| *id >= 0),
        nodes: nodes.collect(),
        topics,
        version: old.version + 1,
    }
}

/// A topic of an answer, or why it has no metadata.
pub(crate) fn read_topic(
    name: Arc<str>,
    topic: &MetadataResponseTopic,
    known: Option<&Arc<TopicMetadata>>,
) -> Result<Arc<TopicMetadata>, ClientError> {
    let code = ErrorCode::from_wire(topic.error_code);
    // A topic whose partitions wait for leaders is there all the same.
    if code != ErrorCode::None && (code != ErrorCode::LeaderNotAvailable || topic.partitions.is_empty()) {
        return Err(ClientError::refused(code, format!("topic {name}")));
    }
    let known = known.filter(|known| known.id == topic.topic_id);
    let mut partitions: Vec<PartitionMetadata> = topic
        .partitions
        .iter()
        .map(|partition| {
            let read = PartitionMetadata {
                partition: partition.partition_index,
                leader: Some(partition.leader_id).filter(|id| *id >= 0),
                leader_epoch: partition.leader_epoch,
                replicas: partition.replica_nodes.clone(),
                isr: partition.isr_nodes.clone(),
                offline: partition.offline_replicas.clone(),
            };
            // A broker that lags behind may still tell of an older leader (KIP-320).
            let before = known.and_then(|known| known.partitions.get(usize::try_from(read.partition).ok()?));
            match before {
                Some(before) if before.leader_epoch > read.leader_epoch && read.leader_epoch >= 0 => {
                    before.clone()
                }
                _ => read,
            }
        })
        .collect();
    partitions.sort_by_key(|partition| partition.partition);
    if partitions.iter().enumerate().any(|(place, partition)| partition.partition != place as i32) {
        return Err(ClientError::Malformed {
            node: "the cluster".into(),
            api: "Metadata",
            reason: format!("the partitions of {name} are not numbered from 0"),
        });
    }
    Ok(Arc::new(TopicMetadata { name, id: topic.topic_id, internal: topic.is_internal, partitions }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_protocol::messages::metadata::{MetadataResponseBroker, MetadataResponsePartition};

    fn answer(topic: &str, leaders: &[(i32, i32)]) -> MetadataResponse {
        let partition = |(index, (leader, epoch)): (usize, &(i32, i32))| MetadataResponsePartition {
            partition_index: index as i32,
            leader_id: *leader,
            leader_epoch: *epoch,
            ..Default::default()
        };
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 1,
                host: "h".into(),
                port: 9,
                ..Default::default()
            }],
            controller_id: 1,
            topics: vec![MetadataResponseTopic {
                name: Some(topic.into()),
                partitions: leaders.iter().enumerate().map(partition).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn an_older_leader_epoch_does_not_win() {
        let cache = MetadataCache::new();
        cache.publish(&answer("t", &[(1, 5), (2, 5)]), true);
        let image = cache.publish(&answer("t", &[(3, 4), (3, 6)]), true);
        assert_eq!((image.leader("t", 0), image.leader("t", 1)), (Some(1), Some(3)));
        assert_eq!(image.version, 2);
        assert_eq!(image.leader("t", 2), None);
        assert_eq!(image.leader("t", -1), None);
    }

    #[test]
    fn a_partial_answer_is_added_and_a_full_one_replaces() {
        let cache = MetadataCache::new();
        cache.publish(&answer("a", &[(1, 0)]), true);
        let image = cache.publish(&answer("b", &[(-1, 0)]), false);
        assert!(image.topic("a").is_some() && image.topic("b").is_some());
        assert_eq!(image.leader("b", 0), None, "a leader of -1 is no leader");
        assert!(cache.publish(&answer("c", &[(1, 0)]), true).topic("a").is_none());
    }

    #[test]
    fn errors_and_gaps_are_kept_as_errors() {
        let cache = MetadataCache::new();
        let mut bad = answer("t", &[(1, 0), (1, 0)]);
        bad.topics[0].partitions.remove(0);
        assert!(matches!(cache.publish(&bad, true).topics["t"], Err(ClientError::Malformed { .. })));
        let mut unknown = answer("t", &[]);
        unknown.topics[0].error_code = ErrorCode::UnknownTopicOrPartition.code();
        let image = cache.publish(&unknown, true);
        assert!(image.topics["t"].as_ref().unwrap_err().is(ErrorCode::UnknownTopicOrPartition));
    }
}
