//! DeleteRecords: moves the start of logs forward; -1 means up to the high watermark.

use headwater_env::Env;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};

use super::{HandlerResult, is_internal};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::errors;

/// Everything that is committed.
const UP_TO_HIGH_WATERMARK: i64 = -1;

/// Deletes.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: DeleteRecordsRequest) -> HandlerResult<E> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let (code, low_watermark) = match delete(&call, &topic.name, asked).await {
                Ok(low_watermark) => (ErrorCode::None, low_watermark),
                Err(code) => (code, -1),
            };
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark,
                error_code: code.code(),
            });
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name, partitions });
    }
    call.reply(&DeleteRecordsResponse { throttle_time_ms: call.throttle_ms(), topics })
}

async fn delete<E: Env>(
    call: &Call<E>,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> Result<i64, ErrorCode> {
    if !authorize(&call.context, Operation::Delete, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    if is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition = call.node.partition(topic, asked.partition_index).map_err(errors::unavailable)?;
    // What compaction keeps is the newest record of each key, wherever it lies.
    if !partition.settings().log.cleanup_policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = match asked.offset {
        UP_TO_HIGH_WATERMARK => partition.log().high_watermark(),
        offset => offset,
    };
    let log = partition.log().clone();
    let deleted = call.node.env.blocking(move || log.delete_records_before(offset)).await;
    deleted.map_err(|error| errors::delete_records(&error))
}
