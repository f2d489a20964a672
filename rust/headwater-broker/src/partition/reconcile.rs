//! Makes the partitions on disk what the metadata says they are.
//!
//! One task watches the metadata: it creates logs durably, deletes those of deleted topics, hands out new
//! settings, and then replaces the partition table whole. CreateTopics answers once the table reflects it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use headwater_controller::{MetadataImage, PartitionImage, TopicImage};
use headwater_env::Env;
use headwater_log::{FoundLog, LoadedLogs, Log, LogIdentity, OpenDirError, OpenError, Placement};
use headwater_record::{TopicPartition, Uuid};

use super::table::{PartitionTable, Slot, TopicEntry};
use super::{CreatedPartitions, Partition};
use crate::config::TopicSettings;
use crate::node::Node;

/// Logs that are created at the same time.
const CREATIONS_AT_ONCE: usize = 16;

/// The task's state.
pub(crate) struct Reconciler<E: Env> {
    node: Arc<Node<E>>,
    created: CreatedPartitions,
    /// The metadata that the table reflects.
    image: Arc<MetadataImage>,
}

/// Opens the logs that are on disk and fills the table for the first time.
pub(crate) async fn open_partitions<E: Env>(
    node: Arc<Node<E>>,
    created: CreatedPartitions,
) -> Result<Reconciler<E>, OpenDirError> {
    let image = node.controller.image();
    let place = {
        let (node, image) = (node.clone(), image.clone());
        move |found: &FoundLog| {
            let topic = image.topics.by_name(&found.topic_partition.topic);
            let topic = topic.filter(|topic| found.topic_id.is_none_or(|id| id == topic.id));
            let here = topic.filter(|topic| is_here(topic, found.topic_partition.partition, node.node_id));
            match here {
                Some(topic) => {
                    let identity =
                        LogIdentity::new(topic.name.clone(), topic.id, found.topic_partition.partition);
                    Placement::Open(identity, node.topic_settings(&image, &topic.name).log)
                }
                None => Placement::Stray,
            }
        }
    };
    let mut logs = report(node.log_dir.load(place).await?);
    let mut reconciler = Reconciler { node, created, image: image.clone() };
    let mut topics = Vec::new();
    for topic in image.topics.iter() {
        topics.push(reconciler.adopt(&image, topic, &mut logs).await);
    }
    reconciler.publish(&image, topics).await;
    Ok(reconciler)
}

fn is_here(topic: &TopicImage, partition: i32, node_id: i32) -> bool {
    topic.partition(partition).is_some_and(|partition| partition.replicas.contains(&node_id))
}

type Logs<E> = HashMap<TopicPartition, Option<Log<E>>>;

/// Says what loading found; a log that did not open is `None`.
fn report<E: Env>(loaded: LoadedLogs<E>) -> Logs<E> {
    let mut logs = HashMap::new();
    for (log, report) in loaded.logs {
        let partition = log.identity().topic_partition();
        for warning in &report.warnings {
            tracing::warn!(%partition, warning, "opened");
        }
        if let Some(cut) = &report.cut {
            tracing::warn!(%partition, bytes = cut.bytes, at = %cut.at, "a torn tail was cut");
        }
        logs.insert(partition, Some(log));
    }
    for failure in loaded.failed {
        tracing::error!(partition = %failure.topic_partition, error = %failure.error, "the partition is offline");
        logs.insert(failure.topic_partition, None);
    }
    for path in loaded.stray {
        tracing::warn!(path = %path.display(), "a folder of no known partition was set aside");
    }
    logs
}

