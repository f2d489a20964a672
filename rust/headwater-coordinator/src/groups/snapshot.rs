//! The live state as records, a piece at a time.
//!
//! A rewrite of the log walks through groups, offsets and foreign records in key order. Each piece is made from the
//! state of its moment, so writes between two pieces are later in the log than what was rewritten before them, and
//! already part of what is rewritten after them.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use super::durable::{CommittedOffset, DurableState, SnapshotCursor};
use super::message::Name;
use super::records;
use crate::shard::{Record, SnapshotChunk};

/// Collects records until a piece is full.
struct Piece {
    records: Vec<Record>,
    bytes: usize,
    bytes_max: usize,
}

impl Piece {
    /// Adds a record; says whether the piece is full.
    fn add(&mut self, record: Record) -> bool {
        self.bytes += record.size();
        self.records.push(record);
        self.bytes >= self.bytes_max
    }
}

pub(super) fn snapshot(
    state: &DurableState,
    after: Option<SnapshotCursor>,
    bytes_max: usize,
) -> SnapshotChunk<SnapshotCursor> {
    let mut piece = Piece { records: Vec::new(), bytes: 0, bytes_max };
    let next = walk(state, after, &mut piece);
    SnapshotChunk { records: piece.records, next }
}

fn walk(state: &DurableState, after: Option<SnapshotCursor>, piece: &mut Piece) -> Option<SnapshotCursor> {
    let (after_group, after_offset, after_foreign) = match after {
        None => (Some(None), Some(None), None),
        Some(SnapshotCursor::Group(group)) => (Some(Some(group)), Some(None), None),
        Some(SnapshotCursor::Offset(group, topic, partition)) => {
            (None, Some(Some((group, topic, partition))), None)
        }
        Some(SnapshotCursor::Foreign(key)) => (None, None, Some(key)),
    };
    if let Some(after) = after_group {
        for (group, kept) in state.groups_after(after.as_ref()) {
            // Names that were read from a record fit into one.
            let Ok(key) = records::group_key(group) else { continue };
            if piece.add(Record { key, value: Some(kept.value.clone()) }) {
                return Some(SnapshotCursor::Group(group.clone()));
            }
        }
    }
    if let Some(after) = after_offset {
        for (group, topic, partition, offset) in offsets_after(state, after) {
            // Its committed value must not come to stand behind the one of the open transaction.
            if state.has_pending(group, topic, partition) {
                continue;
            }
            let record = records::offset_record(group, topic, partition, &offset.to_value());
            if record.is_ok_and(|record| piece.add(record)) {
                return Some(SnapshotCursor::Offset(group.clone(), topic.clone(), partition));
            }
        }
    }
    for (key, kept) in state.foreign_after(after_foreign.as_ref()) {
        if piece.add(Record { key: key.clone(), value: Some(kept.value.clone()) }) {
            return Some(SnapshotCursor::Foreign(key.clone()));
        }
    }
    None
}

type OffsetEntry<'a> = (&'a Name, &'a Name, i32, &'a CommittedOffset);

fn offsets_after(
    state: &DurableState,
    after: Option<(Name, Name, i32)>,
) -> impl Iterator<Item = OffsetEntry<'_>> {
    let from_group = after.clone().map_or(Unbounded, |(group, _, _)| Included(group));
    state.all_offsets().range((from_group, Unbounded)).flat_map(move |(group, topics)| {
        let within = after.clone().filter(|(in_group, _, _)| in_group == group);
        let from_topic = within.clone().map_or(Unbounded, |(_, topic, _)| Included(topic));
        topics.range((from_topic, Unbounded)).flat_map(move |(topic, partitions)| {
            let from = within
                .as_ref()
                .filter(|(_, in_topic, _)| in_topic == topic)
                .map_or(Unbounded, |(_, _, partition)| Excluded(*partition));
            in_range(partitions, from).map(move |(partition, offset)| (group, topic, *partition, offset))
        })
    })
}

fn in_range(
    partitions: &BTreeMap<i32, CommittedOffset>,
    from: std::ops::Bound<i32>,
) -> impl Iterator<Item = (&i32, &CommittedOffset)> {
    partitions.range((from, Unbounded))
}
