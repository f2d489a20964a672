//! DescribeGroups: state and members of classic groups.

use std::collections::HashMap;

use headwater_coordinator::groups::{
    DescribedGroup as Described, DescribedMember, GroupError, GroupReply, GroupRequest, GroupState, Name,
};
use headwater_env::Env;
use headwater_protocol::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use headwater_protocol::{ErrorCode, Str};

use super::{ask_by_partition, failure, may, name, text};
use crate::authorize::{Operation, Resource, authorized_operations};
use crate::context::Call;
use crate::handlers::HandlerResult;
use crate::handlers::mentions::{Mention, Mentions};

/// From this version on a group that does not exist is an error; before, it is a dead one.
const GROUP_ID_NOT_FOUND_FROM: i16 = 6;

/// Describes.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: DescribeGroupsRequest) -> HandlerResult<E> {
    let mut mentions = Mentions::of(&request.groups);
    let groups: Vec<&Str> =
        request.groups.iter().filter(|group_id| mentions.next(group_id) != Mention::Again).collect();
    let visible = |group_id: &&&Str| may(&call, Operation::Describe, group_id);
    let group_ids = groups.iter().filter(visible).map(|group_id| name(group_id));
    let mut described: HashMap<Name, DescribedGroup> = HashMap::new();
    for (group_ids, outcome) in ask_by_partition(&call, group_ids, GroupRequest::Describe).await {
        match outcome {
            Ok(GroupReply::Describe(groups)) => {
                let told =
                    groups.into_iter().map(|group| (group.group_id.clone(), tell(&call, &request, group)));
                described.extend(told);
            }
            other => {
                let code = failure(other).code();
                described.extend(group_ids.into_iter().map(|id| (id.clone(), refused(&text(&id), code))));
            }
        }
    }
    let groups = groups.into_iter().map(|group_id| match described.remove(group_id.as_str()) {
        Some(group) => group,
        None => refused(group_id, ErrorCode::GroupAuthorizationFailed),
    });
    call.reply(&DescribeGroupsResponse { throttle_time_ms: call.throttle_ms(), groups: groups.collect() })
}

fn refused(group_id: &Str, code: ErrorCode) -> DescribedGroup {
    DescribedGroup { group_id: group_id.clone(), error_code: code.code(), ..DescribedGroup::default() }
}

fn tell<E: Env>(call: &Call<E>, request: &DescribeGroupsRequest, group: Described) -> DescribedGroup {
    let error = group.error.filter(|_| call.version() >= GROUP_ID_NOT_FOUND_FROM);
    let mut told = DescribedGroup {
        error_code: super::code(error),
        error_message: error.map(|error| explain(&group.group_id, error)),
        group_id: text(&group.group_id),
        group_state: Str::from_static(GroupState::name(group.state)),
        protocol_type: text(&group.protocol_type),
        protocol_data: text(&group.protocol),
        members: group.members.into_iter().map(tell_member).collect(),
        ..DescribedGroup::default()
    };
    if request.include_authorized_operations {
        told.authorized_operations = authorized_operations(&call.context, Resource::Group(&group.group_id));
    }
    told
}

fn explain(group_id: &Name, error: GroupError) -> Str {
    Str::from(format!("group `{group_id}`: {error}"))
}

fn tell_member(member: DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: text(&member.member_id),
        group_instance_id: member.group_instance_id.as_ref().map(text),
        client_id: text(&member.client_id),
        client_host: text(&member.client_host),
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    }
}
