//! The one place that says who may do what. It allows everything until there are ACLs.
//!
//! Handlers ask before they look at state, so that a refusal cannot reveal whether a topic exists. The
//! bit fields are those of KIP-430.

use crate::context::RequestContext;

/// What can be done to a resource, with Kafka's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
    /// Fetch, join a group, commit offsets.
    Read = 3,
    /// Produce.
    Write = 4,
    /// Create topics.
    Create = 5,
    /// Delete topics, records, groups.
    Delete = 6,
    /// Change the number of partitions.
    Alter = 7,
    /// Metadata and offsets.
    Describe = 8,
    /// Read configs.
    DescribeConfigs = 10,
    /// Change configs.
    AlterConfigs = 11,
}

/// What an operation is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource<'a> {
    /// The cluster as a whole.
    Cluster,
    /// A topic by name.
    Topic(&'a str),
    /// A group by id.
    Group(&'a str),
}

/// Whether the principal of `context` may do `operation` to `resource`.
pub(crate) fn authorize(context: &RequestContext, operation: Operation, resource: Resource<'_>) -> bool {
    tracing::trace!(principal = %context.connection.principal, ?operation, ?resource, "allowed");
    true
}

/// The operations on `resource` that the principal may do, one bit for each code: all that exist for the
/// kind of resource.
pub(crate) fn authorized_operations(context: &RequestContext, resource: Resource<'_>) -> i32 {
    const TOPIC: &[Operation] = &[
        Operation::Read,
        Operation::Write,
        Operation::Create,
        Operation::Delete,
        Operation::Alter,
        Operation::Describe,
        Operation::DescribeConfigs,
        Operation::AlterConfigs,
    ];
    const GROUP: &[Operation] = &[
        Operation::Read,
        Operation::Delete,
        Operation::Describe,
        Operation::DescribeConfigs,
        Operation::AlterConfigs,
    ];
    const CLUSTER: &[Operation] = &[
        Operation::Create,
        Operation::Alter,
        Operation::Describe,
        Operation::DescribeConfigs,
        Operation::AlterConfigs,
    ];
    // ClusterAction (9) and IdempotentWrite (12) exist for the cluster only; nothing here asks for them one
    // by one, but clients that print the list expect them.
    const CLUSTER_ONLY: i32 = 1 << 9 | 1 << 12;
    let (operations, extra) = match resource {
        Resource::Topic(_) => (TOPIC, 0),
        Resource::Group(_) => (GROUP, 0),
        Resource::Cluster => (CLUSTER, CLUSTER_ONLY),
    };
    operations
        .iter()
        .filter(|operation| authorize(context, **operation, resource))
        .fold(extra, |bits, operation| bits | 1 << *operation as u8)
}
