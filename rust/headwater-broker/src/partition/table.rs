//! The partitions of this broker, by name and by topic id: an immutable table, replaced whole. A request
//! takes it once and resolves all it names against the same state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use headwater_env::Env;
use headwater_record::Uuid;

use super::Partition;

/// Why a partition cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    /// There is no such topic or partition, as far as this broker knows.
    #[error("unknown topic or partition")]
    Unknown,
    /// There is no topic of this id.
    #[error("unknown topic id")]
    UnknownId,
    /// The metadata knows it, and this broker is about to serve it.
    #[error("the partition is not served yet")]
    Starting,
    /// It is here and cannot be opened: damaged, missing, or its directory failed.
    #[error("the partition is offline")]
    Offline,
}

/// A place in a topic.
pub(crate) enum Slot<E: Env> {
    /// Served.
    Online(Arc<Partition<E>>),
    /// Here by the metadata, but not served; the reason was logged.
    Offline,
    /// Of another broker.
    Elsewhere,
}

impl<E: Env> Clone for Slot<E> {
    fn clone(&self) -> Slot<E> {
        match self {
            Slot::Online(partition) => Slot::Online(partition.clone()),
            Slot::Offline => Slot::Offline,
            Slot::Elsewhere => Slot::Elsewhere,
        }
    }
}

/// A topic of which this broker has partitions.
pub(crate) struct TopicEntry<E: Env> {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its id.
    pub(crate) id: Uuid,
    pub(super) slots: Vec<Slot<E>>,
}

impl<E: Env> TopicEntry<E> {
    /// The partition with this index.
    pub(crate) fn partition(&self, index: i32) -> Result<&Arc<Partition<E>>, Unavailable> {
        match usize::try_from(index).ok().and_then(|index| self.slots.get(index)) {
            Some(Slot::Online(partition)) if partition.is_gone() => Err(Unavailable::Offline),
            Some(Slot::Online(partition)) => Ok(partition),
            Some(Slot::Offline) => Err(Unavailable::Offline),
            Some(Slot::Elsewhere) | None => Err(Unavailable::Unknown),
        }
    }

    /// The partitions that are served.
    pub(crate) fn online(&self) -> impl Iterator<Item = &Arc<Partition<E>>> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Online(partition) => Some(partition),
            Slot::Offline | Slot::Elsewhere => None,
        })
    }
}

/// All partitions of this broker.
pub(crate) struct PartitionTable<E: Env> {
    by_name: BTreeMap<Arc<str>, Arc<TopicEntry<E>>>,
    by_id: HashMap<Uuid, Arc<TopicEntry<E>>>,
}

impl<E: Env> Default for PartitionTable<E> {
    fn default() -> PartitionTable<E> {
        PartitionTable { by_name: BTreeMap::new(), by_id: HashMap::new() }
    }
}

impl<E: Env> PartitionTable<E> {
    /// A table of these topics.
    pub(super) fn new(topics: impl IntoIterator<Item = Arc<TopicEntry<E>>>) -> PartitionTable<E> {
        let mut table = PartitionTable::default();
        for topic in topics {
            table.by_id.insert(topic.id, topic.clone());
            table.by_name.insert(topic.name.clone(), topic);
        }
        table
    }

    /// A topic by name.
    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<TopicEntry<E>>> {
        self.by_name.get(name)
    }

    /// A topic by id.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<&Arc<TopicEntry<E>>> {
        self.by_id.get(&id)
    }

    /// A partition by name and index.
    pub(crate) fn partition(&self, topic: &str, index: i32) -> Result<&Arc<Partition<E>>, Unavailable> {
        self.topic(topic).ok_or(Unavailable::Unknown)?.partition(index)
    }

    /// All topics, by name.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<TopicEntry<E>>> {
        self.by_name.values()
    }
}
