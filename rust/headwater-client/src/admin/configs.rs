//! Settings of topics, brokers and groups.

use super::{Admin, ConfigChange, ConfigEntry, ConfigResource, Each};
use crate::client::Destination;
use crate::error::ClientError;
use futures_util::future::join_all;
use headwater_protocol::Str;
use headwater_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use headwater_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use std::collections::{BTreeMap, HashMap};

impl ConfigResource {
    /// Kafka's number of the kind, and the name.
    fn wire(&self) -> (i8, String) {
        match self {
            Self::Topic(name) => (2, name.clone()),
            Self::Broker(id) => (4, id.map(|id| id.to_string()).unwrap_or_default()),
            Self::Group(name) => (32, name.clone()),
        }
    }

    fn read(kind: i8, name: &str) -> Option<Self> {
        match kind {
            2 => Some(Self::Topic(name.to_owned())),
            4 if name.is_empty() => Some(Self::Broker(None)),
            4 => name.parse().ok().map(|id| Self::Broker(Some(id))),
            32 => Some(Self::Group(name.to_owned())),
            _ => None,
        }
    }

    /// A broker answers for itself alone; anybody for the rest.
    fn destination(&self) -> Destination {
        match self {
            Self::Broker(Some(id)) => Destination::Node(*id),
            _ => Destination::Any,
        }
    }
}

impl Admin {
    /// Settings, with synonyms and documentation.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Result<Each<ConfigResource, Vec<ConfigEntry>>, ClientError> {
        let mut by_destination: HashMap<Destination, Vec<&ConfigResource>> = HashMap::new();
        for resource in resources {
            by_destination.entry(resource.destination()).or_default().push(resource);
        }
        let asked = by_destination.iter().map(|(to, resources)| self.describe_configs_at(to, resources));
        let mut outcomes = Each::new();
        for part in join_all(asked).await {
            outcomes.extend(part?);
        }
        Ok(outcomes)
    }

    async fn describe_configs_at(
        &self,
        to: &Destination,
        resources: &[&ConfigResource],
    ) -> Result<Each<ConfigResource, Vec<ConfigEntry>>, ClientError> {
        let doing = || "describing configs".to_owned();
        let attempt = || async {
            let resource = |resource: &&ConfigResource| {
                let (resource_type, name) = resource.wire();
                DescribeConfigsResource {
                    resource_type,
                    resource_name: name.into(),
                    configuration_keys: None,
                }
            };
            let request = |version| DescribeConfigsRequest {
                resources: resources.iter().map(resource).collect(),
                include_synonyms: true,
                include_documentation: version >= 3,
            };
            let timeout = self.client.config().request_timeout();
            let (_, answer) = self.client.send_versioned(to, i16::MAX, timeout, request).await?;
            let outcomes = answer.results.iter().filter_map(|result| {
                let resource = ConfigResource::read(result.resource_type, &result.resource_name)?;
                let message = result.error_message.as_deref();
                let checked = ClientError::check_with(result.error_code, message, || resource.to_string());
                Some((resource, checked.map(|()| result.configs.iter().map(entry).collect())))
            });
            Ok(outcomes.collect())
        };
        self.client.retrying(self.limit(), &doing, attempt).await
    }

    /// Changes single settings.
    pub async fn alter_configs(
        &self,
        changes: &BTreeMap<ConfigResource, Vec<ConfigChange>>,
        validate_only: bool,
    ) -> Result<Each<ConfigResource, ()>, ClientError> {
        let doing = || "altering configs".to_owned();
        let mut outcomes = Each::new();
        for (resource, changes) in changes {
            let to = match resource.destination() {
                Destination::Any => Destination::Controller,
                to => to,
            };
            let attempt = || async {
                let (resource_type, name) = resource.wire();
                let configs = changes.iter().map(alterable).collect();
                let request = IncrementalAlterConfigsRequest {
                    resources: vec![AlterConfigsResource {
                        resource_type,
                        resource_name: name.into(),
                        configs,
                    }],
                    validate_only,
                };
                let answer = self.client.send(&to, request).await?;
                let Some(result) = answer.responses.first() else {
                    return Err(ClientError::Malformed {
                        node: "the cluster".into(),
                        api: "IncrementalAlterConfigs",
                        reason: "no outcome".into(),
                    });
                };
                let message = result.error_message.as_deref();
                ClientError::check_with(result.error_code, message, || resource.to_string())
            };
            let outcome = self.client.retrying(self.limit(), &doing, attempt).await;
            outcomes.insert(resource.clone(), outcome);
        }
        Ok(outcomes)
    }
}

fn alterable(change: &ConfigChange) -> AlterableConfig {
    let (config_operation, name, value) = match change {
        ConfigChange::Set(name, value) => (0, name, Some(value)),
        ConfigChange::Delete(name) => (1, name, None),
        ConfigChange::Append(name, value) => (2, name, Some(value)),
        ConfigChange::Subtract(name, value) => (3, name, Some(value)),
    };
    AlterableConfig { name: name.into(), config_operation, value: value.map(Str::from) }
}

fn entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    let text = |text: &Option<Str>| text.as_deref().map(str::to_owned);
    ConfigEntry {
        name: config.name.to_string(),
        value: text(&config.value),
        source: config.config_source,
        read_only: config.read_only,
        sensitive: config.is_sensitive,
        config_type: config.config_type,
        documentation: text(&config.documentation),
        synonyms: config
            .synonyms
            .iter()
            .map(|synonym| (synonym.name.to_string(), text(&synonym.value), synonym.source))
            .collect(),
    }
}
