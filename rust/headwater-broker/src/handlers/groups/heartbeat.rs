//! Heartbeat: a member lives.

use headwater_coordinator::Refusal;
use headwater_coordinator::groups::{GroupReply, GroupRequest, HeartbeatRequest as Question};
use headwater_env::Env;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::{ask, failure, may, name};
use crate::authorize::Operation;
use crate::context::Call;
use crate::handlers::HandlerResult;

/// Takes note.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: HeartbeatRequest) -> HandlerResult<E> {
    let code = if may(&call, Operation::Read, &request.group_id) {
        let question = Question {
            group_id: name(&request.group_id),
            member_id: name(&request.member_id),
            group_instance_id: request.group_instance_id.as_ref().map(name),
            generation_id: request.generation_id,
        };
        match ask(&call, &request.group_id, GroupRequest::Heartbeat(question)).await {
            Ok(GroupReply::Heartbeat(result)) => {
                result.map_or_else(|error| error.code(), |()| ErrorCode::None)
            }
            // Sessions start anew when the group is loaded, so the member has nothing to worry about.
            Err(Refusal::Loading) => ErrorCode::None,
            other => failure(other).code(),
        }
    } else {
        ErrorCode::GroupAuthorizationFailed
    };
    call.reply(&HeartbeatResponse { throttle_time_ms: call.throttle_ms(), error_code: code.code() })
}
