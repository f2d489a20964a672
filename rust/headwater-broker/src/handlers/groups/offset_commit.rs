//! OffsetCommit: answered when the offsets are in the log. Topics go by name up to version 9, by id from version 10 on.

use std::collections::VecDeque;

use headwater_controller::{MetadataImage, TopicImage};
use headwater_coordinator::groups::{
    CommitPartition, CommitRequest, CommitTopic, GroupReply, GroupRequest, Name, TopicResults,
};
use headwater_env::Env;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::{ask, code, failure, may, name};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::handlers::HandlerResult;

/// From this version on clients understand GROUP_ID_NOT_FOUND.
const GROUP_ID_NOT_FOUND_FROM: i16 = 9;
/// From this version on topics go by id.
const TOPIC_IDS_FROM: i16 = 10;

/// Commits.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: OffsetCommitRequest) -> HandlerResult<E> {
    if !may(&call, Operation::Read, &request.group_id) {
        return call.reply(&respond(&call, &request, |_| Err(ErrorCode::GroupAuthorizationFailed)));
    }
    let image = call.node.controller.image();
    let topics: Vec<Result<CommitTopic, ErrorCode>> =
        request.topics.iter().map(|topic| accept(&call, &image, topic)).collect();
    let accepted: Vec<CommitTopic> = topics.iter().filter_map(|topic| topic.as_ref().ok()).cloned().collect();
    let outcome = match accepted.is_empty() {
        true => Ok(Vec::new()),
        false => commit(&call, &request, accepted).await,
    };
    // Results come in the order of the topics that were accepted.
    let mut results = outcome.map(VecDeque::from);
    let mut topics = topics.into_iter();
    let response = respond(&call, &request, |_| match (topics.next(), &mut results) {
        (Some(Err(refusal)), _) => Err(refusal),
        (_, Err(code)) => Err(*code),
        (_, Ok(results)) => results.pop_front().ok_or(ErrorCode::UnknownServerError),
    });
    call.reply(&response)
}

/// The topic as the coordinator is to know it, with the partitions that there are, or why it is not committed.
fn accept<E: Env>(
    call: &Call<E>,
    image: &MetadataImage,
    topic: &OffsetCommitRequestTopic,
) -> Result<CommitTopic, ErrorCode> {
    let known: Option<&TopicImage> = match call.version() {
        TOPIC_IDS_FROM.. => image.topics.by_id(topic.topic_id).map(AsRef::as_ref),
        _ => image.topics.by_name(&topic.name).map(AsRef::as_ref),
    };
    let topic_name = known.map_or(topic.name.as_str(), |known| &known.name);
    let by_id = call.version() >= TOPIC_IDS_FROM;
    let may_know = !by_id || known.is_some();
    if may_know && !authorize(&call.context, Operation::Read, Resource::Topic(topic_name)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let Some(known) = known else {
        return Err(if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition });
    };
    let is_known = |partition: &&OffsetCommitRequestPartition| {
        usize::try_from(partition.partition_index).is_ok_and(|index| index < known.partitions.len())
    };
    let partitions = topic.partitions.iter().filter(is_known).map(|partition| CommitPartition {
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_ref().map_or_else(Name::default, name),
    });
    let partitions: Vec<CommitPartition> = partitions.collect();
    if partitions.is_empty() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    Ok(CommitTopic { topic: known.name.clone(), topic_id: known.id, partitions })
}

async fn commit<E: Env>(
    call: &Call<E>,
    request: &OffsetCommitRequest,
    topics: Vec<CommitTopic>,
) -> Result<Vec<TopicResults>, ErrorCode> {
    let question = GroupRequest::CommitOffsets(CommitRequest {
        group_id: name(&request.group_id),
        member_id: name(&request.member_id),
        group_instance_id: request.group_instance_id.as_ref().map(name),
        generation_id: request.generation_id_or_member_epoch,
        retention_ms: Some(request.retention_time_ms).filter(|retention| *retention != -1),
        understands_group_id_not_found: call.version() >= GROUP_ID_NOT_FOUND_FROM,
        topics,
    });
    match ask(call, &request.group_id, question).await {
        Ok(GroupReply::CommitOffsets(result)) => result.map_err(|error| error.code()),
        other => Err(failure(other).code()),
    }
}

/// The response: for each topic either the results of its partitions or one code for all of them.
fn respond<E: Env>(
    call: &Call<E>,
    request: &OffsetCommitRequest,
    mut result: impl FnMut(&OffsetCommitRequestTopic) -> Result<TopicResults, ErrorCode>,
) -> OffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
        let partitions: Vec<(i32, i16)> = match result(topic) {
            Ok(results) => {
                // In the order of the request, without those that the coordinator was not told of.
                let mut results = results.partitions.into_iter().peekable();
                let unknown = ErrorCode::UnknownTopicOrPartition.code();
                indexes
                    .map(|index| match results.next_if(|(partition, _)| *partition == index) {
                        Some((_, error)) => (index, code(error)),
                        None => (index, unknown),
                    })
                    .collect()
            }
            Err(code) => indexes.map(|index| (index, code.code())).collect(),
        };
        OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions
                .into_iter()
                .map(|(partition_index, error_code)| OffsetCommitResponsePartition {
                    partition_index,
                    error_code,
                })
                .collect(),
        }
    });
    OffsetCommitResponse { throttle_time_ms: call.throttle_ms(), topics: topics.collect() }
}
