//! Group coordination: the runtime with group shards, on the partitions of `__consumer_offsets`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_controller::{MetadataImage, NewTopic, TopicError, TopicImage};
use headwater_coordinator::groups::{GroupConfig, GroupReply, GroupRequest, GroupShard, Name};
use headwater_coordinator::{Refusal, partition_for};
use headwater_env::Env;
use headwater_record::Uuid;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{CoordinatorMetrics, CoordinatorRuntime, RuntimeSettings, Term};
use crate::config::BrokerConfig;
use crate::context::Order;
use crate::node::Node;
use crate::partition::Partition;

/// The topic that groups and committed offsets live in.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// How long FindCoordinator waits for a partition that is about to be loaded; after that the client asks again.
const LOAD_WAIT_MAX: Duration = Duration::from_secs(1);

/// The coordinator of all groups whose partitions this broker leads.
pub(crate) struct GroupCoordinator<E: Env> {
    runtime: CoordinatorRuntime<E, GroupShard>,
    config: GroupConfig,
}

impl<E: Env> GroupCoordinator<E> {
    /// A coordinator that coordinates nothing yet; see [`GroupCoordinator::start`].
    pub(crate) fn new(
        env: E,
        config: &BrokerConfig,
        metrics: CoordinatorMetrics,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let settings = RuntimeSettings {
            commit_timeout: Duration::from_millis(config.count("offsets.commit.timeout.ms") as u64),
            load_buffer_bytes: config.count("offsets.load.buffer.size"),
        };
        let group_config = GroupConfig {
            session_timeout_ms_min: config.int("group.min.session.timeout.ms"),
            session_timeout_ms_max: config.int("group.max.session.timeout.ms"),
            initial_rebalance_delay_ms: config.int("group.initial.rebalance.delay.ms"),
            size_max: config.count("group.max.size"),
            offset_metadata_units_max: config.count("offset.metadata.max.bytes"),
            offsets_retention_ms: config.long("offsets.retention.minutes").saturating_mul(60_000),
            offsets_retention_check_interval_ms: config.long("offsets.retention.check.interval.ms"),
        };
        GroupCoordinator {
            runtime: CoordinatorRuntime::new(env, settings, metrics, tasks, stop),
            config: group_config,
        }
    }

    /// Begins to load the partitions that the broker leads, and follows leadership until it stops. To be called once
    /// the partition table is filled.
    pub(crate) fn start(node: &Arc<Node<E>>) {
        let follower = Follower { node: node.clone(), topics: BTreeMap::new() };
        follower.follow_leadership(&node.controller.image());
        node.spawn("follow-group-leadership", follower.run());
    }

    /// Asks the coordinator of a group; see [`CoordinatorRuntime::ask`].
    pub(crate) async fn ask(
        &self,
        node: &Node<E>,
        group_id: &str,
        request: GroupRequest,
        order: &Order,
    ) -> Result<GroupReply, Refusal> {
        let partition = partition_of(&node.controller.image(), group_id).ok_or(Refusal::NotCoordinator)?;
        self.runtime.ask(partition, request, order).await
    }

    /// Asks the coordinator of one partition.
    pub(crate) async fn ask_partition(
        &self,
        partition: i32,
        request: GroupRequest,
        order: &Order,
    ) -> Result<GroupReply, Refusal> {
        self.runtime.ask(partition, request, order).await
    }

    /// The partitions that answer.
    pub(crate) fn active(&self) -> Vec<i32> {
        self.runtime.active()
    }

    /// Whether some groups cannot be known yet.
    pub(crate) fn is_loading(&self) -> bool {
        self.runtime.is_loading()
    }

    /// The offsets topic, created if it is not there.
    pub(crate) async fn ensure_topic(&self, node: &Node<E>) -> Result<Arc<TopicImage>, TopicError> {
        if let Some(topic) = node.controller.image().topics.by_name(OFFSETS_TOPIC) {
            return Ok(topic.clone());
        }
        let created = node.controller.create_topics(vec![offsets_topic(node)], false).await;
        match created.into_iter().next() {
            // Somebody else was faster.
            Some(Ok(_) | Err(TopicError::AlreadyExists(_))) | None => {}
            Some(Err(error)) => return Err(error),
        }
        let image = node.controller.image();
        let topic = image.topics.by_name(OFFSETS_TOPIC);
        topic.cloned().ok_or_else(|| TopicError::UnknownName(OFFSETS_TOPIC.to_owned()))
    }

