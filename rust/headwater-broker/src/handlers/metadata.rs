//! Metadata: brokers, and topics with the leaders of their partitions; creates topics that are asked for
//! where both the broker and the client allow it.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_controller::{MetadataImage, NewTopic, PartitionImage, TopicError, TopicImage};
use headwater_env::Env;
use headwater_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use headwater_protocol::{ErrorCode, Str};
use headwater_record::Uuid;

use super::mentions::{Mention, Mentions};
use super::{HandlerResult, is_internal};
use crate::authorize::{Operation, Resource, authorize, authorized_operations};
use crate::context::Call;
use crate::partition::Unavailable;

/// Topics can be asked for by id from here on.
const TOPIC_IDS_SINCE: i16 = 12;

/// Answers with brokers and topics.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: MetadataRequest) -> HandlerResult<E> {
    // In version 0 no topics means all of them.
    let asked = match &request.topics {
        Some(topics) if !(topics.is_empty() && call.version() == 0) => Some(topics.as_slice()),
        _ => None,
    };
    let create = request.allow_auto_topic_creation && call.node.config.flag("auto.create.topics.enable");
    let illegal = create_missing(&call, asked.unwrap_or_default(), create).await;
    if is_ahead(&call, asked) {
        call.node.caught_up().await;
    }
    let image = call.node.controller.image();
    let describe = |topic: &Arc<TopicImage>| describe(&call, topic, &request);
    let mut mentions =
        Mentions::of(asked.unwrap_or_default().iter().map(|asked| (&asked.name, asked.topic_id)));
    let topics = match asked {
        None => image
            .topics
            .iter()
            .filter(|topic| authorize(&call.context, Operation::Describe, Resource::Topic(&topic.name)))
            .map(describe)
            .collect(),
        Some(asked) => asked
            .iter()
            .filter(|asked| mentions.next(&(&asked.name, asked.topic_id)) != Mention::Again)
            .map(|asked| match find(&call, &image, asked, &illegal) {
                Ok(topic) => describe(&topic),
                Err(missing) => missing,
            })
            .collect(),
    };
    let mut response = MetadataResponse {
        throttle_time_ms: call.throttle_ms(),
        brokers: brokers(&call, &image),
        cluster_id: Some(Str::from(image.cluster_id.to_string())),
        controller_id: image.controller_id,
        topics,
        ..MetadataResponse::default()
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = authorized_operations(&call.context, Resource::Cluster);
    }
    call.reply(&response)
}

/// Creates what is asked for and not there, if `create` says so; the names that no topic can have. Whatever
/// else goes wrong shows in the answer, where the topic is missing.
async fn create_missing<E: Env>(
    call: &Call<E>,
    asked: &[MetadataRequestTopic],
    create: bool,
) -> BTreeSet<String> {
    let image = call.node.controller.image();
    let missing: BTreeSet<&str> = asked
        .iter()
        .filter_map(|topic| topic.name.as_deref())
        .filter(|name| image.topics.by_name(name).is_none() && !is_internal(name))
        .filter(|name| authorize(&call.context, Operation::Create, Resource::Topic(name)))
        .collect();
    if missing.is_empty() {
        return BTreeSet::new();
    }
    let config = &call.node.config;
    let replication_factor = i16::try_from(config.int("default.replication.factor")).unwrap_or(i16::MAX);
    let new = |name: &str| NewTopic::new(name, config.int("num.partitions"), replication_factor);
    let wanted = missing.iter().map(|name| new(name)).collect();
    let created = call.node.controller.create_topics(wanted, !create).await;
    let mut illegal = BTreeSet::new();
    for (name, outcome) in missing.into_iter().zip(created) {
        match outcome {
            Ok(_) | Err(TopicError::AlreadyExists(_)) => {}
            Err(TopicError::InvalidName(_)) => {
                illegal.insert(name.to_owned());
            }
            Err(error) => tracing::warn!(%error, "a topic was not created"),
        }
    }
    if create {
        call.node.caught_up().await;
    }
    illegal
}

