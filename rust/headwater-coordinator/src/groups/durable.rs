//! What the log says: groups, committed offsets, offsets of open transactions, and records of other kinds.
//!
//! Changed by replay alone. Every change leaves a note in the journal until it is committed, so that a refused append
//! can be taken back and a read can see what was committed before it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use headwater_protocol::records::group_metadata::GroupMetadataValue;
use headwater_protocol::records::offset_commit::OffsetCommitValue;
use headwater_protocol::{DecodeError, Str};
use headwater_record::Uuid;

use super::message::Name;
use super::records::{self, Key};
use crate::shard::{EndTransaction, RecordPosition, ReplayError};

/// The last record of a group: its value as written, since a snapshot writes it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) position: i64,
    pub(crate) value: Bytes,
}

/// A committed offset. There may be millions: an empty metadata string takes no allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    /// Where its record stands in the log.
    pub(crate) position: i64,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Option<Name>,
    pub(crate) commit_timestamp_ms: i64,
    pub(crate) expire_timestamp_ms: Option<i64>,
    pub(crate) topic_id: Uuid,
}

impl CommittedOffset {
    fn new(position: i64, value: &OffsetCommitValue) -> Self {
        CommittedOffset {
            position,
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: (!value.metadata.is_empty()).then(|| records::name(&value.metadata)),
            commit_timestamp_ms: value.commit_timestamp,
            expire_timestamp_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
            topic_id: value.topic_id,
        }
    }

    pub(crate) fn to_value(&self) -> OffsetCommitValue {
        OffsetCommitValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: self.metadata.as_deref().map_or_else(Str::new, Str::from),
            commit_timestamp: self.commit_timestamp_ms,
            expire_timestamp: self.expire_timestamp_ms.unwrap_or(-1),
            topic_id: self.topic_id,
        }
    }
}

/// Offsets of one group, by topic and partition.
pub(crate) type GroupOffsets = BTreeMap<Name, BTreeMap<i32, CommittedOffset>>;

/// Group, topic, partition.
pub(crate) type OffsetKey = (Name, Name, i32);

/// What was there before a record was replayed.
#[derive(Debug, Clone)]
enum Undo {
    Group(Name, Option<Kept>),
    Offset(OffsetKey, Option<CommittedOffset>),
    Pending(i64, OffsetKey, Option<CommittedOffset>),
    Foreign(Bytes, Option<Kept>),
}

/// A place between two keys, for walking through the state in pieces: groups, then offsets, then the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SnapshotCursor {
    /// After the record of this group.
    Group(Name),
    /// After the offset of this group, topic and partition.
    Offset(Name, Name, i32),
    /// After the record with this key of another kind.
    Foreign(Bytes),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct DurableState {
    groups: BTreeMap<Name, Kept>,
    offsets: BTreeMap<Name, GroupOffsets>,
    /// Offsets committed in transactions that are still open, by producer id.
    pending: BTreeMap<i64, BTreeMap<OffsetKey, CommittedOffset>>,
    /// Records whose keys are of another kind, kept so that a snapshot does not lose them.
    foreign: BTreeMap<Bytes, Kept>,
    /// Not yet committed changes, oldest first.
    journal: VecDeque<(i64, Undo)>,
    offset_count: usize,
}

/// Which groups a replayed record, or taking one back, has touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Touched {
    Nothing,
    /// An offset of the group was set.
    OffsetSet(Name),
    /// The group's record was set.
    GroupSet,
    /// The group's record was removed.
    GroupRemoved(Name),
}

