//! From a frame to its handler: header, version, row of the table; a panic is caught here.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use headwater_env::Env;
use headwater_protocol::{ApiKey, Reader, RequestHeader, Str};

use super::ConnectionError;
use crate::context::{Call, ConnectionContext, Order, RequestContext};
use crate::handlers;
use crate::node::Node;
use crate::reply::{HandlerError, Reply};

/// What a request comes to: its reply, or the end of the connection.
pub(super) type Outcome<E> = Result<Reply<E>, ConnectionError>;

/// Decodes the header and hands the request to its handler. Nothing has run before the first poll.
pub(super) fn begin<E: Env>(
    node: &Arc<Node<E>>,
    connection: &Arc<ConnectionContext>,
    frame: Bytes,
    order: Order,
) -> Pin<Box<dyn Future<Output = Outcome<E>> + Send>> {
    let (node, connection) = (node.clone(), connection.clone());
    Box::pin(guard(handle(node, connection, frame, order)))
}

/// Turns a panic into the end of the connection: what it has left half-done is this request's alone, since
/// locks are held for single steps only.
async fn guard<T>(
    request: impl Future<Output = Result<T, HandlerError>> + Send,
) -> Result<T, ConnectionError> {
    match AssertUnwindSafe(request).catch_unwind().await {
        Ok(outcome) => outcome.map_err(ConnectionError::from),
        Err(payload) => Err(ConnectionError::Panic(panic_text(payload.as_ref()))),
    }
}

async fn handle<E: Env>(
    node: Arc<Node<E>>,
    connection: Arc<ConnectionContext>,
    frame: Bytes,
    order: Order,
) -> Result<Reply<E>, HandlerError> {
    let (key, version) = peek(&frame)?;
    let api_key = ApiKey::from_i16(key).ok_or(HandlerError::Disconnect("a request of an unknown API"))?;
    if handlers::is_refused_produce(api_key, version) {
        let (call, reader) = open(node, connection, api_key, version, frame, order)?;
        return handlers::refuse_produce(&call, reader);
    }
    let row = handlers::row::<E>(api_key)
        .ok_or(HandlerError::Disconnect("a request of an API that is not served"))?;
    if !(row.min..=row.max).contains(&version) {
        return handlers::unsupported_version(connection, api_key, &frame);
    }
    let (call, reader) = open(node, connection, api_key, version, frame, order)?;
    (row.handle)(call, reader).await
}

/// Takes the header off the frame.
fn open<E: Env>(
    node: Arc<Node<E>>,
    connection: Arc<ConnectionContext>,
    api_key: ApiKey,
    version: i16,
    frame: Bytes,
    order: Order,
) -> Result<(Call<E>, Reader), HandlerError> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader)?;
    node.metrics.count_request(api_key.name(), version);
    let context = RequestContext {
        connection,
        api_key,
        api_version: version,
        correlation_id: header.correlation_id,
        // Its own memory, so that the frame does not live on in it.
        client_id: header.client_id.as_ref().map(Str::detach),
    };
    Ok((Call { node, context, order }, reader))
}

/// API key and version, which stand first in every version of the header.
fn peek(frame: &Bytes) -> Result<(i16, i16), HandlerError> {
    match frame[..] {
        [key_high, key_low, version_high, version_low, ..] => {
            Ok((i16::from_be_bytes([key_high, key_low]), i16::from_be_bytes([version_high, version_low])))
        }
        _ => Err(HandlerError::Disconnect("a request without a header")),
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_request_and_nothing_else() {
        let text = |error: ConnectionError| match error {
            ConnectionError::Panic(text) => text,
            other => panic!("{other}"),
        };
        let plain = guard(async { panic!("plain") }).await;
        assert_eq!(plain.map(|(): ()| ()).map_err(text), Err("plain".to_owned()));
        let number = 7;
        let formatted = guard(async move { panic!("formatted {number}") }).await;
        assert_eq!(formatted.map(|(): ()| ()).map_err(text), Err("formatted 7".to_owned()));
        assert!(matches!(guard(async { Ok(1) }).await, Ok(1)));
    }
}
