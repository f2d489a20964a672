//! JoinGroup: how somebody becomes a member, comes back as one, or takes the place of its former self (KIP-345).

use super::error::GroupError;
use super::group::{Group, Member};
use super::message::{GroupReply, JoinReply, JoinRequest, Name, SyncReply};
use super::rebalance::Step;
use super::records::NAME_BYTES_MAX;
use super::state::GroupState;
use super::{Continuation, GroupShard, GroupThen, StaticReplacement, records};
use crate::shard::{Decision, ReplyToken};

/// The longest name that a record of a group can hold, less what a member id adds to it (`-` and a UUID).
const MEMBER_NAME_BYTES_MAX: usize = NAME_BYTES_MAX - 37;

impl GroupShard {
    pub(super) fn join(&mut self, now_ms: i64, token: ReplyToken, request: JoinRequest) -> Decision<Self> {
        let refuse = |member_id: Name, error| {
            Decision::reply(token, GroupReply::Join(JoinReply::error(member_id, error)))
        };
        if let Err(error) = self.check_join(&request) {
            return refuse(request.member_id, error);
        }
        let group_id = request.group_id.clone();
        let is_new_group = !self.groups.contains_key(&group_id);
        if is_new_group && !request.member_id.is_empty() {
            return refuse(request.member_id, GroupError::UnknownMemberId);
        }
        if is_new_group {
            self.groups.insert(group_id.clone(), Group::new(group_id.clone(), now_ms));
        }
        let Some(mut step) = self.step(now_ms, &group_id) else { return Decision::default() };
        step.join(token, request);

        let Step { group, out: mut decision, .. } = step;
        let is_unused = group.size() == 0 && group.pending_join.is_empty();
        if is_new_group && is_unused {
            self.groups.remove(&group_id);
        } else if is_new_group && decision.records.is_empty() {
            // The group must be in the log before anything can be said to be in it.
            let value = Group::new(group_id.clone(), now_ms).to_value(|_| Default::default());
            decision.records.extend(records::group_record(&group_id, &value));
            decision.then = Some(GroupThen(Continuation::NewGroup(group_id)));
        }
        decision
    }

    fn check_join(&self, request: &JoinRequest) -> Result<(), GroupError> {
        if request.group_id.is_empty() || request.group_id.len() > NAME_BYTES_MAX {
            return Err(GroupError::InvalidGroupId);
        }
        let bounds = self.config.session_timeout_ms_min..=self.config.session_timeout_ms_max;
        if !bounds.contains(&request.session_timeout_ms) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        let protocols = request.protocols.iter().map(|(name, _)| name);
        let others = [&request.protocol_type, &request.client_id, &request.client_host];
        let mut names = protocols.chain(&request.group_instance_id).chain(others);
        if names.any(|name| name.len() > MEMBER_NAME_BYTES_MAX) {
            return Err(GroupError::UnknownServerError);
        }
        Ok(())
    }
}

