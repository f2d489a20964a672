//! The runtime on a log in memory, and on a partition whose disk is simulated.

mod disk;
mod memory_log;
mod rewrite;
mod runtime;

use std::time::Duration;

use headwater_coordinator::Refusal;
use headwater_coordinator::groups::{
    CommitPartition, CommitRequest, CommitTopic, FetchRequest, GroupConfig, GroupReply, GroupRequest,
    GroupShard, Name,
};
use headwater_env::Env;
use headwater_record::Uuid;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::log::CoordinatorLog;
use super::{CoordinatorMetrics, CoordinatorRuntime, RuntimeSettings, Term};
use crate::context::Order;

type Runtime<E> = CoordinatorRuntime<E, GroupShard>;

const TERM: Term = Term { topic_id: Uuid::ZERO, leader_epoch: 0 };

fn runtime<E: Env>(env: E) -> Runtime<E> {
    let settings = RuntimeSettings { commit_timeout: Duration::from_secs(5), load_buffer_bytes: 64 << 10 };
    let metrics = CoordinatorMetrics::default();
    CoordinatorRuntime::new(env, settings, metrics, TaskTracker::new(), CancellationToken::new())
}

fn shard() -> GroupShard {
    GroupShard::new(GroupConfig::default())
}

/// A runtime that has loaded partition 0 from `log`.
async fn loaded<E: Env>(env: E, log: impl CoordinatorLog) -> Runtime<E> {
    let runtime = runtime(env);
    runtime.load(0, TERM, log, shard);
    runtime.wait_until_loaded(0).await;
    runtime
}

/// Commits `offset` for these partitions of topic `t`.
fn commit(group: &str, partitions: impl IntoIterator<Item = i32>, offset: i64) -> GroupRequest {
    let partition =
        |partition| CommitPartition { partition, offset, leader_epoch: -1, metadata: Name::default() };
    GroupRequest::CommitOffsets(CommitRequest {
        group_id: group.into(),
        member_id: Name::default(),
        group_instance_id: None,
        generation_id: -1,
        retention_ms: None,
        understands_group_id_not_found: true,
        topics: vec![CommitTopic {
            topic: "t".into(),
            topic_id: Uuid::ZERO,
            partitions: partitions.into_iter().map(partition).collect(),
        }],
    })
}

async fn try_commit<E: Env>(
    runtime: &Runtime<E>,
    group: &str,
    partition: i32,
    offset: i64,
) -> Result<(), Refusal> {
    match runtime.ask(0, commit(group, [partition], offset), &Order::default()).await? {
        GroupReply::CommitOffsets(Ok(results)) if results[0].partitions == [(partition, None)] => Ok(()),
        other => panic!("{other:?}"),
    }
}

/// The offset of a partition of topic `t`; -1 when there is none.
async fn committed<E: Env>(runtime: &Runtime<E>, group: &str, partition: i32) -> Result<i64, Refusal> {
    let request = FetchRequest {
        group_id: group.into(),
        topics: Some(vec![("t".into(), vec![partition])]),
        require_stable: false,
    };
    match runtime.ask(0, GroupRequest::FetchOffsets(request), &Order::default()).await? {
        GroupReply::FetchOffsets(topics) => Ok(topics[0].partitions[0].offset),
        other => panic!("{other:?}"),
    }
}

/// Lets every task that can run do so.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