impl DurableState {
    pub(crate) fn replay(
        &mut self,
        position: RecordPosition,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Touched, ReplayError> {
        let offset = position.offset;
        let damaged = |error: DecodeError| ReplayError::Damaged { offset, what: error.to_string() };
        match records::decode_key(key).map_err(damaged)? {
            Key::Offset { group, topic, partition } => {
                let new = value.map(records::decode_offset).transpose().map_err(damaged)?;
                let new = new.map(|value| CommittedOffset::new(offset, &value));
                Ok(self.replay_offset(position, (group, topic, partition), new))
            }
            Key::Group(group) => {
                if let Some(value) = value {
                    records::decode_group(value).map_err(damaged)?;
                }
                let new = value.map(|value| Kept { position: offset, value: Bytes::copy_from_slice(value) });
                let removed = new.is_none();
                let previous = put(&mut self.groups, group.clone(), new);
                self.journal.push_back((offset, Undo::Group(group.clone(), previous)));
                Ok(if removed { Touched::GroupRemoved(group) } else { Touched::GroupSet })
            }
            Key::Foreign => {
                let new = value.map(|value| Kept { position: offset, value: Bytes::copy_from_slice(value) });
                let key = Bytes::copy_from_slice(key);
                let previous = put(&mut self.foreign, key.clone(), new);
                self.journal.push_back((offset, Undo::Foreign(key, previous)));
                Ok(Touched::Nothing)
            }
        }
    }

    fn replay_offset(
        &mut self,
        position: RecordPosition,
        key: OffsetKey,
        new: Option<CommittedOffset>,
    ) -> Touched {
        let group = key.0.clone();
        let set = new.is_some();
        match (position.transactional_producer_id, new) {
            (Some(producer), Some(new)) => {
                let previous = self.put_pending(producer, key.clone(), Some(new));
                self.journal.push_back((position.offset, Undo::Pending(producer, key, previous)));
            }
            (_, new) => {
                if new.is_none() {
                    self.forget_pending(position.offset, &key);
                }
                let previous = self.put_offset(key.clone(), new);
                self.journal.push_back((position.offset, Undo::Offset(key, previous)));
            }
        }
        if set { Touched::OffsetSet(group) } else { Touched::Nothing }
    }

    /// A tombstone also takes away what open transactions hold for the same partition.
    fn forget_pending(&mut self, offset: i64, key: &OffsetKey) {
        let producers: Vec<i64> = self
            .pending
            .iter()
            .filter(|(_, offsets)| offsets.contains_key(key))
            .map(|(producer, _)| *producer)
            .collect();
        for producer in producers {
            let previous = self.put_pending(producer, key.clone(), None);
            self.journal.push_back((offset, Undo::Pending(producer, key.clone(), previous)));
        }
    }

    pub(crate) fn replay_end_transaction(&mut self, offset: i64, producer: i64, end: EndTransaction) {
        let Some(pending) = self.pending.remove(&producer) else { return };
        for (key, new) in pending {
            self.journal.push_back((offset, Undo::Pending(producer, key.clone(), Some(new.clone()))));
            // The later record wins, whichever of the two became final first: compaction keeps it, too.
            let is_newer =
                self.offset(&key.0, &key.1, key.2).is_none_or(|current| new.position > current.position);
            if end == EndTransaction::Commit && is_newer {
                let previous = self.put_offset(key.clone(), Some(new));
                self.journal.push_back((offset, Undo::Offset(key, previous)));
            }
        }
    }

    fn put_offset(&mut self, key: OffsetKey, new: Option<CommittedOffset>) -> Option<CommittedOffset> {
        let (group, topic, partition) = key;
        match new {
            Some(new) => {
                let partitions = self.offsets.entry(group).or_default().entry(topic).or_default();
                let previous = partitions.insert(partition, new);
                self.offset_count += usize::from(previous.is_none());
                previous
            }
            None => {
                let topics = self.offsets.get_mut(&group)?;
                let partitions = topics.get_mut(&topic)?;
                let previous = partitions.remove(&partition);
                self.offset_count -= usize::from(previous.is_some());
                if partitions.is_empty() {
                    topics.remove(&topic);
                }
                if topics.is_empty() {
                    self.offsets.remove(&group);
                }
                previous
            }
        }
    }

    fn put_pending(
        &mut self,
        producer: i64,
        key: OffsetKey,
        new: Option<CommittedOffset>,
    ) -> Option<CommittedOffset> {
        let offsets = self.pending.entry(producer).or_default();
        let previous = put(offsets, key, new);
        if offsets.is_empty() {
            self.pending.remove(&producer);
        }
        previous
    }

    /// Everything below `offset` stays for good.
    pub(crate) fn committed(&mut self, offset: i64) {
        while self.journal.front().is_some_and(|(position, _)| *position < offset) {
            self.journal.pop_front();
        }
    }

    /// Takes back what was replayed at `offset` and after. Returns the groups concerned.
    pub(crate) fn revert(&mut self, offset: i64) -> BTreeSet<Name> {
        let mut groups = BTreeSet::new();
        while self.journal.back().is_some_and(|(position, _)| *position >= offset) {
            let Some((_, undo)) = self.journal.pop_back() else { break };
            match undo {
                Undo::Group(group, previous) => {
                    put(&mut self.groups, group.clone(), previous);
                    groups.insert(group);
                }
                Undo::Offset(key, previous) => {
                    groups.insert(key.0.clone());
                    self.put_offset(key, previous);
                }
                Undo::Pending(producer, key, previous) => {
                    groups.insert(key.0.clone());
                    self.put_pending(producer, key, previous);
                }
                Undo::Foreign(key, previous) => {
                    put(&mut self.foreign, key, previous);
                }
            }
        }
        groups
    }

    /// What a read of committed offsets must see instead of the present ones: the oldest value noted in the journal.
    pub(crate) fn committed_view(&self, group: &str) -> HashMap<(Name, i32), Option<CommittedOffset>> {
        let mut view = HashMap::new();
        for (_, undo) in self.journal.iter().rev() {
            if let Undo::Offset((of_group, topic, partition), previous) = undo
                && &**of_group == group
            {
                view.insert((topic.clone(), *partition), previous.clone());
            }
        }
        view
    }

    pub(crate) fn group_value(&self, group: &str) -> Option<GroupMetadataValue> {
        // It was decoded once when it was replayed.
        records::decode_group(&self.groups.get(group)?.value).ok()
    }

    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    pub(crate) fn group_ids(&self) -> impl Iterator<Item = &Name> {
        self.groups.keys()
    }

    pub(crate) fn ids_with_offsets(&self) -> impl Iterator<Item = &Name> {
        self.offsets.keys().chain(self.pending.values().flat_map(|keys| keys.keys().map(|key| &key.0)))
    }

    pub(crate) fn has_offsets(&self, group: &str) -> bool {
        self.offsets.contains_key(group) || self.has_open_transaction(group)
    }

    pub(crate) fn offsets_of(&self, group: &str) -> Option<&GroupOffsets> {
        self.offsets.get(group)
    }

    pub(crate) fn all_offsets(&self) -> &BTreeMap<Name, GroupOffsets> {
        &self.offsets
    }

    pub(crate) fn offset(&self, group: &str, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.offsets.get(group)?.get(topic)?.get(&partition)
    }

    pub(crate) fn has_pending(&self, group: &Name, topic: &Name, partition: i32) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        let key = (group.clone(), topic.clone(), partition);
        self.pending.values().any(|offsets| offsets.contains_key(&key))
    }

