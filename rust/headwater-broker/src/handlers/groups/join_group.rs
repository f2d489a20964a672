//! JoinGroup: answered when the rebalance that it leads to has gathered its members.

use bytes::Bytes;
use headwater_coordinator::groups::{GroupReply, GroupRequest, JoinReply, JoinRequest, Name};
use headwater_env::Env;
use headwater_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};
use headwater_protocol::{ErrorCode, Str};

use super::{ask, code, failure, may, name, text};
use crate::authorize::Operation;
use crate::context::Call;
use crate::handlers::HandlerResult;

/// From this version on the rebalance timeout is in the request; before, it is the session timeout.
const REBALANCE_TIMEOUT_FROM: i16 = 1;
/// From this version on clients understand MEMBER_ID_REQUIRED.
const MEMBER_ID_REQUIRED_FROM: i16 = 4;
/// From this version on the protocol name may be null.
const NULL_PROTOCOL_FROM: i16 = 7;
/// From this version on clients understand `skip_assignment`.
const SKIP_ASSIGNMENT_FROM: i16 = 9;

/// Joins.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: JoinGroupRequest) -> HandlerResult<E> {
    if !may(&call, Operation::Read, &request.group_id) {
        let response = JoinGroupResponse {
            error_code: ErrorCode::GroupAuthorizationFailed.code(),
            protocol_name: protocol_name(call.version(), None),
            ..JoinGroupResponse::default()
        };
        return call.reply(&response);
    }
    let question = GroupRequest::Join(question(&call, &request));
    let reply = match ask(&call, &request.group_id, question).await {
        Ok(GroupReply::Join(reply)) => reply,
        other => JoinReply::error(Name::default(), failure(other)),
    };
    call.reply(&JoinGroupResponse {
        throttle_time_ms: call.throttle_ms(),
        error_code: code(reply.error),
        generation_id: reply.generation_id,
        protocol_type: reply.protocol_type.as_ref().map(text),
        protocol_name: protocol_name(call.version(), reply.protocol_name),
        leader: text(&reply.leader),
        skip_assignment: reply.skip_assignment,
        member_id: text(&reply.member_id),
        members: reply
            .members
            .into_iter()
            .map(|member| JoinGroupResponseMember {
                member_id: text(&member.member_id),
                group_instance_id: member.group_instance_id.as_ref().map(text),
                metadata: member.metadata,
            })
            .collect(),
    })
}

fn question<E: Env>(call: &Call<E>, request: &JoinGroupRequest) -> JoinRequest {
    let mut fresh_id = [0; 16];
    call.node.env.fill_random(&mut fresh_id);
    let version = call.version();
    JoinRequest {
        group_id: name(&request.group_id),
        member_id: name(&request.member_id),
        group_instance_id: request.group_instance_id.as_ref().map(name),
        protocol_type: name(&request.protocol_type),
        protocols: request
            .protocols
            .iter()
            .map(|protocol| (name(&protocol.name), Bytes::copy_from_slice(&protocol.metadata)))
            .collect(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match version {
            ..REBALANCE_TIMEOUT_FROM => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
        client_id: Name::from(call.context.client_id()),
        client_host: Name::from(call.context.connection.peer.to_string()),
        requires_known_member_id: version >= MEMBER_ID_REQUIRED_FROM,
        supports_skipping_assignment: version >= SKIP_ASSIGNMENT_FROM,
        fresh_id: u128::from_be_bytes(fresh_id),
    }
}

fn protocol_name(version: i16, protocol: Option<Name>) -> Option<Str> {
    let known = protocol.as_ref().map(text);
    if version < NULL_PROTOCOL_FROM { Some(known.unwrap_or_default()) } else { known }
}
