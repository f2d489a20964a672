//! The configurations that somebody set. Defaults and their meanings are the broker's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::records::{ConfigRecord, MetadataRecord};

/// What a configuration belongs to. The codes are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ConfigResourceKind {
    /// A topic, by name.
    Topic = 2,
    /// A broker, by node id; the empty name stands for the default of all brokers.
    Broker = 4,
    /// Log levels of a broker. Not kept in metadata, but part of Kafka's numbering.
    BrokerLogger = 8,
    /// A client metrics subscription.
    ClientMetrics = 16,
    /// A group, by id.
    Group = 32,
}

impl ConfigResourceKind {
    /// All kinds.
    pub const ALL: [ConfigResourceKind; 5] = [
        ConfigResourceKind::Topic,
        ConfigResourceKind::Broker,
        ConfigResourceKind::BrokerLogger,
        ConfigResourceKind::ClientMetrics,
        ConfigResourceKind::Group,
    ];

    /// Kafka's code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind with Kafka's `code`.
    pub fn from_code(code: u8) -> Option<ConfigResourceKind> {
        ConfigResourceKind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One thing that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ConfigResourceKind,
    /// Which one.
    pub name: String,
}

impl ConfigResource {
    /// The topic `name`.
    pub fn topic(name: impl Into<String>) -> ConfigResource {
        ConfigResource { kind: ConfigResourceKind::Topic, name: name.into() }
    }

    /// The broker `node_id`, or the default of all brokers for `None`.
    pub fn broker(node_id: Option<i32>) -> ConfigResource {
        let name = node_id.map(|id| id.to_string()).unwrap_or_default();
        ConfigResource { kind: ConfigResourceKind::Broker, name }
    }
}

type Values = Arc<BTreeMap<String, String>>;

/// Configurations by resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigsImage {
    by_kind: BTreeMap<ConfigResourceKind, BTreeMap<String, Values>>,
}

impl ConfigsImage {
    /// What was set on a resource; `None` when nothing was.
    pub fn of(&self, kind: ConfigResourceKind, name: &str) -> Option<&Arc<BTreeMap<String, String>>> {
        self.by_kind.get(&kind)?.get(name)
    }

    /// The value that was set for `key` on a resource.
    pub fn value(&self, kind: ConfigResourceKind, name: &str, key: &str) -> Option<&str> {
        self.of(kind, name)?.get(key).map(String::as_str)
    }

    /// All resources of a kind on which something is set.
    pub fn resources(
        &self,
        kind: ConfigResourceKind,
    ) -> impl Iterator<Item = (&str, &Arc<BTreeMap<String, String>>)> {
        self.by_kind.get(&kind).into_iter().flatten().map(|(name, values)| (name.as_str(), values))
    }

    pub(super) fn replay(&mut self, record: &ConfigRecord) {
        let names = self.by_kind.entry(record.resource.kind).or_default();
        match &record.value {
            Some(value) => {
                let values = names.entry(record.resource.name.clone()).or_default();
                Arc::make_mut(values).insert(record.key.clone(), value.clone());
            }
            None => {
                let Some(values) = names.get_mut(&record.resource.name) else { return };
                Arc::make_mut(values).remove(&record.key);
                if values.is_empty() {
                    self.forget(record.resource.kind, &record.resource.name);
                }
            }
        }
    }

    /// Drops all that was set on a resource. Empty maps are dropped too: an image restored from a snapshot must equal
    /// the one that was saved.
    pub(super) fn forget(&mut self, kind: ConfigResourceKind, name: &str) {
        if let Some(names) = self.by_kind.get_mut(&kind) {
            names.remove(name);
            if names.is_empty() {
                self.by_kind.remove(&kind);
            }
        }
    }

    pub(super) fn push_records(&self, records: &mut Vec<MetadataRecord>) {
        for (kind, names) in &self.by_kind {
            for (name, values) in names {
                records.extend(values.iter().map(|(key, value)| {
                    MetadataRecord::Config(ConfigRecord {
                        resource: ConfigResource { kind: *kind, name: name.clone() },
                        key: key.clone(),
                        value: Some(value.clone()),
                    })
                }));
            }
        }
    }
}
