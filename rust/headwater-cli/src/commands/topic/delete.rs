//! `headwater topic delete`

use crate::arguments::examples;
use crate::commands::all_or_said;
use crate::connect::Connect;
use crate::failure::{Failure, say};
use crate::session::Session;
use clap::Args;
use headwater_client::ErrorCode;

/// Delete topics with all their records
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "headwater topic delete flights",
    "headwater topic delete flights --if-exists",
))]
pub(crate) struct Delete {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Accept that a topic does not exist
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Delete {
    pub(super) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let admin = self.connect.admin(session).await?;
        let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let outcomes = admin.delete_topics(&names).await?.into_iter().map(|(name, outcome)| match outcome {
            Ok(()) => {
                say(&format!("deleted `{name}`"));
                Ok(())
            }
            Err(error) if self.if_exists && error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                say(&format!("`{name}` does not exist"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        });
        all_or_said(outcomes.collect())?;
        Ok(())
    }
}
