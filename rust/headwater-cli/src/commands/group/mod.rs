//! `headwater group …`

mod delete;
mod describe;
mod list;

use crate::arguments::examples;
use crate::failure::Failure;
use crate::session::Session;
use clap::{Args, Subcommand};

/// List, describe and delete consumer groups
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = examples!(
        "headwater group list",
        "headwater group describe dashboard",
        "headwater group delete dashboard",
    )
)]
pub(crate) struct Group {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::List),
    Describe(describe::Describe),
    Delete(delete::Delete),
}

impl Group {
    pub(crate) async fn run(&self, session: &Session) -> Result<(), Failure> {
        match &self.action {
            Action::List(list) => list.run(session).await,
            Action::Describe(describe) => describe.run(session).await,
            Action::Delete(delete) => delete.run(session).await,
        }
    }
}
