//! `headwater topic create`

use crate::arguments::{examples, key_value};
use crate::commands::all_or_said;
use crate::connect::Connect;
use crate::failure::{Failure, say};
use crate::session::Session;
use crate::table;
use clap::Args;
use headwater_client::admin::{CreatedTopic, NewTopic};
use headwater_client::{ClientError, ErrorCode};
use serde::Serialize;

/// Create topics
///
/// What is not given is the server's default. A topic that exists already is an error unless `--if-not-exists` is given.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "headwater topic create flights --partitions 6",
    "headwater topic create events -c retention.ms=-1 -c max.message.bytes=4194304",
    "headwater topic create flights --if-not-exists",
))]
pub(crate) struct Create {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Number of partitions
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// Number of replicas of each partition
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// Topic setting by its Kafka name; may be repeated
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = key_value)]
    config: Vec<(String, String)>,
    /// Let topics that exist already be, whatever their settings
    #[arg(long)]
    if_not_exists: bool,
    /// Only check whether the topics could be created
    #[arg(long)]
    dry_run: bool,
    /// Print what was created as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    /// False for a topic that was there before.
    created: bool,
    id: Option<String>,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
}

impl Create {
    pub(super) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let admin = self.connect.admin(session).await?;
        let wanted: Vec<NewTopic> = self.topics.iter().map(|name| self.wanted(name)).collect();
        let created = admin.create_topics(&wanted, self.dry_run).await?;
        let outcomes = self.topics.iter().filter_map(|name| Some((name.as_str(), created.get(name)?)));
        let rows = all_or_said(outcomes.map(|(name, outcome)| self.row(name, outcome)).collect())?;
        if self.json {
            return session.print(table::json(&rows)).await;
        }
        rows.iter().for_each(|row| say(&self.sentence(row)));
        Ok(())
    }

    fn wanted(&self, name: &str) -> NewTopic {
        NewTopic {
            name: name.to_owned(),
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            configs: self.config.iter().cloned().collect(),
            ..NewTopic::default()
        }
    }

    fn row<'a>(
        &self,
        name: &'a str,
        outcome: &Result<CreatedTopic, ClientError>,
    ) -> Result<Row<'a>, Failure> {
        match outcome {
            Ok(topic) => Ok(Row {
                name,
                created: !self.dry_run,
                id: Some(topic.topic_id.to_string()).filter(|_| !self.dry_run),
                partitions: Some(topic.partitions).filter(|count| *count >= 0),
                replication_factor: Some(topic.replication_factor).filter(|count| *count >= 0),
            }),
            Err(error) if self.if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => {
                Ok(Row { name, created: false, id: None, partitions: None, replication_factor: None })
            }
            Err(error) => Err(error.clone().into()),
        }
    }

    fn sentence(&self, row: &Row<'_>) -> String {
        let name = row.name;
        match (row.created, self.dry_run, row.partitions) {
            (true, _, Some(1)) => format!("created `{name}` with 1 partition"),
            (true, _, Some(count)) => format!("created `{name}` with {count} partitions"),
            (true, _, None) => format!("created `{name}`"),
            (false, true, Some(_)) => format!("`{name}` could be created"),
            (false, _, _) => format!("`{name}` exists already"),
        }
    }
}
