//! ListOffsets: offsets by time, and the special times earliest, latest and largest.
//!
//! An offset by time is only told if a consumer of the isolation level can see it.

use headwater_env::{DiskFile, Env};
use headwater_log::{Isolation, TimestampOffset};
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse,
};
use headwater_record::{BATCH_OVERHEAD, BatchHeader};

use super::mentions::{Mention, Mentions};
use super::{HandlerResult, check_leader_epoch};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::errors;
use crate::partition::Partition;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
/// The last offset in remote storage, of which there is none.
const LATEST_TIERED: i64 = -5;
/// The first offset that is not in remote storage yet: without one, the earliest.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Answers have a leader epoch from here on.
const LEADER_EPOCH_SINCE: i16 = 4;

/// From which version on a special time is known.
fn known_since(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        ..EARLIEST_PENDING_UPLOAD => i16::MAX,
        _ => 0,
    }
}

/// Answers with one offset for each partition.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: ListOffsetsRequest) -> HandlerResult<E> {
    let isolation = match request.isolation_level {
        1 => Isolation::LastStable,
        _ => Isolation::HighWatermark,
    };
    let all = |topic: &ListOffsetsTopic| {
        let name = topic.name.clone();
        topic.partitions.iter().map(move |asked| (name.clone(), asked.partition_index)).collect::<Vec<_>>()
    };
    let mut mentions = Mentions::of(request.topics.iter().flat_map(all));
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            match mentions.next(&(topic.name.clone(), asked.partition_index)) {
                Mention::Only => partitions.push(partition(&call, &topic.name, asked, isolation)),
                Mention::First => partitions.push(ListOffsetsPartitionResponse {
                    partition_index: asked.partition_index,
                    error_code: ErrorCode::InvalidRequest.code(),
                    ..ListOffsetsPartitionResponse::default()
                }),
                Mention::Again => {}
            }
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
    }
    call.reply(&ListOffsetsResponse { throttle_time_ms: call.throttle_ms(), topics })
}

fn partition<E: Env>(
    call: &Call<E>,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> ListOffsetsPartitionResponse {
    let nothing = ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        ..ListOffsetsPartitionResponse::default()
    };
    match look_up(call, topic, asked, isolation) {
        Ok(Some(found)) => ListOffsetsPartitionResponse {
            timestamp: found.timestamp,
            offset: found.offset,
            leader_epoch: if call.version() < LEADER_EPOCH_SINCE { -1 } else { found.leader_epoch },
            ..nothing
        },
        Ok(None) => nothing,
        Err(code) => ListOffsetsPartitionResponse { error_code: code.code(), ..nothing },
    }
}

fn look_up<E: Env>(
    call: &Call<E>,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Isolation,
) -> Result<Option<TimestampOffset>, ErrorCode> {
    if !authorize(&call.context, Operation::Describe, Resource::Topic(topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    if call.version() < known_since(asked.timestamp) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let partition = call.node.partition(topic, asked.partition_index).map_err(errors::unavailable)?;
    check_leader_epoch(asked.current_leader_epoch, partition.leader_epoch())?;
    let progress = partition.log().progress();
    let end = match isolation {
        Isolation::LastStable => progress.last_stable,
        Isolation::HighWatermark | Isolation::LogEnd => progress.high_watermark,
    };
    let found = match asked.timestamp {
        LATEST => Some(at(end, partition.leader_epoch())),
        EARLIEST | EARLIEST_LOCAL | EARLIEST_PENDING_UPLOAD => {
            Some(at(progress.log_start, epoch_at(&partition, progress.log_start)))
        }
        LATEST_TIERED => None,
        MAX_TIMESTAMP => partition.log().max_timestamp_offset().map_err(|error| errors::read(&error))?,
        time => {
            let found = partition.log().offset_for_timestamp(time).map_err(|error| errors::read(&error))?;
            found.filter(|found| found.offset < end)
        }
    };
    Ok(found)
}

fn at(offset: i64, leader_epoch: i32) -> TimestampOffset {
    TimestampOffset { timestamp: -1, offset, leader_epoch }
}

/// The leader epoch of the batch at `offset`; without one, of the last batch there was; -1 if there was none.
fn epoch_at<E: Env>(partition: &Partition<E>, offset: i64) -> i32 {
    let epoch = || {
        let slice = partition.read(offset, BATCH_OVERHEAD as u64, true, Isolation::HighWatermark).ok()?;
        let mut header = [0; BATCH_OVERHEAD];
        slice.file.read_exact_at(&mut header, slice.position).ok()?;
        BatchHeader::parse(&header).ok().map(|header| header.partition_leader_epoch)
    };
    epoch().or_else(|| partition.log().leader_epoch()).unwrap_or(-1)
}