    pub(crate) fn has_open_transaction(&self, group: &str) -> bool {
        self.pending.values().any(|offsets| offsets.keys().any(|key| &*key.0 == group))
    }

    /// Keys with an offset in an open transaction, which may or may not have a committed one, too.
    pub(crate) fn pending_keys(&self) -> impl Iterator<Item = &OffsetKey> {
        self.pending.values().flat_map(BTreeMap::keys)
    }

    pub(crate) fn groups_after(&self, after: Option<&Name>) -> impl Iterator<Item = (&Name, &Kept)> {
        range_after(&self.groups, after)
    }

    pub(crate) fn foreign_after(&self, after: Option<&Bytes>) -> impl Iterator<Item = (&Bytes, &Kept)> {
        range_after(&self.foreign, after)
    }

    pub(crate) fn live_records(&self) -> usize {
        self.groups.len() + self.offset_count + self.foreign.len()
    }

    /// The lowest position that makes up the present state, open transactions included.
    pub(crate) fn oldest_needed(&self) -> Option<i64> {
        let committed = self
            .offsets
            .values()
            .flat_map(|topics| topics.values().flat_map(|partitions| partitions.values()));
        let pending = self.pending.values().flat_map(BTreeMap::values);
        let kept = self.groups.values().chain(self.foreign.values()).map(|kept| kept.position);
        committed.chain(pending).map(|offset| offset.position).chain(kept).min()
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        let counted: usize = self.offsets.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum();
        if counted != self.offset_count {
            return Err(format!("{} offsets counted, {counted} there", self.offset_count));
        }
        if self.offsets.values().any(|topics| topics.is_empty() || topics.values().any(BTreeMap::is_empty)) {
            return Err("an empty map of offsets is kept".to_owned());
        }
        if self.pending.values().any(BTreeMap::is_empty) {
            return Err("an empty transaction is kept".to_owned());
        }
        let positions = self.journal.iter().map(|(position, _)| *position);
        if !positions.is_sorted() {
            return Err("the journal is out of order".to_owned());
        }
        Ok(())
    }
}

/// Sets or removes a key and returns what was there.
fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

fn range_after<'a, K: Ord, V>(
    map: &'a BTreeMap<K, V>,
    after: Option<&K>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    use std::ops::Bound::{Excluded, Unbounded};
    map.range((after.map_or(Unbounded, Excluded), Unbounded))
}
