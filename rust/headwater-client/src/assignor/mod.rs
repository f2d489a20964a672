//! How the leader of a group shares partitions among its members. Pure: members and partition counts in, shares out.
//!
//! The results of `range` and `roundrobin` are Kafka's, member by member. The sticky strategies promise what Kafka's
//! promise (balance first, then stickiness), and may break ties otherwise. Absent: racks.

mod range;
mod round_robin;
mod sticky;

use crate::config::AssignmentStrategy;
use headwater_record::TopicPartition;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A member of a group, as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its member id.
    pub id: String,
    /// Its name, if it is a static member.
    pub instance_id: Option<String>,
    /// What it subscribes to.
    pub topics: BTreeSet<Arc<str>>,
    /// What it says it owns.
    pub owned: BTreeSet<TopicPartition>,
    /// In which generation it got that, -1 if unknown.
    pub generation: i32,
}

impl Member {
    /// Kafka's order: static members by name, then the others by id.
    fn order(&self, other: &Self) -> Ordering {
        match (&self.instance_id, &other.instance_id) {
            (Some(one), Some(two)) => one.cmp(two),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.id.cmp(&other.id),
        }
    }
}

/// The share of each member, by member id.
pub type Shares = BTreeMap<String, BTreeSet<TopicPartition>>;

/// Shares the partitions of all topics that somebody subscribes to. `counts` gives the partitions of each topic; a topic
/// that is missing there has none.
pub fn assign(
    strategy: AssignmentStrategy,
    members: &[Member],
    counts: &BTreeMap<Arc<str>, usize>,
) -> Shares {
    let mut members: Vec<&Member> = members.iter().collect();
    members.sort_by(|one, other| one.order(other));
    match strategy {
        AssignmentStrategy::Range => range::assign(&members, counts),
        AssignmentStrategy::RoundRobin => round_robin::assign(&members, counts),
        AssignmentStrategy::Sticky => sticky::assign(&members, counts),
        AssignmentStrategy::CooperativeSticky => {
            let mut shares = sticky::assign(&members, counts);
            withhold_moving(&members, &mut shares);
            shares
        }
    }
}

/// What changes hands is first given up by its owner, and given to the new one when the group meets again.
fn withhold_moving(members: &[&Member], shares: &mut Shares) {
    let owners = sticky::owners(members);
    let owners: HashMap<&TopicPartition, &str> =
        owners.iter().map(|(partition, place)| (*partition, members[*place].id.as_str())).collect();
    for (id, share) in shares {
        share.retain(|partition| owners.get(partition).is_none_or(|owner| owner == id));
    }
}

fn empty(members: &[&Member]) -> Shares {
    members.iter().map(|member| (member.id.clone(), BTreeSet::new())).collect()
}

fn partitions<'a>(counts: &'a BTreeMap<Arc<str>, usize>) -> impl Iterator<Item = TopicPartition> + 'a {
    counts.iter().flat_map(|(topic, count)| {
        (0..*count).map(move |partition| TopicPartition::new(Arc::clone(topic), partition as i32))
    })
}

#[cfg(test)]
mod tests;