impl<E: Env> Reconciler<E> {
    /// Follows the metadata until the broker stops.
    pub(crate) async fn run(mut self) {
        let mut images = self.node.controller.watch();
        loop {
            let image = images.borrow_and_update().clone();
            if image.index != self.image.index {
                self.apply(image).await;
            }
            tokio::select! { biased;
                () = self.node.stop.cancelled() => return,
                changed = images.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn apply(&mut self, image: Arc<MetadataImage>) {
        if Arc::ptr_eq(&image.topics, &self.image.topics) && Arc::ptr_eq(&image.configs, &self.image.configs)
        {
            self.node.applied.send_replace(image.index);
            self.image = image;
            return;
        }
        let table = self.node.partitions.load_full();
        let kept = self.remove_deleted(&image, &table).await;
        let mut topics = Vec::with_capacity(image.topics.len());
        for topic in image.topics.iter() {
            topics.push(match kept.get(&topic.id) {
                Some(entry) => self.refresh(&image, topic, entry).await,
                None => self.adopt(&image, topic, &mut HashMap::new()).await,
            });
        }
        self.publish(&image, topics).await;
        self.image = image;
    }

    /// Deletes the logs of topics that are gone; first they leave the table, so that no request finds them.
    async fn remove_deleted(
        &self,
        image: &MetadataImage,
        table: &PartitionTable<E>,
    ) -> HashMap<Uuid, Arc<TopicEntry<E>>> {
        let (kept, deleted): (Vec<_>, Vec<_>) =
            table.topics().cloned().partition(|entry| image.topics.by_id(entry.id).is_some());
        if !deleted.is_empty() {
            self.node.partitions.store(Arc::new(PartitionTable::new(kept.iter().cloned())));
        }
        for partition in deleted.iter().flat_map(|entry| entry.online()) {
            partition.leave();
            let (log_dir, id) = (self.node.log_dir.clone(), partition.id().clone());
            if let Err(error) = self.node.env.blocking(move || log_dir.delete_log(&id)).await {
                tracing::error!(partition = %partition.id(), %error, "the log was not deleted");
            }
        }
        kept.into_iter().map(|entry| (entry.id, entry)).collect()
    }

    /// A topic that the table has: new partitions, new settings, new leadership.
    async fn refresh(
        &self,
        image: &MetadataImage,
        topic: &TopicImage,
        entry: &Arc<TopicEntry<E>>,
    ) -> Arc<TopicEntry<E>> {
        let configs_changed = !Arc::ptr_eq(&image.configs, &self.image.configs);
        let before = self.image.topics.by_id(topic.id);
        let same = before.is_some_and(|before| before.partitions == topic.partitions);
        if same && !configs_changed {
            return entry.clone();
        }
        let settings = Arc::new(self.node.topic_settings(image, &topic.name));
        for (partition, index) in entry.online().map(|partition| (partition, partition.id().partition)) {
            if configs_changed {
                partition.set_settings(settings.clone());
            }
            if let Some(image) = topic.partition(index) {
                Leadership::of(image).apply(partition);
            }
        }
        if same {
            return entry.clone();
        }
        let known = entry.slots.len();
        let mut slots = entry.slots.clone();
        slots.extend(self.create(topic, known, &settings, &mut HashMap::new()).await);
        Arc::new(TopicEntry { name: entry.name.clone(), id: entry.id, slots })
    }

    /// A topic that the table does not have yet.
    async fn adopt(
        &self,
        image: &MetadataImage,
        topic: &TopicImage,
        logs: &mut Logs<E>,
    ) -> Arc<TopicEntry<E>> {
        let settings = Arc::new(self.node.topic_settings(image, &topic.name));
        let slots = self.create(topic, 0, &settings, logs).await;
        Arc::new(TopicEntry { name: topic.name.clone(), id: topic.id, slots })
    }

    /// The slots of a topic's partitions from index `first` on, with the logs that are there or with new
    /// ones.
    async fn create(
        &self,
        topic: &TopicImage,
        first: usize,
        settings: &Arc<TopicSettings>,
        logs: &mut Logs<E>,
    ) -> Vec<Slot<E>> {
        let mut places = Vec::with_capacity(topic.partitions.len().saturating_sub(first));
        for (index, image) in (0..).zip(&topic.partitions).skip(first) {
            places.push(Place {
                index,
                is_ours: image.replicas.contains(&self.node.node_id),
                leadership: Leadership::of(image),
                log: logs.remove(&TopicPartition::new(topic.name.clone(), index)),
            });
        }
        let slots = places.into_iter().map(|place| self.fill(topic, settings, place));
        stream::iter(slots).buffered(CREATIONS_AT_ONCE).collect().await
    }

    async fn fill(&self, topic: &TopicImage, settings: &Arc<TopicSettings>, place: Place<E>) -> Slot<E> {
        if !place.is_ours {
            return Slot::Elsewhere;
        }
        let log = match place.log {
            Some(log) => log,
            None => self.create_log(topic, place.index, settings).await,
        };
        let Some(log) = log else { return Slot::Offline };
        let partition = Partition::lead(topic.id, log, settings.clone());
        place.leadership.apply(&partition);
        Slot::Online(partition)
    }

    async fn create_log(&self, topic: &TopicImage, index: i32, settings: &TopicSettings) -> Option<Log<E>> {
        if self.created.contains(topic.id, index) {
            tracing::error!(topic = %topic.name, partition = index, "the folder is missing: the partition is offline");
            return None;
        }
        let identity = LogIdentity::new(topic.name.clone(), topic.id, index);
        let (log_dir, config) = (self.node.log_dir.clone(), settings.log.clone());
        let create = move || match log_dir.create_log(identity.clone(), config.clone()) {
            // Left over from a creation that failed half-way.
            Err(OpenError::Exists { .. }) => {
                log_dir.set_aside(&identity.topic_partition())?;
                log_dir.create_log(identity, config)
            }
            other => other,
        };
        let created: Result<Log<E>, OpenError> = self.node.env.blocking(create).await;
        created
            .inspect_err(|error| {
                tracing::error!(topic = %topic.name, partition = index, %error, "the log was not created");
            })
            .ok()
    }

    /// Writes down what was created and puts the new table in force.
    async fn publish(&mut self, image: &MetadataImage, topics: Vec<Arc<TopicEntry<E>>>) {
        let created: BTreeSet<(Uuid, i32)> = topics
            .iter()
            .flat_map(|topic| (0..).zip(&topic.slots).map(move |(index, slot)| (topic.id, index, slot)))
            .filter(|(id, index, slot)| match slot {
                Slot::Online(_) => true,
                Slot::Offline => self.created.contains(*id, *index),
                Slot::Elsewhere => false,
            })
            .map(|(id, index, _)| (id, index))
            .collect();
        let (env, mut list) = (self.node.env.clone(), self.created.clone());
        let stored = self.node.env.blocking(move || list.store(env.disk(), created).map(|()| list)).await;
        match stored {
            Ok(list) => self.created = list,
            // The partitions are there; what is lost is that their loss would be noticed.
            Err(error) => tracing::warn!(%error, "the list of created partitions was not written"),
        }
        self.node.partitions.store(Arc::new(PartitionTable::new(topics)));
        self.node.applied.send_replace(image.index);
    }
}

/// A partition that is not in the table yet.
struct Place<E: Env> {
    index: i32,
    is_ours: bool,
    leadership: Leadership,
    /// What loading found for it: a log, or one that did not open.
    log: Option<Option<Log<E>>>,
}

/// What the metadata says of a partition, as far as its leader cares.
#[derive(Debug, Clone, Copy)]
struct Leadership {
    leader_epoch: i32,
    isr_size: usize,
    replica_count: usize,
}

impl Leadership {
    fn of(image: &PartitionImage) -> Leadership {
        Leadership {
            leader_epoch: image.leader_epoch,
            isr_size: image.isr.len(),
            replica_count: image.replicas.len(),
        }
    }

    fn apply<E: Env>(self, partition: &Partition<E>) {
        partition.set_leadership(self.leader_epoch, self.isr_size, self.replica_count);
    }
}
