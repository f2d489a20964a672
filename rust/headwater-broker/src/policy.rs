//! What may be configured: the controller asks, the table of configs answers.

use std::collections::{BTreeMap, BTreeSet};

use headwater_controller::{ConfigPolicy, ConfigResource, ConfigResourceKind};

use crate::config::{BrokerConfig, Key, Kind, Layers, Update, broker_key, check_topic_configs, topic_key};

/// The policy of a broker with a configuration of its own.
pub(crate) struct TablePolicy {
    config: BrokerConfig,
}

impl TablePolicy {
    /// A policy whose defaults come from `config`.
    pub(crate) fn new(config: BrokerConfig) -> TablePolicy {
        TablePolicy { config }
    }
}

fn key(kind: ConfigResourceKind, name: &str) -> Option<&'static Key> {
    match kind {
        ConfigResourceKind::Topic => topic_key(name),
        ConfigResourceKind::Broker => broker_key(name),
        _ => None,
    }
}

fn check_broker_configs(values: &BTreeMap<String, String>, changed: &BTreeSet<String>) -> Result<(), String> {
    for name in changed {
        let key = broker_key(name).ok_or_else(|| format!("unknown broker config name: {name}"))?;
        if key.update == Update::ReadOnly {
            return Err(format!("`{name}` cannot be changed while the broker runs"));
        }
        if let Some(value) = values.get(name) {
            key.check(value).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

impl ConfigPolicy for TablePolicy {
    fn validate(
        &self,
        resource: &ConfigResource,
        values: &BTreeMap<String, String>,
        changed: &BTreeSet<String>,
    ) -> Result<(), String> {
        match resource.kind {
            ConfigResourceKind::Topic => check_topic_configs(values, changed),
            ConfigResourceKind::Broker => check_broker_configs(values, changed),
            _ => Err("this broker has no configs of that kind yet".to_owned()),
        }
    }

    fn is_list(&self, kind: ConfigResourceKind, name: &str) -> bool {
        key(kind, name).is_some_and(|key| key.kind == Kind::List)
    }

    fn default_value(&self, kind: ConfigResourceKind, name: &str) -> Option<String> {
        let key = key(kind, name)?;
        let layers = Layers { broker: None, cluster: None, fixed: self.config.values() };
        match kind {
            ConfigResourceKind::Topic => layers.topic_value(key, None).value,
            _ => layers.broker_value(key).value,
        }
    }
}
