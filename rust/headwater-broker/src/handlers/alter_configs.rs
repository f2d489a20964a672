//! AlterConfigs, the older way: what the request does not name goes back to its default.
//!
//! It is carried out as the incremental change that has the same end.

use std::collections::BTreeSet;

use headwater_controller::{ConfigChange, ConfigOperation, ConfigOperationKind};
use headwater_env::Env;
use headwater_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use headwater_protocol::{ErrorCode, Str};

use super::HandlerResult;
use super::incremental_alter_configs::{Refusal, apply, config_resource};
use crate::context::Call;

/// Changes.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: AlterConfigsRequest) -> HandlerResult<E> {
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
    call.reply(&AlterConfigsResponse { throttle_time_ms: call.throttle_ms(), responses })
}

fn change<E: Env>(call: &Call<E>, asked: &AlterConfigsResource) -> Result<ConfigChange, Refusal> {
    let resource = config_resource(&call.context, asked.resource_type, &asked.resource_name)?;
    let mut operations = Vec::new();
    let mut named = BTreeSet::new();
    for config in &asked.configs {
        let value = config
            .value
            .as_ref()
            .ok_or_else(|| (ErrorCode::InvalidRequest, format!("`{}` has no value", config.name)))?;
        named.insert(config.name.to_string());
        operations.push(ConfigOperation {
            key: config.name.to_string(),
            kind: ConfigOperationKind::Set,
            value: Some(value.to_string()),
        });
    }
    let image = call.node.controller.image();
    if let Some(set) = image.configs.of(resource.kind, &resource.name) {
        operations.extend(set.keys().filter(|key| !named.contains(*key)).map(|key| ConfigOperation {
            key: key.clone(),
            kind: ConfigOperationKind::Delete,
            value: None,
        }));
    }
    Ok(ConfigChange { resource, operations })
}