impl Step<'_> {
    fn join(&mut self, token: ReplyToken, request: JoinRequest) {
        let member_id = request.member_id.clone();
        if !self.has_room_for(&member_id) {
            self.unwatch(&member_id);
            self.group.remove(&member_id);
            self.refuse_join(token, Name::default(), GroupError::GroupMaxSizeReached);
        } else if !self.group.supports(&request.protocol_type, &request.protocols) {
            self.refuse_join(token, member_id, GroupError::InconsistentGroupProtocol);
        } else if !member_id.is_empty() {
            self.join_again(token, request);
        } else if request.group_instance_id.is_some() {
            self.join_static(token, request);
        } else {
            self.join_dynamic(token, request);
        }
    }

    fn refuse_join(&mut self, token: ReplyToken, member_id: Name, error: GroupError) {
        self.reply_join(token, JoinReply::error(member_id, error));
    }

    /// Whether the group takes this member within `group.max.size`.
    fn has_room_for(&self, member_id: &str) -> bool {
        let member = self.group.member(member_id);
        match self.group.state() {
            GroupState::Empty | GroupState::Dead => true,
            // Counting those who wait lets a group that is too large shed its slowest members.
            GroupState::PreparingRebalance => {
                member.is_some_and(|member| member.awaiting_join.is_some())
                    || self.group.awaiting_join_count() < self.config.size_max
            }
            GroupState::CompletingRebalance | GroupState::Stable => {
                member.is_some() || self.group.size() < self.config.size_max
            }
        }
    }

    fn join_dynamic(&mut self, token: ReplyToken, request: JoinRequest) {
        let member_id = Self::fresh_member_id(&request);
        if request.requires_known_member_id {
            self.group.pending_join.insert(member_id.clone());
            self.watch(&member_id, request.session_timeout_ms);
            self.refuse_join(token, member_id, GroupError::MemberIdRequired);
        } else {
            self.add_member(request, member_id, token);
        }
    }

    fn join_static(&mut self, token: ReplyToken, request: JoinRequest) {
        let new_id = Self::fresh_member_id(&request);
        let old_id =
            request.group_instance_id.as_ref().and_then(|instance| self.group.static_member_id(instance));
        match old_id.cloned() {
            Some(old_id) => self.replace_static_member(token, request, &old_id, new_id),
            None => self.add_member(request, new_id, token),
        }
    }

    fn join_again(&mut self, token: ReplyToken, request: JoinRequest) {
        let member_id = request.member_id.clone();
        if self.group.pending_join.contains(&member_id) {
            // An id is only ever promised to dynamic members.
            if request.group_instance_id.is_some() {
                self.refuse_join(token, member_id, GroupError::UnknownMemberId);
            } else {
                self.add_member(request, member_id, token);
            }
            return;
        }
        if let Err(error) = self.group.check_member(&member_id, request.group_instance_id.as_deref()) {
            self.refuse_join(token, member_id, error);
            return;
        }
        let is_unchanged =
            self.group.member(&member_id).is_some_and(|member| member.protocols == request.protocols);
        let needs_rebalance = match self.group.state() {
            GroupState::PreparingRebalance => true,
            // Nothing new: most likely the answer to the first join was lost.
            GroupState::CompletingRebalance => !is_unchanged,
            // The leader joins again when something it watches has changed, the number of partitions for instance.
            GroupState::Stable => self.group.is_leader(&member_id) || !is_unchanged,
            GroupState::Empty | GroupState::Dead => {
                self.refuse_join(token, member_id, GroupError::UnknownMemberId);
                return;
            }
        };
        if needs_rebalance {
            self.update_member(request, &member_id, token);
            self.rebalance_or_complete();
        } else {
            let mut reply = self.present_generation(&member_id);
            if self.group.state() == GroupState::Stable {
                reply.members.clear();
            }
            self.reply_join(token, reply);
        }
    }

    /// A static member is back without its member id: it takes the place, and the old id is fenced.
    fn replace_static_member(
        &mut self,
        token: ReplyToken,
        request: JoinRequest,
        old_id: &Name,
        new_id: Name,
    ) {
        let Some(old) = self.group.member(old_id).cloned() else { return };
        let former_leader = self.group.leader.clone().unwrap_or_default();
        let supports_skipping = request.supports_skipping_assignment;
        self.unwatch(old_id);
        if let Some(fenced) = self.group.take_join(old_id) {
            self.refuse_join(fenced, old_id.clone(), GroupError::FencedInstanceId);
        }
        if let Some(fenced) = old.awaiting_sync {
            self.reply(fenced, GroupReply::Sync(SyncReply::error(GroupError::FencedInstanceId)));
        }
        self.group.rename(old_id, &new_id);
        self.update_member(request, &new_id, token);
        self.refresh_session(&new_id);

        match self.group.state() {
            GroupState::Stable if self.group.select_protocol() == self.group.protocol_name => {
                // Same protocol, same assignment: the others need not notice.
                let replacement = StaticReplacement {
                    group_id: self.group.id.clone(),
                    old: Member { awaiting_join: None, awaiting_sync: None, ..old },
                    new_id,
                    token,
                    former_leader,
                    supports_skipping,
                };
                match self.present_record() {
                    Ok(record) => {
                        self.out.records.push(record);
                        let then = Continuation::StaticMember(Box::new(replacement));
                        self.out.then = Some(GroupThen(then));
                    }
                    Err(_) => self.static_member_not_written(&replacement, GroupError::UnknownServerError),
                }
            }
            // The leader may have the old id in the assignment it is making.
            GroupState::CompletingRebalance => self.prepare_rebalance(),
            _ => self.rebalance_or_complete(),
        }
    }

    /// The new id of a static member is in the log.
    pub(super) fn static_member_written(&mut self, replacement: &StaticReplacement) {
        if !self.still_waits(replacement) {
            return;
        }
        self.group.take_join(&replacement.new_id);
        // A session that ran out during the write was excused; from here on heartbeats are expected again.
        self.refresh_session(&replacement.new_id);
        let mut reply = self.present_generation(&replacement.new_id);
        if replacement.supports_skipping {
            // The leader gets the members to know them, but has nothing to hand out.
            reply.skip_assignment = self.group.is_leader(&replacement.new_id);
        } else {
            // Told the leader's old id, a client that does not know about skipping will not assign anew.
            reply.leader = replacement.former_leader.clone();
            reply.members.clear();
        }
        self.reply_join(replacement.token, reply);
    }

    /// The new id of a static member could not be written: the old one is valid again.
    pub(super) fn static_member_not_written(&mut self, replacement: &StaticReplacement, error: GroupError) {
        if !self.still_waits(replacement) {
            return;
        }
        let (old, new_id) = (&replacement.old, &replacement.new_id);
        self.group.take_join(new_id);
        self.unwatch(new_id);
        self.group.rename(new_id, &old.id);
        self.group.update(&old.id, old.protocols.clone(), old.rebalance_timeout_ms, old.session_timeout_ms);
        self.refresh_session(&old.id);
        let reply = JoinReply {
            generation_id: self.group.generation,
            protocol_type: self.group.protocol_type.clone(),
            protocol_name: self.group.protocol_name.clone(),
            leader: replacement.former_leader.clone(),
            ..JoinReply::error(Name::default(), error)
        };
        self.reply_join(replacement.token, reply);
    }

    /// Whether the group is still as it was when the record was written. If a rebalance has begun meanwhile, the join
    /// is answered when that ends.
    fn still_waits(&self, replacement: &StaticReplacement) -> bool {
        let member = self.group.member(&replacement.new_id);
        self.group.state() == GroupState::Stable
            && member.is_some_and(|member| member.awaiting_join == Some(replacement.token))
    }
}
