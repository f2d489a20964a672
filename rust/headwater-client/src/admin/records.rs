//! Offsets of partitions, and deleting what lies before one.

use super::{Admin, Each, OffsetSpec};
use crate::client::Destination;
use crate::config::IsolationLevel;
use crate::error::ClientError;
use crate::metadata::Scope;
use crate::offsets::{self, OffsetAndTimestamp};
use headwater_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use headwater_protocol::{ErrorCode, Str};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Admin {
    /// Offsets of partitions; `None` if there is no such record.
    pub async fn list_offsets(
        &self,
        specs: &BTreeMap<TopicPartition, OffsetSpec>,
        isolation: IsolationLevel,
    ) -> Result<Each<TopicPartition, Option<OffsetAndTimestamp>>, ClientError> {
        let wire = |spec: &OffsetSpec| match spec {
            OffsetSpec::Earliest => offsets::EARLIEST,
            OffsetSpec::Latest => offsets::LATEST,
            OffsetSpec::MaxTimestamp => offsets::MAX_TIMESTAMP,
            OffsetSpec::EarliestLocal => offsets::EARLIEST_LOCAL,
            OffsetSpec::LatestTiered => offsets::LATEST_TIERED,
            OffsetSpec::AtTime(time) => (*time).max(0),
        };
        let specs = specs.iter().map(|(partition, spec)| (partition.clone(), wire(spec))).collect();
        offsets::list(&self.client, &specs, isolation, self.limit()).await
    }

    /// Deletes what lies before these offsets (-1: everything up to the high watermark); gives the new log start.
    pub async fn delete_records(
        &self,
        before: &BTreeMap<TopicPartition, i64>,
    ) -> Result<Each<TopicPartition, i64>, ClientError> {
        let topics: BTreeSet<Arc<str>> =
            before.keys().map(|partition| Arc::clone(&partition.topic)).collect();
        let mut outcomes = Each::new();
        for (partition, offset) in before {
            let doing = || format!("deleting records of {partition}");
            let attempt = || async {
                let image = self.client.metadata();
                let image = match image.leader(&partition.topic, partition.partition) {
                    Some(_) => image,
                    None => self.client.fetch_metadata(Scope::Topics(topics.clone()), self.limit()).await?,
                };
                if let Some(Err(error)) = image.topics.get(&partition.topic) {
                    return Err(error.clone());
                }
                let leader = image.leader(&partition.topic, partition.partition).ok_or_else(|| {
                    ClientError::refused(ErrorCode::UnknownTopicOrPartition, partition.to_string())
                })?;
                let outcome = self.delete_records_at(leader, partition, *offset).await;
                if outcome.as_ref().is_err_and(ClientError::retriable) {
                    // Perhaps the leader moved.
                    self.client.fetch_metadata(Scope::Topics(topics.clone()), self.limit()).await?;
                }
                outcome
            };
            let outcome = self.client.retrying(self.limit(), &doing, attempt).await;
            outcomes.insert(partition.clone(), outcome);
        }
        Ok(outcomes)
    }

    async fn delete_records_at(
        &self,
        leader: i32,
        partition: &TopicPartition,
        offset: i64,
    ) -> Result<i64, ClientError> {
        let entry = DeleteRecordsPartition { partition_index: partition.partition, offset };
        let topic = DeleteRecordsTopic { name: Str::from(&*partition.topic), partitions: vec![entry] };
        let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: self.request_timeout_ms() };
        let answer = self.client.send(&Destination::Node(leader), request).await?;
        let result = answer.topics.first().and_then(|topic| topic.partitions.first()).ok_or_else(|| {
            ClientError::Malformed {
                node: format!("broker {leader}"),
                api: "DeleteRecords",
                reason: format!("nothing about {partition}"),
            }
        })?;
        ClientError::check(result.error_code, || partition.to_string())?;
        Ok(result.low_watermark)
    }
}
