//! CreatePartitions: more partitions for topics, answered once they are served.

use headwater_controller::NewPartitions;
use headwater_env::Env;
use headwater_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};
use headwater_protocol::{ErrorCode, Str};

use super::HandlerResult;
use super::mentions::{Mention, Mentions};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;

/// Adds partitions, or says whether it would.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: CreatePartitionsRequest) -> HandlerResult<E> {
    let mut mentions = Mentions::of(request.topics.iter().map(|topic| topic.name.clone()));
    let mut results: Vec<CreatePartitionsTopicResult> = Vec::new();
    let mut wanted = Vec::new();
    for topic in request.topics {
        let code = match mentions.next(&topic.name) {
            Mention::Only if authorize(&call.context, Operation::Alter, Resource::Topic(&topic.name)) => {
                wanted.push(new_partitions(topic));
                continue;
            }
            Mention::Only => ErrorCode::TopicAuthorizationFailed,
            Mention::First => ErrorCode::InvalidRequest,
            Mention::Again => continue,
        };
        results.push(result(topic.name, code, Some(code.message().to_owned())));
    }
    let names: Vec<String> = wanted.iter().map(|topic| topic.topic.clone()).collect();
    let outcomes = call.node.controller.create_partitions(wanted, request.validate_only).await;
    if !request.validate_only {
        call.node.caught_up().await;
    }
    for (name, outcome) in names.into_iter().zip(outcomes) {
        results.push(match outcome {
            Ok(_) => result(Str::from(name), ErrorCode::None, None),
            Err(error) => {
                result(Str::from(name), ErrorCode::from_wire(error.kafka_code()), Some(error.to_string()))
            }
        });
    }
    call.reply(&CreatePartitionsResponse { throttle_time_ms: call.throttle_ms(), results })
}

fn new_partitions(topic: CreatePartitionsTopic) -> NewPartitions {
    let assignment = topic.assignments.map(|all| all.into_iter().map(|one| one.broker_ids).collect());
    NewPartitions { topic: topic.name.to_string(), count: topic.count, assignment }
}

fn result(name: Str, code: ErrorCode, message: Option<String>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult { name, error_code: code.code(), error_message: message.map(Str::from) }
}
