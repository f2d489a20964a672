//! LeaveGroup: one member up to version 2, several from version 3 on.

use headwater_coordinator::groups::{GroupReply, GroupRequest, LeaveRequest, LeavingMember, LeftMember};
use headwater_env::Env;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse};

use super::{ask, code, failure, may, name, text};
use crate::authorize::Operation;
use crate::context::Call;
use crate::handlers::HandlerResult;

/// From this version on a request names several members, and each has its own result.
const BATCHED_FROM: i16 = 3;

/// Leaves.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: LeaveGroupRequest) -> HandlerResult<E> {
    let mut response =
        LeaveGroupResponse { throttle_time_ms: call.throttle_ms(), ..LeaveGroupResponse::default() };
    if !may(&call, Operation::Read, &request.group_id) {
        response.error_code = ErrorCode::GroupAuthorizationFailed.code();
        return call.reply(&response);
    }
    let is_batched = call.version() >= BATCHED_FROM;
    let question = GroupRequest::Leave(LeaveRequest {
        group_id: name(&request.group_id),
        members: if is_batched { members(&request) } else { vec![only_member(&request)] },
    });
    match ask(&call, &request.group_id, question).await {
        Ok(GroupReply::Leave(Ok(left))) if is_batched => {
            response.members = left.iter().map(member_response).collect();
        }
        Ok(GroupReply::Leave(Ok(left))) => {
            response.error_code = code(left.first().and_then(|member| member.error));
        }
        Ok(GroupReply::Leave(Err(error))) => response.error_code = error.code().code(),
        other => response.error_code = failure(other).code().code(),
    }
    call.reply(&response)
}

fn only_member(request: &LeaveGroupRequest) -> LeavingMember {
    LeavingMember { member_id: name(&request.member_id), group_instance_id: None }
}

fn members(request: &LeaveGroupRequest) -> Vec<LeavingMember> {
    let leaving = request.members.iter().map(|member| LeavingMember {
        member_id: name(&member.member_id),
        group_instance_id: member.group_instance_id.as_ref().map(name),
    });
    leaving.collect()
}

fn member_response(left: &LeftMember) -> MemberResponse {
    MemberResponse {
        member_id: text(&left.member_id),
        group_instance_id: left.group_instance_id.as_ref().map(text),
        error_code: code(left.error),
    }
}
