//! Which cluster a command talks to, and a quick look at whether it answers.

use crate::arguments::key_value;
use crate::failure::Failure;
use crate::session::Session;
use clap::Args;
use headwater_client::{Admin, AdminConfig, Bootstrap, Client, ClientError, ConsumerConfig, ProducerConfig};
use std::time::Duration;

/// A server that has not answered by then is taken for dead. Long enough for one that is just starting.
const ANSWER_WAIT: Duration = Duration::from_secs(4);
/// One whole operation, retries included. Kafka's minute is too long for somebody at a terminal.
const OPERATION_TIMEOUT_MS: &str = "15000";

#[derive(Debug, Clone, Args)]
pub(crate) struct Connect {
    /// Servers to ask first; one that answers is enough
    #[arg(
        short,
        long,
        value_name = "HOST:PORT[,…]",
        env = "HEADWATER_BOOTSTRAP",
        hide_env_values = true,
        default_value = "127.0.0.1:9092",
        help_heading = "Connection"
    )]
    pub(crate) bootstrap: String,

    /// Client setting by its Kafka name, for example `request.timeout.ms=5000`; may be repeated
    #[arg(short = 'X', long = "client-config", value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Connection")]
    pub(crate) client_config: Vec<(String, String)>,
}

impl Connect {
    pub(crate) fn servers(&self) -> Result<Bootstrap, Failure> {
        Bootstrap::parse(&self.bootstrap)
            .map_err(|_| Failure::usage(format!("`--bootstrap` expects HOST:PORT, got `{}`", self.bootstrap)))
    }

    /// Own settings over `base`: what the user says wins.
    fn settings<'a>(&'a self, base: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let given = self.client_config.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        base.iter().copied().chain(given).collect()
    }

    /// An admin client of a cluster that answers.
    pub(crate) async fn admin(&self, session: &Session) -> Result<Admin, Failure> {
        let config =
            AdminConfig::from_pairs(self.settings(&[("default.api.timeout.ms", OPERATION_TIMEOUT_MS)]))?;
        let admin = Admin::new(session.runtime(), self.servers()?, config)?;
        self.answers(admin.client()).await?;
        Ok(admin)
    }

    pub(crate) fn producer_config(&self, base: &[(&str, &str)]) -> Result<ProducerConfig, Failure> {
        Ok(ProducerConfig::from_pairs(self.settings(base))?)
    }

    pub(crate) fn consumer_config(&self, base: &[(&str, &str)]) -> Result<ConsumerConfig, Failure> {
        let mut settings = vec![("default.api.timeout.ms", OPERATION_TIMEOUT_MS)];
        settings.extend_from_slice(base);
        Ok(ConsumerConfig::from_pairs(self.settings(&settings))?)
    }

    /// Fails within seconds if nobody answers, where the operations themselves would go on trying.
    pub(crate) async fn answers(&self, client: &Client) -> Result<(), Failure> {
        match client.refresh_metadata(&[], ANSWER_WAIT).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.silent(&error)),
        }
    }

    fn silent(&self, error: &ClientError) -> Failure {
        let why = match error {
            ClientError::Unreachable { reason, .. } => reason.clone(),
            ClientError::TimedOut { .. } => format!("nothing came back within {} s", ANSWER_WAIT.as_secs()),
            other => return other.clone().into(),
        };
        Failure::new(format!("no server answers at `{}`: {why}", self.bootstrap))
            .hint("`headwater start` runs a server; `--bootstrap HOST:PORT` names another one")
    }
}
