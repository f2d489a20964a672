//! SyncGroup: the leader brings the assignment, the others wait for it.

use bytes::Bytes;

use super::error::GroupError;
use super::message::{GroupReply, Name, SyncReply, SyncRequest};
use super::rebalance::Step;
use super::state::GroupState;
use super::{Assignment, Continuation, GroupShard, GroupThen, records};
use crate::shard::{Decision, Refusal, ReplyToken};

impl GroupShard {
    pub(super) fn sync(&mut self, now_ms: i64, token: ReplyToken, request: SyncRequest) -> Decision<Self> {
        let refuse = |error| Decision::reply(token, GroupReply::Sync(SyncReply::error(error)));
        if request.group_id.is_empty() {
            return refuse(GroupError::InvalidGroupId);
        }
        let Some(mut step) = self.step(now_ms, &request.group_id) else {
            return refuse(GroupError::UnknownMemberId);
        };
        match step.check_sync(&request) {
            Ok(()) => step.sync(token, request),
            Err(error) => return refuse(error),
        }
        step.out
    }
}

impl Step<'_> {
    fn check_sync(&self, request: &SyncRequest) -> Result<(), GroupError> {
        let group = &self.group;
        let differs =
            |asked: &Option<Name>, known: &Option<Name>| asked.is_some() && known.is_some() && asked != known;
        if group.state() == GroupState::Empty {
            return Err(GroupError::UnknownMemberId);
        }
        group.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != group.generation {
            return Err(GroupError::IllegalGeneration);
        }
        if differs(&request.protocol_type, &group.protocol_type)
            || differs(&request.protocol_name, &group.protocol_name)
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        if group.state() == GroupState::PreparingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    fn sync(&mut self, token: ReplyToken, request: SyncRequest) {
        let member_id = request.member_id;
        self.group.pending_sync.remove(&member_id);
        if self.group.state() == GroupState::Stable {
            let reply = self.present_assignment(&member_id);
            self.reply(token, GroupReply::Sync(reply));
            return;
        }
        let member = self.group.member_mut(&member_id);
        if let Some(overtaken) = member.and_then(|member| member.awaiting_sync.replace(token)) {
            let error = SyncReply::error(GroupError::RebalanceInProgress);
            self.reply(overtaken, GroupReply::Sync(error));
        }
        if self.group.is_leader(&member_id) {
            self.write_assignment(request.assignments);
        }
    }

    fn present_assignment(&self, member_id: &str) -> SyncReply {
        SyncReply {
            error: None,
            protocol_type: self.group.protocol_type.clone(),
            protocol_name: self.group.protocol_name.clone(),
            assignment: self
                .group
                .member(member_id)
                .map(|member| member.assignment.clone())
                .unwrap_or_default(),
        }
    }

    /// The assignment goes to the log first, to the members when it is there.
    fn write_assignment(&mut self, assignments: Vec<(Name, Bytes)>) {
        let of = |id: &Name| {
            let found = assignments.iter().rev().find(|(member, _)| member == id);
            found.map(|(_, assignment)| assignment.clone()).unwrap_or_default()
        };
        let value = self.group.to_value(|member| of(&member.id));
        match records::group_record(&self.group.id, &value) {
            Ok(record) => self.out.records.push(record),
            // Too large for the record's format, so no later attempt can do better.
            Err(_) => return self.assignment_refused(GroupError::UnknownServerError),
        }
        self.out.then = Some(GroupThen(Continuation::Assignment(Assignment {
            group_id: self.group.id.clone(),
            generation: self.group.generation,
            assignments,
        })));
    }

    /// The assignment is in the log, or cannot be. If the group has gone on meanwhile, nothing is left to do.
    pub(super) fn assignment_settled(&mut self, assignment: &Assignment, outcome: Result<(), Refusal>) {
        if self.group.state() != GroupState::CompletingRebalance
            || self.group.generation != assignment.generation
        {
            return;
        }
        match outcome {
            Ok(()) => {
                self.hand_out(&assignment.assignments);
                self.group.transition(GroupState::Stable, self.now_ms);
            }
            Err(refusal) => self.assignment_refused(refusal.into()),
        }
    }

    fn assignment_refused(&mut self, error: GroupError) {
        self.drop_assignments(error);
        self.rebalance_or_complete();
    }
}
