//! All partitions in turn, to the next member that subscribes to their topic.

use super::{Member, Shares, empty, partitions};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn assign(members: &[&Member], counts: &BTreeMap<Arc<str>, usize>) -> Shares {
    let mut shares = empty(members);
    let mut turn = 0;
    for partition in partitions(counts) {
        let next = (0..members.len())
            .map(|step| (turn + step) % members.len())
            .find(|place| members[*place].topics.contains(&partition.topic));
        if let Some(place) = next {
            shares.entry(members[place].id.clone()).or_default().insert(partition);
            turn = place + 1;
        }
    }
    shares
}
