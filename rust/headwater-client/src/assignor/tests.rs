//! Kafka's documented examples, member by member, and laws that hold for every group.

use super::*;
use proptest::prelude::*;

fn member(id: &str, topics: &[&str]) -> Member {
    Member {
        id: id.into(),
        instance_id: None,
        topics: topics.iter().map(|topic| Arc::from(*topic)).collect(),
        owned: BTreeSet::new(),
        generation: -1,
    }
}

fn counts(list: &[(&str, usize)]) -> BTreeMap<Arc<str>, usize> {
    list.iter().map(|(topic, count)| (Arc::from(*topic), *count)).collect()
}

fn show(shares: &Shares) -> Vec<String> {
    let names = |share: &BTreeSet<TopicPartition>| {
        share.iter().map(|p| format!("{}p{}", p.topic, p.partition)).collect::<Vec<_>>().join(" ")
    };
    shares.iter().map(|(id, share)| format!("{id}: {}", names(share))).collect()
}

/// What the members own when they come back with these shares.
fn again(members: &[Member], shares: &Shares, generation: i32) -> Vec<Member> {
    let back = |member: &Member| Member { owned: shares[&member.id].clone(), generation, ..member.clone() };
    members.iter().map(back).collect()
}

#[test]
fn range_as_documented() {
    let members = [member("C0", &["t0", "t1"]), member("C1", &["t0", "t1"])];
    let shares = assign(AssignmentStrategy::Range, &members, &counts(&[("t0", 3), ("t1", 3)]));
    assert_eq!(show(&shares), ["C0: t0p0 t0p1 t1p0 t1p1", "C1: t0p2 t1p2"]);
}

#[test]
fn round_robin_as_documented() {
    let members = [member("C0", &["t0", "t1"]), member("C1", &["t0", "t1"])];
    let shares = assign(AssignmentStrategy::RoundRobin, &members, &counts(&[("t0", 3), ("t1", 3)]));
    assert_eq!(show(&shares), ["C0: t0p0 t0p2 t1p1", "C1: t0p1 t1p0 t1p2"]);
    let members = [member("C0", &["t0"]), member("C1", &["t0", "t1"]), member("C2", &["t0", "t1", "t2"])];
    let shares =
        assign(AssignmentStrategy::RoundRobin, &members, &counts(&[("t0", 1), ("t1", 2), ("t2", 3)]));
    assert_eq!(show(&shares), ["C0: t0p0", "C1: t1p0", "C2: t1p1 t2p0 t2p1 t2p2"]);
}

#[test]
fn sticky_as_documented() {
    let topics = ["t0", "t1", "t2", "t3"];
    let members = [member("C0", &topics), member("C1", &topics), member("C2", &topics)];
    let counts = counts(&[("t0", 2), ("t1", 2), ("t2", 2), ("t3", 2)]);
    let shares = assign(AssignmentStrategy::Sticky, &members, &counts);
    assert_eq!(show(&shares), ["C0: t0p0 t1p1 t3p0", "C1: t0p1 t2p0 t3p1", "C2: t1p0 t2p1"]);
    // C1 goes; the others keep what they have.
    let back = again(&members, &shares, 1);
    let left = assign(AssignmentStrategy::Sticky, &[back[0].clone(), back[2].clone()], &counts);
    assert_eq!(show(&left), ["C0: t0p0 t1p1 t2p0 t3p0", "C2: t0p1 t1p0 t2p1 t3p1"]);
}

#[test]
fn sticky_with_unequal_subscriptions_as_documented() {
    let members = [member("C0", &["t0"]), member("C1", &["t0", "t1"]), member("C2", &["t0", "t1", "t2"])];
    let counts = counts(&[("t0", 1), ("t1", 2), ("t2", 3)]);
    let shares = assign(AssignmentStrategy::Sticky, &members, &counts);
    assert_eq!(show(&shares), ["C0: t0p0", "C1: t1p0 t1p1", "C2: t2p0 t2p1 t2p2"]);
    let back = again(&members, &shares, 1);
    let left = assign(AssignmentStrategy::Sticky, &back[1..], &counts);
    assert_eq!(show(&left), ["C1: t0p0 t1p0 t1p1", "C2: t2p0 t2p1 t2p2"]);
}

