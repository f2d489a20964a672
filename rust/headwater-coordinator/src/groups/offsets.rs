//! OffsetCommit, OffsetFetch and OffsetDelete.

use std::collections::HashMap;

use headwater_protocol::Str;
use headwater_protocol::records::offset_commit::OffsetCommitValue;

use super::GroupShard;
use super::durable::CommittedOffset;
use super::error::GroupError;
use super::message::{
    CommitPartition, CommitRequest, DeleteOffsetsRequest, FetchRequest, FetchedOffset, FetchedTopic,
    GroupReply, Name, TopicResults,
};
use super::records::{self, NAME_BYTES_MAX};
use super::state::GroupState;
use crate::shard::{Decision, ReplyToken};

impl GroupShard {
    pub(super) fn commit_offsets(
        &mut self,
        now_ms: i64,
        token: ReplyToken,
        request: CommitRequest,
    ) -> Decision<Self> {
        if let Err(error) = self.check_commit(&request) {
            return Decision::reply(token, GroupReply::CommitOffsets(Err(error)));
        }
        self.keep_session_alive(now_ms, &request);
        let mut written = Vec::new();
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let units = partition.metadata.encode_utf16().count();
                if units > self.config.offset_metadata_units_max {
                    partitions.push((partition.partition, Some(GroupError::OffsetMetadataTooLarge)));
                    continue;
                }
                let value = OffsetCommitValue {
                    topic_id: topic.topic_id,
                    ..offset_value(now_ms, request.retention_ms, partition)
                };
                let (group_id, topic) = (&request.group_id, &topic.topic);
                match records::offset_record(group_id, topic, partition.partition, &value) {
                    Ok(record) => {
                        written.push(record);
                        partitions.push((partition.partition, None));
                    }
                    // Something is too long for the record's format.
                    Err(_) => partitions.push((partition.partition, Some(GroupError::UnknownServerError))),
                }
            }
            results.push(TopicResults { topic: topic.topic.clone(), partitions });
        }
        let reply = GroupReply::CommitOffsets(Ok(results));
        if written.is_empty() {
            return Decision::reply(token, reply);
        }
        Decision::write(written, token, reply)
    }

    fn check_commit(&self, request: &CommitRequest) -> Result<(), GroupError> {
        if request.group_id.len() > NAME_BYTES_MAX {
            return Err(GroupError::InvalidGroupId);
        }
        let is_anonymous = request.generation_id < 0;
        let Some(group) = self.groups.get(&request.group_id) else {
            // Offsets of a consumer without membership make a group of their own.
            return match (is_anonymous, request.understands_group_id_not_found) {
                (true, _) => Ok(()),
                (false, true) => Err(GroupError::GroupIdNotFound),
                (false, false) => Err(GroupError::IllegalGeneration),
            };
        };
        if is_anonymous && group.state() == GroupState::Empty {
            return Ok(());
        }
        if is_anonymous && request.member_id.is_empty() && request.group_instance_id.is_none() {
            return Err(GroupError::UnknownMemberId);
        }
        group.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != group.generation {
            return Err(GroupError::IllegalGeneration);
        }
        if group.state() == GroupState::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// A commit is a sign of life, as good as a heartbeat.
    fn keep_session_alive(&mut self, now_ms: i64, request: &CommitRequest) {
        let Some(mut step) = self.step(now_ms, &request.group_id) else { return };
        if matches!(step.group.state(), GroupState::Stable | GroupState::PreparingRebalance) {
            step.refresh_session(&request.member_id);
        }
    }

    /// Without `require_stable` the answer is what was committed before anything still under way, and leaves at once;
    /// with it the answer is the latest, and leaves when that is committed.
    pub(super) fn fetch_offsets(&self, token: ReplyToken, request: &FetchRequest) -> Decision<Self> {
        let view = match request.require_stable {
            true => HashMap::new(),
            false => self.durable.committed_view(&request.group_id),
        };
        let topics = match &request.topics {
            Some(topics) => topics.clone(),
            None => self.all_partitions(&request.group_id, &view),
        };
        let fetched = topics
            .into_iter()
            .map(|(topic, partitions)| FetchedTopic {
                partitions: partitions
                    .into_iter()
                    .map(|partition| self.fetch_offset(request, &view, &topic, partition))
                    .collect(),
                topic,
            })
            .collect();
        let reply = GroupReply::FetchOffsets(fetched);
        if request.require_stable {
            return Decision::write(Vec::new(), token, reply);
        }
        Decision::reply(token, reply)
    }

    fn all_partitions(&self, group_id: &Name, view: &CommittedView) -> Vec<(Name, Vec<i32>)> {
        let mut all: std::collections::BTreeMap<Name, std::collections::BTreeSet<i32>> = self
            .durable
            .offsets_of(group_id)
            .into_iter()
            .flatten()
            .map(|(topic, partitions)| (topic.clone(), partitions.keys().copied().collect()))
            .collect();
        for ((topic, partition), offset) in view {
            let partitions = all.entry(topic.clone()).or_default();
            match offset {
                Some(_) => partitions.insert(*partition),
                None => partitions.remove(partition),
            };
        }
        all.retain(|_, partitions| !partitions.is_empty());
        all.into_iter().map(|(topic, partitions)| (topic, partitions.into_iter().collect())).collect()
    }

    fn fetch_offset(
        &self,
        request: &FetchRequest,
        view: &CommittedView,
        topic: &Name,
        partition: i32,
    ) -> FetchedOffset {
        let none =
            FetchedOffset { partition, offset: -1, leader_epoch: -1, metadata: Name::default(), error: None };
        if request.require_stable && self.durable.has_pending(&request.group_id, topic, partition) {
            return FetchedOffset { error: Some(GroupError::UnstableOffsetCommit), ..none };
        }
        let present = || self.durable.offset(&request.group_id, topic, partition);
        let before = (!view.is_empty()).then(|| view.get(&(topic.clone(), partition))).flatten();
        match before.map_or_else(present, Option::as_ref) {
            None => none,
            Some(committed) => FetchedOffset {
                offset: committed.offset,
                leader_epoch: committed.leader_epoch,
                metadata: committed.metadata.clone().unwrap_or_default(),
                ..none
            },
        }
    }

    pub(super) fn delete_offsets(&self, token: ReplyToken, request: DeleteOffsetsRequest) -> Decision<Self> {
        let refuse = |error| Decision::reply(token, GroupReply::DeleteOffsets(Err(error)));
        if request.group_id.is_empty() {
            return refuse(GroupError::InvalidGroupId);
        }
        let Some(group) = self.groups.get(&request.group_id) else {
            return refuse(GroupError::GroupIdNotFound);
        };
        if group.state() != GroupState::Empty && !group.uses_consumer_protocol() {
            return refuse(GroupError::NonEmptyGroup);
        }
        let mut written = Vec::new();
        let mut results = Vec::with_capacity(request.topics.len());
        for (topic, partitions) in request.topics {
            let error = group.is_subscribed_to(&topic).then_some(GroupError::GroupSubscribedToTopic);
            if error.is_none() {
                let known = |partition: &&i32| {
                    self.durable.offset(&request.group_id, &topic, **partition).is_some()
                        || self.durable.has_pending(&request.group_id, &topic, **partition)
                };
                let tombstone =
                    |partition: &i32| records::offset_tombstone(&request.group_id, &topic, *partition);
                written.extend(partitions.iter().filter(known).filter_map(tombstone));
            }
            let partitions = partitions.into_iter().map(|partition| (partition, error)).collect();
            results.push(TopicResults { topic, partitions });
        }
        Decision::write(written, token, GroupReply::DeleteOffsets(Ok(results)))
    }

    /// Tombstones for the offsets of topics that are gone, those of open transactions included.
    pub(super) fn forget_topics(&self, token: ReplyToken, topics: &[Name]) -> Decision<Self> {
        let mut written = Vec::new();
        for (group_id, offsets) in self.durable.all_offsets() {
            for topic in topics {
                let partitions = offsets.get(topic).into_iter().flat_map(|partitions| partitions.keys());
                written.extend(
                    partitions.filter_map(|partition| records::offset_tombstone(group_id, topic, *partition)),
                );
            }
        }
        for (group_id, topic, partition) in self.durable.pending_keys() {
            let is_committed = self.durable.offset(group_id, topic, *partition).is_some();
            if topics.contains(topic) && !is_committed {
                written.extend(records::offset_tombstone(group_id, topic, *partition));
            }
        }
        Decision::write(written, token, GroupReply::TopicsDeleted)
    }
}

type CommittedView = HashMap<(Name, i32), Option<CommittedOffset>>;

fn offset_value(now_ms: i64, retention_ms: Option<i64>, partition: &CommitPartition) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: Str::from(&*partition.metadata),
        commit_timestamp: now_ms,
        expire_timestamp: retention_ms.map_or(-1, |retention| now_ms.saturating_add(retention)),
        ..OffsetCommitValue::default()
    }
}
