//! The state of the cluster at one index of the metadata log: immutable, made of smaller images, shared by `Arc`.
//!
//! The next image is derived by replaying records on a copy: the copy shares every small image with the old one, and
//! replay copies only those it touches, once, however many records follow. Readers hold the whole and no lock.
//!
//! Ordered maps throughout, so that the same log gives the same image and the same snapshot, byte for byte, anywhere.

mod brokers;
mod configs;
mod features;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_record::Uuid;

pub use brokers::{BrokerImage, BrokersImage, Endpoint};
pub use configs::{ConfigResource, ConfigResourceKind, ConfigsImage};
pub use features::FeaturesImage;
pub use topics::{NO_LEADER, PartitionImage, TopicImage, TopicsImage};

use crate::records::{MetadataRecord, ProducerIdsRecord, RaftIdRecord, RecordError};

/// The cluster's metadata at one index of the metadata log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataImage {
    /// The cluster's id, the same for its whole life.
    pub cluster_id: Uuid,
    /// Node id of the controller that leads the metadata quorum, as this node knows it.
    pub controller_id: i32,
    /// Index of the last log entry in this image. Two images of one cluster with the same index are equal.
    pub index: u64,
    /// The registered brokers.
    pub brokers: Arc<BrokersImage>,
    /// The topics and their partitions.
    pub topics: Arc<TopicsImage>,
    /// The configurations that were set; defaults are not in here.
    pub configs: Arc<ConfigsImage>,
    /// The finalised features.
    pub features: Arc<FeaturesImage>,
    /// First producer id that no broker has been given.
    pub next_producer_id: i64,
    /// Raft ids that were ever given out: never reused, or a wiped voter could vote twice.
    pub(crate) raft_ids: Arc<BTreeMap<u64, RaftIdOwner>>,
}

/// Who has a raft id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RaftIdOwner {
    pub(crate) node_id: i32,
    pub(crate) directory: Uuid,
}

impl MetadataImage {
    /// Of a cluster about which nothing has been said yet.
    pub(crate) fn empty(cluster_id: Uuid, controller_id: i32) -> MetadataImage {
        MetadataImage {
            cluster_id,
            controller_id,
            index: 0,
            brokers: Arc::default(),
            topics: Arc::default(),
            configs: Arc::default(),
            features: Arc::default(),
            next_producer_id: 0,
            raft_ids: Arc::default(),
        }
    }

    /// Makes what `record` says true. `index` is that of the log entry that carries it.
    ///
    /// # Errors
    /// `Misfit` when the record cannot follow on this image. The image may then be half-changed: drop it.
    pub(crate) fn replay(&mut self, record: &MetadataRecord, index: u64) -> Result<(), RecordError> {
        match record {
            MetadataRecord::NoOp => Ok(()),
            MetadataRecord::FeatureLevel { name, level } => {
                Arc::make_mut(&mut self.features).replay(name, *level);
                Ok(())
            }
            MetadataRecord::RaftId(record) => self.replay_raft_id(record),
            MetadataRecord::Broker(record) => {
                Arc::make_mut(&mut self.brokers).replay_registration(record, index);
                Ok(())
            }
            MetadataRecord::RemoveBroker { node_id, .. } => {
                Arc::make_mut(&mut self.brokers).replay_removal(*node_id)
            }
            MetadataRecord::Fencing(record) => Arc::make_mut(&mut self.brokers).replay_fencing(record),
            MetadataRecord::Topic(record) => Arc::make_mut(&mut self.topics).replay_topic(record),
            MetadataRecord::Partition(record) => Arc::make_mut(&mut self.topics).replay_partition(record),
            MetadataRecord::PartitionChange(record) => Arc::make_mut(&mut self.topics).replay_change(record),
            MetadataRecord::RemoveTopic { id } => {
                let removed = Arc::make_mut(&mut self.topics).replay_removal(*id)?;
                if self.configs.of(ConfigResourceKind::Topic, &removed.name).is_some() {
                    Arc::make_mut(&mut self.configs).forget(ConfigResourceKind::Topic, &removed.name);
                }
                Ok(())
            }
            MetadataRecord::Config(record) => {
                Arc::make_mut(&mut self.configs).replay(record);
                Ok(())
            }
            MetadataRecord::ProducerIds(record) => self.replay_producer_ids(record),
        }
    }

