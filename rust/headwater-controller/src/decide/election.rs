//! Who leads a partition when brokers come and go.
//!
//! Only a replica that holds everything committed may lead: one of the ISR, else one of the ELR (KIP-966). Unclean
//! election is not among the answers.

use crate::image::{MetadataImage, NO_LEADER, PartitionImage};
use crate::records::{MetadataRecord, PartitionChangeRecord};

/// What becomes of the leadership of one partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Election {
    /// It stays.
    Keep,
    /// A member of the ISR takes over.
    FromIsr(i32),
    /// A replica of the ELR takes over and is then the whole ISR.
    FromElr(i32),
    /// Nobody can lead.
    Nobody,
}

/// Elects a leader of `partition` from the brokers for which `usable` holds.
pub(crate) fn elect(partition: &PartitionImage, usable: impl Fn(i32) -> bool) -> Election {
    if partition.leader != NO_LEADER && usable(partition.leader) && partition.isr.contains(&partition.leader)
    {
        return Election::Keep;
    }
    let preferred =
        |set: &[i32]| partition.replicas.iter().copied().find(|id| set.contains(id) && usable(*id));
    if let Some(id) = preferred(&partition.isr) {
        return Election::FromIsr(id);
    }
    if let Some(id) = preferred(&partition.elr) {
        return Election::FromElr(id);
    }
    if partition.leader == NO_LEADER { Election::Keep } else { Election::Nobody }
}

/// The records that follow when `node_id` is no longer usable: it leaves each ISR, unless it is the last in it, and
/// what it led goes to another.
pub(crate) fn on_loss(image: &MetadataImage, node_id: i32) -> Vec<MetadataRecord> {
    let usable = |id| id != node_id && image.brokers.is_usable(id);
    let mut records = Vec::new();
    for topic in image.topics.iter() {
        for (partition, index) in topic.partitions.iter().zip(0..) {
            if !partition.replicas.contains(&node_id) {
                continue;
            }
            let mut change = PartitionChangeRecord::of(topic.id, index);
            if partition.isr.len() > 1 && partition.isr.contains(&node_id) {
                change.isr = Some(partition.isr.iter().copied().filter(|id| *id != node_id).collect());
            }
            apply(elect(partition, usable), partition, &mut change);
            if change.isr.is_some() || change.leader.is_some() {
                records.push(MetadataRecord::PartitionChange(change));
            }
        }
    }
    records
}

/// The records that follow when `node_id` is usable (again). What it led before its restart it leads in a new epoch:
/// its log may have lost what was not flushed, and followers and consumers tell by the epoch.
pub(crate) fn on_arrival(image: &MetadataImage, node_id: i32) -> Vec<MetadataRecord> {
    let usable = |id| id == node_id || image.brokers.is_usable(id);
    let mut records = Vec::new();
    for topic in image.topics.iter() {
        for (partition, index) in topic.partitions.iter().zip(0..) {
            let mut change = PartitionChangeRecord::of(topic.id, index);
            if partition.leader == node_id {
                change.leader = Some(node_id);
            } else if partition.leader == NO_LEADER && partition.replicas.contains(&node_id) {
                apply(elect(partition, usable), partition, &mut change);
            }
            if change.leader.is_some() {
                records.push(MetadataRecord::PartitionChange(change));
            }
        }
    }
    records
}

fn apply(election: Election, partition: &PartitionImage, change: &mut PartitionChangeRecord) {
    match election {
        Election::Keep => {}
        Election::FromIsr(id) => change.leader = Some(id),
        Election::FromElr(id) => {
            change.leader = Some(id);
            change.isr = Some(vec![id]);
            change.elr = Some(partition.elr.iter().copied().filter(|other| *other != id).collect());
        }
        Election::Nobody => change.leader = Some(NO_LEADER),
    }
}

#[cfg(test)]
mod tests {
    use headwater_record::Uuid;

    use super::*;

    fn partition(leader: i32, isr: &[i32], elr: &[i32]) -> PartitionImage {
        PartitionImage {
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
            elr: elr.to_vec(),
            last_known_elr: vec![],
            leader,
            leader_epoch: 0,
            partition_epoch: 0,
            directories: vec![Uuid::ZERO; 3],
        }
    }

    #[test]
    fn only_complete_replicas_lead() {
        assert_eq!(elect(&partition(1, &[1, 2], &[]), |_| true), Election::Keep);
        assert_eq!(elect(&partition(1, &[1, 2], &[]), |id| id != 1), Election::FromIsr(2));
        assert_eq!(elect(&partition(1, &[1], &[3]), |id| id != 1), Election::FromElr(3));
        assert_eq!(elect(&partition(1, &[1], &[]), |id| id != 1), Election::Nobody);
        assert_eq!(elect(&partition(NO_LEADER, &[1], &[]), |id| id != 1), Election::Keep);
    }
}
