//! SyncGroup: answered when the leader's assignment is in the log.

use bytes::Bytes;
use headwater_coordinator::groups::{GroupError, GroupReply, GroupRequest, SyncReply, SyncRequest};
use headwater_env::Env;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};

use super::{ask, code, failure, may, name, text};
use crate::authorize::Operation;
use crate::context::Call;
use crate::handlers::HandlerResult;

/// From this version on protocol type and name must be given.
const PROTOCOL_FROM: i16 = 5;

/// Asks for the assignment, or brings it.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: SyncGroupRequest) -> HandlerResult<E> {
    if !may(&call, Operation::Read, &request.group_id) {
        let error_code = ErrorCode::GroupAuthorizationFailed.code();
        return call.reply(&SyncGroupResponse { error_code, ..SyncGroupResponse::default() });
    }
    let lacks_protocol = request.protocol_type.is_none() || request.protocol_name.is_none();
    let reply = if call.version() >= PROTOCOL_FROM && lacks_protocol {
        SyncReply::error(GroupError::InconsistentGroupProtocol)
    } else {
        let question = GroupRequest::Sync(question(&request));
        match ask(&call, &request.group_id, question).await {
            Ok(GroupReply::Sync(reply)) => reply,
            other => SyncReply::error(failure(other)),
        }
    };
    call.reply(&SyncGroupResponse {
        throttle_time_ms: call.throttle_ms(),
        error_code: code(reply.error),
        protocol_type: reply.protocol_type.as_ref().map(text),
        protocol_name: reply.protocol_name.as_ref().map(text),
        assignment: reply.assignment,
    })
}

fn question(request: &SyncGroupRequest) -> SyncRequest {
    SyncRequest {
        group_id: name(&request.group_id),
        member_id: name(&request.member_id),
        group_instance_id: request.group_instance_id.as_ref().map(name),
        generation_id: request.generation_id,
        protocol_type: request.protocol_type.as_ref().map(name),
        protocol_name: request.protocol_name.as_ref().map(name),
        assignments: request
            .assignments
            .iter()
            .map(|one| (name(&one.member_id), Bytes::copy_from_slice(&one.assignment)))
            .collect(),
    }
}
