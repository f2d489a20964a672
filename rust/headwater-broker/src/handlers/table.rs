//! The table of APIs: key, first and last version, handler.
//!
//! Each row wraps its handler so that the table is a plain list of function pointers: decode the body in
//! the request's version, run the handler.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use headwater_env::Env;
use headwater_protocol::messages as m;
use headwater_protocol::{ApiKey, Message, Reader};

use super::*;
use crate::context::Call;
use crate::reply::{HandlerError, Reply};

/// What a handler comes to.
pub(crate) type HandlerResult<E> = Result<Reply<E>, HandlerError>;

/// A request under way.
pub(crate) type HandlerFuture<E> = Pin<Box<dyn Future<Output = HandlerResult<E>> + Send>>;

/// A row of the table.
pub(crate) struct ApiRow<E: Env> {
    /// The API.
    pub(crate) key: ApiKey,
    /// The first version that is advertised.
    pub(crate) min: i16,
    /// The last one.
    pub(crate) max: i16,
    /// Decodes a body and handles the request.
    pub(crate) handle: fn(Call<E>, Reader) -> HandlerFuture<E>,
}

macro_rules! rows {
    ($($key:ident $min:literal ..= $max:literal => $module:ident($request:ty);)*) => {
        &[$(ApiRow {
            key: ApiKey::$key,
            min: $min,
            max: $max,
            handle: |call, mut reader| Box::pin(async move {
                let request = <$request>::decode(&mut reader, call.version())?;
                drop(reader);
                $module::handle(call, request).await
            }),
        },)*]
    };
}

struct Table<E>(PhantomData<E>);

impl<E: Env> Table<E> {
    #[rustfmt::skip] // One line per API.
    const ROWS: &'static [ApiRow<E>] = rows! {
        // Produce 0 to 2 are answered by `produce::refuse`.
        Produce                  3..=13 => produce(m::produce::ProduceRequest);
        Fetch                    4..=18 => fetch(m::fetch::FetchRequest);
        ListOffsets              1..=11 => list_offsets(m::list_offsets::ListOffsetsRequest);
        Metadata                 0..=13 => metadata(m::metadata::MetadataRequest);
        OffsetCommit             2..=10 => offset_commit(m::offset_commit::OffsetCommitRequest);
        OffsetFetch              1..=10 => offset_fetch(m::offset_fetch::OffsetFetchRequest);
        FindCoordinator          0..=6  => find_coordinator(m::find_coordinator::FindCoordinatorRequest);
        JoinGroup                0..=9  => join_group(m::join_group::JoinGroupRequest);
        Heartbeat                0..=4  => heartbeat(m::heartbeat::HeartbeatRequest);
        LeaveGroup               0..=5  => leave_group(m::leave_group::LeaveGroupRequest);
        SyncGroup                0..=5  => sync_group(m::sync_group::SyncGroupRequest);
        DescribeGroups           0..=6  => describe_groups(m::describe_groups::DescribeGroupsRequest);
        ListGroups               0..=5  => list_groups(m::list_groups::ListGroupsRequest);
        ApiVersions              0..=4  => api_versions(m::api_versions::ApiVersionsRequest);
        CreateTopics             2..=7  => create_topics(m::create_topics::CreateTopicsRequest);
        DeleteTopics             1..=6  => delete_topics(m::delete_topics::DeleteTopicsRequest);
        DeleteRecords            0..=2  => delete_records(m::delete_records::DeleteRecordsRequest);
        InitProducerId           0..=5  => init_producer_id(m::init_producer_id::InitProducerIdRequest);
        OffsetForLeaderEpoch     2..=4  => offset_for_leader_epoch(m::offset_for_leader_epoch::OffsetForLeaderEpochRequest);
        DescribeConfigs          1..=4  => describe_configs(m::describe_configs::DescribeConfigsRequest);
        AlterConfigs             0..=2  => alter_configs(m::alter_configs::AlterConfigsRequest);
        DescribeLogDirs          1..=5  => describe_log_dirs(m::describe_log_dirs::DescribeLogDirsRequest);
        CreatePartitions         0..=3  => create_partitions(m::create_partitions::CreatePartitionsRequest);
        DeleteGroups             0..=2  => delete_groups(m::delete_groups::DeleteGroupsRequest);
        IncrementalAlterConfigs  0..=1  => incremental_alter_configs(m::incremental_alter_configs::IncrementalAlterConfigsRequest);
        OffsetDelete             0..=0  => offset_delete(m::offset_delete::OffsetDeleteRequest);
        DescribeCluster          0..=2  => describe_cluster(m::describe_cluster::DescribeClusterRequest);
        DescribeProducers        0..=0  => describe_producers(m::describe_producers::DescribeProducersRequest);
        DescribeTopicPartitions  0..=0  => describe_topic_partitions(m::describe_topic_partitions::DescribeTopicPartitionsRequest);
    };
}

/// Produce is advertised from here on though its first versions are refused when used.
const PRODUCE_ADVERTISED_MIN: i16 = 0;

/// The row of an API, if it is served.
pub(crate) fn row<E: Env>(key: ApiKey) -> Option<&'static ApiRow<E>> {
    Table::<E>::ROWS.iter().find(|row| row.key == key)
}

/// APIs with their first and last versions, as ApiVersions tells them, by number.
pub(crate) fn advertised<E: Env>() -> impl Iterator<Item = (ApiKey, i16, i16)> {
    Table::<E>::ROWS.iter().map(|row| match row.key {
        ApiKey::Produce => (row.key, PRODUCE_ADVERTISED_MIN, row.max),
        key => (key, row.min, row.max),
    })
}

/// Whether this is a version that is advertised and refused.
pub(crate) fn is_refused_produce(key: ApiKey, version: i16) -> bool {
    key == ApiKey::Produce && (PRODUCE_ADVERTISED_MIN..3).contains(&version)
}

#[cfg(test)]
mod tests {
    use headwater_env::real::RealEnv;

    use super::*;

    #[test]
    fn the_table_is_sorted_by_number() {
        let keys: Vec<i16> = advertised::<RealEnv>().map(|(key, _, _)| key as i16).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
    }
}
