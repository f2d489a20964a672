//! Where the replicas of new partitions go.
//!
//! Leaders take turns over the brokers, racks alternating; followers start one further on and shift by one each time
//! round, so that the partitions of one leader do not all have the same second replica. No rack gets a second replica
//! of a partition before every rack has one. The starting point comes from the topic's id, which spreads topics of one
//! partition over the cluster and still gives the same answer for the same question.

use std::collections::{BTreeMap, BTreeSet};

use headwater_record::Uuid;

use crate::error::TopicError;
use crate::image::BrokersImage;

/// Chooses `replication_factor` usable brokers for each of `count` partitions, the first of which has index `first`.
///
/// # Errors
/// `InvalidReplicationFactor` when there are too few usable brokers.
pub(crate) fn place(
    brokers: &BrokersImage,
    topic_id: Uuid,
    first: usize,
    count: usize,
    replication_factor: usize,
) -> Result<Vec<Vec<i32>>, TopicError> {
    let ring = ring(brokers);
    if replication_factor > ring.len() {
        return Err(TopicError::InvalidReplicationFactor(format!(
            "a replication factor of {replication_factor} needs as many brokers, and {} of the {} registered {} usable",
            ring.len(),
            brokers.len(),
            if ring.len() == 1 { "is" } else { "are" }
        )));
    }
    let [.., high, low] = *topic_id.as_bytes();
    let start = usize::from(high) << 8 | usize::from(low);
    Ok((first..first + count).map(|partition| choose(&ring, start, partition, replication_factor)).collect())
}

struct Seat<'a> {
    broker: i32,
    rack: Option<&'a str>,
}

/// The usable brokers in turn: one of each rack, then the next of each.
fn ring(brokers: &BrokersImage) -> Vec<Seat<'_>> {
    let mut racks: BTreeMap<Option<&str>, Vec<i32>> = BTreeMap::new();
    for broker in brokers.usable() {
        racks.entry(broker.rack.as_deref()).or_default().push(broker.node_id);
    }
    let longest = racks.values().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|row| racks.iter().filter_map(move |(rack, ids)| Some((rack, *ids.get(row)?))))
        .map(|(rack, broker)| Seat { broker, rack: *rack })
        .collect()
}

fn choose(ring: &[Seat<'_>], start: usize, partition: usize, replication_factor: usize) -> Vec<i32> {
    let leader = (start + partition) % ring.len();
    let others = ring.len() - 1;
    let shift = (start + partition) / ring.len();
    let order: Vec<&Seat<'_>> = std::iter::once(leader)
        .chain((0..others).map(|step| (leader + 1 + (shift + step) % others) % ring.len()))
        .map(|index| &ring[index])
        .collect();
    let mut chosen = Vec::with_capacity(replication_factor);
    let mut racks = BTreeSet::new();
    while chosen.len() < replication_factor {
        let before = chosen.len();
        for seat in &order {
            if chosen.len() < replication_factor && !chosen.contains(&seat.broker) && racks.insert(seat.rack)
            {
                chosen.push(seat.broker);
            }
        }
        // Every rack has one more: begin the next round. `place` has checked that the ring is long enough.
        racks.clear();
        if chosen.len() == before && order.len() <= chosen.len() {
            break;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cluster, uuid};
    use super::*;

    #[test]
    fn leaders_take_turns() {
        let image = cluster(3, &[]);
        let placed = place(&image.brokers, Uuid::ZERO, 0, 6, 1).unwrap();
        let leaders: Vec<i32> = placed.iter().map(|replicas| replicas[0]).collect();
        assert_eq!(leaders, [1, 2, 3, 1, 2, 3]);
    }

    #[test]
    fn replicas_are_distinct_and_spread_over_racks() {
        let image = cluster(6, &["a", "b", "c"]);
        for replicas in place(&image.brokers, uuid(9), 0, 30, 3).unwrap() {
            let racks: BTreeSet<_> =
                replicas.iter().map(|id| image.brokers.get(*id).unwrap().rack.clone()).collect();
            assert_eq!(racks.len(), 3, "{replicas:?}");
        }
        for mut replicas in place(&image.brokers, uuid(9), 0, 30, 5).unwrap() {
            replicas.sort_unstable();
            replicas.dedup();
            assert_eq!(replicas.len(), 5);
        }
    }

    #[test]
    fn followers_of_one_leader_differ() {
        let image = cluster(4, &[]);
        let placed = place(&image.brokers, Uuid::ZERO, 0, 12, 2).unwrap();
        let seconds: BTreeSet<i32> = placed.iter().filter(|r| r[0] == 1).map(|r| r[1]).collect();
        assert_eq!(seconds.len(), 3);
    }

    #[test]
    fn too_few_brokers_are_counted() {
        let image = cluster(2, &[]);
        let error = place(&image.brokers, Uuid::ZERO, 0, 1, 3).unwrap_err();
        assert_eq!(error.kafka_code(), 38);
        assert!(error.to_string().contains("2 of the 2 registered"), "{error}");
    }
}
