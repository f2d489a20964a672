//! Creating and deleting topics, adding partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_record::Uuid;

use super::configs::ConfigPolicy;
use super::{duplicate, names, placement};
use crate::error::TopicError;
use crate::image::{BrokersImage, ConfigResource, MetadataImage, TopicImage};
use crate::records::{ConfigRecord, MetadataRecord, PartitionRecord, TopicRecord};

/// Most partitions that one request may create over all its topics, as in Kafka.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// The replicas of one partition, chosen by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionAssignment {
    /// The partition's index.
    pub partition: i32,
    /// Its replicas; the first is the preferred leader.
    pub replicas: Vec<i32>,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions: at least 1, or -1 with an assignment. The caller puts in the default.
    pub partitions: i32,
    /// How many replicas of each: at least 1, or -1 with an assignment. The caller puts in the default.
    pub replication_factor: i16,
    /// Replicas chosen by hand; empty to have them placed.
    pub assignment: Vec<PartitionAssignment>,
    /// Configurations.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic whose replicas are placed by the controller and which has default configuration.
    pub fn new(name: impl Into<String>, partitions: i32, replication_factor: i16) -> NewTopic {
        NewTopic {
            name: name.into(),
            partitions,
            replication_factor,
            assignment: Vec::new(),
            configs: Vec::new(),
        }
    }

    /// The partitions it would have: an upper limit for counting, before anything is checked.
    pub(crate) fn partition_count(&self) -> usize {
        usize::try_from(self.partitions).unwrap_or(0).max(self.assignment.len())
    }
}

/// More partitions for a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub topic: String,
    /// How many it shall have in all.
    pub count: i32,
    /// Replicas of each new partition, chosen by hand; `None` to have them placed.
    pub assignment: Option<Vec<Vec<i32>>>,
}

/// A topic, by name or by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(Uuid),
}

/// Decides about a new topic, whose id will be `id`.
pub(crate) fn create(
    image: &MetadataImage,
    policy: &dyn ConfigPolicy,
    request: &NewTopic,
    id: Uuid,
) -> Result<Vec<MetadataRecord>, TopicError> {
    names::check(&request.name)?;
    names::check_reserved(&request.name)?;
    if image.topics.by_name(&request.name).is_some() {
        return Err(TopicError::AlreadyExists(request.name.clone()));
    }
    names::check_collision(&image.topics, &request.name)?;
    let assignments = match request.assignment.is_empty() {
        true => placed(image, request, id)?,
        false => assigned(&image.brokers, request)?,
    };
    let mut records = vec![MetadataRecord::Topic(TopicRecord { name: request.name.clone(), id })];
    let configs = configs(policy, request)?;
    records.extend(
        assignments
            .into_iter()
            .zip(0..)
            .map(|(replicas, index)| new_partition(&image.brokers, id, index, replicas)),
    );
    records.extend(configs);
    Ok(records)
}

fn placed(image: &MetadataImage, request: &NewTopic, id: Uuid) -> Result<Vec<Vec<i32>>, TopicError> {
    let Some(count) = usize::try_from(request.partitions).ok().filter(|count| *count > 0) else {
        return Err(TopicError::InvalidPartitions(format!(
            "a topic needs at least 1 partition, not {}",
            request.partitions
        )));
    };
    if count > PARTITIONS_PER_REQUEST_MAX {
        return Err(too_many(count));
    }
    let Some(replication_factor) =
        usize::try_from(request.replication_factor).ok().filter(|factor| *factor > 0)
    else {
        return Err(TopicError::InvalidReplicationFactor(format!(
            "a replication factor is at least 1, not {}",
            request.replication_factor
        )));
    };
    placement::place(&image.brokers, id, 0, count, replication_factor)
}

pub(crate) fn too_many(count: usize) -> TopicError {
    TopicError::TooMany(format!(
        "{count} new partitions are more than the {PARTITIONS_PER_REQUEST_MAX} allowed in one request"
    ))
}

fn assigned(brokers: &BrokersImage, request: &NewTopic) -> Result<Vec<Vec<i32>>, TopicError> {
    if request.partitions != -1 || request.replication_factor != -1 {
        return Err(TopicError::InvalidRequest(
            "with a manual assignment, partition count and replication factor must both be -1".into(),
        ));
    }
    let mut by_index = BTreeMap::new();
    for assignment in &request.assignment {
        if by_index.insert(assignment.partition, &assignment.replicas).is_some() {
            return Err(TopicError::InvalidAssignment(format!(
                "partition {} is assigned twice",
                assignment.partition
            )));
        }
    }
    if let Some((expected, found)) = (0..).zip(by_index.keys()).find(|(expected, found)| expected != *found) {
        return Err(TopicError::InvalidAssignment(format!(
            "partitions must be numbered from 0 without a gap: {found} comes where {expected} should"
        )));
    }
    let mut factor = None;
    let mut assignments = Vec::with_capacity(by_index.len());
    for (index, replicas) in by_index {
        check_assignment(brokers, index, replicas, *factor.get_or_insert(replicas.len()))?;
        assignments.push(replicas.clone());
    }
    Ok(assignments)
}

