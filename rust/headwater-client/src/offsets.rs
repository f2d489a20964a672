//! Offsets of partitions by time, asked of their leaders; and committed offsets, asked of a group's coordinator.
//!
//! Consumer and admin share this. Each partition has its own outcome; what is retriable is asked again, of the new leader
//! if there is one, until the time is up.

use crate::client::{Client, Destination};
use crate::config::IsolationLevel;
use crate::error::ClientError;
use crate::metadata::Scope;
use crate::net::Lane;
use futures_util::future::join_all;
use headwater_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use headwater_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use headwater_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use headwater_protocol::{ErrorCode, Str};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Asks for the offset after the last visible record.
pub(crate) const LATEST: i64 = -1;
/// Asks for the first retained offset.
pub(crate) const EARLIEST: i64 = -2;
/// Asks for the record with the largest time stamp.
pub(crate) const MAX_TIMESTAMP: i64 = -3;
/// Asks for the first offset on the leader's own disks.
pub(crate) const EARLIEST_LOCAL: i64 = -4;
/// Asks for the last offset in remote storage.
pub(crate) const LATEST_TIERED: i64 = -5;

/// The newest versions that name topics instead of giving their ids.
const COMMIT_VERSION_MAX: i16 = 9;
const FETCH_VERSION_MAX: i16 = 9;

/// The first record not older than a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    /// Its offset.
    pub offset: i64,
    /// Its time stamp in milliseconds; -1 when a position was asked for and not a record.
    pub timestamp: i64,
    /// Its leader epoch, if known.
    pub leader_epoch: Option<i32>,
}

/// A committed position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The offset of the next record to read.
    pub offset: i64,
    /// Leader epoch of the last record read, if known.
    pub leader_epoch: Option<i32>,
    /// Any text.
    pub metadata: String,
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self { offset, ..Self::default() }
    }
}

pub(crate) type Outcomes<T> = BTreeMap<TopicPartition, Result<T, ClientError>>;

/// One offset per partition; `None` where there is no such record.
pub(crate) async fn list(
    client: &Client,
    specs: &BTreeMap<TopicPartition, i64>,
    isolation: IsolationLevel,
    timeout: Duration,
) -> Result<Outcomes<Option<OffsetAndTimestamp>>, ClientError> {
    let mut outcomes = Outcomes::new();
    let mut open = specs.clone();
    let began = client.runtime().now();
    let deadline = began + timeout;
    let mut backoff = client.backoff();
    while !open.is_empty() {
        let left = deadline.saturating_duration_since(client.runtime().now());
        let asked = tokio::time::timeout_at(deadline, list_once(client, &open, isolation, left)).await;
        // What an earlier round was told says more than that this one got no answer.
        let Ok(answered) = asked else {
            for partition in open.into_keys() {
                let doing = format!("finding an offset of {partition}");
                let timed_out = || Err(ClientError::TimedOut { doing, after: timeout });
                outcomes.entry(partition).or_insert_with(timed_out);
            }
            break;
        };
        for (partition, outcome) in answered {
            // Said of the whole call and not of what was left for this round.
            let outcome = outcome.map_err(|error| match error {
                ClientError::TimedOut { doing, .. } => ClientError::TimedOut { doing, after: timeout },
                error => error,
            });
            let waited = client.runtime().now() - began;
            if !outcome.as_ref().is_err_and(|error| error.is_worth_retrying(waited)) {
                open.remove(&partition);
            }
            outcomes.insert(partition, outcome);
        }
        if open.is_empty() {
            break;
        }
        let pause = backoff.next(client.runtime());
        if client.closed().is_cancelled() {
            return Err(ClientError::Closed);
        }
        if client.runtime().now() + pause >= deadline {
            break;
        }
        tokio::time::sleep(pause).await;
        let topics: BTreeSet<Arc<str>> = open.keys().map(|partition| Arc::clone(&partition.topic)).collect();
        // A failure shows in the outcomes of the next round.
        client.fetch_metadata(Scope::Topics(topics), left).await.ok();
    }
    Ok(outcomes)
}

