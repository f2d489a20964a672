//! Consecutive partitions of each topic to each subscriber; the first ones get one more.

use super::{Member, Shares, empty};
use headwater_record::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn assign(members: &[&Member], counts: &BTreeMap<Arc<str>, usize>) -> Shares {
    let mut shares = empty(members);
    for (topic, count) in counts {
        let subscribers: Vec<&&Member> =
            members.iter().filter(|member| member.topics.contains(topic)).collect();
        if subscribers.is_empty() {
            continue;
        }
        let (each, more) = (count / subscribers.len(), count % subscribers.len());
        let mut next = 0;
        for (place, member) in subscribers.into_iter().enumerate() {
            let end = next + each + usize::from(place < more);
            let share = shares.entry(member.id.clone()).or_default();
            share.extend(
                (next..end).map(|partition| TopicPartition::new(Arc::clone(topic), partition as i32)),
            );
            next = end;
        }
    }
    shares
}
