//! DeleteGroups: forgets empty groups and their offsets.

use std::collections::HashMap;

use headwater_coordinator::groups::{GroupReply, GroupRequest, Name};
use headwater_env::Env;
use headwater_protocol::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};
use headwater_protocol::{ErrorCode, Str};

use super::{ask_by_partition, failure, may, name};
use crate::authorize::Operation;
use crate::context::Call;
use crate::handlers::HandlerResult;

/// Deletes.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: DeleteGroupsRequest) -> HandlerResult<E> {
    let mut asked: Vec<&Str> = request.groups_names.iter().collect();
    // A group named twice is deleted once and told once, as in Kafka.
    asked.sort();
    asked.dedup();
    let allowed = asked.iter().filter(|group_id| may(&call, Operation::Delete, group_id)).map(|id| name(id));
    let mut results: HashMap<Name, ErrorCode> = HashMap::new();
    for (group_ids, outcome) in ask_by_partition(&call, allowed, GroupRequest::Delete).await {
        match outcome {
            Ok(GroupReply::Delete(deleted)) => {
                let code = |result: Result<(), _>| {
                    result.map_or_else(headwater_coordinator::groups::GroupError::code, |()| ErrorCode::None)
                };
                results.extend(deleted.into_iter().map(|(group_id, result)| (group_id, code(result))));
            }
            other => {
                let code = failure(other).code();
                results.extend(group_ids.into_iter().map(|group_id| (group_id, code)));
            }
        }
    }
    let results = asked.into_iter().map(|group_id| {
        let code = results.get(group_id.as_str()).copied().unwrap_or(ErrorCode::GroupAuthorizationFailed);
        DeletableGroupResult { group_id: group_id.clone(), error_code: code.code() }
    });
    call.reply(&DeleteGroupsResponse { throttle_time_ms: call.throttle_ms(), results: results.collect() })
}
