//! Creating, deleting, growing, listing and describing topics.

use super::{
    Admin, ConfigEntry, CreatedTopic, Each, NewPartitions, NewTopic, TopicDescription, TopicListing,
};
use crate::client::Destination;
use crate::error::ClientError;
use crate::metadata::{Scope, TopicMetadata, read_topic};
use crate::net::Lane;
use headwater_protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use headwater_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult,
    CreateTopicsRequest,
};
use headwater_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use headwater_protocol::{ErrorCode, Str};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Admin {
    /// Creates topics, or only checks whether they could be.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Each<String, CreatedTopic>, ClientError> {
        let doing = || "creating topics".to_owned();
        let attempt = || async {
            let request = CreateTopicsRequest {
                topics: topics.iter().map(creatable).collect(),
                timeout_ms: self.request_timeout_ms(),
                validate_only,
            };
            let timeout = self.client.config().request_timeout();
            let reply = self
                .client
                .call(&Destination::Controller, Lane::General, i16::MAX, timeout, |_| request)
                .await?;
            let outcomes: Each<String, CreatedTopic> =
                reply.body.topics.iter().map(|topic| (topic.name.to_string(), created(topic))).collect();
            controller_moved(outcomes)
        };
        self.client.retrying(self.limit(), &doing, attempt).await
    }

    /// Deletes topics.
    pub async fn delete_topics(&self, topics: &[&str]) -> Result<Each<String, ()>, ClientError> {
        let doing = || "deleting topics".to_owned();
        let attempt = || async {
            let build = |version: i16| {
                let mut request =
                    DeleteTopicsRequest { timeout_ms: self.request_timeout_ms(), ..Default::default() };
                if version >= 6 {
                    let state =
                        |name: &&str| DeleteTopicState { name: Some(Str::from(*name)), ..Default::default() };
                    request.topics = topics.iter().map(state).collect();
                } else {
                    request.topic_names = topics.iter().map(|name| Str::from(*name)).collect();
                }
                request
            };
            let timeout = self.client.config().request_timeout();
            let reply =
                self.client.call(&Destination::Controller, Lane::General, i16::MAX, timeout, build).await?;
            let outcomes = reply.body.responses.iter().map(|topic| {
                let name = topic.name.as_deref().unwrap_or_default().to_owned();
                let message = topic.error_message.as_deref();
                let outcome = ClientError::check_with(topic.error_code, message, || format!("topic {name}"));
                (name, outcome)
            });
            controller_moved(outcomes.collect())
        };
        self.client.retrying(self.limit(), &doing, attempt).await
    }

    /// Grows topics to so many partitions, or only checks whether they could be.
    pub async fn create_partitions(
        &self,
        wanted: &BTreeMap<String, NewPartitions>,
        validate_only: bool,
    ) -> Result<Each<String, ()>, ClientError> {
        let doing = || "creating partitions".to_owned();
        let attempt = || async {
            let request = CreatePartitionsRequest {
                topics: wanted.iter().map(growing).collect(),
                timeout_ms: self.request_timeout_ms(),
                validate_only,
            };
            let answer = self.client.send(&Destination::Controller, request).await?;
            let outcomes = answer.results.iter().map(|topic| {
                let message = topic.error_message.as_deref();
                let outcome =
                    ClientError::check_with(topic.error_code, message, || format!("topic {}", topic.name));
                (topic.name.to_string(), outcome)
            });
            controller_moved(outcomes.collect())
        };
        self.client.retrying(self.limit(), &doing, attempt).await
    }

    /// All topics, by name.
    pub async fn list_topics(&self, with_internal: bool) -> Result<Vec<TopicListing>, ClientError> {
        let doing = || "listing topics".to_owned();
        let answer = self
            .client
            .retrying(self.limit(), &doing, || self.client.request_metadata(&Scope::All, false))
            .await?;
        let mut topics: Vec<TopicListing> = answer
            .topics
            .iter()
            .filter(|topic| with_internal || !topic.is_internal)
            .filter_map(|topic| {
                let name = topic.name.as_deref()?.to_owned();
                Some(TopicListing { name, topic_id: topic.topic_id, internal: topic.is_internal })
            })
            .collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// Partitions, leaders and replicas of topics.
    pub async fn describe_topics(
        &self,
        topics: &[&str],
    ) -> Result<Each<String, TopicDescription>, ClientError> {
        let scope = Scope::Topics(topics.iter().map(|topic| Arc::from(*topic)).collect());
        let doing = || "describing topics".to_owned();
        let answer = self
            .client
            .retrying(self.limit(), &doing, || self.client.request_metadata(&scope, false))
            .await?;
        let describe = |topic: Arc<TopicMetadata>| TopicDescription {
            name: topic.name.to_string(),
            topic_id: topic.id,
            internal: topic.internal,
            partitions: topic.partitions.clone(),
        };
        let named = answer.topics.iter().filter_map(|topic| Some((topic.name.as_deref()?, topic)));
        Ok(named
            .map(|(name, topic)| (name.to_owned(), read_topic(name.into(), topic, None).map(describe)))
            .collect())
    }
}

/// Turns "not the controller" of any topic into a failure of the attempt, which is then made again.
fn controller_moved<T>(outcomes: Each<String, T>) -> Result<Each<String, T>, ClientError> {
    let moved = outcomes
        .values()
        .filter_map(|outcome| outcome.as_ref().err())
        .find(|e| e.is(ErrorCode::NotController));
    match moved {
        Some(error) => Err(error.clone()),
        None => Ok(outcomes),
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    CreatableTopic {
        name: Str::from(&topic.name),
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        assignments: topic
            .assignment
            .iter()
            .map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
                partition_index: *partition_index,
                broker_ids: broker_ids.clone(),
            })
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name: name.into(), value: Some(value.into()) })
            .collect(),
    }
}

fn growing((name, wanted): (&String, &NewPartitions)) -> CreatePartitionsTopic {
    let replicas = |broker_ids: &Vec<i32>| CreatePartitionsAssignment { broker_ids: broker_ids.clone() };
    CreatePartitionsTopic {
        name: name.into(),
        count: wanted.count,
        assignments: wanted.assignment.as_ref().map(|all| all.iter().map(replicas).collect()),
    }
}

fn created(topic: &CreatableTopicResult) -> Result<CreatedTopic, ClientError> {
    let message = topic.error_message.as_deref();
    ClientError::check_with(topic.error_code, message, || format!("topic {}", topic.name))?;
    let config = |config: &headwater_protocol::messages::create_topics::CreatableTopicConfigs| ConfigEntry {
        name: config.name.to_string(),
        value: config.value.as_deref().map(str::to_owned),
        source: config.config_source,
        read_only: config.read_only,
        sensitive: config.is_sensitive,
        config_type: 0,
        documentation: None,
        synonyms: Vec::new(),
    };
    Ok(CreatedTopic {
        topic_id: topic.topic_id,
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        configs: topic.configs.iter().flatten().map(config).collect(),
    })
}
