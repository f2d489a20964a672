//! OffsetFetch: one group up to version 7, several from version 8 on; topics by name up to version 9, by id from
//! version 10 on.

use headwater_controller::MetadataImage;
use headwater_coordinator::Refusal;
use headwater_coordinator::groups::{
    FetchRequest, FetchedOffset, FetchedTopic, GroupReply, GroupRequest, Name,
};
use headwater_env::Env;
use headwater_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use headwater_protocol::{ErrorCode, Str, Uuid};

use super::{ask, code, failure, may, name, text};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::handlers::HandlerResult;
use crate::handlers::mentions::{Mention, Mentions};

/// From this version on an error of the whole group has a place of its own.
const GROUP_ERROR_FROM: i16 = 2;
/// From this version on a request may name several groups.
const BATCHED_FROM: i16 = 8;
/// From this version on topics go by id.
const TOPIC_IDS_FROM: i16 = 10;

/// Fetches.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: OffsetFetchRequest) -> HandlerResult<E> {
    let require_stable = request.require_stable;
    let throttle_time_ms = call.throttle_ms();
    if call.version() >= BATCHED_FROM {
        // Only an answer with everything may be much larger than its question.
        let everything = request.groups.iter().filter(|group| group.topics.is_none());
        let mut mentions = Mentions::of(everything.map(|group| &group.group_id));
        let groups = request.groups.iter().map(|group| {
            let is_new = group.topics.is_some() || mentions.next(&&group.group_id) != Mention::Again;
            let call = &call;
            async move {
                if is_new {
                    return fetch_group(call, group, require_stable).await;
                }
                OffsetFetchResponseGroup {
                    group_id: group.group_id.clone(),
                    error_code: ErrorCode::InvalidRequest.code(),
                    ..OffsetFetchResponseGroup::default()
                }
            }
        });
        // All groups are asked for before any is waited for.
        let groups = futures_util::future::join_all(groups).await;
        let response = OffsetFetchResponse { throttle_time_ms, groups, ..OffsetFetchResponse::default() };
        return call.reply(&response);
    }
    let group = fetch_group(&call, &only_group(&request), require_stable).await;
    call.reply(&OffsetFetchResponse { throttle_time_ms, ..as_single(call.version(), &request, group) })
}

/// The group of a request of an older version.
fn only_group(request: &OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.as_ref().map(|topics| {
        let topics = topics.iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name.clone(),
            partition_indexes: topic.partition_indexes.clone(),
            ..OffsetFetchRequestTopics::default()
        });
        topics.collect()
    });
    OffsetFetchRequestGroup {
        group_id: request.group_id.clone(),
        topics,
        ..OffsetFetchRequestGroup::default()
    }
}

/// The response of an older version.
fn as_single(
    version: i16,
    request: &OffsetFetchRequest,
    group: OffsetFetchResponseGroup,
) -> OffsetFetchResponse {
    let mut response = OffsetFetchResponse { error_code: group.error_code, ..OffsetFetchResponse::default() };
    if group.error_code != ErrorCode::None.code() && version < GROUP_ERROR_FROM {
        let topics = request.topics.iter().flatten().map(|topic| OffsetFetchResponseTopic {
            name: topic.name.clone(),
            partitions: topic
                .partition_indexes
                .iter()
                .map(|index| single_partition(no_offset(*index, group.error_code)))
                .collect(),
        });
        response.topics = topics.collect();
        return response;
    }
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(single_partition).collect(),
    });
    response.topics = topics.collect();
    response
}

fn single_partition(partition: OffsetFetchResponsePartitions) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    }
}

async fn fetch_group<E: Env>(
    call: &Call<E>,
    group: &OffsetFetchRequestGroup,
    require_stable: bool,
) -> OffsetFetchResponseGroup {
    let mut response =
        OffsetFetchResponseGroup { group_id: group.group_id.clone(), ..OffsetFetchResponseGroup::default() };
    if !may(call, Operation::Describe, &group.group_id) {
        response.error_code = ErrorCode::GroupAuthorizationFailed.code();
        return response;
    }
    let image = call.node.controller.image();
    let mut asked = Vec::new();
    for topic in group.topics.iter().flatten() {
        match accept(call, &image, topic) {
            Ok(topic_name) => asked.push((topic_name, topic.partition_indexes.clone())),
            Err(code) => response.topics.push(refused(topic, code)),
        }
    }
    let question = GroupRequest::FetchOffsets(FetchRequest {
        group_id: name(&group.group_id),
        topics: group.topics.is_some().then_some(asked),
        require_stable,
    });
    match ask(call, &group.group_id, question).await {
        Ok(GroupReply::FetchOffsets(fetched)) => {
            let told = fetched.into_iter().filter_map(|topic| tell(call, &image, group, topic));
            response.topics.extend(told);
        }
        other => {
            response.topics.clear();
            response.error_code = refusal_code(other).code();
        }
    }
    response
}

/// The name under which the coordinator knows the topic, or why its offsets are not told.
fn accept<E: Env>(
    call: &Call<E>,
    image: &MetadataImage,
    topic: &OffsetFetchRequestTopics,
) -> Result<Name, ErrorCode> {
    let topic_name = match call.version() {
        TOPIC_IDS_FROM.. => image.topics.by_id(topic.topic_id).ok_or(ErrorCode::UnknownTopicId)?.name.clone(),
        _ => name(&topic.name),
    };
    match authorize(&call.context, Operation::Describe, Resource::Topic(&topic_name)) {
        true => Ok(topic_name),
        false => Err(ErrorCode::TopicAuthorizationFailed),
    }
}

fn refused(topic: &OffsetFetchRequestTopics, code: ErrorCode) -> OffsetFetchResponseTopics {
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(|index| no_offset(*index, code.code())).collect(),
    }
}

fn no_offset(partition_index: i32, error_code: i16) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(Str::new()),
        error_code,
    }
}

/// A topic of the answer. When everything was asked for, topics that the client may not see are left out, and so are
/// those that have no id any more where only ids are told.
fn tell<E: Env>(
    call: &Call<E>,
    image: &MetadataImage,
    group: &OffsetFetchRequestGroup,
    fetched: FetchedTopic,
) -> Option<OffsetFetchResponseTopics> {
    let topic_id = image.topics.by_name(&fetched.topic).map_or(Uuid::ZERO, |topic| topic.id);
    let is_visible = group.topics.is_some()
        || authorize(&call.context, Operation::Describe, Resource::Topic(&fetched.topic));
    if !is_visible || (call.version() >= TOPIC_IDS_FROM && topic_id.is_zero()) {
        return None;
    }
    let partitions = fetched.partitions.into_iter().map(tell_partition).collect();
    Some(OffsetFetchResponseTopics { name: text(&fetched.topic), topic_id, partitions })
}

fn tell_partition(fetched: FetchedOffset) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: fetched.partition,
        committed_offset: fetched.offset,
        committed_leader_epoch: fetched.leader_epoch,
        metadata: Some(text(&fetched.metadata)),
        error_code: code(fetched.error),
    }
}

/// Consumers before Kafka 3.9 know only two errors here that they try again after.
fn refusal_code(outcome: Result<GroupReply, Refusal>) -> ErrorCode {
    match outcome {
        Err(Refusal::NotEnoughReplicas | Refusal::TimedOut) => ErrorCode::NotCoordinator,
        other => failure(other).code(),
    }
}
