//! Classic consumer groups (the protocol before KIP-848), as Apache Kafka 4.3 coordinates them.
//!
//! A [`GroupShard`] holds all groups whose ids fall on one partition of `__consumer_offsets`. Its durable state is what
//! the records say: the last record of each group, committed offsets, offsets of open transactions. Its live state is
//! one `Group` per group: who is a member, who waits for what, and the timers.
//!
//! When a write fails:
//!
//! | what was written | what happens |
//! |---|---|
//! | assignment of a leader's SyncGroup | members waiting for it get the error, the group goes back to rebalance |
//! | new id of a static member | the old id is valid again, the join gets the error |
//! | first record of a new group | the group is forgotten unless somebody has joined meanwhile |
//! | record of an empty generation | nothing: the group stays empty, and the next generation is written anyway |
//! | offsets, deletions | the reply is the error, the state is as before |

mod admin;
mod config;
mod durable;
mod error;
mod expiry;
mod group;
mod join;
mod membership;
mod message;
mod offsets;
mod rebalance;
mod records;
mod snapshot;
mod state;
mod subscription;
mod sync;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;

pub use admin::CLASSIC_GROUP_TYPE;
pub use config::GroupConfig;
pub use durable::SnapshotCursor;
pub use error::GroupError;
pub use message::*;
pub use state::GroupState;

use crate::shard::{
    Decision, EndTransaction, RecordPosition, Refusal, ReplayError, ReplyToken, Shard, SnapshotChunk,
};
use crate::timers::TimerQueue;
use durable::{DurableState, Touched};
use group::{Group, Member};
use rebalance::Step;

/// What a group waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Timer {
    /// A sign of life of a member, or of whoever was promised this id.
    Session(Name, Name),
    /// The end of a join phase.
    Join(Name),
    /// The last SyncGroup of a generation.
    Sync(Name),
    /// The next look for expired offsets.
    Expiry,
}

/// What is left to do once records are committed or refused. See the table at the head of this module.
#[derive(Debug)]
pub struct GroupThen(Continuation);

#[derive(Debug)]
enum Continuation {
    NewGroup(Name),
    Assignment(Assignment),
    StaticMember(Box<StaticReplacement>),
}

/// An assignment on its way to the log.
#[derive(Debug)]
struct Assignment {
    group_id: Name,
    generation: i32,
    assignments: Vec<(Name, Bytes)>,
}

/// A static member whose new id is on its way to the log.
#[derive(Debug)]
struct StaticReplacement {
    group_id: Name,
    old: Member,
    new_id: Name,
    token: ReplyToken,
    former_leader: Name,
    supports_skipping: bool,
}

/// All classic groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct GroupShard {
    config: GroupConfig,
    durable: DurableState,
    /// Live groups; complete once loaded, empty before.
    groups: BTreeMap<Name, Group>,
    timers: TimerQueue<Timer>,
    is_loaded: bool,
    /// After which group the search for expired offsets goes on.
    expiry_after: Option<Name>,
}

impl GroupShard {
    /// An empty shard, to be filled by [`Shard::replay`] and then [`Shard::loaded`].
    pub fn new(config: GroupConfig) -> Self {
        GroupShard {
            config,
            durable: DurableState::default(),
            groups: BTreeMap::new(),
            timers: TimerQueue::default(),
            is_loaded: false,
            expiry_after: None,
        }
    }

