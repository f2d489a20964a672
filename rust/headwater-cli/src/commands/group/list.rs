//! `headwater group list`

use crate::arguments::examples;
use crate::connect::Connect;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{self, Table, text_or_dash};
use clap::Args;
use serde::Serialize;

/// List groups
#[derive(Debug, Args)]
#[command(after_help = examples!("headwater group list", "headwater group list --json"))]
pub(crate) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Serialize)]
struct Row {
    group: String,
    state: String,
    #[serde(rename = "type")]
    kind: String,
    protocol_type: String,
}

impl List {
    pub(super) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let groups = self.connect.admin(session).await?.list_groups().await?;
        let rows: Vec<Row> = groups
            .into_iter()
            .map(|group| Row {
                group: group.group_id,
                state: group.state,
                kind: group.group_type,
                protocol_type: group.protocol_type,
            })
            .collect();
        let text = if self.json { table::json(&rows) } else { show(&rows) };
        session.print(text).await
    }
}

fn show(rows: &[Row]) -> String {
    let mut table = Table::new(&["GROUP", "STATE", "TYPE", "PROTOCOL"]);
    for row in rows {
        let cells = [&row.group, &row.state, &row.kind, &row.protocol_type];
        table.row(cells.map(|cell| text_or_dash(cell)));
    }
    table.render()
}
