//! Fetch: ranges of segments, found by index and handed out as they are on disk.
//!
//! The first partition with records gives at least its first batch, however large; the limits hold for what
//! follows. A request that finds too little waits on the partitions' high watermarks and then looks again.
//! Deliberately absent: fetching by followers, and diverging epochs, which only they use.

mod session;

use std::sync::Arc;
use std::time::Duration;

use headwater_env::Env;
use headwater_log::{Isolation, Slice};
use headwater_protocol::messages::fetch::{
    AbortedTransaction, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use headwater_protocol::{ErrorCode, Message, Piece, Str};
use headwater_record::Uuid;
use tokio::sync::Notify;

use super::HandlerResult;
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::errors;
use crate::handlers::check_leader_epoch;
use crate::partition::{Partition, Waiting};
use crate::reply::{Chunk, FileRange, HandlerError, Reply};
pub(crate) use session::FetchSessions;
use session::{Answer, TopicKey, Wanted};

/// Topics are named by id from here on.
const TOPIC_IDS_SINCE: i16 = 13;

/// Consumers that see only committed transactions.
const READ_COMMITTED: i8 = 1;

/// What was found for a partition.
struct Found<E: Env> {
    wanted: Wanted,
    partition: Option<Arc<Partition<E>>>,
    outcome: Result<Slice<E>, ErrorCode>,
}

/// The limits of one request.
struct Bounds {
    isolation: Isolation,
    bytes_max: u64,
    bytes_min: u64,
    /// Whether it is a follower's: this broker has none, and must not show one more than consumers see.
    by_replica: bool,
}

/// Answers a fetch.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: FetchRequest) -> HandlerResult<E> {
    let uses_ids = call.version() >= TOPIC_IDS_SINCE;
    let (kind, wanted) = match call.node.fetch_sessions.begin(&request, uses_ids, call.node.env.wall_ms()) {
        Ok(begun) => begun,
        Err(code) => {
            let response = FetchResponse {
                error_code: code.code(),
                throttle_time_ms: call.throttle_ms(),
                ..FetchResponse::default()
            };
            return call.reply(&response);
        }
    };
    let bounds = Bounds {
        isolation: match request.isolation_level {
            READ_COMMITTED => Isolation::LastStable,
            _ => Isolation::HighWatermark,
        },
        bytes_max: u64::try_from(request.max_bytes.min(call.node.config.int("fetch.max.bytes"))).unwrap_or(0),
        bytes_min: u64::try_from(request.min_bytes).unwrap_or(0),
        by_replica: request.replica_id >= 0 || request.replica_state.replica_id >= 0,
    };
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    drop(request);
    let found = read_or_wait(&call, wanted, &bounds, wait).await;
    let answers: Vec<(Wanted, Answer)> =
        found.iter().map(|found| (found.wanted.clone(), answer(&found.outcome))).collect();
    let sessions = &call.node.fetch_sessions;
    let wants_session = matches!(kind, session::Kind::Full { .. });
    let (session_id, sent) = sessions.finish(kind, &answers, call.node.env.wall_ms(), || {
        (call.node.env.random_u64() & 0x7fff_ffff) as i32
    });
    if wants_session && session_id == 0 {
        call.node.metrics.fetch_sessions_refused.inc();
    }
    call.node.metrics.fetch_sessions.set(i64::try_from(sessions.count()).unwrap_or(i64::MAX));
    let found = found.into_iter().zip(sent).filter_map(|(found, sent)| sent.then_some(found)).collect();
    respond(&call, session_id, found, bounds.isolation)
}

/// Reads, and if that is too little waits for more until `wait` is over.
async fn read_or_wait<E: Env>(
    call: &Call<E>,
    wanted: Vec<Wanted>,
    bounds: &Bounds,
    wait: Duration,
) -> Vec<Found<E>> {
    let mut found = read_all(call, wanted, bounds);
    if wait.is_zero() || found.is_empty() || is_enough(&found, bounds) {
        return found;
    }
    let deadline = call.node.env.now() + wait;
    let notify = Arc::new(Notify::new());
    loop {
        // Places are taken first and the logs looked at afterwards, so that nothing is missed in between.
        let places: Vec<Waiting> = found.iter().filter_map(|found| place(found, &notify)).collect();
        found = read_all(call, found.into_iter().map(|found| found.wanted).collect(), bounds);
        if is_enough(&found, bounds) {
            return found;
        }
        tokio::select! { biased;
            () = notify.notified() => {}
            () = tokio::time::sleep_until(deadline) => return found,
            () = call.node.stop.cancelled() => return found,
        }
        drop(places);
    }
}

/// A place among those who wait for the partition's high watermark to move on.
fn place<E: Env>(found: &Found<E>, notify: &Arc<Notify>) -> Option<Waiting> {
    let (Some(partition), Ok(slice)) = (&found.partition, &found.outcome) else { return None };
    Some(partition.wait_for(slice.progress.high_watermark + 1, notify))
}

/// Whether the answer can go: enough bytes, or an error that the client should hear of.
fn is_enough<E: Env>(found: &[Found<E>], bounds: &Bounds) -> bool {
    let mut bytes = 0;
    for found in found {
        match &found.outcome {
            Ok(slice) => bytes += slice.length,
            Err(_) => return true,
        }
    }
    bytes >= bounds.bytes_min
}

