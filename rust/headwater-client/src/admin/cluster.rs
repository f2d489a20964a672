//! The brokers of the cluster.

use super::{Admin, ClusterDescription};
use crate::client::Destination;
use crate::error::ClientError;
use crate::metadata::Node;
use headwater_protocol::messages::describe_cluster::DescribeClusterRequest;
use std::collections::BTreeSet;

impl Admin {
    /// The brokers. Asked by DescribeCluster, or by Metadata where a broker does not have that.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        let doing = || "describing the cluster".to_owned();
        self.client.retrying(self.limit(), &doing, || self.describe_cluster_once()).await
    }

    async fn describe_cluster_once(&self) -> Result<ClusterDescription, ClientError> {
        let request = DescribeClusterRequest::default();
        let answer = match self.client.send(&Destination::Any, request).await {
            Err(ClientError::Unsupported { .. }) => return self.describe_by_metadata().await,
            answer => answer?,
        };
        let message = answer.error_message.as_deref();
        ClientError::check_with(answer.error_code, message, || "the cluster".to_owned())?;
        let node = |broker: &headwater_protocol::messages::describe_cluster::DescribeClusterBroker| Node {
            id: broker.broker_id,
            host: broker.host.to_string(),
            port: broker.port,
            rack: broker.rack.as_deref().map(str::to_owned),
        };
        let mut nodes: Vec<Node> = answer.brokers.iter().map(node).collect();
        nodes.sort_by_key(|node| node.id);
        let cluster_id = answer.cluster_id.to_string();
        Ok(ClusterDescription { cluster_id, controller_id: answer.controller_id, nodes })
    }

    async fn describe_by_metadata(&self) -> Result<ClusterDescription, ClientError> {
        let image =
            self.client.fetch_metadata(crate::metadata::Scope::Topics(BTreeSet::new()), self.limit()).await?;
        let mut nodes: Vec<Node> = image.nodes.values().cloned().collect();
        nodes.sort_by_key(|node| node.id);
        Ok(ClusterDescription {
            cluster_id: image.cluster_id.clone().unwrap_or_default(),
            controller_id: image.controller.unwrap_or(-1),
            nodes,
        })
    }
}
