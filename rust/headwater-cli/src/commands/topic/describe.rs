//! `headwater topic describe`

use crate::arguments::examples;
use crate::commands::all_or_said;
use crate::connect::Connect;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{self, Table, list, or_dash};
use clap::Args;
use headwater_client::admin::{ConfigResource, OffsetSpec, TopicDescription};
use headwater_client::{Admin, IsolationLevel};
use headwater_record::TopicPartition;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Show partitions, replicas, offsets and settings of topics
///
/// Of the settings those are shown that differ from the server's; `headwater config describe --topic` shows all.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "headwater topic describe flights",
    "headwater topic describe flights --json | jq '.[0].partitions[].end_offset'",
))]
pub(crate) struct Describe {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Serialize)]
struct Described {
    name: String,
    id: String,
    internal: bool,
    configs: BTreeMap<String, Option<String>>,
    partitions: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline: Vec<i32>,
    /// First retained offset.
    start_offset: Option<i64>,
    /// The offset after the last visible record.
    end_offset: Option<i64>,
}

impl Describe {
    pub(super) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let admin = self.connect.admin(session).await?;
        let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let described = admin.describe_topics(&names).await?;
        let found = names.iter().filter_map(|name| described.get(*name).cloned());
        let found = all_or_said(found.map(|outcome| outcome.map_err(Failure::from)).collect())?;
        let starts = offsets(&admin, &found, OffsetSpec::Earliest).await?;
        let ends = offsets(&admin, &found, OffsetSpec::Latest).await?;
        let mut topics = Vec::with_capacity(found.len());
        for topic in found {
            let configs = changed_configs(&admin, &topic.name).await?;
            topics.push(Described::new(topic, configs, &starts, &ends));
        }
        let text = if self.json { table::json(&topics) } else { show(&topics) };
        session.print(text).await
    }
}

/// Offsets by partition, those left out that nobody could tell: a partition without a leader has none to ask.
async fn offsets(
    admin: &Admin,
    topics: &[TopicDescription],
    spec: OffsetSpec,
) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let specs = topics.iter().flat_map(|topic| {
        let led = topic.partitions.iter().filter(|partition| partition.leader.is_some());
        led.map(|partition| (TopicPartition::new(topic.name.as_str(), partition.partition), spec))
    });
    let specs: BTreeMap<_, _> = specs.collect();
    if specs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let outcomes = admin.list_offsets(&specs, IsolationLevel::ReadUncommitted).await?;
    let known = outcomes.into_iter().filter_map(|(partition, outcome)| match outcome {
        Ok(offset) => Some((partition, offset?.offset)),
        Err(error) => {
            tracing::warn!(%partition, %error, "the offsets are not known");
            None
        }
    });
    Ok(known.collect())
}

async fn changed_configs(admin: &Admin, topic: &str) -> Result<BTreeMap<String, Option<String>>, Failure> {
    let mut answers = admin.describe_configs(&[ConfigResource::Topic(topic.to_owned())]).await?;
    let entries = answers.pop_first().map(|(_, outcome)| outcome).transpose()?.unwrap_or_default();
    let own = entries.into_iter().filter(|entry| entry.source == super::super::config::SOURCE_TOPIC);
    Ok(own.map(|entry| (entry.name, entry.value)).collect())
}

impl Described {
    fn new(
        topic: TopicDescription,
        configs: BTreeMap<String, Option<String>>,
        starts: &BTreeMap<TopicPartition, i64>,
        ends: &BTreeMap<TopicPartition, i64>,
    ) -> Self {
        let rows = topic.partitions.into_iter().map(|partition| {
            let name = TopicPartition::new(topic.name.as_str(), partition.partition);
            Row {
                partition: partition.partition,
                leader: partition.leader,
                leader_epoch: partition.leader_epoch,
                replicas: partition.replicas,
                isr: partition.isr,
                offline: partition.offline,
                start_offset: starts.get(&name).copied(),
                end_offset: ends.get(&name).copied(),
            }
        });
        let partitions = rows.collect();
        Self {
            id: topic.topic_id.to_string(),
            internal: topic.internal,
            configs,
            partitions,
            name: topic.name,
        }
    }
}

fn show(topics: &[Described]) -> String {
    let mut text = String::new();
    for (index, topic) in topics.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{}  {}", topic.name, topic.id);
        for (key, value) in &topic.configs {
            let _ = writeln!(text, "{key}={}", value.as_deref().unwrap_or_default());
        }
        let mut table = Table::new(&["PARTITION", "LEADER", "REPLICAS", "ISR", "START", "END"]);
        for row in &topic.partitions {
            table.row([
                row.partition.to_string(),
                or_dash(row.leader),
                list(&row.replicas),
                list(&row.isr),
                or_dash(row.start_offset),
                or_dash(row.end_offset),
            ]);
        }
        text.push_str(&table.render());
    }
    text
}
