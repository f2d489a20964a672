//! FindCoordinator: which broker coordinates a group. The offsets topic is created the first time anybody asks.

use headwater_controller::{TopicError, TopicImage};
use headwater_coordinator::partition_for;
use headwater_env::Env;
use headwater_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use headwater_protocol::{ErrorCode, Str};

use super::may;
use crate::authorize::Operation;
use crate::context::Call;
use crate::handlers::HandlerResult;

const GROUP: i8 = 0;
/// From this version on a request may have many keys.
const BATCHED_FROM: i16 = 4;

/// Finds.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: FindCoordinatorRequest) -> HandlerResult<E> {
    let throttle_time_ms = call.throttle_ms();
    if call.version() >= BATCHED_FROM {
        let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
        for key in &request.coordinator_keys {
            coordinators.push(find(&call, request.key_type, key).await);
        }
        let response =
            FindCoordinatorResponse { throttle_time_ms, coordinators, ..FindCoordinatorResponse::default() };
        return call.reply(&response);
    }
    let found = find(&call, request.key_type, &request.key).await;
    call.reply(&FindCoordinatorResponse {
        throttle_time_ms,
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..FindCoordinatorResponse::default()
    })
}

async fn find<E: Env>(call: &Call<E>, key_type: i8, key: &Str) -> Coordinator {
    if key_type != GROUP {
        return none(key, ErrorCode::InvalidRequest, Some("this broker coordinates consumer groups only"));
    }
    if !may(call, Operation::Describe, key) {
        return none(key, ErrorCode::GroupAuthorizationFailed, None);
    }
    match call.node.groups.ensure_topic(&call.node).await {
        Ok(topic) => leader(call, key, &topic).await,
        Err(error) => {
            tracing::warn!(%error, "the offsets topic cannot be created");
            let code = match error {
                // More brokers may come, the quorum may come back.
                TopicError::InvalidReplicationFactor(_) | TopicError::Propose(_) => {
                    ErrorCode::CoordinatorNotAvailable
                }
                error => ErrorCode::from_wire(error.kafka_code()),
            };
            none(key, code, None)
        }
    }
}

async fn leader<E: Env>(call: &Call<E>, key: &Str, topic: &TopicImage) -> Coordinator {
    let image = call.node.controller.image();
    let partition = partition_for(key, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
    let leader = image.topics.partition(&topic.name, partition).map(|partition| partition.leader);
    let Some(broker) = leader.and_then(|leader| image.brokers.get(leader)) else {
        return none(key, ErrorCode::CoordinatorNotAvailable, None);
    };
    if broker.node_id == call.node.node_id {
        call.node.groups.wait_a_while_for(partition).await;
    }
    let (host, port) = call.node.address_of(broker, &call.context.connection);
    Coordinator {
        key: key.clone(),
        node_id: broker.node_id,
        host: Str::from(host),
        port,
        error_code: ErrorCode::None.code(),
        error_message: None,
    }
}

fn none(key: &Str, code: ErrorCode, message: Option<&str>) -> Coordinator {
    Coordinator {
        key: key.clone(),
        node_id: -1,
        host: Str::new(),
        port: -1,
        error_code: code.code(),
        error_message: Some(Str::from(message.unwrap_or(code.message()))),
    }
}