fn read_all<E: Env>(call: &Call<E>, wanted: Vec<Wanted>, bounds: &Bounds) -> Vec<Found<E>> {
    let table = call.node.table();
    let mut left = bounds.bytes_max;
    let mut is_first = true;
    let mut found = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let partition = match &wanted.topic {
            TopicKey::Name(name) => call.node.find(&table, name, wanted.partition),
            TopicKey::Id(id) => {
                call.node.find_id(&table, *id).and_then(|topic| topic.partition(wanted.partition).cloned())
            }
        };
        let outcome = match &partition {
            Ok(_) if bounds.by_replica => Err(ErrorCode::NotLeaderOrFollower),
            Ok(partition) => read(call, partition, &wanted, bounds.isolation, left, is_first),
            Err(error) => Err(errors::unavailable(*error)),
        };
        if let Ok(slice) = &outcome {
            left = left.saturating_sub(slice.length);
            is_first &= slice.is_empty();
        }
        found.push(Found { wanted, partition: partition.ok(), outcome });
    }
    found
}

fn read<E: Env>(
    call: &Call<E>,
    partition: &Partition<E>,
    wanted: &Wanted,
    isolation: Isolation,
    left: u64,
    is_first: bool,
) -> Result<Slice<E>, ErrorCode> {
    if !authorize(&call.context, Operation::Read, Resource::Topic(&partition.id().topic)) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    check_leader_epoch(wanted.leader_epoch, partition.leader_epoch())?;
    let bytes_max = u64::try_from(wanted.bytes_max).unwrap_or(0).min(left);
    partition.read(wanted.offset, bytes_max, is_first, isolation).map_err(|error| {
        if let headwater_log::ReadError::Storage(error) = &error {
            tracing::warn!(partition = %partition.id(), offset = wanted.offset, %error, "cannot read");
        }
        errors::read(&error)
    })
}

fn answer<E: Env>(outcome: &Result<Slice<E>, ErrorCode>) -> Answer {
    match outcome {
        Ok(slice) => Answer {
            high_watermark: slice.progress.high_watermark,
            log_start: slice.progress.log_start,
            has_records: !slice.is_empty(),
            is_error: false,
        },
        Err(_) => Answer { high_watermark: -1, log_start: -1, has_records: false, is_error: true },
    }
}

/// Encodes the answer with its records left out, and puts the file ranges in their places.
fn respond<E: Env>(
    call: &Call<E>,
    session_id: i32,
    found: Vec<Found<E>>,
    isolation: Isolation,
) -> HandlerResult<E> {
    let mut response =
        FetchResponse { throttle_time_ms: call.throttle_ms(), session_id, ..FetchResponse::default() };
    let mut lengths = Vec::with_capacity(found.len());
    let mut ranges = Vec::new();
    for Found { wanted, outcome, .. } in found {
        let data = partition_data(wanted.partition, &outcome, isolation);
        let length = outcome.as_ref().map_or(Ok(0), |slice| usize::try_from(slice.length));
        let length = length.map_err(|_| HandlerError::Disconnect("a slice larger than memory"))?;
        lengths.push(Some(length));
        if let Ok(slice) = outcome
            && length > 0
        {
            call.node.metrics.fetched_bytes.inc_by(slice.length);
            ranges.push(FileRange { file: slice.file, position: slice.position, length });
        }
        push(&mut response.responses, wanted.topic, data);
    }
    let mut writer = Reply::<E>::begin(&call.context)?;
    writer.detach_records(lengths);
    response.encode(&mut writer, call.version())?;
    let mut ranges = ranges.into_iter();
    let chunks = writer.into_pieces().into_iter().filter_map(|piece| match piece {
        Piece::Bytes(bytes) => Some(Chunk::Bytes(bytes)),
        Piece::Detached(_) => ranges.next().map(Chunk::File),
    });
    Ok(Reply { chunks: Some(chunks.collect()), throttle_ms: call.throttle_ms() })
}

/// Adds to the last topic if it is the same one.
fn push(topics: &mut Vec<FetchableTopicResponse>, key: TopicKey, data: PartitionData) {
    let (topic, topic_id) = match key {
        TopicKey::Name(name) => (name, Uuid::ZERO),
        TopicKey::Id(id) => (Str::default(), id),
    };
    match topics.last_mut() {
        Some(last) if last.topic == topic && last.topic_id == topic_id => last.partitions.push(data),
        _ => topics.push(FetchableTopicResponse { topic, topic_id, partitions: vec![data] }),
    }
}

fn partition_data<E: Env>(
    partition_index: i32,
    outcome: &Result<Slice<E>, ErrorCode>,
    isolation: Isolation,
) -> PartitionData {
    let nothing = PartitionData { partition_index, ..PartitionData::default() };
    match outcome {
        Ok(slice) => PartitionData {
            high_watermark: slice.progress.high_watermark,
            last_stable_offset: slice.progress.last_stable,
            log_start_offset: slice.progress.log_start,
            aborted_transactions: (isolation == Isolation::LastStable).then(|| {
                let aborted = |transaction: &headwater_log::AbortedTransaction| AbortedTransaction {
                    producer_id: transaction.producer_id,
                    first_offset: transaction.first_offset,
                };
                slice.aborted.iter().map(aborted).collect()
            }),
            ..nothing
        },
        Err(code) => PartitionData { error_code: code.code(), high_watermark: -1, ..nothing },
    }
}
