//! Topics by name and by id, with their partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_record::Uuid;

use crate::decide::names::normalized;
use crate::records::{MetadataRecord, PartitionChangeRecord, PartitionRecord, RecordError, TopicRecord};

/// The leader of a partition that has none.
pub const NO_LEADER: i32 = -1;

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionImage {
    /// Node ids of all replicas; the first is the preferred leader.
    pub replicas: Vec<i32>,
    /// The replicas that are in sync.
    pub isr: Vec<i32>,
    /// Replicas outside the ISR that still hold everything committed (KIP-966).
    pub elr: Vec<i32>,
    /// Members of the last ELR, for choosing by hand when nothing else is left.
    pub last_known_elr: Vec<i32>,
    /// Node id of the leader, [`NO_LEADER`] when there is none.
    pub leader: i32,
    /// Grows with every election.
    pub leader_epoch: i32,
    /// Grows with every change.
    pub partition_epoch: i32,
    /// The data directory of each replica, in the order of `replicas`; zero while its broker has not chosen.
    pub directories: Vec<Uuid>,
}

impl PartitionImage {
    /// The data directory in which `node_id` keeps its replica; `None` if it has none here.
    pub fn directory(&self, node_id: i32) -> Option<Uuid> {
        let index = self.replicas.iter().position(|id| *id == node_id)?;
        self.directories.get(index).copied()
    }
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicImage {
    /// Its name, unique at one time.
    pub name: Arc<str>,
    /// Its id, unique for ever.
    pub id: Uuid,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionImage>,
}

impl TopicImage {
    /// The partition with this index.
    pub fn partition(&self, index: i32) -> Option<&PartitionImage> {
        self.partitions.get(usize::try_from(index).ok()?)
    }
}

/// All topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicsImage {
    by_name: BTreeMap<Arc<str>, Arc<TopicImage>>,
    by_id: BTreeMap<Uuid, Arc<TopicImage>>,
    /// Names with a `.` or `_`, under the name they share with those they collide with.
    by_normalized: BTreeMap<String, Arc<str>>,
}

