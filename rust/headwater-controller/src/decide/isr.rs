//! Changes of the ISR, asked for by the leader of a partition.
//!
//! The answer to an unchanged ISR is the partition as it is: a leader that lost an answer asks again.

use headwater_record::Uuid;

use super::brokers::check_epoch;
use super::duplicate;
use crate::error::PartitionError;
use crate::image::{MetadataImage, PartitionImage};
use crate::records::{MetadataRecord, PartitionChangeRecord};

/// A member of a proposed ISR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsrMember {
    /// The broker.
    pub node_id: i32,
    /// Its epoch as its leader saw it; `None` where the leader does not know.
    pub broker_epoch: Option<i64>,
}

/// A leader asks for another ISR of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterPartition {
    /// The asking broker.
    pub node_id: i32,
    /// Its epoch.
    pub broker_epoch: i64,
    /// The topic.
    pub topic_id: Uuid,
    /// The partition's index.
    pub partition: i32,
    /// The leader epoch in which the broker leads.
    pub leader_epoch: i32,
    /// The partition epoch it last saw.
    pub partition_epoch: i32,
    /// The ISR that it wants.
    pub isr: Vec<IsrMember>,
}

/// Decides about a new ISR.
pub(crate) fn alter(
    image: &MetadataImage,
    request: &AlterPartition,
) -> Result<Option<MetadataRecord>, PartitionError> {
    check_epoch(image, request.node_id, request.broker_epoch)?;
    let AlterPartition { topic_id, partition: index, .. } = *request;
    let topic = image.topics.by_id(topic_id).ok_or(PartitionError::UnknownTopic(topic_id))?;
    let partition =
        topic.partition(index).ok_or(PartitionError::UnknownPartition { topic_id, partition: index })?;
    check_epochs(partition, request)?;
    let isr: Vec<i32> = request.isr.iter().map(|member| member.node_id).collect();
    check_members(image, partition, request, &isr)?;
    if isr == partition.isr {
        return Ok(None);
    }
    let mut change = PartitionChangeRecord::of(topic_id, index);
    let elr: Vec<i32> = partition.elr.iter().copied().filter(|id| !isr.contains(id)).collect();
    change.elr = (elr != partition.elr).then_some(elr);
    change.isr = Some(isr);
    Ok(Some(MetadataRecord::PartitionChange(change)))
}

fn check_epochs(partition: &PartitionImage, request: &AlterPartition) -> Result<(), PartitionError> {
    let AlterPartition { topic_id, partition: index, leader_epoch, partition_epoch, .. } = *request;
    if leader_epoch > partition.leader_epoch || partition_epoch > partition.partition_epoch {
        return Err(PartitionError::AskNewerController { topic_id, partition: index });
    }
    if leader_epoch < partition.leader_epoch {
        return Err(PartitionError::FencedLeaderEpoch {
            topic_id,
            partition: index,
            current: partition.leader_epoch,
            given: leader_epoch,
        });
    }
    if request.node_id != partition.leader {
        return Err(PartitionError::InvalidRequest(format!(
            "broker {} does not lead partition {index} of topic {topic_id}",
            request.node_id
        )));
    }
    if partition_epoch < partition.partition_epoch {
        return Err(PartitionError::StalePartitionEpoch {
            topic_id,
            partition: index,
            current: partition.partition_epoch,
            given: partition_epoch,
        });
    }
    Ok(())
}

fn check_members(
    image: &MetadataImage,
    partition: &PartitionImage,
    request: &AlterPartition,
    isr: &[i32],
) -> Result<(), PartitionError> {
    let invalid = |problem: String| {
        Err(PartitionError::InvalidRequest(format!(
            "partition {} of topic {}: {problem}",
            request.partition, request.topic_id
        )))
    };
    if let Some(id) = duplicate(isr) {
        return invalid(format!("broker {id} occurs twice in the ISR"));
    }
    if let Some(id) = isr.iter().find(|id| !partition.replicas.contains(id)) {
        return invalid(format!("broker {id} has no replica"));
    }
    if !isr.contains(&request.node_id) {
        return invalid("a leader cannot leave the ISR".into());
    }
    for member in &request.isr {
        let eligible = image.brokers.get(member.node_id).is_some_and(|broker| {
            !broker.fenced && member.broker_epoch.is_none_or(|epoch| epoch == broker.epoch)
        });
        if !eligible {
            return Err(PartitionError::IneligibleReplica {
                topic_id: request.topic_id,
                partition: request.partition,
                broker: member.node_id,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cluster, replay, uuid, with_topic};
    use super::*;

    fn setting() -> (MetadataImage, AlterPartition) {
        let mut image = cluster(3, &[]);
        let topic_id = with_topic(&mut image, "a", 1, 3);
        let leader = image.topics.partition("a", 0).unwrap().leader;
        let request = AlterPartition {
            node_id: leader,
            broker_epoch: image.brokers.get(leader).unwrap().epoch,
            topic_id,
            partition: 0,
            leader_epoch: 0,
            partition_epoch: 0,
            isr: vec![IsrMember { node_id: leader, broker_epoch: None }],
        };
        (image, request)
    }

    #[test]
    fn a_shrink_then_a_growth() {
        let (mut image, mut request) = setting();
        let full = image.topics.partition("a", 0).unwrap().isr.clone();
        let record = alter(&image, &request).unwrap().unwrap();
        replay(&mut image, &[record]);
        let partition = image.topics.partition("a", 0).unwrap();
        assert_eq!(partition.isr, [request.node_id]);
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (0, 1));

        request.partition_epoch = 1;
        assert_eq!(alter(&image, &request), Ok(None));
        request.isr =
            full.iter().map(|id| IsrMember { node_id: *id, broker_epoch: Some(i64::from(*id)) }).collect();
        let record = alter(&image, &request).unwrap().unwrap();
        replay(&mut image, &[record]);
        assert_eq!(image.topics.partition("a", 0).unwrap().isr, full);
    }

    #[test]
    fn each_wrong_epoch_has_its_own_answer() {
        let (image, request) = setting();
        let code = |change: &dyn Fn(&mut AlterPartition)| {
            let mut request = request.clone();
            change(&mut request);
            alter(&image, &request).unwrap_err().kafka_code()
        };
        assert_eq!(code(&|r| r.broker_epoch += 1), 77);
        assert_eq!(code(&|r| r.topic_id = uuid(1)), 100);
        assert_eq!(code(&|r| r.partition = 9), 3);
        assert_eq!(code(&|r| r.leader_epoch = 1), 41);
        assert_eq!(code(&|r| r.leader_epoch = -1), 74);
        assert_eq!(code(&|r| r.partition_epoch = 1), 41);
        assert_eq!(code(&|r| r.partition_epoch = -1), 95);
        assert_eq!(code(&|r| r.isr.clear()), 42);
        assert_eq!(code(&|r| r.isr.push(r.isr[0])), 42);
        assert_eq!(code(&|r| r.isr.push(IsrMember { node_id: 9, broker_epoch: None })), 42);
        let other = if request.node_id == 1 { 2 } else { 1 };
        assert_eq!(code(&|r| r.isr.push(IsrMember { node_id: other, broker_epoch: Some(99) })), 107);
    }
}
