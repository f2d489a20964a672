//! `headwater topic …`

mod alter;
mod create;
mod delete;
mod describe;
mod list;

use crate::arguments::examples;
use crate::failure::Failure;
use crate::session::Session;
use clap::{Args, Subcommand};

/// Create, list, describe, change and delete topics
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = examples!(
        "headwater topic create flights --partitions 6 -c retention.ms=-1",
        "headwater topic list",
        "headwater topic describe flights",
        "headwater topic delete flights",
    )
)]
pub(crate) struct Topic {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(create::Create),
    List(list::List),
    Describe(describe::Describe),
    Alter(alter::Alter),
    Delete(delete::Delete),
}

impl Topic {
    pub(crate) async fn run(&self, session: &Session) -> Result<(), Failure> {
        match &self.action {
            Action::Create(create) => create.run(session).await,
            Action::List(list) => list.run(session).await,
            Action::Describe(describe) => describe.run(session).await,
            Action::Alter(alter) => alter.run(session).await,
            Action::Delete(delete) => delete.run(session).await,
        }
    }
}