    fn step(&mut self, now_ms: i64, group_id: &str) -> Option<Step<'_>> {
        let group = self.groups.get_mut(group_id)?;
        let (timers, config) = (&mut self.timers, &self.config);
        Some(Step { group, timers, config, now_ms, out: Decision::default() })
    }

    /// Makes the live group of a group that the log has, if there is none: after loading with the members of its last
    /// record, later without, since only a group without members is ever removed and brought back.
    fn ensure_live(&mut self, group_id: &Name, with_members: bool) {
        if self.groups.contains_key(group_id) {
            return;
        }
        let group = match self.durable.group_value(group_id) {
            Some(mut value) => {
                if !with_members {
                    value.members.clear();
                    value.protocol = None;
                }
                Group::from_value(group_id.clone(), &value)
            }
            // Offsets without a group record: a group of consumers without membership.
            None if self.durable.has_offsets(group_id) => Group::new(group_id.clone(), -1),
            None => return,
        };
        self.groups.insert(group_id.clone(), group);
    }

    /// Ends the life of a group: nothing of it waits or ticks any more.
    fn drop_live(&mut self, group_id: &Name) {
        let Some(group) = self.groups.remove(group_id) else { return };
        for member_id in group.members().map(|member| &member.id).chain(&group.pending_join) {
            self.timers.cancel(&Timer::Session(group_id.clone(), member_id.clone()));
        }
        self.timers.cancel(&Timer::Join(group_id.clone()));
        self.timers.cancel(&Timer::Sync(group_id.clone()));
    }

    /// Forgets a group that exists nowhere but here and that nobody uses.
    fn drop_if_unused(&mut self, group_id: &Name) {
        let is_unused = self
            .groups
            .get(group_id)
            .is_some_and(|group| group.state() == GroupState::Empty && group.pending_join.is_empty());
        if is_unused && !self.durable.has_group(group_id) && !self.durable.has_offsets(group_id) {
            self.drop_live(group_id);
        }
    }

    fn expire_offsets(&mut self, now_ms: i64) -> Decision<Self> {
        let (decision, next) = self.expire(now_ms, self.expiry_after.as_ref());
        let delay = if next.is_some() { 1 } else { self.config.offsets_retention_check_interval_ms };
        self.expiry_after = next;
        self.timers.schedule(Timer::Expiry, now_ms.saturating_add(delay));
        decision
    }

    /// How the parts of the state belong together; the first relation that does not hold is named.
    ///
    /// # Errors
    /// The relation that is broken. Always a bug.
    pub fn validate(&self) -> Result<(), String> {
        self.durable.validate()?;
        if !self.is_loaded {
            return if self.groups.is_empty() { Ok(()) } else { Err("live before loaded".to_owned()) };
        }
        for (group_id, group) in &self.groups {
            if *group_id != group.id {
                return Err(format!("group {} is kept as {group_id}", group.id));
            }
            group.validate()?;
        }
        let durable_ids = self.durable.group_ids().chain(self.durable.ids_with_offsets());
        if let Some(missing) = durable_ids.into_iter().find(|id| !self.groups.contains_key(*id)) {
            return Err(format!("group {missing} is in the log and not live"));
        }
        self.validate_timers()
    }

    fn validate_timers(&self) -> Result<(), String> {
        let watched: HashSet<&Timer> = self.timers.keys().collect();
        for timer in &watched {
            let is_justified = match timer {
                Timer::Expiry => true,
                Timer::Join(group_id) => {
                    self.groups.get(group_id).is_some_and(|g| g.state() == GroupState::PreparingRebalance)
                }
                Timer::Sync(group_id) => self.groups.get(group_id).is_some_and(|g| {
                    matches!(g.state(), GroupState::CompletingRebalance | GroupState::Stable)
                }),
                Timer::Session(group_id, member_id) => self
                    .groups
                    .get(group_id)
                    .is_some_and(|g| g.member(member_id).is_some() || g.pending_join.contains(member_id)),
            };
            if !is_justified {
                return Err(format!("timer {timer:?} belongs to nothing"));
            }
        }
        for group in self.groups.values() {
            // Who is neither watched nor waiting would stay for ever.
            for member in group.members() {
                let timer = Timer::Session(group.id.clone(), member.id.clone());
                if !watched.contains(&timer) && !member.is_excused() {
                    return Err(format!("member {} of {} is not watched", member.id, group.id));
                }
            }
            for member_id in &group.pending_join {
                if !watched.contains(&Timer::Session(group.id.clone(), member_id.clone())) {
                    return Err(format!("pending member {member_id} of {} is not watched", group.id));
                }
            }
            let needs_join_timer = group.state() == GroupState::PreparingRebalance;
            if needs_join_timer && !watched.contains(&Timer::Join(group.id.clone())) {
                return Err(format!("group {} prepares a rebalance for ever", group.id));
            }
            // Once the leader has brought the assignment, what is waited for is the log.
            let is_brought = group
                .leader
                .as_ref()
                .and_then(|leader| group.member(leader))
                .is_some_and(|leader| leader.awaiting_sync.is_some());
            let needs_sync_timer = group.state() == GroupState::CompletingRebalance && !is_brought;
            if needs_sync_timer && !watched.contains(&Timer::Sync(group.id.clone())) {
                return Err(format!("group {} waits for an assignment for ever", group.id));
            }
        }
        Ok(())
    }
}

impl Shard for GroupShard {
    type Request = GroupRequest;
    type Reply = GroupReply;
    type Then = GroupThen;
    type Cursor = SnapshotCursor;

    fn handle(&mut self, now_ms: i64, token: ReplyToken, request: GroupRequest) -> Decision<Self> {
        match request {
            GroupRequest::Join(request) => self.join(now_ms, token, request),
            GroupRequest::Sync(request) => self.sync(now_ms, token, request),
            GroupRequest::Heartbeat(request) => self.heartbeat(now_ms, token, request),
            GroupRequest::Leave(request) => self.leave(now_ms, token, request),
            GroupRequest::CommitOffsets(request) => self.commit_offsets(now_ms, token, request),
            GroupRequest::FetchOffsets(request) => self.fetch_offsets(token, &request),
            GroupRequest::DeleteOffsets(request) => self.delete_offsets(token, request),
            GroupRequest::Describe(group_ids) => Decision::reply(token, self.describe(group_ids)),
            GroupRequest::List(request) => Decision::reply(token, self.list(&request)),
            GroupRequest::Delete(group_ids) => self.delete_groups(token, group_ids),
            GroupRequest::TopicsDeleted(topics) => self.forget_topics(token, &topics),
        }
    }