async fn list_once(
    client: &Client,
    specs: &BTreeMap<TopicPartition, i64>,
    isolation: IsolationLevel,
    left: Duration,
) -> Outcomes<Option<OffsetAndTimestamp>> {
    let mut outcomes = Outcomes::new();
    let image = client.metadata();
    let unknown: BTreeSet<Arc<str>> = specs
        .keys()
        .filter(|key| image.topic(&key.topic).is_none())
        .map(|key| Arc::clone(&key.topic))
        .collect();
    let image = match unknown.is_empty() {
        true => image,
        false => match client.fetch_metadata(Scope::Topics(unknown), left).await {
            Ok(image) => image,
            Err(error) => {
                return specs.keys().map(|partition| (partition.clone(), Err(error.clone()))).collect();
            }
        },
    };
    let mut by_leader: HashMap<i32, Vec<(&TopicPartition, i64)>> = HashMap::new();
    for (partition, timestamp) in specs {
        match image.topics.get(&partition.topic) {
            Some(Err(error)) => {
                outcomes.insert(partition.clone(), Err(error.clone()));
            }
            _ => match image.leader(&partition.topic, partition.partition) {
                Some(leader) => by_leader.entry(leader).or_default().push((partition, *timestamp)),
                None => {
                    let known = image.partition(&partition.topic, partition.partition).is_some();
                    let code = if known {
                        ErrorCode::LeaderNotAvailable
                    } else {
                        ErrorCode::UnknownTopicOrPartition
                    };
                    outcomes
                        .insert(partition.clone(), Err(ClientError::refused(code, partition.to_string())));
                }
            },
        }
    }
    let asked = by_leader.into_iter().map(|(leader, wanted)| ask_leader(client, leader, wanted, isolation));
    outcomes.extend(join_all(asked).await.into_iter().flatten());
    outcomes
}

async fn ask_leader(
    client: &Client,
    leader: i32,
    wanted: Vec<(&TopicPartition, i64)>,
    isolation: IsolationLevel,
) -> Outcomes<Option<OffsetAndTimestamp>> {
    let timeout = client.config().request_timeout();
    let mut request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation.wire(),
        timeout_ms: client.config().request_timeout_ms as i32,
        ..Default::default()
    };
    for (partition, timestamp) in &wanted {
        let entry = ListOffsetsPartition {
            partition_index: partition.partition,
            timestamp: *timestamp,
            ..Default::default()
        };
        match request.topics.last_mut().filter(|topic| *topic.name == *partition.topic) {
            Some(topic) => topic.partitions.push(entry),
            None => request
                .topics
                .push(ListOffsetsTopic { name: Str::from(&*partition.topic), partitions: vec![entry] }),
        }
    }
    let reply = client.call(&Destination::Node(leader), Lane::General, i16::MAX, timeout, |_| request).await;
    let answer = match reply {
        Ok(reply) => reply.body,
        Err(error) => {
            return wanted.iter().map(|(partition, _)| ((*partition).clone(), Err(error.clone()))).collect();
        }
    };
    let mut found = HashMap::new();
    for topic in &answer.topics {
        for partition in &topic.partitions {
            found.insert((topic.name.as_str(), partition.partition_index), partition);
        }
    }
    let outcome = |partition: &TopicPartition| {
        let Some(found) = found.get(&(&*partition.topic, partition.partition)) else {
            return Err(ClientError::refused(ErrorCode::UnknownTopicOrPartition, partition.to_string()));
        };
        ClientError::check(found.error_code, || partition.to_string())?;
        Ok((found.offset >= 0).then_some(OffsetAndTimestamp {
            offset: found.offset,
            timestamp: found.timestamp,
            leader_epoch: Some(found.leader_epoch).filter(|epoch| *epoch >= 0),
        }))
    };
    wanted.iter().map(|(partition, _)| ((*partition).clone(), outcome(partition))).collect()
}

/// Who commits: a member in a generation, or nobody (-1) outside of a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committer {
    pub(crate) member_id: String,
    pub(crate) generation: i32,
    pub(crate) instance_id: Option<String>,
}

impl Committer {
    pub(crate) fn nobody() -> Self {
        Self { member_id: String::new(), generation: -1, instance_id: None }
    }
}

/// Commits once; each partition has its own outcome.
pub(crate) async fn commit_once(
    client: &Client,
    group: &str,
    committer: &Committer,
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
) -> Result<Outcomes<()>, ClientError> {
    let mut request = OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: committer.generation,
        member_id: committer.member_id.as_str().into(),
        group_instance_id: committer.instance_id.as_deref().map(Str::from),
        ..Default::default()
    };
    for (partition, committed) in offsets {
        let entry = OffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(Str::from(&committed.metadata)),
        };
        match request.topics.last_mut().filter(|topic| *topic.name == *partition.topic) {
            Some(topic) => topic.partitions.push(entry),
            None => request.topics.push(OffsetCommitRequestTopic {
                name: Str::from(&*partition.topic),
                partitions: vec![entry],
                ..Default::default()
            }),
        }
    }
    let to = Destination::Group(group.to_owned());
    let timeout = client.config().request_timeout();
    let build = move |version: i16| {
        if version < 7 {
            request.group_instance_id = None;
        }
        request
    };
    let answer = client.call(&to, Lane::General, COMMIT_VERSION_MAX, timeout, build).await?.body;
    let mut outcomes = Outcomes::new();
    for topic in &answer.topics {
        let name: Arc<str> = Arc::from(&*topic.name);
        for partition in &topic.partitions {
            let key = TopicPartition::new(Arc::clone(&name), partition.partition_index);
            let outcome =
                ClientError::check(partition.error_code, || format!("commit of {key} in group {group}"));
            match outcome {
                // About the group and not the partition: the whole attempt is to be made again.
                Err(error) if coordinator_is_elsewhere(&error) => return Err(error),
                outcome => drop(outcomes.insert(key, outcome)),
            }
        }
    }
    Ok(outcomes)
}

