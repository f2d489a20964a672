//! OffsetDelete: forgets offsets of topics that the group does not read.

use headwater_coordinator::groups::{DeleteOffsetsRequest, GroupReply, GroupRequest, TopicResults};
use headwater_env::Env;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};

use super::{ask, code, failure, may, name, text};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::handlers::HandlerResult;

/// Forgets.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: OffsetDeleteRequest) -> HandlerResult<E> {
    let mut response =
        OffsetDeleteResponse { throttle_time_ms: call.throttle_ms(), ..OffsetDeleteResponse::default() };
    if !may(&call, Operation::Delete, &request.group_id) {
        response.error_code = ErrorCode::GroupAuthorizationFailed.code();
        return call.reply(&response);
    }
    let image = call.node.controller.image();
    let mut asked = Vec::new();
    for topic in &request.topics {
        if !authorize(&call.context, Operation::Read, Resource::Topic(&topic.name)) {
            response.topics.push(refused(topic, ErrorCode::TopicAuthorizationFailed));
        } else if image.topics.by_name(&topic.name).is_none() {
            response.topics.push(refused(topic, ErrorCode::UnknownTopicOrPartition));
        } else {
            let partitions = topic.partitions.iter().map(|partition| partition.partition_index).collect();
            asked.push((name(&topic.name), partitions));
        }
    }
    let question = DeleteOffsetsRequest { group_id: name(&request.group_id), topics: asked };
    match ask(&call, &request.group_id, GroupRequest::DeleteOffsets(question)).await {
        Ok(GroupReply::DeleteOffsets(Ok(results))) => response.topics.extend(results.iter().map(told)),
        Ok(GroupReply::DeleteOffsets(Err(error))) => refuse_all(&mut response, error.code()),
        other => refuse_all(&mut response, failure(other).code()),
    }
    call.reply(&response)
}

fn refuse_all(response: &mut OffsetDeleteResponse, code: ErrorCode) {
    response.topics.clear();
    response.error_code = code.code();
}

fn refused(topic: &OffsetDeleteRequestTopic, code: ErrorCode) -> OffsetDeleteResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| OffsetDeleteResponsePartition {
        partition_index: partition.partition_index,
        error_code: code.code(),
    });
    OffsetDeleteResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
}

fn told(results: &TopicResults) -> OffsetDeleteResponseTopic {
    let partitions = results.partitions.iter().map(|(partition_index, error)| {
        OffsetDeleteResponsePartition { partition_index: *partition_index, error_code: code(*error) }
    });
    OffsetDeleteResponseTopic { name: text(&results.topic), partitions: partitions.collect() }
}
