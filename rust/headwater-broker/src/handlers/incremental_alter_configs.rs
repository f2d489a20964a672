//! IncrementalAlterConfigs: set, delete, append to and subtract from configs of topics and brokers.

use headwater_controller::{
    ConfigChange, ConfigError, ConfigOperation, ConfigOperationKind, ConfigResource, ConfigResourceKind,
    check_topic_name,
};
use headwater_env::Env;
use headwater_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use headwater_protocol::{ErrorCode, Str};

use super::HandlerResult;
use super::mentions::{Mention, Mentions};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::{Call, RequestContext};

pub(super) type Refusal = (ErrorCode, String);

/// Changes.
pub(crate) async fn handle<E: Env>(
    call: Call<E>,
    request: IncrementalAlterConfigsRequest,
) -> HandlerResult<E> {
    let changes = request.resources.iter().map(|resource| change(&call, resource)).collect();
    let outcomes = apply(&call, changes, request.validate_only).await;
    let responses = request
        .resources
        .iter()
        .zip(outcomes)
        .map(|(resource, (code, message))| AlterConfigsResourceResponse {
            error_code: code.code(),
            error_message: message.map(Str::from),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
        })
        .collect();
    call.reply(&IncrementalAlterConfigsResponse { throttle_time_ms: call.throttle_ms(), responses })
}

fn change<E: Env>(call: &Call<E>, resource: &AlterConfigsResource) -> Result<ConfigChange, Refusal> {
    let mut operations = Vec::with_capacity(resource.configs.len());
    for config in &resource.configs {
        let kind = ConfigOperationKind::from_code(config.config_operation).ok_or_else(|| {
            (ErrorCode::InvalidRequest, format!("unknown config operation {}", config.config_operation))
        })?;
        operations.push(ConfigOperation {
            key: config.name.to_string(),
            kind,
            value: config.value.as_ref().map(ToString::to_string),
        });
    }
    let resource = config_resource(&call.context, resource.resource_type, &resource.resource_name)?;
    Ok(ConfigChange { resource, operations })
}

/// The resource whose configs are to change, if it has any and the principal may change them.
pub(super) fn config_resource(
    context: &RequestContext,
    code: i8,
    name: &str,
) -> Result<ConfigResource, Refusal> {
    let kind = u8::try_from(code).ok().and_then(ConfigResourceKind::from_code);
    let (kind, resource, refusal) = match kind {
        Some(kind @ ConfigResourceKind::Topic) => {
            (kind, Resource::Topic(name), ErrorCode::TopicAuthorizationFailed)
        }
        Some(kind @ ConfigResourceKind::Broker) => {
            (kind, Resource::Cluster, ErrorCode::ClusterAuthorizationFailed)
        }
        _ => {
            return Err((
                ErrorCode::InvalidRequest,
                format!("this broker has no configs of resource type {code} yet"),
            ));
        }
    };
    if !authorize(context, Operation::AlterConfigs, resource) {
        return Err((refusal, refusal.message().to_owned()));
    }
    if kind == ConfigResourceKind::Topic {
        if name.is_empty() {
            return Err((ErrorCode::InvalidRequest, "there are no configs of all topics".to_owned()));
        }
        check_topic_name(name).map_err(|error| (ErrorCode::InvalidTopicException, error.to_string()))?;
    }
    Ok(ConfigResource { kind, name: name.to_owned() })
}

/// The code of a failed change. Kafka calls a wrong config of a broker an invalid request.
fn code(kind: ConfigResourceKind, error: &ConfigError) -> ErrorCode {
    match (kind, ErrorCode::from_wire(error.kafka_code())) {
        (ConfigResourceKind::Broker, ErrorCode::InvalidConfig) => ErrorCode::InvalidRequest,
        (_, code) => code,
    }
}

/// Has the controller make the changes; an outcome for each, in order. A resource that is named twice is not changed:
/// nobody could say which of the changes comes last.
pub(super) async fn apply<E: Env>(
    call: &Call<E>,
    mut changes: Vec<Result<ConfigChange, Refusal>>,
    validate_only: bool,
) -> Vec<(ErrorCode, Option<String>)> {
    let mut mentions = Mentions::of(changes.iter().flatten().map(|change| change.resource.clone()));
    for change in &mut changes {
        if change.as_ref().is_ok_and(|change| mentions.next(&change.resource) != Mention::Only) {
            let message = "the request names the resource more than once";
            *change = Err((ErrorCode::InvalidRequest, message.to_owned()));
        }
    }
    let valid: Vec<ConfigChange> = changes.iter().filter_map(|change| change.clone().ok()).collect();
    let mut outcomes = call.node.controller.alter_configs(valid, validate_only).await.into_iter();
    // Partitions go by the new configs before the answer says so.
    call.node.caught_up().await;
    changes
        .into_iter()
        .map(|change| match change {
            Err((code, message)) => (code, Some(message)),
            Ok(change) => match outcomes.next() {
                Some(Err(error)) => (code(change.resource.kind, &error), Some(error.to_string())),
                Some(Ok(())) => (ErrorCode::None, None),
                None => (ErrorCode::UnknownServerError, None),
            },
        })
        .collect()
}
