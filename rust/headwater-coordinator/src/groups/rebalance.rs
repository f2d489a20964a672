//! The steps that all requests of a group share: starting a rebalance, ending its join phase, handing out assignments,
//! watching sessions.

use std::sync::Arc;

use bytes::Bytes;
use headwater_protocol::EncodeError;

use super::config::{GroupConfig, NEW_MEMBER_JOIN_TIMEOUT_MS};
use super::error::GroupError;
use super::group::{Group, InitialDelay, Member};
use super::message::{GroupReply, JoinReply, JoinRequest, Name, SyncReply};
use super::state::GroupState;
use super::{GroupShard, Timer, records};
use crate::shard::{Decision, Record, ReplyToken};
use crate::timers::TimerQueue;

/// One group, the time, and the decision that is being made about it.
pub(super) struct Step<'a> {
    pub(super) group: &'a mut Group,
    pub(super) timers: &'a mut TimerQueue<Timer>,
    pub(super) config: &'a GroupConfig,
    pub(super) now_ms: i64,
    pub(super) out: Decision<GroupShard>,
}

impl Step<'_> {
    pub(super) fn reply(&mut self, token: ReplyToken, reply: GroupReply) {
        self.out.replies.push((token, reply));
    }

    pub(super) fn reply_join(&mut self, token: ReplyToken, reply: JoinReply) {
        self.reply(token, GroupReply::Join(reply));
    }

    fn join_timer(&self) -> Timer {
        Timer::Join(self.group.id.clone())
    }

    fn session_timer(&self, member_id: &Name) -> Timer {
        Timer::Session(self.group.id.clone(), member_id.clone())
    }

    fn after(&self, delay_ms: i32) -> i64 {
        self.now_ms.saturating_add(i64::from(delay_ms))
    }

    /// Gives a member (or an id promised to one) `timeout_ms` from now to be heard of.
    pub(super) fn watch(&mut self, member_id: &Name, timeout_ms: i32) {
        let deadline = self.after(timeout_ms);
        self.timers.schedule(self.session_timer(member_id), deadline);
    }

    /// Starts the session of a member anew.
    pub(super) fn refresh_session(&mut self, member_id: &Name) {
        if let Some(timeout_ms) = self.group.member(member_id).map(|member| member.session_timeout_ms) {
            self.watch(member_id, timeout_ms);
        }
    }

    pub(super) fn unwatch(&mut self, member_id: &Name) {
        let timer = self.session_timer(member_id);
        self.timers.cancel(&timer);
    }

    /// Adds a member that waits for the answer to its join, and goes on with the rebalance.
    pub(super) fn add_member(&mut self, request: JoinRequest, member_id: Name, token: ReplyToken) {
        if self.group.state() == GroupState::PreparingRebalance
            && self.group.previous_state() == GroupState::Empty
        {
            self.group.new_member_added = true;
        }
        if self.group.size() == 0 {
            self.group.protocol_type = Some(request.protocol_type.clone());
        }
        self.group.insert(Member {
            id: member_id.clone(),
            instance_id: request.group_instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols,
            assignment: Bytes::new(),
            is_new: true,
            awaiting_join: Some(token),
            awaiting_sync: None,
        });
        self.watch(&member_id, NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.rebalance_or_complete();
    }

    /// Takes over what a member says in its join and lets it wait for the answer.
    pub(super) fn update_member(&mut self, request: JoinRequest, member_id: &Name, token: ReplyToken) {
        self.group.update(
            member_id,
            request.protocols,
            request.rebalance_timeout_ms,
            request.session_timeout_ms,
        );
        if let Some(overtaken) = self.group.await_join(member_id, token) {
            // The client has asked again, most likely over a new connection.
            self.reply_join(overtaken, JoinReply::error(member_id.clone(), GroupError::RebalanceInProgress));
        }
    }

    /// Removes a member. What it waits for is answered with UNKNOWN_MEMBER_ID, so that it joins anew if it lives.
    pub(super) fn remove_member(&mut self, member_id: &Name) {
        self.unwatch(member_id);
        let Some(member) = self.group.remove(member_id) else { return };
        if let Some(token) = member.awaiting_join {
            self.reply_join(token, JoinReply::error(Name::default(), GroupError::UnknownMemberId));
        }
        if let Some(token) = member.awaiting_sync {
            self.reply(token, GroupReply::Sync(SyncReply::error(GroupError::UnknownMemberId)));
        }
    }

    /// After the members have changed: starts a rebalance, or ends the join phase of the one under way.
    pub(super) fn rebalance_or_complete(&mut self) {
        if self.group.state().can_rebalance() {
            self.prepare_rebalance();
        } else {
            self.complete_join_if_all_joined();
        }
    }

    /// Starts a rebalance: whoever waits for an assignment must join again.
    pub(super) fn prepare_rebalance(&mut self) {
        if self.group.state() == GroupState::CompletingRebalance {
            self.drop_assignments(GroupError::RebalanceInProgress);
        }
        self.group.pending_sync.clear();
        self.timers.cancel(&Timer::Sync(self.group.id.clone()));

        let is_initial = self.group.state() == GroupState::Empty;
        tracing::debug!(group = %self.group.id, generation = self.group.generation, "rebalance begins");
        self.group.transition(GroupState::PreparingRebalance, self.now_ms);
        if is_initial {
            // A new group: others are likely about to join, too, and each would start another rebalance.
            let delay_ms = self.config.initial_rebalance_delay_ms;
            let remaining_ms = (self.group.rebalance_timeout_ms().saturating_sub(delay_ms)).max(0);
            self.group.initial_delay = Some(InitialDelay { delay_ms, remaining_ms });
            let deadline = self.after(delay_ms);
            self.timers.schedule(self.join_timer(), deadline);
        } else if self.group.has_all_members_joined() {
            self.complete_join();
        } else {
            self.give_time_to_join();
        }
    }

    fn give_time_to_join(&mut self) {
        let deadline = self.after(self.group.rebalance_timeout_ms());
        self.timers.schedule(self.join_timer(), deadline);
    }

    /// The time of the join phase is up, or that of the initial delay.
    pub(super) fn join_time_is_up(&mut self) {
        if self.group.state() != GroupState::PreparingRebalance {
            return;
        }
        match self.group.initial_delay {
            Some(initial) if self.group.new_member_added && initial.remaining_ms != 0 => {
                self.group.new_member_added = false;
                let delay_ms = self.config.initial_rebalance_delay_ms.min(initial.remaining_ms);
                let remaining_ms = (initial.remaining_ms - initial.delay_ms).max(0);
                self.group.initial_delay = Some(InitialDelay { delay_ms, remaining_ms });
                let deadline = self.after(delay_ms);
                self.timers.schedule(self.join_timer(), deadline);
            }
            _ => self.complete_join(),
        }
    }

    pub(super) fn complete_join_if_all_joined(&mut self) {
        // The first rebalance of a group ends by its timer, however many are there.
        let is_initial = self.group.previous_state() == GroupState::Empty;
        let is_joining = self.group.state() == GroupState::PreparingRebalance;
        if is_joining && !is_initial && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }

    /// Ends the join phase with those who have joined. Static members keep their place though they have not.
    pub(super) fn complete_join(&mut self) {
        self.timers.cancel(&self.join_timer());
        let missing: Vec<Name> = self
            .group
            .members()
            .filter(|member| member.awaiting_join.is_none() && member.instance_id.is_none())
            .map(|member| member.id.clone())
            .collect();
        for member_id in &missing {
            self.remove_member(member_id);
        }
        if self.group.size() > 0 && !self.group.elect_joined_leader() {
            // Only static members, none of which has joined: wait until they do or their sessions end.
            self.give_time_to_join();
            return;
        }
        self.group.start_generation(self.now_ms);
        tracing::debug!(
            group = %self.group.id,
            generation = self.group.generation,
            members = self.group.size(),
            "join phase ends"
        );
        if self.group.state() == GroupState::Empty {
            // Should it not be written, a restart finds members of before, whose sessions then end.
            self.out.records.extend(self.present_record());
            return;
        }
        for member_id in self.group.member_ids() {
            if let Some(token) = self.group.take_join(&member_id) {
                let reply = self.present_generation(&member_id);
                self.reply_join(token, reply);
            }
            self.refresh_session(&member_id);
            if let Some(member) = self.group.member_mut(&member_id) {
                member.is_new = false;
            }
            self.group.pending_sync.insert(member_id);
        }
        let deadline = self.after(self.group.rebalance_timeout_ms());
        self.timers.schedule(Timer::Sync(self.group.id.clone()), deadline);
    }

    /// The answer to a join that tells the generation as it stands.
    pub(super) fn present_generation(&self, member_id: &Name) -> JoinReply {
        let is_leader = self.group.is_leader(member_id);
        JoinReply {
            error: None,
            generation_id: self.group.generation,
            protocol_type: self.group.protocol_type.clone(),
            protocol_name: self.group.protocol_name.clone(),
            leader: self.group.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: member_id.clone(),
            members: if is_leader { self.group.joined_members() } else { Vec::new() },
        }
    }

    /// Members that have not asked for their assignment in time are taken out.
    pub(super) fn sync_time_is_up(&mut self) {
        let states = [GroupState::CompletingRebalance, GroupState::Stable];
        if !states.contains(&self.group.state()) || self.group.pending_sync.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.group.pending_sync) {
            self.remove_member(&member_id);
        }
        self.prepare_rebalance();
    }

    /// Nothing was heard of a member, or of whoever was promised this id, for as long as it said it would take.
    pub(super) fn session_is_over(&mut self, member_id: &Name) {
        if self.group.pending_join.contains(member_id) {
            self.group.remove(member_id);
            self.after_pending_left();
            return;
        }
        let Some(member) = self.group.member(member_id) else { return };
        if member.is_excused() {
            return;
        }
        tracing::info!(group = %self.group.id, member = %member_id, "session is over, removing the member");
        self.remove_member(member_id);
        match self.group.state() {
            GroupState::Stable | GroupState::CompletingRebalance => self.prepare_rebalance(),
            _ => self.after_pending_left(),
        }
    }

    fn after_pending_left(&mut self) {
        if self.group.state() == GroupState::PreparingRebalance && self.group.has_all_members_joined() {
            self.complete_join();
        }
    }

    /// Hands every member its assignment.
    pub(super) fn hand_out(&mut self, assignments: &[(Name, Bytes)]) {
        let by_member: std::collections::HashMap<&str, &Bytes> =
            assignments.iter().map(|(id, assignment)| (&**id, assignment)).collect();
        for member_id in self.group.member_ids() {
            let assignment = by_member.get(&*member_id).map(|bytes| (*bytes).clone()).unwrap_or_default();
            let Some(member) = self.group.member_mut(&member_id) else { continue };
            member.assignment = assignment.clone();
            let token = member.awaiting_sync.take();
            let reply = SyncReply {
                error: None,
                protocol_type: self.group.protocol_type.clone(),
                protocol_name: self.group.protocol_name.clone(),
                assignment,
            };
            self.answer_sync(&member_id, token, reply);
        }
    }

    /// Takes all assignments away and tells those who wait for one.
    pub(super) fn drop_assignments(&mut self, error: GroupError) {
        for member_id in self.group.member_ids() {
            let Some(member) = self.group.member_mut(&member_id) else { continue };
            member.assignment = Bytes::new();
            let token = member.awaiting_sync.take();
            self.answer_sync(&member_id, token, SyncReply::error(error));
        }
    }

    fn answer_sync(&mut self, member_id: &Name, token: Option<ReplyToken>, reply: SyncReply) {
        if let Some(token) = token {
            self.reply(token, GroupReply::Sync(reply));
            // Its session may have run out while it waited, which was excused then.
            self.refresh_session(member_id);
        }
    }

    /// The record of the group as it stands, members keeping their assignments.
    pub(super) fn present_record(&self) -> Result<Record, EncodeError> {
        records::group_record(&self.group.id, &self.group.to_value(|member| member.assignment.clone()))
    }

    /// A member id nobody has: Kafka's form, a readable beginning and a random UUID.
    pub(super) fn fresh_member_id(request: &JoinRequest) -> Name {
        let beginning = request.group_instance_id.as_ref().unwrap_or(&request.client_id);
        // Version 4, variant 1, as every library prints random UUIDs.
        let id = (request.fresh_id & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{id:032x}");
        let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        Arc::from(format!("{beginning}-{a}-{b}-{c}-{d}-{e}"))
    }
}
