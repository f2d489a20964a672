//! CreateTopics: answered once the partitions are served, so that a producer may follow at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_controller::{MetadataImage, NewTopic, PartitionAssignment, TopicError, TopicImage};
use headwater_env::Env;
use headwater_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use headwater_protocol::{ErrorCode, Str};

use super::HandlerResult;
use super::mentions::{Mention, Mentions};
use crate::authorize::{Operation, Resource, authorize};
use crate::config::{BrokerConfig, topic_keys};
use crate::context::Call;

/// Creates, or says what would be.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: CreateTopicsRequest) -> HandlerResult<E> {
    let mut mentions = Mentions::of(request.topics.iter().map(|topic| &topic.name));
    let mut results = Vec::with_capacity(request.topics.len());
    let mut wanted = Vec::new();
    for topic in &request.topics {
        match mentions.next(&&topic.name) {
            Mention::Only if authorize(&call.context, Operation::Create, Resource::Topic(&topic.name)) => {
                wanted.push(new_topic(&call.node.config, topic));
            }
            Mention::Only => results.push(refused(&topic.name, ErrorCode::TopicAuthorizationFailed, None)),
            Mention::First => {
                let message = "the request names the topic more than once".to_owned();
                results.push(refused(&topic.name, ErrorCode::InvalidRequest, Some(message)));
            }
            Mention::Again => {}
        }
    }
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    let requested = wanted.clone();
    let created = call.node.controller.create_topics(wanted, request.validate_only).await;
    if !request.validate_only {
        call.node.caught_up().await;
    }
    let image = call.node.controller.image();
    for ((name, requested), outcome) in names.iter().zip(&requested).zip(created) {
        results.push(match outcome {
            Ok(topic) => created_result(&call, &image, &topic, requested, request.validate_only),
            Err(error) => failed(name, &error),
        });
    }
    call.reply(&CreateTopicsResponse { throttle_time_ms: call.throttle_ms(), topics: results })
}

/// The request with the broker's defaults put in.
fn new_topic(config: &BrokerConfig, topic: &CreatableTopic) -> NewTopic {
    let by_hand = !topic.assignments.is_empty();
    let partitions = match topic.num_partitions {
        -1 if !by_hand => config.int("num.partitions"),
        count => count,
    };
    let replication_factor = match topic.replication_factor {
        -1 if !by_hand => i16::try_from(config.int("default.replication.factor")).unwrap_or(i16::MAX),
        count => count,
    };
    NewTopic {
        name: topic.name.to_string(),
        partitions,
        replication_factor,
        assignment: topic
            .assignments
            .iter()
            .map(|one| PartitionAssignment {
                partition: one.partition_index,
                replicas: one.broker_ids.clone(),
            })
            .collect(),
        configs: configs_last_wins(topic),
    }
}

/// The configs of the request; of a key that is there twice the last value counts.
fn configs_last_wins(topic: &CreatableTopic) -> Vec<(String, Option<String>)> {
    let value = |config: &CreatableTopicConfig| config.value.as_ref().map(ToString::to_string);
    let configs: BTreeMap<String, Option<String>> =
        topic.configs.iter().map(|config| (config.name.to_string(), value(config))).collect();
    configs.into_iter().collect()
}

fn refused(name: &str, code: ErrorCode, message: Option<String>) -> CreatableTopicResult {
    CreatableTopicResult {
        name: Str::from(name),
        error_code: code.code(),
        error_message: Some(Str::from(message.unwrap_or_else(|| code.message().to_owned()))),
        configs: Some(Vec::new()),
        ..CreatableTopicResult::default()
    }
}

fn failed(name: &str, error: &TopicError) -> CreatableTopicResult {
    refused(name, ErrorCode::from_wire(error.kafka_code()), Some(error.to_string()))
}

fn created_result<E: Env>(
    call: &Call<E>,
    image: &MetadataImage,
    topic: &Arc<TopicImage>,
    requested: &NewTopic,
    validate_only: bool,
) -> CreatableTopicResult {
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
    CreatableTopicResult {
        name: Str::from(&*topic.name),
        topic_id: if validate_only { headwater_record::Uuid::ZERO } else { topic.id },
        num_partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        replication_factor: i16::try_from(replicas).unwrap_or(i16::MAX),
        configs: Some(configs(call, image, requested)),
        ..CreatableTopicResult::default()
    }
}

/// All configs of the new topic, those of the request among them.
fn configs<E: Env>(
    call: &Call<E>,
    image: &MetadataImage,
    requested: &NewTopic,
) -> Vec<CreatableTopicConfigs> {
    let set: BTreeMap<String, String> =
        requested.configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
    let layers = call.node.layers(image);
    topic_keys()
        .iter()
        .map(|key| {
            let resolved = layers.topic_value(key, Some(&set));
            CreatableTopicConfigs {
                name: Str::from(key.name),
                value: resolved.value.map(Str::from),
                read_only: false,
                config_source: resolved.source as i8,
                is_sensitive: key.is_sensitive(),
            }
        })
        .collect()
}
