//! `headwater group describe`

use crate::arguments::examples;
use crate::connect::Connect;
use crate::failure::Failure;
use crate::session::Session;
use crate::table::{self, Table, or_dash, text_or_dash};
use clap::Args;
use headwater_client::admin::{GroupDescription, OffsetSpec};
use headwater_client::{Admin, IsolationLevel};
use headwater_record::TopicPartition;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Show members, committed offsets and lag of a group
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "headwater group describe dashboard",
    "headwater group describe dashboard --json | jq '[.offsets[].lag] | add'",
))]
pub(crate) struct Describe {
    /// Name of the group
    group: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Serialize)]
struct Described {
    group: String,
    state: String,
    protocol_type: String,
    protocol: String,
    coordinator: Option<i32>,
    members: Vec<Member>,
    offsets: Vec<Row>,
}

#[derive(Serialize)]
struct Member {
    id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end_offset: Option<i64>,
    lag: Option<i64>,
    member: Option<String>,
}

impl Describe {
    pub(super) async fn run(&self, session: &Session) -> Result<(), Failure> {
        let admin = self.connect.admin(session).await?;
        let mut answers = admin.describe_groups(&[&self.group]).await?;
        let group = match answers.pop_first() {
            Some((_, outcome)) => outcome?,
            None => return Err(unknown(&self.group)),
        };
        let offsets = offsets(&admin, &group).await?;
        // Before KIP-1043 a server describes a group that it has never heard of as dead.
        if group.state == "Dead" && offsets.is_empty() {
            return Err(unknown(&self.group));
        }
        let described = Described {
            coordinator: group.coordinator.map(|node| node.id),
            members: group
                .members
                .into_iter()
                .map(|member| Member {
                    id: member.member_id,
                    instance_id: member.group_instance_id,
                    client_id: member.client_id,
                    host: member.client_host,
                })
                .collect(),
            group: group.group_id,
            state: group.state,
            protocol_type: group.protocol_type,
            protocol: group.protocol,
            offsets,
        };
        let text = if self.json { table::json(&described) } else { show(&described) };
        session.print(text).await
    }
}

fn unknown(group: &str) -> Failure {
    Failure::new(format!("there is no group `{group}`")).hint("`headwater group list` shows the groups")
}

/// One row per partition that the group has committed or is assigned.
async fn offsets(admin: &Admin, group: &GroupDescription) -> Result<Vec<Row>, Failure> {
    let committed = admin.list_group_offsets(&group.group_id, None).await?;
    let mut members: BTreeMap<&TopicPartition, &str> = BTreeMap::new();
    for member in &group.members {
        members.extend(member.assignment.iter().map(|partition| (partition, member.member_id.as_str())));
    }
    let partitions: BTreeSet<&TopicPartition> = committed.keys().chain(members.keys().copied()).collect();
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let specs = partitions.iter().map(|&partition| (partition.clone(), OffsetSpec::Latest)).collect();
    let ends = admin.list_offsets(&specs, IsolationLevel::ReadUncommitted).await?;
    let rows = partitions.into_iter().map(|partition| {
        let committed = committed.get(partition).and_then(Option::as_ref).map(|committed| committed.offset);
        // A topic may be gone while the group still remembers it.
        let end = ends.get(partition).and_then(|outcome| outcome.as_ref().ok()).and_then(Option::as_ref);
        let end = end.map(|end| end.offset);
        Row {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            committed,
            end_offset: end,
            lag: committed.zip(end).map(|(committed, end)| (end - committed).max(0)),
            member: members.get(partition).map(|&member| member.to_owned()),
        }
    });
    Ok(rows.collect())
}

fn show(group: &Described) -> String {
    let members = group.members.len();
    let mut text =
        format!("{}  {}  {members} member{}", group.group, group.state, if members == 1 { "" } else { "s" });
    if !group.protocol.is_empty() {
        let _ = write!(text, "  {}", group.protocol);
    }
    text.push('\n');
    if !group.offsets.is_empty() {
        let mut table = Table::new(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"]);
        for row in &group.offsets {
            table.row([
                row.topic.clone(),
                row.partition.to_string(),
                or_dash(row.committed),
                or_dash(row.end_offset),
                or_dash(row.lag),
                or_dash(row.member.as_ref()),
            ]);
        }
        text.push_str(&table.render());
    }
    if !group.members.is_empty() {
        let mut table = Table::new(&["MEMBER", "INSTANCE", "CLIENT", "HOST"]);
        for member in &group.members {
            let instance = or_dash(member.instance_id.as_ref());
            table.row([
                member.id.clone(),
                instance,
                text_or_dash(&member.client_id),
                text_or_dash(&member.host),
            ]);
        }
        text.push_str(&table.render());
    }
    text
}