impl TopicsImage {
    /// The topic with this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.by_name.get(name)
    }

    /// The topic with this id.
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<TopicImage>> {
        self.by_id.get(&id)
    }

    /// A partition, by the topic's name and its index.
    pub fn partition(&self, name: &str, index: i32) -> Option<&PartitionImage> {
        self.by_name(name)?.partition(index)
    }

    /// All topics, in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<TopicImage>> {
        self.by_name.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The topic whose name differs from `name` only in `.` against `_`.
    pub(crate) fn colliding(&self, name: &str) -> Option<&str> {
        self.by_normalized.get(&normalized(name)?).map(AsRef::as_ref)
    }

    pub(super) fn replay_topic(&mut self, record: &TopicRecord) -> Result<(), RecordError> {
        if self.by_name.contains_key(record.name.as_str()) || self.by_id.contains_key(&record.id) {
            return Err(RecordError::Misfit(format!(
                "topic {} ({}) is there already",
                record.name, record.id
            )));
        }
        let name: Arc<str> = record.name.as_str().into();
        if let Some(normalized) = normalized(&name) {
            self.by_normalized.insert(normalized, name.clone());
        }
        self.put(TopicImage { name, id: record.id, partitions: Vec::new() });
        Ok(())
    }

    fn put(&mut self, topic: TopicImage) {
        let topic = Arc::new(topic);
        self.by_name.insert(topic.name.clone(), topic.clone());
        self.by_id.insert(topic.id, topic);
    }

    /// Changes one topic. Both maps point to it: the second pointer is taken away for the while, so that a batch
    /// that touches every partition of a topic copies the topic at most once.
    fn change(
        &mut self,
        id: Uuid,
        change: impl FnOnce(&mut TopicImage) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let Some(mut topic) = self.by_id.remove(&id) else {
            return Err(RecordError::Misfit(format!("there is no topic {id}")));
        };
        let (name, _) = self
            .by_name
            .remove_entry(&topic.name)
            .ok_or_else(|| RecordError::Misfit(format!("topic {id} has no name")))?;
        let result = change(Arc::make_mut(&mut topic));
        self.by_name.insert(name, topic.clone());
        self.by_id.insert(id, topic);
        result
    }

    pub(super) fn replay_partition(&mut self, record: &PartitionRecord) -> Result<(), RecordError> {
        self.change(record.topic_id, |topic| {
            if record.partition as usize != topic.partitions.len() || record.partition < 0 {
                return Err(RecordError::Misfit(format!(
                    "partition {} of topic {} comes after {} others",
                    record.partition,
                    topic.name,
                    topic.partitions.len()
                )));
            }
            topic.partitions.push(PartitionImage {
                replicas: record.replicas.clone(),
                isr: record.isr.clone(),
                elr: record.elr.clone(),
                last_known_elr: record.last_known_elr.clone(),
                leader: record.leader,
                leader_epoch: record.leader_epoch,
                partition_epoch: record.partition_epoch,
                directories: record.directories.clone(),
            });
            Ok(())
        })
    }

    pub(super) fn replay_change(&mut self, record: &PartitionChangeRecord) -> Result<(), RecordError> {
        self.change(record.topic_id, |topic| {
            let name = topic.name.clone();
            let partition = usize::try_from(record.partition)
                .ok()
                .and_then(|index| topic.partitions.get_mut(index))
                .ok_or_else(|| {
                    RecordError::Misfit(format!("there is no partition {name}-{}", record.partition))
                })?;
            set(&mut partition.replicas, &record.replicas);
            set(&mut partition.isr, &record.isr);
            set(&mut partition.elr, &record.elr);
            set(&mut partition.last_known_elr, &record.last_known_elr);
            set(&mut partition.directories, &record.directories);
            if let Some(leader) = record.leader {
                partition.leader = leader;
                partition.leader_epoch = partition.leader_epoch.wrapping_add(1);
            }
            partition.partition_epoch = partition.partition_epoch.wrapping_add(1);
            Ok(())
        })
    }

    pub(super) fn replay_removal(&mut self, id: Uuid) -> Result<Arc<TopicImage>, RecordError> {
        let removed =
            self.by_id.remove(&id).ok_or_else(|| RecordError::Misfit(format!("there is no topic {id}")))?;
        self.by_name.remove(&removed.name);
        if let Some(normalized) = normalized(&removed.name) {
            self.by_normalized.remove(&normalized);
        }
        Ok(removed)
    }

    pub(super) fn push_records(&self, records: &mut Vec<MetadataRecord>) {
        for topic in self.by_name.values() {
            records.push(MetadataRecord::Topic(TopicRecord { name: topic.name.to_string(), id: topic.id }));
            records.extend(topic.partitions.iter().zip(0..).map(|(partition, index)| {
                MetadataRecord::Partition(PartitionRecord {
                    topic_id: topic.id,
                    partition: index,
                    replicas: partition.replicas.clone(),
                    isr: partition.isr.clone(),
                    elr: partition.elr.clone(),
                    last_known_elr: partition.last_known_elr.clone(),
                    leader: partition.leader,
                    leader_epoch: partition.leader_epoch,
                    partition_epoch: partition.partition_epoch,
                    directories: partition.directories.clone(),
                })
            }));
        }
    }

    /// The rules between the fields of topics and partitions. For tests.
    #[cfg(test)]
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.by_name.len() != self.by_id.len() {
            return Err(format!("{} names but {} ids", self.by_name.len(), self.by_id.len()));
        }
        for (name, topic) in &self.by_name {
            if self.by_id.get(&topic.id) != Some(topic) {
                return Err(format!("{name} is not the topic of its id"));
            }
            for (index, partition) in topic.partitions.iter().enumerate() {
                let stray =
                    partition.isr.iter().chain(&partition.elr).find(|id| !partition.replicas.contains(id));
                if let Some(id) = stray {
                    return Err(format!("{name}-{index}: {id} is in sync but no replica"));
                }
                if partition.leader != NO_LEADER && !partition.isr.contains(&partition.leader) {
                    return Err(format!("{name}-{index}: leader {} is not in sync", partition.leader));
                }
                if partition.directories.len() != partition.replicas.len() {
                    return Err(format!("{name}-{index}: a directory is missing"));
                }
            }
        }
        Ok(())
    }
}

fn set<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}
