//! `headwater topic list`

use crate::arguments::examples;
use crate::connect::Connect;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{self, Table, or_dash};
use clap::Args;
use serde::Serialize;

/// List topics
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "headwater topic list",
    "headwater topic list --json | jq -r '.[].name'",
))]
pub(crate) struct List {
    /// Show the server's own topics too
    #[arg(long)]
    internal: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Serialize)]
struct Row {
    name: String,
    id: String,
    internal: bool,
    partitions: Option<usize>,
    replication_factor: Option<usize>,
}

impl List {
    pub(super) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let admin = self.connect.admin(session).await?;
        let listed = admin.list_topics(self.internal).await?;
        let names: Vec<&str> = listed.iter().map(|topic| topic.name.as_str()).collect();
        let described =
            if names.is_empty() { Default::default() } else { admin.describe_topics(&names).await? };
        let rows: Vec<Row> = listed
            .iter()
            .map(|topic| {
                let partitions = described.get(&topic.name).and_then(|outcome| outcome.as_ref().ok());
                let partitions = partitions.map(|description| description.partitions.as_slice());
                Row {
                    name: topic.name.clone(),
                    id: topic.topic_id.to_string(),
                    internal: topic.internal,
                    partitions: partitions.map(<[_]>::len),
                    replication_factor: partitions.and_then(<[_]>::first).map(|first| first.replicas.len()),
                }
            })
            .collect();
        let text = if self.json { table::json(&rows) } else { show(&rows) };
        session.print(text).await
    }
}

fn show(rows: &[Row]) -> String {
    let mut table = Table::new(&["TOPIC", "PARTITIONS", "REPLICATION", "ID"]);
    for row in rows {
        let counts = (or_dash(row.partitions), or_dash(row.replication_factor));
        table.row([row.name.clone(), counts.0, counts.1, row.id.clone()]);
    }
    table.render()
}
