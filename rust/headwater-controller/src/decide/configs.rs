//! Incremental changes of configurations.
//!
//! Which keys exist, what their values may be and what they default to is said by a [`ConfigPolicy`] that comes from
//! outside: the controller knows only how setting, deleting, appending and subtracting work.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::ConfigError;
use crate::image::{ConfigResource, ConfigResourceKind, MetadataImage};
use crate::records::{ConfigRecord, MetadataRecord};

/// What is allowed to be configured. Implementations are pure: the same question gets the same answer.
pub trait ConfigPolicy: Send + Sync + 'static {
    /// Checks everything that would be set on `resource` after a change, `changed` being the keys it touches.
    ///
    /// # Errors
    /// A sentence for the user. Unknown keys are the policy's to refuse or to let pass.
    fn validate(
        &self,
        resource: &ConfigResource,
        values: &BTreeMap<String, String>,
        changed: &BTreeSet<String>,
    ) -> Result<(), String>;

    /// Whether the value of `key` is a list, separated by commas: only then can one append and subtract.
    fn is_list(&self, kind: ConfigResourceKind, key: &str) -> bool;

    /// What `key` is worth while nothing is set: where appending and subtracting begin.
    fn default_value(&self, kind: ConfigResourceKind, key: &str) -> Option<String>;
}

/// Lets everything pass, takes every value for a list. For tests and tools.
#[derive(Debug, Clone, Copy, Default)]
pub struct AcceptAnyConfig;

impl ConfigPolicy for AcceptAnyConfig {
    fn validate(
        &self,
        _: &ConfigResource,
        _: &BTreeMap<String, String>,
        _: &BTreeSet<String>,
    ) -> Result<(), String> {
        Ok(())
    }

    fn is_list(&self, _: ConfigResourceKind, _: &str) -> bool {
        true
    }

    fn default_value(&self, _: ConfigResourceKind, _: &str) -> Option<String> {
        None
    }
}

/// How one key changes. The codes are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigOperationKind {
    /// Takes the value given.
    Set = 0,
    /// Goes back to the default.
    Delete = 1,
    /// The elements given join the list, if they are not in it.
    Append = 2,
    /// The elements given leave the list.
    Subtract = 3,
}

impl ConfigOperationKind {
    /// The kind with Kafka's `code`.
    pub fn from_code(code: i8) -> Option<ConfigOperationKind> {
        [Self::Set, Self::Delete, Self::Append, Self::Subtract].into_iter().find(|kind| *kind as i8 == code)
    }
}

/// One key changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigOperation {
    /// The key.
    pub key: String,
    /// How.
    pub kind: ConfigOperationKind,
    /// The value; needed by all kinds but `Delete`.
    pub value: Option<String>,
}

/// Some keys of one resource change, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The resource.
    pub resource: ConfigResource,
    /// What changes.
    pub operations: Vec<ConfigOperation>,
}

/// Decides about a change of one resource.
pub(crate) fn alter(
    image: &MetadataImage,
    policy: &dyn ConfigPolicy,
    request: &ConfigChange,
) -> Result<Vec<MetadataRecord>, ConfigError> {
    check_resource(image, &request.resource)?;
    let ConfigResource { kind, ref name } = request.resource;
    let current = image.configs.of(kind, name);
    let mut values = current.map(|values| values.as_ref().clone()).unwrap_or_default();
    let mut changed = BTreeSet::new();
    for operation in &request.operations {
        if operation.key.is_empty() {
            return Err(ConfigError::InvalidRequest("a configuration key is empty".into()));
        }
        if !changed.insert(operation.key.clone()) {
            return Err(ConfigError::InvalidRequest(format!("key `{}` occurs twice", operation.key)));
        }
        match target(policy, kind, &values, operation)? {
            Some(value) => values.insert(operation.key.clone(), value),
            None => values.remove(&operation.key),
        };
    }
    policy.validate(&request.resource, &values, &changed).map_err(ConfigError::Invalid)?;
    let before = |key: &String| current.and_then(|current| current.get(key));
    Ok(changed
        .into_iter()
        .filter(|key| before(key) != values.get(key))
        .map(|key| {
            let value = values.get(&key).cloned();
            MetadataRecord::Config(ConfigRecord { resource: request.resource.clone(), key, value })
        })
        .collect())
}

fn check_resource(image: &MetadataImage, resource: &ConfigResource) -> Result<(), ConfigError> {
    match resource.kind {
        ConfigResourceKind::Topic if image.topics.by_name(&resource.name).is_none() => {
            Err(ConfigError::UnknownTopic(resource.name.clone()))
        }
        ConfigResourceKind::Broker if !resource.name.is_empty() => match resource.name.parse() {
            Ok(node_id) if image.brokers.get(node_id).is_some() => Ok(()),
            Ok(node_id) => Err(ConfigError::UnknownBroker(node_id)),
            Err(_) => Err(ConfigError::InvalidRequest(format!("`{}` is no broker id", resource.name))),
        },
        ConfigResourceKind::BrokerLogger => {
            Err(ConfigError::InvalidRequest("log levels are not kept in the cluster's metadata".into()))
        }
        ConfigResourceKind::Group | ConfigResourceKind::ClientMetrics if resource.name.is_empty() => {
            Err(ConfigError::InvalidRequest("the resource has no name".into()))
        }
        _ => Ok(()),
    }
}