    fn replay_raft_id(&mut self, record: &RaftIdRecord) -> Result<(), RecordError> {
        let owner = RaftIdOwner { node_id: record.node_id, directory: record.directory };
        match Arc::make_mut(&mut self.raft_ids).insert(record.raft_id, owner) {
            Some(before) if before != owner => Err(RecordError::Misfit(format!(
                "raft id {} belongs to node {}",
                record.raft_id, before.node_id
            ))),
            _ => Ok(()),
        }
    }

    fn replay_producer_ids(&mut self, record: &ProducerIdsRecord) -> Result<(), RecordError> {
        if record.next < self.next_producer_id {
            return Err(RecordError::Misfit(format!(
                "producer ids would go back from {} to {}",
                self.next_producer_id, record.next
            )));
        }
        self.next_producer_id = record.next;
        Ok(())
    }

    /// Records that make this image of an empty one: the content of a snapshot.
    pub(crate) fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        self.features.push_records(&mut records);
        records.extend(self.raft_ids.iter().map(|(raft_id, owner)| {
            MetadataRecord::RaftId(RaftIdRecord {
                raft_id: *raft_id,
                node_id: owner.node_id,
                directory: owner.directory,
            })
        }));
        self.brokers.push_records(&mut records);
        self.topics.push_records(&mut records);
        self.configs.push_records(&mut records);
        if self.next_producer_id > 0 {
            records.push(MetadataRecord::ProducerIds(ProducerIdsRecord {
                node_id: -1,
                broker_epoch: -1,
                next: self.next_producer_id,
            }));
        }
        records
    }

    /// Every rule that must hold between the parts; the first broken one is named. For tests.
    #[cfg(test)]
    pub(crate) fn validate(&self) -> Result<(), String> {
        self.topics.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{ConfigRecord, PartitionRecord, TopicRecord};

    #[test]
    fn removing_a_topic_takes_its_configs_along() {
        let mut image = MetadataImage::empty(Uuid::ZERO, 1);
        let id = Uuid::from_bytes([1; 16]);
        let resource = ConfigResource { kind: ConfigResourceKind::Topic, name: "a".into() };
        for record in [
            MetadataRecord::Topic(TopicRecord { name: "a".into(), id }),
            MetadataRecord::Config(ConfigRecord { resource, key: "k".into(), value: Some("v".into()) }),
        ] {
            image.replay(&record, 1).unwrap();
        }
        assert_eq!(image.configs.value(ConfigResourceKind::Topic, "a", "k"), Some("v"));
        image.replay(&MetadataRecord::RemoveTopic { id }, 2).unwrap();
        assert!(image.configs.of(ConfigResourceKind::Topic, "a").is_none());
        assert!(image.topics.is_empty());
    }

    #[test]
    fn partitions_come_in_order_or_not_at_all() {
        let mut image = MetadataImage::empty(Uuid::ZERO, 1);
        let id = Uuid::from_bytes([1; 16]);
        image.replay(&MetadataRecord::Topic(TopicRecord { name: "a".into(), id }), 1).unwrap();
        let skipped = MetadataRecord::Partition(PartitionRecord {
            topic_id: id,
            partition: 1,
            replicas: vec![1],
            isr: vec![1],
            elr: vec![],
            last_known_elr: vec![],
            leader: 1,
            leader_epoch: 0,
            partition_epoch: 0,
            directories: vec![Uuid::ZERO],
        });
        assert!(matches!(image.replay(&skipped, 2), Err(RecordError::Misfit(_))));
    }

    #[test]
    fn producer_ids_never_go_back() {
        let mut image = MetadataImage::empty(Uuid::ZERO, 1);
        let record =
            |next| MetadataRecord::ProducerIds(ProducerIdsRecord { node_id: 1, broker_epoch: 1, next });
        image.replay(&record(1000), 1).unwrap();
        assert!(image.replay(&record(500), 2).is_err());
    }
}
