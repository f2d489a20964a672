//! One partition's part of a produce request.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headwater_env::Env;
use headwater_log::{Appended, Origin};
use headwater_protocol::messages::produce::{BatchIndexAndErrorMessage, PartitionProduceResponse};
use headwater_protocol::{ErrorCode, Str};
use headwater_record::{
    BatchHeader, Compression, ProduceError, ProduceRules, Uuid, ValidBatch, validate_for_produce,
};
use tokio::time::Instant;

use super::{ACKS_ALL, TopicName};
use crate::authorize::{Operation, Resource, authorize};
use crate::context::Call;
use crate::errors;
use crate::handlers::is_internal;
use crate::partition::{Partition, PartitionTable, WriteError};

/// Compressed batches from this size on are unfolded on the blocking pool.
const INLINE_DECOMPRESSION_BYTES_MAX: usize = 64 * 1024;

/// zstd came with this version.
const ZSTD_SINCE: i16 = 7;

/// The client id with which Kafka's own tools may write to internal topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";

type Refusal = (ErrorCode, &'static str);

/// A batch and where it goes.
pub(super) struct Write<E: Env> {
    pub(super) topic: TopicName,
    pub(super) index: i32,
    pub(super) target: Result<Arc<Partition<E>>, Refusal>,
    pub(super) records: Bytes,
}

/// What became of a batch.
pub(super) enum Pending<E: Env> {
    /// It is decided.
    Done(TopicName, PartitionProduceResponse),
    /// It is in the log; the answer holds once it is committed.
    Commit(TopicName, PartitionProduceResponse, CommitWait<E>),
}

/// What an acks=all producer waits for.
pub(super) struct CommitWait<E: Env> {
    partition: Arc<Partition<E>>,
    end: i64,
}

impl<E: Env> CommitWait<E> {
    /// Waits until the batch is committed, its partition is gone, or time is up.
    pub(super) async fn committed(&self, call: &Call<E>, deadline: Instant) -> ErrorCode {
        let committed = self.partition.committed(self.end);
        match tokio::time::timeout_at(deadline, committed).await {
            Ok(Ok(())) => ErrorCode::None,
            Ok(Err(_)) if call.node.log_dir.failure().is_some() => ErrorCode::KafkaStorageError,
            Ok(Err(_)) => ErrorCode::NotLeaderOrFollower,
            Err(_) => ErrorCode::RequestTimedOut,
        }
    }
}

/// The partition of a topic named by name.
pub(super) fn find_by_name<E: Env>(
    call: &Call<E>,
    table: &PartitionTable<E>,
    topic: &str,
    index: i32,
) -> Result<Arc<Partition<E>>, Refusal> {
    check_topic(call, topic)?;
    call.node.find(table, topic, index).map_err(|error| plain(errors::unavailable(error)))
}

/// The partition of a topic named by id.
pub(super) fn find_by_id<E: Env>(
    call: &Call<E>,
    table: &PartitionTable<E>,
    id: Uuid,
    index: i32,
) -> Result<Arc<Partition<E>>, Refusal> {
    let topic = call.node.find_id(table, id).map_err(|error| plain(errors::unavailable(error)))?;
    check_topic(call, &topic.name)?;
    topic.partition(index).cloned().map_err(|error| plain(errors::unavailable(error)))
}

fn plain(code: ErrorCode) -> Refusal {
    (code, code.message())
}

fn check_topic<E: Env>(call: &Call<E>, topic: &str) -> Result<(), Refusal> {
    if !authorize(&call.context, Operation::Write, Resource::Topic(topic)) {
        return Err(plain(ErrorCode::TopicAuthorizationFailed));
    }
    if is_internal(topic) && call.context.client_id() != ADMIN_CLIENT_ID {
        return Err((ErrorCode::InvalidTopicException, "clients do not write to internal topics"));
    }
    Ok(())
}

/// Checks and appends all batches. Nothing is waited for before the last append, unless batches are
/// unfolded elsewhere; the connection's next request then waits, too.
pub(super) async fn append_all<E: Env>(call: &Call<E>, writes: Vec<Write<E>>, acks: i16) -> Vec<Pending<E>> {
    let now_ms = call.node.env.wall_ms();
    let version = call.version();
    let heavy = |write: &Write<E>| {
        write.target.is_ok()
            && write.records.len() > INLINE_DECOMPRESSION_BYTES_MAX
            && is_compressed(&write.records)
    };
    let mut pending = Vec::with_capacity(writes.len());
    for write in writes {
        let is_heavy = heavy(&write);
        let Write { topic, index, target, records } = write;
        let partition = match target {
            Ok(partition) => partition,
            Err((code, message)) => {
                pending.push(Pending::Done(topic, failed(index, code, message)));
                continue;
            }
        };
        let rules = partition.settings().rules.clone();
        let check = move || check(records, &rules, version, now_ms);
        let checked = if is_heavy {
            let _hold = call.order.hold();
            call.node.env.blocking(check).await
        } else {
            check()
        };
        pending.push(match checked {
            Err(refused) => Pending::Done(topic, refused.response(index)),
            Ok(batch) => append(call, topic, index, partition, batch, acks, now_ms),
        });
    }
    pending
}

fn is_compressed(records: &[u8]) -> bool {
    BatchHeader::parse(records)
        .and_then(|header| header.compression())
        .is_ok_and(|compression| compression != Compression::None)
}

/// Why a batch is refused before the log sees it.
enum Refused {
    Produce(ProduceError),
    Plain(Refusal),
}

/// Checks a batch; it comes back with its timestamps as they are to be stored.
fn check(records: Bytes, rules: &ProduceRules, version: i16, now_ms: i64) -> Result<BytesMut, Refused> {
    let valid: ValidBatch = validate_for_produce(&records, rules, now_ms).map_err(Refused::Produce)?;
    if version < ZSTD_SINCE && valid.header.compression() == Ok(Compression::Zstd) {
        return Err(Refused::Plain((
            ErrorCode::UnsupportedCompressionType,
            "zstd needs version 7 of Produce",
        )));
    }
    if valid.header.is_transactional() {
        return Err(Refused::Plain((ErrorCode::InvalidTxnState, "transactions are not supported yet")));
    }
    // In place when the frame held nothing else, which is the rule for large batches.
    let mut batch = records.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    valid.apply(&mut batch);
    Ok(batch)
}

impl Refused {
    fn response(&self, index: i32) -> PartitionProduceResponse {
        let error = match self {
            Refused::Plain((code, message)) => return failed(index, *code, message),
            Refused::Produce(error) => error,
        };
        let mut response = failed(index, errors::produce(error), &error.to_string());
        if let ProduceError::InvalidRecords(records) | ProduceError::InvalidTimestamps(records) = error {
            response.record_errors = records
                .errors
                .iter()
                .map(|record| BatchIndexAndErrorMessage {
                    batch_index: i32::try_from(record.index).unwrap_or(i32::MAX),
                    batch_index_error_message: Some(Str::from(record.reason.to_string())),
                })
                .collect();
        }
        response
    }
}

fn append<E: Env>(
    call: &Call<E>,
    topic: TopicName,
    index: i32,
    partition: Arc<Partition<E>>,
    batch: BytesMut,
    acks: i16,
    now_ms: i64,
) -> Pending<E> {
    let bytes = batch.len() as u64;
    match partition.append(batch, Origin::Client, acks == ACKS_ALL, now_ms) {
        Ok(appended) => {
            call.node.metrics.produced_bytes.inc_by(bytes);
            let end = appended.last_offset + 1;
            Pending::Commit(topic, done(index, &appended), CommitWait { partition, end })
        }
        Err(error) => {
            if let WriteError::Append(headwater_log::AppendError::Storage(error)) = &error {
                tracing::warn!(partition = %partition.id(), %error, "cannot append");
            }
            Pending::Done(topic, failed(index, errors::write(&error), &error.to_string()))
        }
    }
}

fn done(index: i32, appended: &Appended) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        base_offset: appended.first_offset,
        log_append_time_ms: appended.log_append_time.unwrap_or(-1),
        log_start_offset: appended.log_start,
        ..PartitionProduceResponse::default()
    }
}

/// The answer for a batch that is not in the log.
pub(super) fn failed(index: i32, code: ErrorCode, message: &str) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: code.code(),
        base_offset: -1,
        error_message: Some(Str::from(message)),
        ..PartitionProduceResponse::default()
    }
}
