//! Settings of the admin client.

use super::value::TIMEOUT;
use super::{ClientConfig, ConfigError, settings};

settings! {
    /// Settings of [`Admin`](crate::Admin).
    pub struct AdminConfig embeds client: ClientConfig {
        /// Milliseconds for one whole operation, retries included.
        "default.api.timeout.ms" default_api_timeout_ms: u64 = 60_000, TIMEOUT;
    }
}

impl AdminConfig {
    /// Checks that the settings agree with each other.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.client.validate()
    }
}
