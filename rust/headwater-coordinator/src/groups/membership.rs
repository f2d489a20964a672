//! Heartbeat and LeaveGroup.

use super::GroupShard;
use super::error::GroupError;
use super::message::{GroupReply, HeartbeatRequest, LeaveRequest, LeavingMember, LeftMember, Name};
use super::rebalance::Step;
use super::state::GroupState;
use crate::shard::{Decision, ReplyToken};

impl GroupShard {
    pub(super) fn heartbeat(
        &mut self,
        now_ms: i64,
        token: ReplyToken,
        request: HeartbeatRequest,
    ) -> Decision<Self> {
        let result = if request.group_id.is_empty() {
            Err(GroupError::InvalidGroupId)
        } else {
            match self.step(now_ms, &request.group_id) {
                None => Err(GroupError::UnknownMemberId),
                Some(mut step) => step.heartbeat(&request),
            }
        };
        Decision::reply(token, GroupReply::Heartbeat(result))
    }

    pub(super) fn leave(&mut self, now_ms: i64, token: ReplyToken, request: LeaveRequest) -> Decision<Self> {
        if request.group_id.is_empty() {
            return Decision::reply(token, GroupReply::Leave(Err(GroupError::InvalidGroupId)));
        }
        let Some(mut step) = self.step(now_ms, &request.group_id) else {
            let unknown = |member| left(member, Some(GroupError::UnknownMemberId));
            let members = request.members.into_iter().map(unknown).collect();
            return Decision::reply(token, GroupReply::Leave(Ok(members)));
        };
        let results: Vec<LeftMember> = request.members.into_iter().map(|member| step.leave(member)).collect();
        if results.iter().any(|member| member.error.is_none()) {
            match step.group.state() {
                GroupState::Stable | GroupState::CompletingRebalance => step.prepare_rebalance(),
                GroupState::PreparingRebalance => step.complete_join_if_all_joined(),
                GroupState::Empty | GroupState::Dead => {}
            }
        }
        let mut decision = step.out;
        let reply = (token, GroupReply::Leave(Ok(results)));
        if decision.records.is_empty() {
            decision.replies.push(reply);
        } else {
            decision.parked.push(reply);
        }
        decision
    }
}

impl Step<'_> {
    fn heartbeat(&mut self, request: &HeartbeatRequest) -> Result<(), GroupError> {
        self.group.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.group.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.refresh_session(&request.member_id);
        match self.group.state() {
            GroupState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            // Heartbeats begin after the join, while the assignment is still being made.
            GroupState::CompletingRebalance | GroupState::Stable => Ok(()),
            GroupState::Empty | GroupState::Dead => Err(GroupError::UnknownMemberId),
        }
    }

    fn leave(&mut self, member: LeavingMember) -> LeftMember {
        let result = match self.find_leaving(&member) {
            Ok(member_id) => {
                self.remove_member(&member_id);
                Ok(())
            }
            Err(error) => Err(error),
        };
        left(member, result.err())
    }

    fn find_leaving(&self, member: &LeavingMember) -> Result<Name, GroupError> {
        if member.member_id.is_empty() {
            // An administrator removes a static member, knowing only its instance id.
            let instance_id = member.group_instance_id.as_ref();
            let known = instance_id.and_then(|instance| self.group.static_member_id(instance));
            return known.cloned().ok_or(GroupError::UnknownMemberId);
        }
        if !self.group.pending_join.contains(&member.member_id) {
            self.group.check_member(&member.member_id, member.group_instance_id.as_deref())?;
        }
        Ok(member.member_id.clone())
    }
}

fn left(member: LeavingMember, error: Option<GroupError>) -> LeftMember {
    LeftMember { member_id: member.member_id, group_instance_id: member.group_instance_id, error }
}
