//! The registered brokers.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_record::Uuid;

use crate::records::{BrokerRecord, FencingRecord, MetadataRecord, RecordError};

/// Where a broker listens, as clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the listener, such as `PLAINTEXT`.
    pub name: String,
    /// A host name or address.
    pub host: String,
    /// A TCP port.
    pub port: u16,
}

/// One registered broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerImage {
    /// The user's node id.
    pub node_id: i32,
    /// Drawn by the broker's process at its start.
    pub incarnation: Uuid,
    /// Index of the log entry that registered this incarnation: grows with every restart.
    pub epoch: i64,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// The rack, where one is configured.
    pub rack: Option<String>,
    /// Ids of its data directories.
    pub directories: Vec<Uuid>,
    /// A fenced broker leads nothing and is in no new assignment.
    pub fenced: bool,
}

impl BrokerImage {
    /// The endpoint of the listener `name`.
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }
}

/// All registered brokers, by node id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokersImage {
    by_id: BTreeMap<i32, Arc<BrokerImage>>,
}

impl BrokersImage {
    /// The broker with this node id.
    pub fn get(&self, node_id: i32) -> Option<&Arc<BrokerImage>> {
        self.by_id.get(&node_id)
    }

    /// All brokers, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<BrokerImage>> {
        self.by_id.values()
    }

    /// The brokers that are not fenced, in the order of their ids.
    pub fn usable(&self) -> impl Iterator<Item = &Arc<BrokerImage>> {
        self.by_id.values().filter(|broker| !broker.fenced)
    }

    /// Whether the broker is registered and not fenced.
    pub fn is_usable(&self, node_id: i32) -> bool {
        self.get(node_id).is_some_and(|broker| !broker.fenced)
    }

    /// How many are registered.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is registered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn replay_registration(&mut self, record: &BrokerRecord, index: u64) {
        let broker = BrokerImage {
            node_id: record.node_id,
            incarnation: record.incarnation,
            epoch: record.epoch.unwrap_or(index as i64),
            endpoints: record.endpoints.clone(),
            rack: record.rack.clone(),
            directories: record.directories.clone(),
            fenced: record.fenced,
        };
        self.by_id.insert(record.node_id, Arc::new(broker));
    }

    pub(super) fn replay_fencing(&mut self, record: &FencingRecord) -> Result<(), RecordError> {
        match self.by_id.get_mut(&record.node_id) {
            Some(broker) if broker.epoch == record.epoch => {
                Arc::make_mut(broker).fenced = record.fenced;
                Ok(())
            }
            Some(broker) => Err(RecordError::Misfit(format!(
                "broker {} has epoch {}, not {}",
                record.node_id, broker.epoch, record.epoch
            ))),
            None => Err(RecordError::Misfit(format!("broker {} is not registered", record.node_id))),
        }
    }

    pub(super) fn replay_removal(&mut self, node_id: i32) -> Result<(), RecordError> {
        match self.by_id.remove(&node_id) {
            Some(_) => Ok(()),
            None => Err(RecordError::Misfit(format!("broker {node_id} is not registered"))),
        }
    }

    pub(super) fn push_records(&self, records: &mut Vec<MetadataRecord>) {
        records.extend(self.by_id.values().map(|broker| {
            MetadataRecord::Broker(BrokerRecord {
                node_id: broker.node_id,
                incarnation: broker.incarnation,
                epoch: Some(broker.epoch),
                endpoints: broker.endpoints.clone(),
                rack: broker.rack.clone(),
                directories: broker.directories.clone(),
                fenced: broker.fenced,
            })
        }));
    }
}
