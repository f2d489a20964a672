//! ApiVersions: which APIs and versions this broker serves, which is the table of handlers itself.
//!
//! An unknown version is answered in version 0 with UNSUPPORTED_VERSION and the range of ApiVersions alone,
//! so that a newer client can come down; the connection stays. Feature tags are left out while there is no
//! finalised feature: librdkafka 2.0 gives up on an answer that has them empty. Our own client on the same
//! machine is told where it may read segments by a descriptor; nobody else sees that field.

use std::sync::Arc;

use bytes::Bytes;
use headwater_env::Env;
use headwater_protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use headwater_protocol::{ApiKey, ErrorCode, Reader, RequestHeader, Str};

use super::{HandlerResult, advertised};
use crate::context::{Call, ConnectionContext, RequestContext};
use crate::reply::{HandlerError, Reply};

/// From this version on clients say what software they are.
const SOFTWARE_NAME_SINCE: i16 = 3;

/// What our client calls itself.
const OWN_SOFTWARE_NAME: &str = "headwater";

/// Answers with the table.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: ApiVersionsRequest) -> HandlerResult<E> {
    let names = [&request.client_software_name, &request.client_software_version];
    if call.version() >= SOFTWARE_NAME_SINCE && !names.into_iter().all(|name| is_software_name(name)) {
        let response = ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            throttle_time_ms: call.throttle_ms(),
            ..ApiVersionsResponse::default()
        };
        return call.reply(&response);
    }
    let api_keys = advertised::<E>().map(|(key, min, max)| api(key, min, max)).collect();
    let is_ours = &*request.client_software_name == OWN_SOFTWARE_NAME;
    let may_come = is_ours && call.context.connection.is_from_this_machine();
    let local_name = call.node.local_name.as_deref().filter(|_| may_come).map(Str::from);
    call.reply(&ApiVersionsResponse {
        api_keys,
        local_name,
        throttle_time_ms: call.throttle_ms(),
        ..ApiVersionsResponse::default()
    })
}

fn api(key: ApiKey, min_version: i16, max_version: i16) -> ApiVersion {
    ApiVersion { api_key: key as i16, min_version, max_version }
}

/// Kafka's rule: letters and digits at both ends, dots and dashes within.
fn is_software_name(name: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    end(bytes.first())
        && end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

/// The answer to a version outside of the table. Other APIs than this one end their connection, as in Kafka.
pub(crate) fn unsupported_version<E: Env>(
    connection: Arc<ConnectionContext>,
    api_key: ApiKey,
    frame: &Bytes,
) -> HandlerResult<E> {
    if api_key != ApiKey::ApiVersions {
        return Err(HandlerError::Disconnect("a request of a version that is not served"));
    }
    let header = RequestHeader::decode(&mut Reader::new(frame.clone()))?;
    let context = RequestContext {
        connection,
        api_key,
        api_version: 0,
        correlation_id: header.correlation_id,
        client_id: None,
    };
    let itself = advertised::<E>().filter(|(key, _, _)| *key == ApiKey::ApiVersions);
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: itself.map(|(key, min, max)| api(key, min, max)).collect(),
        ..ApiVersionsResponse::default()
    };
    Reply::message(&context, &response, 0)
}

#[cfg(test)]
mod tests {
    use super::is_software_name;

    #[test]
    fn software_names_follow_kafkas_pattern() {
        for name in ["apache-kafka-java", "librdkafka", "v1.6.2", "a"] {
            assert!(is_software_name(name), "{name}");
        }
        for name in ["", "-a", "a-", "a b", "a_b", "é"] {
            assert!(!is_software_name(name), "{name}");
        }
    }
}
