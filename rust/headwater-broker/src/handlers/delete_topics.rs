//! DeleteTopics, by name or by id: answered once the partitions are no longer served.

use headwater_controller::{MetadataImage, TopicError, TopicRef};
use headwater_env::Env;
use headwater_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use headwater_protocol::{ErrorCode, Str};
use headwater_record::Uuid;

use super::HandlerResult;
use super::mentions::{Mention, Mentions};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;

/// Topics can be named by id from here on.
const TOPIC_IDS_SINCE: i16 = 6;

/// Deletes.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: DeleteTopicsRequest) -> HandlerResult<E> {
    let asked: Vec<DeleteTopicState> = if call.version() < TOPIC_IDS_SINCE {
        let state = |name: Str| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() };
        request.topic_names.into_iter().map(state).collect()
    } else {
        request.topics
    };
    let image = call.node.controller.image();
    let mut responses: Vec<DeletableTopicResult> = Vec::with_capacity(asked.len());
    let mut wanted = Vec::new();
    for topic in asked {
        match reference(&call, &topic) {
            Ok(reference) => wanted.push((identity(&image, &topic), topic, reference)),
            Err((code, message)) => responses.push(result(topic, code, Some(message.to_owned()))),
        }
    }
    let mut mentions = Mentions::of(wanted.iter().map(|(identity, ..)| identity.clone()));
    wanted.retain(|(identity, topic, _)| {
        let mention = mentions.next(identity);
        if mention == Mention::First {
            let message = "the request names the topic more than once".to_owned();
            responses.push(result(topic.clone(), ErrorCode::InvalidRequest, Some(message)));
        }
        mention == Mention::Only
    });
    let references = wanted.iter().map(|(_, _, reference)| reference.clone()).collect();
    let deleted = call.node.controller.delete_topics(references).await;
    call.node.caught_up().await;
    for ((_, asked, _), outcome) in wanted.into_iter().zip(deleted) {
        responses.push(match outcome {
            Ok(topic) => {
                let named = DeleteTopicState { name: Some(Str::from(&*topic.name)), topic_id: topic.id };
                result(named, ErrorCode::None, None)
            }
            Err(error) => failed(asked, &error),
        });
    }
    call.reply(&DeleteTopicsResponse { throttle_time_ms: call.throttle_ms(), responses })
}

fn reference<E: Env>(
    call: &Call<E>,
    topic: &DeleteTopicState,
) -> Result<TopicRef, (ErrorCode, &'static str)> {
    if !call.node.config.flag("delete.topic.enable") {
        return Err((ErrorCode::TopicDeletionDisabled, "`delete.topic.enable` is false"));
    }
    let image = call.node.controller.image();
    let (reference, name) = match &topic.name {
        Some(_) if topic.topic_id != Uuid::ZERO => {
            return Err((ErrorCode::InvalidRequest, "a topic is named by name or by id, not by both"));
        }
        Some(name) => (TopicRef::Name(name.to_string()), Some(name.to_string())),
        None if topic.topic_id == Uuid::ZERO => {
            return Err((ErrorCode::InvalidRequest, "a topic has neither a name nor an id"));
        }
        None => {
            let known = image.topics.by_id(topic.topic_id).map(|topic| topic.name.to_string());
            (TopicRef::Id(topic.topic_id), known)
        }
    };
    let allowed = |name: &String| authorize(&call.context, Operation::Delete, Resource::Topic(name));
    match name {
        Some(name) if !allowed(&name) => Err((ErrorCode::TopicAuthorizationFailed, "not authorized")),
        _ => Ok(reference),
    }
}

/// What tells whether two names are of one topic: the id, or the name where there is no such topic.
type Identity = (Uuid, Option<Str>);

fn identity(image: &MetadataImage, topic: &DeleteTopicState) -> Identity {
    match topic.name.as_deref().map(|name| image.topics.by_name(name)) {
        Some(Some(known)) => (known.id, None),
        Some(None) => (Uuid::ZERO, topic.name.clone()),
        None => (topic.topic_id, None),
    }
}

fn result(topic: DeleteTopicState, code: ErrorCode, message: Option<String>) -> DeletableTopicResult {
    DeletableTopicResult {
        name: topic.name,
        topic_id: topic.topic_id,
        error_code: code.code(),
        error_message: message.map(Str::from),
    }
}

fn failed(topic: DeleteTopicState, error: &TopicError) -> DeletableTopicResult {
    result(topic, ErrorCode::from_wire(error.kafka_code()), Some(error.to_string()))
}