    fn next_deadline(&self) -> Option<i64> {
        self.timers.next_deadline()
    }

    fn on_time(&mut self, now_ms: i64) -> Decision<Self> {
        let Some(timer) = self.timers.pop_due(now_ms) else { return Decision::default() };
        let group_id = match &timer {
            Timer::Expiry => return self.expire_offsets(now_ms),
            Timer::Session(group_id, _) | Timer::Join(group_id) | Timer::Sync(group_id) => group_id,
        };
        let Some(mut step) = self.step(now_ms, group_id) else { return Decision::default() };
        match &timer {
            Timer::Session(_, member_id) => step.session_is_over(member_id),
            Timer::Join(_) => step.join_time_is_up(),
            Timer::Sync(_) => step.sync_time_is_up(),
            Timer::Expiry => {}
        }
        step.out
    }

    fn clock_moved(&mut self, by_ms: i64) {
        self.timers.shift(by_ms);
    }

    fn settle(&mut self, now_ms: i64, then: GroupThen, outcome: Result<(), Refusal>) -> Decision<Self> {
        let group_id = match &then.0 {
            Continuation::NewGroup(group_id) => {
                if outcome.is_err() {
                    self.forget_new_group(group_id);
                }
                return Decision::default();
            }
            Continuation::Assignment(assignment) => &assignment.group_id,
            Continuation::StaticMember(replacement) => &replacement.group_id,
        };
        let Some(mut step) = self.step(now_ms, group_id) else { return Decision::default() };
        match (&then.0, outcome) {
            (Continuation::Assignment(assignment), outcome) => step.assignment_settled(assignment, outcome),
            (Continuation::StaticMember(replacement), Ok(())) => step.static_member_written(replacement),
            (Continuation::StaticMember(replacement), Err(refusal)) => {
                step.static_member_not_written(replacement, refusal.into());
            }
            (Continuation::NewGroup(_), _) => {}
        }
        step.out
    }

    fn replay(
        &mut self,
        position: RecordPosition,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError> {
        let touched = self.durable.replay(position, key, value)?;
        if self.is_loaded {
            match touched {
                Touched::OffsetSet(group_id) => self.ensure_live(&group_id, false),
                Touched::GroupRemoved(group_id) => self.drop_live(&group_id),
                // The live group has made the step already that its record tells of.
                Touched::GroupSet | Touched::Nothing => {}
            }
        }
        Ok(())
    }

    fn replay_end_transaction(&mut self, offset: i64, producer_id: i64, end: EndTransaction) {
        self.durable.replay_end_transaction(offset, producer_id, end);
    }

    fn committed(&mut self, offset: i64) {
        self.durable.committed(offset);
    }

    fn revert(&mut self, offset: i64) {
        for group_id in self.durable.revert(offset) {
            if self.is_loaded {
                self.ensure_live(&group_id, false);
                self.drop_if_unused(&group_id);
            }
        }
    }

    fn loaded(&mut self, now_ms: i64) -> Decision<Self> {
        self.is_loaded = true;
        let known = self.durable.group_ids().chain(self.durable.ids_with_offsets());
        let group_ids: BTreeSet<Name> = known.cloned().collect();
        for group_id in &group_ids {
            self.ensure_live(group_id, true);
            let Some(mut step) = self.step(now_ms, group_id) else { continue };
            for member_id in step.group.member_ids() {
                step.refresh_session(&member_id);
            }
            if step.group.size() > step.config.size_max {
                // The setting was lowered: let the group shed members.
                step.prepare_rebalance();
            }
        }
        let first_check = now_ms.saturating_add(self.config.offsets_retention_check_interval_ms);
        self.timers.schedule(Timer::Expiry, first_check);
        Decision::default()
    }

    fn unload(&mut self) -> Vec<ReplyToken> {
        self.timers.clear();
        let groups = std::mem::take(&mut self.groups);
        let members = groups.values().flat_map(Group::members);
        members.flat_map(|member| [member.awaiting_join, member.awaiting_sync]).flatten().collect()
    }

    fn snapshot(&self, after: Option<SnapshotCursor>, bytes_max: usize) -> SnapshotChunk<SnapshotCursor> {
        snapshot::snapshot(&self.durable, after, bytes_max)
    }

    fn oldest_needed(&self) -> Option<i64> {
        self.durable.oldest_needed()
    }

    fn live(&self) -> usize {
        self.groups.len()
    }

    fn live_records(&self) -> usize {
        self.durable.live_records()
    }
}

impl GroupShard {
    fn forget_new_group(&mut self, group_id: &Name) {
        let is_empty = self.groups.get(group_id).is_some_and(|group| group.state() == GroupState::Empty);
        if is_empty && !self.durable.has_group(group_id) && !self.durable.has_offsets(group_id) {
            self.drop_live(group_id);
        }
    }
}
