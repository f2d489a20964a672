//! DescribeGroups, ListGroups and DeleteGroups.

use bytes::Bytes;

use super::GroupShard;
use super::error::GroupError;
use super::group::Group;
use super::message::{DescribedGroup, DescribedMember, GroupReply, ListRequest, ListedGroup, Name};
use super::records;
use super::state::GroupState;
use crate::shard::{Decision, Record, ReplyToken};

/// The type of all groups here, as ListGroups names it.
pub const CLASSIC_GROUP_TYPE: &str = "classic";

impl GroupShard {
    pub(super) fn describe(&self, group_ids: Vec<Name>) -> GroupReply {
        let describe = |group_id: Name| match self.groups.get(&group_id) {
            Some(group) => describe_group(group),
            None => DescribedGroup {
                group_id,
                error: Some(GroupError::GroupIdNotFound),
                state: GroupState::Dead,
                protocol_type: Name::default(),
                protocol: Name::default(),
                members: Vec::new(),
            },
        };
        GroupReply::Describe(group_ids.into_iter().map(describe).collect())
    }

    pub(super) fn list(&self, request: &ListRequest) -> GroupReply {
        let passes = |filter: &[Name], name: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        if !passes(&request.types, CLASSIC_GROUP_TYPE) {
            return GroupReply::List(Vec::new());
        }
        let listed = self
            .groups
            .values()
            .filter(|group| passes(&request.states, group.state().name()))
            .map(|group| ListedGroup {
                group_id: group.id.clone(),
                protocol_type: group.protocol_type.clone().unwrap_or_default(),
                state: group.state(),
            })
            .collect();
        GroupReply::List(listed)
    }

    pub(super) fn delete_groups(&self, token: ReplyToken, group_ids: Vec<Name>) -> Decision<Self> {
        let mut written = Vec::new();
        let mut results = Vec::with_capacity(group_ids.len());
        for group_id in group_ids {
            let result = match self.groups.get(&group_id) {
                None => Err(GroupError::GroupIdNotFound),
                Some(group) if group.state() != GroupState::Empty => Err(GroupError::NonEmptyGroup),
                Some(_) => {
                    self.forget_group(&group_id, &mut written);
                    Ok(())
                }
            };
            results.push((group_id, result));
        }
        Decision::write(written, token, GroupReply::Delete(results))
    }

    /// Tombstones for a group and all its offsets, the group's last.
    fn forget_group(&self, group_id: &Name, written: &mut Vec<Record>) {
        for (topic, partitions) in self.durable.offsets_of(group_id).into_iter().flatten() {
            let tombstone = |partition: &i32| records::offset_tombstone(group_id, topic, *partition);
            written.extend(partitions.keys().filter_map(tombstone));
        }
        for (of_group, topic, partition) in self.durable.pending_keys() {
            if of_group == group_id && self.durable.offset(group_id, topic, *partition).is_none() {
                written.extend(records::offset_tombstone(group_id, topic, *partition));
            }
        }
        written.extend(records::group_tombstone(group_id));
    }
}

fn describe_group(group: &Group) -> DescribedGroup {
    let is_stable = group.state() == GroupState::Stable;
    let protocol = group.protocol_name.clone().filter(|_| is_stable);
    let members = group
        .members()
        .map(|member| DescribedMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.metadata(protocol.as_deref()),
            assignment: if is_stable { member.assignment.clone() } else { Bytes::new() },
        })
        .collect();
    DescribedGroup {
        group_id: group.id.clone(),
        error: None,
        state: group.state(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol: protocol.unwrap_or_default(),
        members,
    }
}
