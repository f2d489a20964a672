//! Topics, configurations, groups and offsets, as an administrator sees them.
//!
//! One method per operation. Each retries what may pass within `default.api.timeout.ms`; a call fails as a whole only if
//! the cluster cannot be asked, and every thing asked about has an outcome of its own.
//!
//! Deliberately absent so far: ACLs, quotas, SCRAM users, reassignments, log directories, transactions.

mod cluster;
mod configs;
mod groups;
mod records;
mod topics;
mod types;

pub use types::*;

use crate::client::Client;
use crate::config::AdminConfig;
use crate::error::ClientError;
use crate::net::Bootstrap;
use crate::runtime::Runtime;
use std::collections::BTreeMap;
use std::time::Duration;

/// One outcome per thing asked about.
pub type Each<K, T> = BTreeMap<K, Result<T, ClientError>>;

/// Administers one cluster. Cheap to clone; clones are the same client.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
    config: AdminConfig,
}

impl Admin {
    /// An admin client that connects when first used.
    pub fn new(runtime: Runtime, bootstrap: Bootstrap, config: AdminConfig) -> Result<Self, ClientError> {
        config.validate()?;
        let client = Client::new(runtime, bootstrap, config.client.clone())?;
        Ok(Self { client, config })
    }

    /// Over the connections of an existing client, which [`close`](Self::close) then closes.
    pub fn with_client(client: Client, config: AdminConfig) -> Self {
        Self { client, config }
    }

    /// Metadata and raw requests over this client's connections.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The same client, whose calls through this handle may take so long in place of `default.api.timeout.ms`.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        let mut limited = self.clone();
        limited.config.default_api_timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        limited
    }

    /// Ends all connections and tasks.
    pub fn close(&self) {
        self.client.close();
    }

    /// The time for one whole operation.
    fn limit(&self) -> Duration {
        Duration::from_millis(self.config.default_api_timeout_ms)
    }

    /// The time for one request, as brokers are told it.
    fn request_timeout_ms(&self) -> i32 {
        i32::try_from(self.client.config().request_timeout_ms).unwrap_or(i32::MAX)
    }
}
