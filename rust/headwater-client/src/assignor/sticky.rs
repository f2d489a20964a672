//! As balanced as subscriptions allow; within that, everybody keeps what it has.
//!
//! What is owned and still valid stays; what nobody owns goes to the subscriber with the smallest share; then partitions
//! move from larger shares to smaller ones, each move making the sum of squares smaller, until none helps.

use super::{Member, Shares, empty, partitions};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Who owns what, by place in `members`. Of two claims the one of the later generation counts, of two in one generation
/// neither does.
pub(super) fn owners<'a>(members: &[&'a Member]) -> HashMap<&'a TopicPartition, usize> {
    let mut claims: HashMap<&TopicPartition, (i32, Option<usize>)> = HashMap::new();
    for (place, member) in members.iter().enumerate() {
        for partition in &member.owned {
            let claim = claims.entry(partition).or_insert((member.generation, Some(place)));
            if claim.0 < member.generation {
                *claim = (member.generation, Some(place));
            } else if claim.0 == member.generation && claim.1 != Some(place) {
                claim.1 = None;
            }
        }
    }
    claims.into_iter().filter_map(|(partition, (_, place))| Some((partition, place?))).collect()
}

pub(super) fn assign(members: &[&Member], counts: &BTreeMap<Arc<str>, usize>) -> Shares {
    let before = owners(members);
    let subscribers: HashMap<&Arc<str>, Vec<usize>> = counts
        .keys()
        .map(|topic| {
            (topic, (0..members.len()).filter(|place| members[*place].topics.contains(topic)).collect())
        })
        .collect();
    let mut sizes = vec![0_usize; members.len()];
    let mut held: BTreeMap<TopicPartition, usize> = BTreeMap::new();
    let mut free = Vec::new();
    for partition in partitions(counts) {
        let candidates = &subscribers[&partition.topic];
        match before.get(&partition).filter(|place| candidates.contains(place)) {
            Some(place) => {
                sizes[*place] += 1;
                held.insert(partition, *place);
            }
            None if candidates.is_empty() => {}
            None => free.push(partition),
        }
    }
    // Those with little choice first, so that the others can make up for it.
    free.sort_by_key(|partition| subscribers[&partition.topic].len());
    for partition in free {
        if let Some(place) = smallest(&subscribers[&partition.topic], &sizes) {
            sizes[place] += 1;
            held.insert(partition, place);
        }
    }
    balance(&mut held, &mut sizes, &subscribers, &before);
    let mut shares = empty(members);
    for (partition, place) in held {
        shares.entry(members[place].id.clone()).or_default().insert(partition);
    }
    shares
}

fn balance(
    held: &mut BTreeMap<TopicPartition, usize>,
    sizes: &mut [usize],
    subscribers: &HashMap<&Arc<str>, Vec<usize>>,
    before: &HashMap<&TopicPartition, usize>,
) {
    loop {
        let mut moved = false;
        // From the end, so that a member keeps its first partitions.
        for (partition, holder) in held.iter_mut().rev() {
            let candidates = &subscribers[&partition.topic];
            let own = before.get(partition).copied().filter(|place| candidates.contains(place));
            // Back to its former owner if that helps, or else to the smallest share.
            let target = own
                .filter(|place| sizes[*place] + 1 < sizes[*holder])
                .or_else(|| smallest(candidates, sizes));
            let Some(target) = target.filter(|place| sizes[*place] + 1 < sizes[*holder]) else { continue };
            sizes[*holder] -= 1;
            sizes[target] += 1;
            *holder = target;
            moved = true;
        }
        if !moved {
            return;
        }
    }
}

fn smallest(candidates: &[usize], sizes: &[usize]) -> Option<usize> {
    candidates.iter().copied().min_by_key(|place| sizes[*place])
}
