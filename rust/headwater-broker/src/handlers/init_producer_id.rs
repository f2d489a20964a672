//! InitProducerId: an id for an idempotent producer.
//!
//! Deliberately absent: transactional ids. Who asks with one is told plainly that this version of the
//! broker cannot do it.

use headwater_env::Env;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::HandlerResult;
use crate::context::Call;

/// Gives out an id.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: InitProducerIdRequest) -> HandlerResult<E> {
    let nothing = InitProducerIdResponse {
        throttle_time_ms: call.throttle_ms(),
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    };
    let response = match next_id(&call, &request).await {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..nothing },
        Err(code) => InitProducerIdResponse { error_code: code.code(), ..nothing },
    };
    call.reply(&response)
}

async fn next_id<E: Env>(call: &Call<E>, request: &InitProducerIdRequest) -> Result<i64, ErrorCode> {
    match request.transactional_id.as_deref() {
        None => {}
        Some("") => return Err(ErrorCode::InvalidRequest),
        Some(_) => return Err(ErrorCode::UnsupportedVersion),
    }
    // Without a transactional id every request gets a new id; a known id and epoch make no difference.
    let node = &call.node;
    let id = node.producer_ids.next(&node.controller, node.node_id, node.broker_epoch()).await;
    id.map_err(|error| {
        tracing::warn!(%error, "no producer id");
        ErrorCode::CoordinatorLoadInProgress
    })
}
