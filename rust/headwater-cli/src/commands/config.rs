//! `headwater config …`

use crate::arguments::examples;
use crate::connect::Connect;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{self, Table};
use clap::{Args, Subcommand};
use headwater_client::admin::{ConfigEntry, ConfigResource};
use serde::Serialize;

/// Kafka's number for a setting of the topic itself.
pub(crate) const SOURCE_TOPIC: i8 = 1;

/// Show settings
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Describe(Describe),
}

/// Show every setting of a topic or a broker, its value and where the value comes from
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("of").required(true).args(["topic", "broker"]),
    after_help = examples!(
        "headwater config describe --topic flights",
        "headwater config describe --broker 1 --changed",
        "headwater config describe --topic flights --json | jq -r '.[] | .name + \"=\" + .value'",
    )
)]
struct Describe {
    /// Name of a topic
    #[arg(short, long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Node id of a broker
    #[arg(long, value_name = "ID")]
    broker: Option<i32>,
    /// Leave out what has its default
    #[arg(long)]
    changed: bool,
    /// Print JSON, with documentation where the server sends it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Serialize)]
struct Row {
    name: String,
    value: Option<String>,
    source: &'static str,
    read_only: bool,
    sensitive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<String>,
}

impl Config {
    pub(crate) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let Action::Describe(describe) = &self.action;
        describe.run(session).await
    }
}

impl Describe {
    async fn run(&self, session: &Session) -> Result<(), Failure> {
        let admin = self.connect.admin(session).await?;
        let resource = match &self.topic {
            Some(topic) => ConfigResource::Topic(topic.clone()),
            None => ConfigResource::Broker(self.broker),
        };
        let mut answers = admin.describe_configs(&[resource]).await?;
        let entries = answers.pop_first().map(|(_, outcome)| outcome).transpose()?.unwrap_or_default();
        let shown = entries.into_iter().filter(|entry| !(self.changed && entry.is_default()));
        let mut rows: Vec<Row> = shown.map(Row::from).collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let text = if self.json { table::json(&rows) } else { show(&rows) };
        session.print(text).await
    }
}

impl From<ConfigEntry> for Row {
    fn from(entry: ConfigEntry) -> Self {
        Self {
            source: source_name(entry.source),
            name: entry.name,
            value: entry.value,
            read_only: entry.read_only,
            sensitive: entry.sensitive,
            documentation: entry.documentation,
        }
    }
}

/// Kafka's names, in the words of a sentence.
fn source_name(source: i8) -> &'static str {
    match source {
        SOURCE_TOPIC => "topic",
        2 => "broker",
        3 => "all brokers",
        4 => "server.properties",
        5 => "default",
        6 => "broker logger",
        7 => "client metrics",
        8 => "group",
        _ => "unknown",
    }
}

fn show(rows: &[Row]) -> String {
    let mut table = Table::new(&["NAME", "VALUE", "SOURCE"]);
    for row in rows {
        let value = match &row.value {
            _ if row.sensitive => "(secret)".to_owned(),
            None => "(unset)".to_owned(),
            Some(value) => format!("{value:?}").trim_matches('"').to_owned(),
        };
        table.row([row.name.clone(), value, row.source.to_owned()]);
    }
    table.render()
}
