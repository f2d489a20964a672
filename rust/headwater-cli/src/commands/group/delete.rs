//! `headwater group delete`

use crate::arguments::examples;
use crate::commands::all_or_said;
use crate::connect::Connect;
use crate::failure::{Failure, say};
use crate::session::Session;
use clap::Args;
use headwater_client::ErrorCode;

/// Delete groups that have no members, with their committed offsets
#[derive(Debug, Args)]
#[command(after_help = examples!("headwater group delete dashboard", "headwater group delete dashboard --if-exists"))]
pub(crate) struct Delete {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Accept that a group does not exist
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Delete {
    pub(super) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let admin = self.connect.admin(session).await?;
        let names: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        let outcomes = admin.delete_groups(&names).await?.into_iter().map(|(name, outcome)| match outcome {
            Ok(()) => {
                say(&format!("deleted group `{name}`"));
                Ok(())
            }
            Err(error) if self.if_exists && error.code() == Some(ErrorCode::GroupIdNotFound) => {
                say(&format!("group `{name}` does not exist"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        });
        all_or_said(outcomes.collect())?;
        Ok(())
    }
}