/// Whether the metadata knows a topic that this broker does not serve yet: a client that heard of it now
/// would be refused at its next step.
fn is_ahead<E: Env>(call: &Call<E>, asked: Option<&[MetadataRequestTopic]>) -> bool {
    let image = call.node.controller.image();
    if *call.node.applied.borrow() >= image.index {
        return false;
    }
    let table = call.node.table();
    match asked {
        None => image.topics.iter().any(|topic| table.topic_by_id(topic.id).is_none()),
        Some(asked) => asked.iter().any(|asked| match asked.name.as_deref() {
            Some(name) => {
                image.topics.by_name(name).is_some_and(|topic| table.topic_by_id(topic.id).is_none())
            }
            None => {
                image.topics.by_id(asked.topic_id).is_some() && table.topic_by_id(asked.topic_id).is_none()
            }
        }),
    }
}

fn brokers<E: Env>(call: &Call<E>, image: &MetadataImage) -> Vec<MetadataResponseBroker> {
    image
        .brokers
        .usable()
        .map(|broker| {
            let (host, port) = call.node.address_of(broker, &call.context.connection);
            let rack = broker.rack.as_ref().map(Str::from);
            MetadataResponseBroker { node_id: broker.node_id, host: Str::from(host), port, rack }
        })
        .collect()
}

/// The topic that is asked for, or the answer that it cannot be had.
fn find<E: Env>(
    call: &Call<E>,
    image: &MetadataImage,
    asked: &MetadataRequestTopic,
    illegal: &BTreeSet<String>,
) -> Result<Arc<TopicImage>, MetadataResponseTopic> {
    let missing = |code: ErrorCode| MetadataResponseTopic {
        error_code: code.code(),
        // Older versions cannot say null.
        name: asked.name.clone().or_else(|| (call.version() < TOPIC_IDS_SINCE).then(Str::default)),
        topic_id: asked.topic_id,
        ..MetadataResponseTopic::default()
    };
    let found = match &asked.name {
        Some(name) if illegal.contains(&**name) => {
            return Err(missing(ErrorCode::InvalidTopicException));
        }
        Some(name) => image.topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition),
        None if asked.topic_id == Uuid::ZERO || call.version() < TOPIC_IDS_SINCE => {
            Err(ErrorCode::InvalidRequest)
        }
        None => image.topics.by_id(asked.topic_id).ok_or(ErrorCode::UnknownTopicId),
    };
    let topic = found.map_err(missing)?;
    if !authorize(&call.context, Operation::Describe, Resource::Topic(&topic.name)) {
        return Err(missing(ErrorCode::TopicAuthorizationFailed));
    }
    Ok(topic.clone())
}

fn describe<E: Env>(call: &Call<E>, topic: &TopicImage, request: &MetadataRequest) -> MetadataResponseTopic {
    let mut described = MetadataResponseTopic {
        name: Some(Str::from(&*topic.name)),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: (0..)
            .zip(&topic.partitions)
            .map(|(index, image)| partition(call, topic, index, image))
            .collect(),
        ..MetadataResponseTopic::default()
    };
    if request.include_topic_authorized_operations {
        described.topic_authorized_operations =
            authorized_operations(&call.context, Resource::Topic(&topic.name));
    }
    described
}

fn partition<E: Env>(
    call: &Call<E>,
    topic: &TopicImage,
    index: i32,
    image: &PartitionImage,
) -> MetadataResponsePartition {
    let offline_replicas = offline_replicas(call, topic, index, image);
    let leader_id = if offline_replicas.contains(&image.leader) { -1 } else { image.leader };
    let code = if leader_id < 0 { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
    MetadataResponsePartition {
        error_code: code.code(),
        partition_index: index,
        leader_id,
        leader_epoch: image.leader_epoch,
        replica_nodes: image.replicas.clone(),
        isr_nodes: image.isr.clone(),
        offline_replicas,
    }
}

/// The replicas that do not work: those of brokers that are gone, and ours if its log cannot be used.
pub(super) fn offline_replicas<E: Env>(
    call: &Call<E>,
    topic: &TopicImage,
    index: i32,
    image: &PartitionImage,
) -> Vec<i32> {
    let brokers = &call.node.controller.image().brokers;
    let ours_is_offline = || {
        let table = call.node.table();
        let found = table.topic_by_id(topic.id).map(|entry| entry.partition(index).map(|_| ()));
        found == Some(Err(Unavailable::Offline))
    };
    let is_offline = |id: &i32| !brokers.is_usable(*id) || (*id == call.node.node_id && ours_is_offline());
    image.replicas.iter().copied().filter(|id| is_offline(id)).collect()
}
