//! Produce: batches are checked, appended as they are, and answered when they are as safe as was asked for.
//!
//! ```text
//!   check (no lock) ──▶ append (arrival order) ──▶ acks=0: nothing
//!                                                  acks=1: answer
//!                                                  acks=all: wait for the high watermark, then answer
//! ```
//!
//! Deliberately absent: transactions, which are refused; leader hints (KIP-951), which one node has no use
//! for.

mod legacy;
mod partition;

use std::time::Duration;

use headwater_env::Env;
use headwater_protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use headwater_protocol::{ErrorCode, Str};
use headwater_record::Uuid;

use super::HandlerResult;
use crate::context::Call;
use crate::reply::{HandlerError, Reply};

pub(crate) use legacy::refuse;
use partition::{Pending, Write};

/// Wait for every in-sync replica.
const ACKS_ALL: i16 = -1;
/// Send no answer.
const ACKS_NONE: i16 = 0;
/// Topics are named by id from here on.
const TOPIC_IDS_SINCE: i16 = 13;

/// Appends and answers.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: ProduceRequest) -> HandlerResult<E> {
    let acks = request.acks;
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = call.node.env.now() + timeout;
    let refusal = refusal(&request);
    let topics = resolve(&call, request.topic_data, refusal);
    let pending = partition::append_all(&call, topics, acks).await;
    let mut answered = Vec::with_capacity(pending.len());
    for pending in pending {
        answered.push(match pending {
            Pending::Done(topic, response) => (topic, response),
            Pending::Commit(topic, response, wait) if acks == ACKS_ALL => {
                let code = wait.committed(&call, deadline).await;
                (topic, settle(response, code))
            }
            Pending::Commit(topic, response, _) => (topic, response),
        });
    }
    if acks == ACKS_NONE {
        // The end of the connection is the only way to tell a producer that does not listen.
        let failed = answered.iter().any(|(_, response)| response.error_code != ErrorCode::None.code());
        return match failed {
            true => Err(HandlerError::Disconnect("a produce request with acks=0 failed")),
            false => Ok(Reply::none()),
        };
    }
    call.reply(&response(&call, answered))
}

/// Why the whole request is refused.
fn refusal(request: &ProduceRequest) -> Option<(ErrorCode, &'static str)> {
    if !(ACKS_ALL..=1).contains(&request.acks) {
        return Some((ErrorCode::InvalidRequiredAcks, "acks must be -1, 0 or 1"));
    }
    request
        .transactional_id
        .as_ref()
        .map(|_| (ErrorCode::InvalidTxnState, "transactions are not supported yet"))
}

/// A topic as the request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TopicName {
    name: Str,
    id: Uuid,
}

fn settle(response: PartitionProduceResponse, code: ErrorCode) -> PartitionProduceResponse {
    match code {
        ErrorCode::None => response,
        code => partition::failed(response.index, code, code.message()),
    }
}

/// Finds the partitions; names leave the frame's memory, so that its records can be changed in place.
fn resolve<E: Env>(
    call: &Call<E>,
    topics: Vec<TopicProduceData>,
    refusal: Option<(ErrorCode, &'static str)>,
) -> Vec<Write<E>> {
    let table = call.node.table();
    let by_id = call.version() >= TOPIC_IDS_SINCE;
    let mut writes = Vec::new();
    for topic in topics {
        let name = TopicName { name: topic.name.detach(), id: topic.topic_id };
        drop(topic.name);
        for data in topic.partition_data {
            let found = match (refusal, by_id) {
                (Some((code, message)), _) => Err((code, message)),
                (None, true) => partition::find_by_id(call, &table, name.id, data.index),
                (None, false) => partition::find_by_name(call, &table, &name.name, data.index),
            };
            let records = data.records.unwrap_or_default();
            writes.push(Write { topic: name.clone(), index: data.index, target: found, records });
        }
    }
    writes
}

fn response<E: Env>(call: &Call<E>, answered: Vec<(TopicName, PartitionProduceResponse)>) -> ProduceResponse {
    let mut responses: Vec<TopicProduceResponse> = Vec::new();
    for (topic, partition) in answered {
        match responses.last_mut() {
            Some(last) if last.name == topic.name && last.topic_id == topic.id => {
                last.partition_responses.push(partition);
            }
            _ => responses.push(TopicProduceResponse {
                name: topic.name,
                topic_id: topic.id,
                partition_responses: vec![partition],
            }),
        }
    }
    ProduceResponse { responses, throttle_time_ms: call.throttle_ms(), ..ProduceResponse::default() }
}