    /// Returns once `partition` answers, or after a while: a client that is sent here right after the topic was
    /// created should not be turned away at once.
    pub(crate) async fn wait_a_while_for(&self, partition: i32) {
        // A client that comes too early is told to come again; that is no reason to keep it longer.
        let _ = tokio::time::timeout(LOAD_WAIT_MAX, self.runtime.wait_until_loaded(partition)).await;
    }
}

/// The partition that coordinates a group; `None` while there is no offsets topic.
pub(crate) fn partition_of(image: &MetadataImage, group_id: &str) -> Option<i32> {
    let topic = image.topics.by_name(OFFSETS_TOPIC)?;
    Some(partition_for(group_id, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)))
}

/// The offsets topic as Kafka makes it, but for the replicas: no more than there are brokers, so that a single node
/// works without configuration.
fn offsets_topic<E: Env>(node: &Node<E>) -> NewTopic {
    let brokers = node.controller.image().brokers.usable().count().max(1);
    let replicas = node.config.count("offsets.topic.replication.factor").min(brokers);
    let partitions = node.config.int("offsets.topic.num.partitions");
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", node.config.int("offsets.topic.segment.bytes").to_string()),
    ];
    NewTopic {
        configs: configs.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect(),
        ..NewTopic::new(OFFSETS_TOPIC, partitions, i16::try_from(replicas).unwrap_or(i16::MAX))
    }
}

/// The task that follows leadership and the deletion of topics.
struct Follower<E: Env> {
    node: Arc<Node<E>>,
    /// The topics that were there when it last looked.
    topics: BTreeMap<Uuid, Name>,
}

impl<E: Env> Follower<E> {
    async fn run(mut self) {
        let mut applied = self.node.applied.subscribe();
        loop {
            applied.borrow_and_update();
            let image = self.node.controller.image();
            self.follow_leadership(&image);
            self.forget_deleted_topics(&image).await;
            tokio::select! { biased;
                () = self.node.stop.cancelled() => return,
                changed = applied.changed() => if changed.is_err() { return },
            }
        }
    }

    fn follow_leadership(&self, image: &MetadataImage) {
        let node = &self.node;
        let runtime = &node.groups.runtime;
        let mut present = runtime.terms();
        let table = node.table();
        let led = table.topic(OFFSETS_TOPIC).into_iter().flat_map(|topic| topic.online());
        for partition in led.filter(|partition| leads(node, image, partition)) {
            let index = partition.id().partition;
            let term = Term { topic_id: partition.topic_id(), leader_epoch: partition.leader_epoch() };
            if present.remove(&index) != Some(term) {
                let config = node.groups.config.clone();
                runtime.load(index, term, partition.clone(), move || GroupShard::new(config.clone()));
            }
        }
        for index in present.into_keys() {
            runtime.unload(index);
        }
    }

    async fn forget_deleted_topics(&mut self, image: &MetadataImage) {
        let topics: BTreeMap<Uuid, Name> =
            image.topics.iter().map(|topic| (topic.id, topic.name.clone())).collect();
        let deleted: Vec<Name> = self
            .topics
            .iter()
            .filter(|(id, _)| !topics.contains_key(id))
            .map(|(_, name)| name.clone())
            .collect();
        self.topics = topics;
        if !deleted.is_empty() {
            let request = || GroupRequest::TopicsDeleted(deleted.clone());
            self.node.groups.runtime.tell_all(request).await;
        }
    }
}

fn leads<E: Env>(node: &Node<E>, image: &MetadataImage, partition: &Partition<E>) -> bool {
    let id = partition.id();
    let leader = image.topics.partition(&id.topic, id.partition).map(|partition| partition.leader);
    leader == Some(node.node_id) && !partition.is_gone()
}