/// Checks the replicas that somebody chose for a partition.
fn check_assignment(
    brokers: &BrokersImage,
    index: i32,
    replicas: &[i32],
    factor: usize,
) -> Result<(), TopicError> {
    let problem = if replicas.is_empty() {
        "no replicas are assigned".to_owned()
    } else if replicas.len() != factor {
        format!("{} replicas are assigned where the other partitions have {factor}", replicas.len())
    } else if let Some(id) = duplicate(replicas) {
        format!("broker {id} is assigned twice")
    } else if let Some(id) = replicas.iter().find(|id| brokers.get(**id).is_none()) {
        format!("broker {id} is not registered")
    } else if !replicas.iter().any(|id| brokers.is_usable(*id)) {
        "every assigned broker is fenced".to_owned()
    } else {
        return Ok(());
    };
    Err(TopicError::InvalidAssignment(format!("partition {index}: {problem}")))
}

fn configs(policy: &dyn ConfigPolicy, request: &NewTopic) -> Result<Vec<MetadataRecord>, TopicError> {
    let resource = ConfigResource::topic(request.name.clone());
    let mut values = BTreeMap::new();
    for (key, value) in &request.configs {
        let Some(value) = value else {
            return Err(TopicError::InvalidConfig(format!("`{key}` has no value")));
        };
        if values.insert(key.clone(), value.clone()).is_some() {
            return Err(TopicError::InvalidConfig(format!("`{key}` occurs twice")));
        }
    }
    let changed: BTreeSet<String> = values.keys().cloned().collect();
    policy.validate(&resource, &values, &changed).map_err(TopicError::InvalidConfig)?;
    Ok(values
        .into_iter()
        .map(|(key, value)| {
            MetadataRecord::Config(ConfigRecord { resource: resource.clone(), key, value: Some(value) })
        })
        .collect())
}

fn new_partition(brokers: &BrokersImage, topic_id: Uuid, index: i32, replicas: Vec<i32>) -> MetadataRecord {
    let isr: Vec<i32> = replicas.iter().copied().filter(|id| brokers.is_usable(*id)).collect();
    // A broker with one directory has no choice; of several it picks one and says so later.
    let directory = |id: &i32| match brokers.get(*id).map(|broker| broker.directories.as_slice()) {
        Some([only]) => *only,
        _ => Uuid::ZERO,
    };
    MetadataRecord::Partition(PartitionRecord {
        topic_id,
        partition: index,
        directories: replicas.iter().map(directory).collect(),
        leader: isr.first().copied().unwrap_or(crate::image::NO_LEADER),
        isr,
        replicas,
        elr: Vec::new(),
        last_known_elr: Vec::new(),
        leader_epoch: 0,
        partition_epoch: 0,
    })
}

/// Decides about more partitions for a topic.
pub(crate) fn add_partitions(
    image: &MetadataImage,
    request: &NewPartitions,
) -> Result<Vec<MetadataRecord>, TopicError> {
    let topic =
        image.topics.by_name(&request.topic).ok_or_else(|| TopicError::UnknownName(request.topic.clone()))?;
    let first = topic.partitions.len();
    let wanted = usize::try_from(request.count).unwrap_or(0);
    let more = wanted.saturating_sub(first);
    if more == 0 {
        return Err(TopicError::InvalidPartitions(format!(
            "topic `{}` has {first} partitions, their number can only grow, not become {}",
            topic.name, request.count
        )));
    }
    if more > PARTITIONS_PER_REQUEST_MAX {
        return Err(too_many(more));
    }
    let factor = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
    let assignments = match &request.assignment {
        None => placement::place(&image.brokers, topic.id, first, more, factor)?,
        Some(assignments) if assignments.len() != more => {
            return Err(TopicError::InvalidAssignment(format!(
                "{more} partitions are to be added and replicas are assigned to {}",
                assignments.len()
            )));
        }
        Some(assignments) => {
            for (replicas, index) in assignments.iter().zip(first as i32..) {
                check_assignment(&image.brokers, index, replicas, factor)?;
            }
            assignments.clone()
        }
    };
    Ok(assignments
        .into_iter()
        .zip(first as i32..)
        .map(|(replicas, index)| new_partition(&image.brokers, topic.id, index, replicas))
        .collect())
}

/// Finds the topic to delete.
pub(crate) fn delete(
    image: &MetadataImage,
    topic: &TopicRef,
) -> Result<(Vec<MetadataRecord>, Arc<TopicImage>), TopicError> {
    let topic = match topic {
        TopicRef::Name(name) => {
            image.topics.by_name(name).ok_or_else(|| TopicError::UnknownName(name.clone()))?
        }
        TopicRef::Id(id) => image.topics.by_id(*id).ok_or(TopicError::UnknownId(*id))?,
    };
    Ok((vec![MetadataRecord::RemoveTopic { id: topic.id }], topic.clone()))
}

#[cfg(test)]
#[path = "topics_tests.rs"]
mod tests;
