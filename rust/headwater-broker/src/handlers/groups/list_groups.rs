//! ListGroups: the groups that this broker coordinates.

use headwater_coordinator::Refusal;
use headwater_coordinator::groups::{
    CLASSIC_GROUP_TYPE, GroupReply, GroupRequest, ListRequest, ListedGroup as Listed,
};
use headwater_env::Env;
use headwater_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use headwater_protocol::{ErrorCode, Str};

use super::{failure, may, name, text};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::handlers::HandlerResult;

/// Lists.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: ListGroupsRequest) -> HandlerResult<E> {
    let mut response =
        ListGroupsResponse { throttle_time_ms: call.throttle_ms(), ..ListGroupsResponse::default() };
    if call.node.groups.is_loading() {
        response.error_code = ErrorCode::CoordinatorLoadInProgress.code();
        return call.reply(&response);
    }
    let question = ListRequest {
        states: request.states_filter.iter().map(name).collect(),
        types: request.types_filter.iter().map(name).collect(),
    };
    let questions = call.node.groups.active().into_iter().map(|partition| {
        let question = GroupRequest::List(question.clone());
        call.node.groups.ask_partition(partition, question, &call.order)
    });
    let sees_all = authorize(&call.context, Operation::Describe, Resource::Cluster);
    for outcome in futures_util::future::join_all(questions).await {
        match outcome {
            Ok(GroupReply::List(groups)) => {
                let visible = groups
                    .iter()
                    .filter(|group| sees_all || may(&call, Operation::Describe, &group.group_id));
                response.groups.extend(visible.map(tell));
            }
            // Another broker lists these now.
            Err(Refusal::NotCoordinator) => {}
            other => {
                response.error_code = failure(other).code().code();
                response.groups.clear();
                break;
            }
        }
    }
    call.reply(&response)
}

fn tell(group: &Listed) -> ListedGroup {
    ListedGroup {
        group_id: text(&group.group_id),
        protocol_type: text(&group.protocol_type),
        group_state: Str::from_static(group.state.name()),
        group_type: Str::from_static(CLASSIC_GROUP_TYPE),
    }
}
