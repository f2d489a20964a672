//! DescribeTopicPartitions (KIP-966): topics with all that is known of their partitions, page by page.

use std::sync::Arc;

use headwater_controller::{MetadataImage, PartitionImage, TopicImage, check_topic_name};
use headwater_env::Env;
use headwater_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use headwater_protocol::{ErrorCode, Str};

use super::metadata::offline_replicas;
use super::{HandlerResult, is_internal};
use crate::authorize::{Operation, Resource, authorize, authorized_operations};
use crate::context::Call;
use crate::reply::HandlerError;

/// Describes a page.
pub(crate) async fn handle<E: Env>(
    call: Call<E>,
    request: DescribeTopicPartitionsRequest,
) -> HandlerResult<E> {
    let image = call.node.controller.image();
    if request.cursor.as_ref().is_some_and(|cursor| cursor.partition_index < 0) {
        return Err(HandlerError::Disconnect("a cursor of a negative partition"));
    }
    let limit =
        request.response_partition_limit.min(call.node.config.int("max.request.partition.size.limit"));
    let mut left = usize::try_from(limit).unwrap_or(0).max(1);
    let mut response = DescribeTopicPartitionsResponse {
        throttle_time_ms: call.throttle_ms(),
        ..DescribeTopicPartitionsResponse::default()
    };
    for name in names(&call, &image, &request) {
        let first = match &request.cursor {
            Some(cursor) if *cursor.topic_name == *name => cursor.partition_index,
            _ => 0,
        };
        if left == 0 {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: first });
            break;
        }
        let (topic, next) = describe(&call, &image, &name, first, &mut left);
        response.topics.push(topic);
        if let Some(partition_index) = next {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index });
            break;
        }
    }
    call.reply(&response)
}

/// The topics asked for, all if none is named, sorted, from the cursor on.
fn names<E: Env>(
    call: &Call<E>,
    image: &MetadataImage,
    request: &DescribeTopicPartitionsRequest,
) -> Vec<Str> {
    let mut names: Vec<Str> = if request.topics.is_empty() {
        let visible = |topic: &&Arc<TopicImage>| {
            authorize(&call.context, Operation::Describe, Resource::Topic(&topic.name))
        };
        image.topics.iter().filter(visible).map(|topic| Str::from(&*topic.name)).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.clone()).collect()
    };
    names.sort();
    names.dedup();
    if let Some(cursor) = &request.cursor {
        names.retain(|name| *name >= cursor.topic_name);
    }
    names
}

/// A topic from partition `first` on, and where to go on if there was no room for all of them.
fn describe<E: Env>(
    call: &Call<E>,
    image: &MetadataImage,
    name: &Str,
    first: i32,
    left: &mut usize,
) -> (DescribeTopicPartitionsResponseTopic, Option<i32>) {
    let mut described = DescribeTopicPartitionsResponseTopic {
        name: Some(name.clone()),
        ..DescribeTopicPartitionsResponseTopic::default()
    };
    if !authorize(&call.context, Operation::Describe, Resource::Topic(name)) {
        described.error_code = ErrorCode::TopicAuthorizationFailed.code();
        return (described, None);
    }
    let Some(topic) = image.topics.by_name(name) else {
        let code = match check_topic_name(name) {
            Ok(()) => ErrorCode::UnknownTopicOrPartition,
            Err(_) => ErrorCode::InvalidTopicException,
        };
        described.error_code = code.code();
        return (described, None);
    };
    described.topic_id = topic.id;
    described.is_internal = is_internal(name);
    described.topic_authorized_operations = authorized_operations(&call.context, Resource::Topic(name));
    let mut next = None;
    for (index, partition_image) in (0..).zip(&topic.partitions).skip(usize::try_from(first).unwrap_or(0)) {
        if *left == 0 {
            next = Some(index);
            break;
        }
        *left -= 1;
        described.partitions.push(partition(call, topic, index, partition_image));
    }
    (described, next)
}

fn partition<E: Env>(
    call: &Call<E>,
    topic: &TopicImage,
    index: i32,
    image: &PartitionImage,
) -> DescribeTopicPartitionsResponsePartition {
    let offline_replicas = offline_replicas(call, topic, index, image);
    let leader_id = if offline_replicas.contains(&image.leader) { -1 } else { image.leader };
    let code = if leader_id < 0 { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
    DescribeTopicPartitionsResponsePartition {
        error_code: code.code(),
        partition_index: index,
        leader_id,
        leader_epoch: image.leader_epoch,
        replica_nodes: image.replicas.clone(),
        isr_nodes: image.isr.clone(),
        eligible_leader_replicas: Some(image.elr.clone()),
        last_known_elr: Some(image.last_known_elr.clone()),
        offline_replicas,
    }
}
