//! DescribeCluster: cluster id, controller, brokers.

use headwater_env::Env;
use headwater_protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use headwater_protocol::{ErrorCode, Str};

use super::HandlerResult;
use crate::authorize::{Resource, authorized_operations};
use crate::context::Call;

/// The endpoints of brokers, as opposed to those of controllers.
const BROKERS: i8 = 1;
/// Controllers have no endpoints of their own that a client could use.
const CONTROLLERS: i8 = 2;

/// Describes.
pub(crate) async fn handle<E: Env>(call: Call<E>, request: DescribeClusterRequest) -> HandlerResult<E> {
    let image = call.node.controller.image();
    let mut response = DescribeClusterResponse {
        throttle_time_ms: call.throttle_ms(),
        endpoint_type: request.endpoint_type,
        cluster_id: Str::from(image.cluster_id.to_string()),
        controller_id: image.controller_id,
        ..DescribeClusterResponse::default()
    };
    let refusal = match request.endpoint_type {
        BROKERS => None,
        CONTROLLERS => Some((ErrorCode::MismatchedEndpointType, "this is the endpoint of a broker")),
        _ => Some((ErrorCode::UnsupportedEndpointType, "unknown endpoint type")),
    };
    if let Some((code, message)) = refusal {
        response.error_code = code.code();
        response.error_message = Some(Str::from(message));
        return call.reply(&response);
    }
    response.brokers = image
        .brokers
        .iter()
        .filter(|broker| request.include_fenced_brokers || !broker.fenced)
        .map(|broker| {
            let (host, port) = call.node.address_of(broker, &call.context.connection);
            DescribeClusterBroker {
                broker_id: broker.node_id,
                host: Str::from(host),
                port,
                rack: broker.rack.as_ref().map(Str::from),
                is_fenced: broker.fenced,
            }
        })
        .collect();
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = authorized_operations(&call.context, Resource::Cluster);
    }
    call.reply(&response)
}
