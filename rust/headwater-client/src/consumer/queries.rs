//! What a consumer can ask the cluster without reading: commits, offsets by time, both ends, partitions.

use super::Consumer;
use crate::error::ClientError;
use crate::metadata::PartitionMetadata;
use crate::offsets::{self, OffsetAndMetadata, OffsetAndTimestamp};
use headwater_protocol::ErrorCode;
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet, HashMap};

impl Consumer {
    /// What the group has committed; `None` for partitions without a commit.
    pub async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, ClientError> {
        self.open()?;
        let shared = self.shared();
        let wanted: BTreeSet<TopicPartition> = partitions.iter().cloned().collect();
        let mut found =
            offsets::committed(&shared.client, shared.group()?, Some(&wanted), self.limit()).await?;
        Ok(wanted.into_iter().map(|name| (name.clone(), found.remove(&name))).collect())
    }

    /// For each partition the first record whose time stamp is at least the given one (ms); `None` if there is none.
    pub async fn offsets_for_times(
        &self,
        times: &HashMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>, ClientError> {
        if let Some((partition, time)) = times.iter().find(|(_, time)| **time < 0) {
            return Err(ClientError::Misuse(format!(
                "{partition}: a time stamp cannot be negative, got {time}"
            )));
        }
        self.list(times.iter().map(|(partition, time)| (partition.clone(), *time)).collect()).await
    }

    /// The first retained offset of each partition.
    pub async fn beginning_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        self.ends(partitions, offsets::EARLIEST).await
    }

    /// The offset after the last visible record (with `read_committed`, the last stable offset) of each partition.
    pub async fn end_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        self.ends(partitions, offsets::LATEST).await
    }

    async fn ends(
        &self,
        partitions: &[TopicPartition],
        spec: i64,
    ) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
        let found = self.list(partitions.iter().map(|partition| (partition.clone(), spec)).collect()).await?;
        Ok(found
            .into_iter()
            .map(|(partition, found)| (partition, found.map_or(0, |found| found.offset)))
            .collect())
    }

    async fn list(
        &self,
        specs: BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndTimestamp>>, ClientError> {
        self.open()?;
        let shared = self.shared();
        let isolation = shared.config.isolation_level;
        let outcomes = offsets::list(&shared.client, &specs, isolation, self.limit()).await?;
        outcomes.into_iter().map(|(partition, outcome)| Ok((partition, outcome?))).collect()
    }

    /// The partitions of a topic; `None` if it does not exist.
    pub async fn partitions_for(&self, topic: &str) -> Result<Option<Vec<PartitionMetadata>>, ClientError> {
        self.open()?;
        let shared = self.shared();
        let image = shared.client.refresh_metadata(&[topic], self.limit()).await?;
        match image.topics.get(topic) {
            Some(Ok(topic)) => Ok(Some(topic.partitions.clone())),
            Some(Err(error)) if !error.is(ErrorCode::UnknownTopicOrPartition) => Err(error.clone()),
            _ => Ok(None),
        }
    }
}
