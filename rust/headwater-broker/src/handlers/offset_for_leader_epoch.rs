//! OffsetForLeaderEpoch (KIP-320): where an epoch ended, so that a consumer notices that records it has read
//! are gone.

use headwater_env::Env;
use headwater_log::EpochEnd;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};

use super::{HandlerResult, check_leader_epoch};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::errors;

/// Answers with one end for each partition.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: OffsetForLeaderEpochRequest) -> HandlerResult<E> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let partitions = topic
            .partitions
            .iter()
            .map(|asked| {
                let nothing = EpochEndOffset { partition: asked.partition, ..EpochEndOffset::default() };
                match end_of(&call, &topic.topic, asked) {
                    Ok(end) => {
                        EpochEndOffset { leader_epoch: end.epoch, end_offset: end.end_offset, ..nothing }
                    }
                    Err(code) => EpochEndOffset { error_code: code.code(), ..nothing },
                }
            })
            .collect();
        topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
    }
    call.reply(&OffsetForLeaderEpochResponse { throttle_time_ms: call.throttle_ms(), topics })
}

fn end_of<E: Env>(
    call: &Call<E>,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<EpochEnd, ErrorCode> {
    if !authorize(&call.context, Operation::Describe, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let partition = call.node.partition(topic, asked.partition).map_err(errors::unavailable)?;
    let current = partition.leader_epoch();
    check_leader_epoch(asked.current_leader_epoch, current)?;
    if asked.leader_epoch == current {
        // The epoch that is still going on ends where the log does, also while it has no records.
        return Ok(EpochEnd { epoch: current, end_offset: partition.log().log_end() });
    }
    Ok(partition.log().end_offset_for_epoch(asked.leader_epoch))
}
