//! The APIs of consumer groups, one file each. The rules are in `headwater-coordinator`; here wire messages become its
//! questions and its answers become wire messages, version by version.

pub(super) mod delete_groups;
pub(super) mod describe_groups;
pub(super) mod find_coordinator;
pub(super) mod heartbeat;
pub(super) mod join_group;
pub(super) mod leave_group;
pub(super) mod list_groups;
pub(super) mod offset_commit;
pub(super) mod offset_delete;
pub(super) mod offset_fetch;
pub(super) mod sync_group;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use headwater_coordinator::Refusal;
use headwater_coordinator::groups::{GroupError, GroupReply, GroupRequest, Name};
use headwater_env::Env;
use headwater_protocol::{ErrorCode, Str};

use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::coordinator::partition_of;

/// Asks the coordinator of the group.
async fn ask<E: Env>(call: &Call<E>, group_id: &str, request: GroupRequest) -> Result<GroupReply, Refusal> {
    call.node.groups.ask(&call.node, group_id, request, &call.order).await
}

/// Asks the coordinators of several groups, each once, about those that are its own. The answers come with the groups
/// they are about.
async fn ask_by_partition<E: Env>(
    call: &Call<E>,
    group_ids: impl Iterator<Item = Name>,
    request: impl Fn(Vec<Name>) -> GroupRequest,
) -> Vec<(Vec<Name>, Result<GroupReply, Refusal>)> {
    let image = call.node.controller.image();
    let mut by_partition: BTreeMap<Option<i32>, Vec<Name>> = BTreeMap::new();
    for group_id in group_ids {
        by_partition.entry(partition_of(&image, &group_id)).or_default().push(group_id);
    }
    let questions = by_partition.into_iter().map(|(partition, group_ids)| {
        let question = request(group_ids.clone());
        async move {
            let outcome = match partition {
                Some(partition) => call.node.groups.ask_partition(partition, question, &call.order).await,
                None => Err(Refusal::NotCoordinator),
            };
            (group_ids, outcome)
        }
    });
    // All are asked before any is waited for.
    futures_util::future::join_all(questions).await
}

/// What an outcome that is not the answer to the question means.
fn failure(outcome: Result<GroupReply, Refusal>) -> GroupError {
    match outcome {
        Err(refusal) => refusal.into(),
        Ok(reply) => {
            tracing::error!(?reply, "a coordinator has answered another question");
            GroupError::UnknownServerError
        }
    }
}

/// The code of an error, or of none.
fn code(error: Option<GroupError>) -> i16 {
    error.map_or(ErrorCode::None, GroupError::code).code()
}

/// Whether the client may do this to the group.
fn may<E: Env>(call: &Call<E>, operation: Operation, group_id: &str) -> bool {
    authorize(&call.context, operation, Resource::Group(group_id))
}

/// Text for the coordinator, which must not keep the frame in memory.
fn name(text: &Str) -> Name {
    Name::from(text.as_str())
}

/// Text for the wire.
fn text(name: &Name) -> Str {
    Str::from(&**name)
}
