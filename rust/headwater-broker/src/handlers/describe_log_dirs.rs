//! DescribeLogDirs: the data directory, its partitions and their sizes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_env::Env;
use headwater_protocol::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
    DescribeLogDirsTopic,
};
use headwater_protocol::{ErrorCode, Str};

use super::HandlerResult;
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::partition::Partition;

/// Describes.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: DescribeLogDirsRequest) -> HandlerResult<E> {
    let mut response = DescribeLogDirsResponse {
        throttle_time_ms: call.throttle_ms(),
        ..DescribeLogDirsResponse::default()
    };
    if !authorize(&call.context, Operation::Describe, Resource::Cluster) {
        response.error_code = ErrorCode::ClusterAuthorizationFailed.code();
        return call.reply(&response);
    }
    let code = match call.node.log_dir.failure() {
        Some(_) => ErrorCode::KafkaStorageError,
        None => ErrorCode::None,
    };
    response.results.push(DescribeLogDirsResult {
        error_code: code.code(),
        log_dir: Str::from(call.node.log_dir.path().to_string_lossy().into_owned()),
        topics: topics(&call, &request),
        ..DescribeLogDirsResult::default()
    });
    call.reply(&response)
}

fn topics<E: Env>(call: &Call<E>, request: &DescribeLogDirsRequest) -> Vec<DescribeLogDirsTopic> {
    let wanted: Option<BTreeSet<(&str, i32)>> = request.topics.as_ref().map(|topics| {
        topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |index| (&*topic.topic, *index)))
            .collect()
    });
    let asked = |partition: &Partition<E>| {
        let id = partition.id();
        wanted.as_ref().is_none_or(|wanted| wanted.contains(&(&*id.topic, id.partition)))
    };
    let table = call.node.table();
    let mut topics: BTreeMap<Arc<str>, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for partition in table.topics().flat_map(|topic| topic.online()).filter(|partition| asked(partition)) {
        topics.entry(partition.id().topic.clone()).or_default().push(DescribeLogDirsPartition {
            partition_index: partition.id().partition,
            partition_size: i64::try_from(partition.log().size()).unwrap_or(i64::MAX),
            offset_lag: 0,
            is_future_key: false,
        });
    }
    topics
        .into_iter()
        .map(|(name, partitions)| DescribeLogDirsTopic { name: Str::from(&*name), partitions })
        .collect()
}