fn coordinator_is_elsewhere(error: &ClientError) -> bool {
    let codes =
        [ErrorCode::NotCoordinator, ErrorCode::CoordinatorNotAvailable, ErrorCode::CoordinatorLoadInProgress];
    codes.iter().any(|code| error.is(*code))
}

/// Commits all or fails, retrying what may pass.
pub(crate) async fn commit(
    client: &Client,
    group: &str,
    committer: &Committer,
    offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
    timeout: Duration,
) -> Result<(), ClientError> {
    if offsets.is_empty() {
        return Ok(());
    }
    let doing = || format!("committing offsets of group {group}");
    let attempt = || async {
        let outcomes = commit_once(client, group, committer, offsets).await?;
        outcomes.into_values().collect::<Result<(), _>>()
    };
    client.retrying_group(group, timeout, &doing, attempt).await
}

/// What a group has committed: of these partitions, or (`None`) of all that it has. Partitions without a commit are absent.
pub(crate) async fn committed(
    client: &Client,
    group: &str,
    partitions: Option<&BTreeSet<TopicPartition>>,
    timeout: Duration,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
    let doing = || format!("reading committed offsets of group {group}");
    client.retrying_group(group, timeout, &doing, || committed_once(client, group, partitions)).await
}

async fn committed_once(
    client: &Client,
    group: &str,
    partitions: Option<&BTreeSet<TopicPartition>>,
) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
    let to = Destination::Group(group.to_owned());
    let timeout = client.config().request_timeout();
    let build = |version: i16| offset_fetch_request(group, partitions, version);
    let reply = client.call(&to, Lane::General, FETCH_VERSION_MAX, timeout, build).await?;
    let mut found = BTreeMap::new();
    let mut take =
        |topic: &str, partition: i32, offset: i64, epoch: i32, metadata: Option<&str>, code: i16| {
            let key = TopicPartition::new(topic, partition);
            ClientError::check(code, || format!("committed offset of {key} in group {group}"))?;
            if offset >= 0 {
                let leader_epoch = Some(epoch).filter(|epoch| *epoch >= 0);
                let metadata = metadata.unwrap_or_default().to_owned();
                found.insert(key, OffsetAndMetadata { offset, leader_epoch, metadata });
            }
            Ok::<(), ClientError>(())
        };
    let subject = || format!("offsets of group {group}");
    if reply.version >= 8 {
        for answered in &reply.body.groups {
            ClientError::check(answered.error_code, subject)?;
            for topic in &answered.topics {
                for p in &topic.partitions {
                    let metadata = p.metadata.as_deref();
                    take(
                        &topic.name,
                        p.partition_index,
                        p.committed_offset,
                        p.committed_leader_epoch,
                        metadata,
                        p.error_code,
                    )?;
                }
            }
        }
    } else {
        ClientError::check(reply.body.error_code, subject)?;
        for topic in &reply.body.topics {
            for p in &topic.partitions {
                let metadata = p.metadata.as_deref();
                take(
                    &topic.name,
                    p.partition_index,
                    p.committed_offset,
                    p.committed_leader_epoch,
                    metadata,
                    p.error_code,
                )?;
            }
        }
    }
    Ok(found)
}

fn offset_fetch_request(
    group: &str,
    partitions: Option<&BTreeSet<TopicPartition>>,
    version: i16,
) -> OffsetFetchRequest {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions.into_iter().flatten() {
        by_topic.entry(&partition.topic).or_default().push(partition.partition);
    }
    let mut request = OffsetFetchRequest { require_stable: version >= 7, ..Default::default() };
    if version >= 8 {
        let topic = |(name, partition_indexes): (&str, Vec<i32>)| OffsetFetchRequestTopics {
            name: name.into(),
            partition_indexes,
            ..Default::default()
        };
        let topics = partitions.map(|_| by_topic.into_iter().map(topic).collect());
        request.groups.push(OffsetFetchRequestGroup { group_id: group.into(), topics, ..Default::default() });
    } else {
        let topic = |(name, partition_indexes): (&str, Vec<i32>)| OffsetFetchRequestTopic {
            name: name.into(),
            partition_indexes,
        };
        request.group_id = group.into();
        request.topics = partitions.map(|_| by_topic.into_iter().map(topic).collect());
    }
    request
}