#[test]
fn cooperative_gives_what_moves_in_a_second_round() {
    let counts = counts(&[("t", 4)]);
    let first = [member("A", &["t"])];
    let shares = assign(AssignmentStrategy::CooperativeSticky, &first, &counts);
    assert_eq!(show(&shares), ["A: tp0 tp1 tp2 tp3"]);
    let mut both = again(&first, &shares, 1);
    both.push(member("B", &["t"]));
    let shares = assign(AssignmentStrategy::CooperativeSticky, &both, &counts);
    assert_eq!(show(&shares), ["A: tp0 tp1", "B: "], "what moves is withheld");
    let shares = assign(AssignmentStrategy::CooperativeSticky, &again(&both, &shares, 2), &counts);
    assert_eq!(show(&shares), ["A: tp0 tp1", "B: tp2 tp3"]);
}

#[test]
fn a_claim_of_an_older_generation_does_not_count() {
    let counts = counts(&[("t", 2)]);
    let both = BTreeSet::from([TopicPartition::new("t", 0), TopicPartition::new("t", 1)]);
    let zombie = Member { owned: both.clone(), generation: 1, ..member("A", &["t"]) };
    let owner =
        Member { owned: BTreeSet::from([TopicPartition::new("t", 0)]), generation: 2, ..member("B", &["t"]) };
    let shares = assign(AssignmentStrategy::Sticky, &[zombie, owner], &counts);
    assert_eq!(show(&shares), ["A: tp1", "B: tp0"]);
}

#[test]
fn static_members_come_first_by_name() {
    let mut members = [member("a", &["t"]), member("z", &["t"])];
    members[1].instance_id = Some("0".into());
    let shares = assign(AssignmentStrategy::Range, &members, &counts(&[("t", 1)]));
    assert_eq!(show(&shares), ["a: ", "z: tp0"]);
}

fn any_group() -> impl Strategy<Value = (Vec<Member>, BTreeMap<Arc<str>, usize>)> {
    let names = ["a", "b", "c"];
    let subscriptions = proptest::collection::vec(proptest::sample::subsequence(names.to_vec(), 1..=3), 1..6);
    (subscriptions, proptest::collection::vec(0_usize..7, 3)).prop_map(move |(subscriptions, sizes)| {
        let members =
            subscriptions.iter().enumerate().map(|(place, topics)| member(&format!("m{place}"), topics));
        (members.collect(), names.iter().map(|name| Arc::from(*name)).zip(sizes).collect())
    })
}

proptest! {
    /// Every partition that somebody wants goes to exactly one who wants it.
    #[test]
    fn everything_is_shared_once((members, counts) in any_group()) {
        for strategy in [AssignmentStrategy::Range, AssignmentStrategy::RoundRobin, AssignmentStrategy::Sticky] {
            let shares = assign(strategy, &members, &counts);
            let mut seen = BTreeSet::new();
            for member in &members {
                for partition in &shares[&member.id] {
                    prop_assert!(member.topics.contains(&partition.topic));
                    prop_assert!(seen.insert(partition.clone()), "{partition} twice");
                }
            }
            let wanted: BTreeSet<TopicPartition> =
                partitions(&counts).filter(|p| members.iter().any(|member| member.topics.contains(&p.topic))).collect();
            prop_assert_eq!(seen, wanted);
        }
    }

    /// No partition could move to a member with a share smaller by two; and nothing moves when nothing changed.
    #[test]
    fn sticky_is_balanced_and_sticks((members, counts) in any_group(), gone in 0_usize..6) {
        let shares = assign(AssignmentStrategy::Sticky, &members, &counts);
        let settled = again(&members, &shares, 1);
        prop_assert_eq!(&assign(AssignmentStrategy::Sticky, &settled, &counts), &shares);
        let mut fewer = settled;
        if fewer.len() > 1 {
            fewer.remove(gone % fewer.len());
        }
        let shares = assign(AssignmentStrategy::Sticky, &fewer, &counts);
        for (id, share) in &shares {
            for partition in share {
                for other in fewer.iter().filter(|other| other.topics.contains(&partition.topic)) {
                    prop_assert!(shares[&other.id].len() + 1 >= share.len(), "{partition} of {id} could go to {}", other.id);
                }
            }
        }
    }
}
