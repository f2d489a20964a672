//! Offsets nobody needs any more, and groups with nothing left.
//!
//! Offsets of a group with members are kept. Once the group is empty they live for `offsets.retention.minutes` from
//! that moment; without group membership, from their commit; in a consumer group that no longer reads their topic,
//! from their commit, too. A client of an old version may have given an offset its own expiry.

use std::ops::Bound::{Excluded, Unbounded};

use super::GroupShard;
use super::durable::CommittedOffset;
use super::group::Group;
use super::message::Name;
use super::records;
use super::state::GroupState;
use crate::shard::{Decision, Record};

/// Most records of one decision: what remains is left to the next, so that requests get their turn between.
const EXPIRY_RECORDS_MAX: usize = 1_000;

/// From when an offset's retention counts.
enum Retention {
    /// Not while the group is as it is.
    Kept,
    SinceCommit,
    /// Since the group became empty; -1 when that is not known.
    SinceEmpty(i64),
}

impl GroupShard {
    /// Goes through the groups after `after`. Returns where to go on, if not everything fitted.
    pub(super) fn expire(&self, now_ms: i64, after: Option<&Name>) -> (Decision<Self>, Option<Name>) {
        let mut written = Vec::new();
        let from = after.map_or(Unbounded, Excluded);
        for (group_id, group) in self.groups.range::<Name, _>((from, Unbounded)) {
            self.expire_group(now_ms, group, &mut written);
            if written.len() >= EXPIRY_RECORDS_MAX {
                return (Decision { records: written, ..Decision::default() }, Some(group_id.clone()));
            }
        }
        (Decision { records: written, ..Decision::default() }, None)
    }

    fn expire_group(&self, now_ms: i64, group: &Group, written: &mut Vec<Record>) {
        let retention = retention_of(group);
        let mut all_expired = !self.durable.has_open_transaction(&group.id);
        for (topic, partitions) in self.durable.offsets_of(&group.id).into_iter().flatten() {
            if matches!(retention, Retention::Kept) || group.is_subscribed_to(topic) {
                all_expired = false;
                continue;
            }
            for (partition, offset) in partitions {
                if self.is_expired(now_ms, &retention, offset)
                    && !self.durable.has_pending(&group.id, topic, *partition)
                {
                    written.extend(records::offset_tombstone(&group.id, topic, *partition));
                } else {
                    all_expired = false;
                }
            }
        }
        if all_expired && group.state() == GroupState::Empty && group.pending_join.is_empty() {
            written.extend(records::group_tombstone(&group.id));
        }
    }

    fn is_expired(&self, now_ms: i64, retention: &Retention, offset: &CommittedOffset) -> bool {
        if let Some(expire_ms) = offset.expire_timestamp_ms {
            return now_ms >= expire_ms;
        }
        let since = match retention {
            Retention::Kept => return false,
            Retention::SinceEmpty(since) if *since >= 0 => *since,
            Retention::SinceEmpty(_) | Retention::SinceCommit => offset.commit_timestamp_ms,
        };
        now_ms.saturating_sub(since) >= self.config.offsets_retention_ms
    }
}

fn retention_of(group: &Group) -> Retention {
    if group.protocol_type.is_none() {
        Retention::SinceCommit
    } else if group.state() == GroupState::Empty {
        Retention::SinceEmpty(group.state_since_ms())
    } else if group.state() == GroupState::Stable
        && group.uses_consumer_protocol()
        && group.knows_subscription()
    {
        Retention::SinceCommit
    } else {
        Retention::Kept
    }
}