/// The value of the key after the operation; `None` when it goes back to its default.
fn target(
    policy: &dyn ConfigPolicy,
    kind: ConfigResourceKind,
    values: &BTreeMap<String, String>,
    operation: &ConfigOperation,
) -> Result<Option<String>, ConfigError> {
    let key = &operation.key;
    if operation.kind == ConfigOperationKind::Delete {
        return Ok(None);
    }
    let Some(value) = &operation.value else {
        return Err(ConfigError::InvalidRequest(format!("key `{key}` has no value")));
    };
    if operation.kind == ConfigOperationKind::Set {
        return Ok(Some(value.clone()));
    }
    if !policy.is_list(kind, key) {
        return Err(ConfigError::Invalid(format!(
            "`{key}` is no list, one cannot append to it or subtract from it"
        )));
    }
    let start = values.get(key).cloned().or_else(|| policy.default_value(kind, key)).unwrap_or_default();
    let mut elements: Vec<&str> = split(&start).collect();
    for element in split(value) {
        match operation.kind {
            ConfigOperationKind::Append if !elements.contains(&element) => elements.push(element),
            ConfigOperationKind::Subtract => elements.retain(|other| *other != element),
            _ => {}
        }
    }
    Ok(Some(elements.join(",")))
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cluster, replay, with_topic};
    use super::*;

    struct Policy;

    impl ConfigPolicy for Policy {
        fn validate(
            &self,
            _: &ConfigResource,
            values: &BTreeMap<String, String>,
            changed: &BTreeSet<String>,
        ) -> Result<(), String> {
            match values.iter().find(|(key, value)| changed.contains(*key) && *value == "bad") {
                Some((key, _)) => Err(format!("`{key}` is bad")),
                None => Ok(()),
            }
        }

        fn is_list(&self, _: ConfigResourceKind, key: &str) -> bool {
            key == "cleanup.policy"
        }

        fn default_value(&self, _: ConfigResourceKind, _: &str) -> Option<String> {
            Some("delete".into())
        }
    }

    fn change(operations: &[(ConfigOperationKind, &str, Option<&str>)]) -> ConfigChange {
        let operations = operations
            .iter()
            .map(|(kind, key, value)| ConfigOperation {
                key: (*key).into(),
                kind: *kind,
                value: value.map(Into::into),
            })
            .collect();
        ConfigChange { resource: ConfigResource::topic("a"), operations }
    }

    fn image() -> MetadataImage {
        let mut image = cluster(1, &[]);
        with_topic(&mut image, "a", 1, 1);
        image
    }

    use ConfigOperationKind::{Append, Delete, Set, Subtract};

    #[test]
    fn values_are_set_and_deleted() {
        let mut image = image();
        let records =
            alter(&image, &Policy, &change(&[(Set, "x", Some("1")), (Set, "y", Some("2"))])).unwrap();
        replay(&mut image, &records);
        assert_eq!(image.configs.value(ConfigResourceKind::Topic, "a", "x"), Some("1"));
        assert_eq!(alter(&image, &Policy, &change(&[(Set, "x", Some("1"))])), Ok(vec![]));
        let records = alter(&image, &Policy, &change(&[(Delete, "x", None), (Delete, "y", None)])).unwrap();
        replay(&mut image, &records);
        assert!(image.configs.of(ConfigResourceKind::Topic, "a").is_none());
    }

    #[test]
    fn lists_grow_from_their_default_and_shrink() {
        let mut image = image();
        let key = "cleanup.policy";
        let step = |image: &mut MetadataImage, kind, value| {
            let records = alter(image, &Policy, &change(&[(kind, key, Some(value))])).unwrap();
            replay(image, &records);
            image.configs.value(ConfigResourceKind::Topic, "a", key).map(str::to_owned)
        };
        assert_eq!(step(&mut image, Append, "compact").as_deref(), Some("delete,compact"));
        assert_eq!(step(&mut image, Append, "compact").as_deref(), Some("delete,compact"));
        assert_eq!(step(&mut image, Subtract, "delete").as_deref(), Some("compact"));
        let error = alter(&image, &Policy, &change(&[(Append, "x", Some("1"))])).unwrap_err();
        assert_eq!(error.kafka_code(), 40);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let image = image();
        let code = |request: &ConfigChange| alter(&image, &Policy, request).unwrap_err().kafka_code();
        assert_eq!(code(&change(&[(Set, "x", Some("bad"))])), 40);
        assert_eq!(code(&change(&[(Set, "x", None)])), 42);
        assert_eq!(code(&change(&[(Set, "x", Some("1")), (Delete, "x", None)])), 42);
        assert_eq!(code(&ConfigChange { resource: ConfigResource::topic("b"), operations: vec![] }), 3);
        assert_eq!(
            code(&ConfigChange { resource: ConfigResource::broker(Some(9)), operations: vec![] }),
            102
        );
        let all = ConfigChange { resource: ConfigResource::broker(None), operations: vec![] };
        assert_eq!(alter(&image, &Policy, &all), Ok(vec![]));
    }
}
