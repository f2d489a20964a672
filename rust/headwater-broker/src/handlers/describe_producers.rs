//! DescribeProducers: the producers that partitions remember.

use headwater_env::Env;
use headwater_log::ProducerView;
use headwater_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicRequest,
    TopicResponse,
};
use headwater_protocol::{ErrorCode, Str};

use super::HandlerResult;
use super::mentions::{Mention, Mentions};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::errors;

/// Describes.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: DescribeProducersRequest) -> HandlerResult<E> {
    let mut topics = Vec::with_capacity(request.topics.len());
    let all = |topic: &TopicRequest| {
        let name = topic.name.clone();
        topic.partition_indexes.iter().map(move |index| (name.clone(), *index)).collect::<Vec<_>>()
    };
    let mut mentions = Mentions::of(request.topics.iter().flat_map(all));
    for topic in request.topics {
        let answer = |index: &i32| partition(*index, producers(&call, &topic.name, *index));
        let is_new = |index: &&i32| mentions.next(&(topic.name.clone(), **index)) != Mention::Again;
        let partitions = topic.partition_indexes.iter().filter(is_new).map(answer).collect();
        topics.push(TopicResponse { name: topic.name, partitions });
    }
    call.reply(&DescribeProducersResponse { throttle_time_ms: call.throttle_ms(), topics })
}

fn producers<E: Env>(call: &Call<E>, topic: &str, index: i32) -> Result<Vec<ProducerView>, ErrorCode> {
    if !authorize(&call.context, Operation::Read, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    Ok(call.node.partition(topic, index).map_err(errors::unavailable)?.log().producers())
}

fn partition(partition_index: i32, producers: Result<Vec<ProducerView>, ErrorCode>) -> PartitionResponse {
    let nothing = PartitionResponse { partition_index, ..PartitionResponse::default() };
    match producers {
        Ok(producers) => {
            PartitionResponse { active_producers: producers.iter().map(state).collect(), ..nothing }
        }
        Err(code) => PartitionResponse {
            error_code: code.code(),
            error_message: Some(Str::from(code.message())),
            ..nothing
        },
    }
}

fn state(producer: &ProducerView) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.producer_epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.current_transaction_first_offset,
    }
}
