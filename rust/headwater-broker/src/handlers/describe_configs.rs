//! DescribeConfigs: every known key of a topic or a broker, its value, where it comes from, its synonyms.

use std::collections::BTreeSet;

use headwater_controller::{ConfigResourceKind, MetadataImage, check_topic_name};
use headwater_env::Env;
use headwater_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use headwater_protocol::{ErrorCode, Str};

use super::HandlerResult;
use super::mentions::{Mention, Mentions};
use crate::authorize::{Operation, Resource, authorize};
use crate::config::{Key, Layers, Resolved, Update, broker_keys, topic_keys};
use crate::context::Call;

type Refusal = (ErrorCode, String);

/// Describes.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: DescribeConfigsRequest) -> HandlerResult<E> {
    let image = call.node.controller.image();
    let mut mentions = Mentions::of(
        request.resources.iter().map(|resource| (resource.resource_type, &resource.resource_name)),
    );
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let described = match mentions.next(&(resource.resource_type, &resource.resource_name)) {
            Mention::Only | Mention::First => describe(&call, &image, &request, resource),
            Mention::Again => {
                Err((ErrorCode::InvalidRequest, "the request names the resource more than once".to_owned()))
            }
        };
        let (code, message, configs) = match described {
            Ok(configs) => (ErrorCode::None, None, configs),
            Err((code, message)) => (code, Some(message), Vec::new()),
        };
        results.push(DescribeConfigsResult {
            error_code: code.code(),
            error_message: message.map(Str::from),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs,
        });
    }
    call.reply(&DescribeConfigsResponse { throttle_time_ms: call.throttle_ms(), results })
}

fn describe<E: Env>(
    call: &Call<E>,
    image: &MetadataImage,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let name = &*resource.resource_name;
    let layers = call.node.layers(image);
    let lines = match kind(resource.resource_type)? {
        ConfigResourceKind::Topic => {
            if !authorize(&call.context, Operation::DescribeConfigs, Resource::Topic(name)) {
                return Err(plain(ErrorCode::TopicAuthorizationFailed));
            }
            check_topic_name(name).map_err(|error| (ErrorCode::InvalidTopicException, error.to_string()))?;
            image.topics.by_name(name).ok_or_else(|| plain(ErrorCode::UnknownTopicOrPartition))?;
            let set = image.configs.of(ConfigResourceKind::Topic, name).map(AsRef::as_ref);
            lines(topic_keys(), |key| Some((layers.topic_value(key, set), false)))
        }
        _ => {
            if !authorize(&call.context, Operation::DescribeConfigs, Resource::Cluster) {
                return Err(plain(ErrorCode::ClusterAuthorizationFailed));
            }
            broker_lines(call, &layers, name)?
        }
    };
    // An empty list asks for everything, as none does.
    let wanted: Option<BTreeSet<&str>> = resource
        .configuration_keys
        .as_ref()
        .filter(|keys| !keys.is_empty())
        .map(|keys| keys.iter().map(|key| &**key).collect());
    Ok(lines
        .into_iter()
        .filter(|(key, _, _)| wanted.as_ref().is_none_or(|wanted| wanted.contains(key.name)))
        .map(|(key, resolved, read_only)| line(request, key, resolved, read_only))
        .collect())
}

fn plain(code: ErrorCode) -> Refusal {
    (code, code.message().to_owned())
}

/// The kinds of resource that can be described here.
fn kind(code: i8) -> Result<ConfigResourceKind, Refusal> {
    let kind = u8::try_from(code).ok().and_then(ConfigResourceKind::from_code);
    match kind {
        Some(kind @ (ConfigResourceKind::Topic | ConfigResourceKind::Broker)) => Ok(kind),
        _ => Err((
            ErrorCode::InvalidRequest,
            format!("this broker has no configs of resource type {code} yet"),
        )),
    }
}

type Line = (&'static Key, Resolved, bool);

fn lines(keys: &'static [Key], value: impl Fn(&'static Key) -> Option<(Resolved, bool)>) -> Vec<Line> {
    keys.iter().filter_map(|key| value(key).map(|(resolved, read_only)| (key, resolved, read_only))).collect()
}

/// The configs of this broker; with an empty name those that are set for all brokers.
fn broker_lines<E: Env>(call: &Call<E>, layers: &Layers<'_>, name: &str) -> Result<Vec<Line>, Refusal> {
    if name.is_empty() {
        let set = |key: &Key| layers.cluster.is_some_and(|cluster| cluster.contains_key(key.name));
        let alone = Layers { broker: None, ..*layers };
        return Ok(lines(broker_keys(), |key| set(key).then(|| (alone.broker_value(key), false))));
    }
    match name.parse::<i32>() {
        Ok(id) if id == call.node.node_id => {
            Ok(lines(broker_keys(), |key| Some((layers.broker_value(key), key.update == Update::ReadOnly))))
        }
        _ => Err((
            ErrorCode::InvalidRequest,
            format!("`{name}` is not this broker, whose id is {}", call.node.node_id),
        )),
    }
}

fn line(
    request: &DescribeConfigsRequest,
    key: &Key,
    resolved: Resolved,
    read_only: bool,
) -> DescribeConfigsResourceResult {
    let shown = |value: String| (!key.is_sensitive()).then(|| Str::from(key.check(&value).unwrap_or(value)));
    let synonyms = resolved.synonyms.into_iter().filter(|_| request.include_synonyms);
    DescribeConfigsResourceResult {
        name: Str::from(key.name),
        value: resolved.value.and_then(shown),
        read_only,
        config_source: resolved.source as i8,
        is_sensitive: key.is_sensitive(),
        synonyms: synonyms
            .map(|synonym| DescribeConfigsSynonym {
                name: Str::from(synonym.name),
                value: (!key.is_sensitive()).then(|| Str::from(synonym.value)),
                source: synonym.source as i8,
            })
            .collect(),
        config_type: key.kind as i8,
        documentation: request.include_documentation.then(|| Str::from(key.doc)),
    }
}
