//! One file per API, and the table that says which APIs and versions this broker serves.
//!
//! A handler is `async fn handle<E: Env>(call: Call<E>, request: XRequest) -> HandlerResult<E>`. It
//! - runs to its first `await` before the next request of the same connection is looked at, so whatever
//!   must happen in arrival order (an append, a group join) happens before that point, or under
//!   [`Order::hold`](crate::context::Order::hold);
//! - asks [`authorize`](crate::authorize) before it looks at state;
//! - answers errors inside the response, with the codes of [`errors`](crate::errors); an `Err` closes
//!   the connection;
//! - is dropped when the client goes away, so anything that must finish is not awaited here but spawned.

mod alter_configs;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod fetch;
mod groups;
mod incremental_alter_configs;
mod init_producer_id;
mod list_offsets;
mod mentions;
mod metadata;
mod offset_for_leader_epoch;
mod produce;
mod table;

use headwater_protocol::ErrorCode;

pub(crate) use api_versions::unsupported_version;
pub(crate) use fetch::FetchSessions;
use groups::{
    delete_groups, describe_groups, find_coordinator, heartbeat, join_group, leave_group, list_groups,
    offset_commit, offset_delete, offset_fetch, sync_group,
};
pub(crate) use produce::refuse as refuse_produce;
pub(crate) use table::{HandlerResult, advertised, is_refused_produce, row};

/// The topics that belong to the coordinators.
pub(crate) fn is_internal(topic: &str) -> bool {
    matches!(topic, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

/// Compares the leader epoch that a client knows (-1 if none) with the one in force.
pub(crate) fn check_leader_epoch(known: i32, current: i32) -> Result<(), ErrorCode> {
    match known {
        ..0 => Ok(()),
        known if known < current => Err(ErrorCode::FencedLeaderEpoch),
        known if known > current => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}
