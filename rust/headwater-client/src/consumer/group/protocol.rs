//! The opaque bytes of the consumer group protocol, in Kafka's formats, so that groups can be mixed.

use crate::assignor;
use crate::config::AssignmentStrategy;
use bytes::Bytes;
use headwater_protocol::records::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition as WirePartitions,
};
use headwater_protocol::{
    DecodeError, EncodeError, Reader, Str, Writer, decode_versioned_leniently, encode_versioned,
};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The newest version of both messages.
const VERSION: i16 = 3;

/// What a member tells of itself.
pub(super) struct Told<'a> {
    pub(super) topics: &'a BTreeSet<Arc<str>>,
    /// What it still has (cooperative); empty when everything was revoked.
    pub(super) owned: &'a BTreeSet<TopicPartition>,
    /// What it had last, for the eager sticky strategy.
    pub(super) had: &'a BTreeSet<TopicPartition>,
    pub(super) generation: i32,
    pub(super) rack: &'a str,
}

/// The metadata of a JoinGroup for one strategy.
pub(super) fn subscription(strategy: AssignmentStrategy, told: &Told<'_>) -> Result<Bytes, EncodeError> {
    let user_data = match strategy {
        AssignmentStrategy::Range | AssignmentStrategy::RoundRobin => None,
        AssignmentStrategy::Sticky => Some(sticky_user_data(told.had, told.generation)?),
        AssignmentStrategy::CooperativeSticky => Some(Bytes::copy_from_slice(&told.generation.to_be_bytes())),
    };
    let message = ConsumerProtocolSubscription {
        topics: told.topics.iter().map(|topic| Str::from(&**topic)).collect(),
        user_data,
        owned_partitions: by_topic(told.owned),
        generation_id: told.generation,
        rack_id: Some(told.rack).filter(|rack| !rack.is_empty()).map(Str::from),
    };
    encode_versioned(&message, VERSION)
}

/// A member as the leader sees it, and the version it speaks. Bytes that cannot be read count as no subscription.
pub(super) fn member(
    id: &str,
    instance_id: Option<&str>,
    metadata: &Bytes,
    strategy: AssignmentStrategy,
) -> (i16, assignor::Member) {
    let mut member = assignor::Member {
        id: id.to_owned(),
        instance_id: instance_id.map(str::to_owned),
        topics: BTreeSet::new(),
        owned: BTreeSet::new(),
        generation: -1,
    };
    let Ok((version, message)) = decode_versioned_leniently::<ConsumerProtocolSubscription>(metadata.clone())
    else {
        return (0, member);
    };
    member.topics = message.topics.iter().map(|topic| Arc::from(&**topic)).collect();
    member.owned = flat(&message.owned_partitions);
    member.generation = message.generation_id;
    match (strategy, message.user_data) {
        (AssignmentStrategy::Sticky, Some(data)) => {
            if let Ok((owned, generation)) = read_sticky_user_data(data) {
                (member.owned, member.generation) = (owned, generation);
            }
        }
        (AssignmentStrategy::CooperativeSticky, Some(data)) if member.generation < 0 => {
            member.generation = Reader::new(data).int32().unwrap_or(-1);
        }
        _ => {}
    }
    (version, member)
}

/// A member's share, as SyncGroup carries it, in the version that all members understand.
pub(super) fn assignment(partitions: &BTreeSet<TopicPartition>, version: i16) -> Result<Bytes, EncodeError> {
    let message = ConsumerProtocolAssignment { assigned_partitions: assigned(partitions), user_data: None };
    encode_versioned(&message, version.clamp(0, VERSION))
}

/// The partitions of an assignment, sorted; nothing if it cannot be read.
pub(crate) fn assignment_of(bytes: &Bytes) -> Vec<TopicPartition> {
    match decode_versioned_leniently::<ConsumerProtocolAssignment>(bytes.clone()) {
        Ok((_, message)) => flat(&message.assigned_partitions).into_iter().collect(),
        Err(_) => Vec::new(),
    }
}

/// For `fuzz/`: reads `bytes` in every way that there is; an assignment that was read must come back from our own bytes.
#[cfg(fuzzing)]
pub(crate) fn read_group_bytes(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    for strategy in
        [AssignmentStrategy::Range, AssignmentStrategy::Sticky, AssignmentStrategy::CooperativeSticky]
    {
        let (version, read) = member("m", None, &bytes, strategy);
        std::hint::black_box((version, read));
    }
    let partitions = assignment_of(&bytes);
    let ours = assignment(&partitions.iter().cloned().collect(), VERSION).expect("names that were read fit");
    assert_eq!(assignment_of(&ours), partitions);
}

fn by_topic(partitions: &BTreeSet<TopicPartition>) -> Vec<WirePartitions> {
    let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let wire = |(topic, partitions): (&Arc<str>, Vec<i32>)| WirePartitions {
        topic: Str::from(&**topic),
        partitions,
    };
    topics.into_iter().map(wire).collect()
}

fn assigned(partitions: &BTreeSet<TopicPartition>) -> Vec<WirePartitions> {
    by_topic(partitions)
}

fn flat(topics: &[WirePartitions]) -> BTreeSet<TopicPartition> {
    let mut all = BTreeSet::new();
    for topic in topics {
        let name: Arc<str> = Arc::from(&*topic.topic);
        all.extend(
            topic.partitions.iter().map(|partition| TopicPartition::new(Arc::clone(&name), *partition)),
        );
    }
    all
}

/// What the eager sticky strategy remembers: the previous assignment, and in which generation it was made.
fn sticky_user_data(had: &BTreeSet<TopicPartition>, generation: i32) -> Result<Bytes, EncodeError> {
    let topics = by_topic(had);
    let mut writer = Writer::new();
    writer.put_int32(topics.len() as i32);
    for topic in &topics {
        writer.put_string(false, &topic.topic)?;
        writer.put_int32(topic.partitions.len() as i32);
        topic.partitions.iter().for_each(|partition| writer.put_int32(*partition));
    }
    writer.put_int32(generation);
    Ok(writer.into_bytes())
}

fn read_sticky_user_data(data: Bytes) -> Result<(BTreeSet<TopicPartition>, i32), DecodeError> {
    let mut reader = Reader::new(data);
    let mut owned = BTreeSet::new();
    // The counts are not trusted: every element must be there before it is taken.
    for _ in 0..reader.int32()?.max(0) {
        let topic: Arc<str> = Arc::from(&*reader.string(false)?);
        for _ in 0..reader.int32()?.max(0) {
            owned.insert(TopicPartition::new(Arc::clone(&topic), reader.int32()?));
        }
    }
    // Clients before 2.3 did not send the generation.
    let generation = if reader.remaining() >= 4 { reader.int32()? } else { -1 };
    Ok((owned, generation))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &[(&str, i32)]) -> BTreeSet<TopicPartition> {
        list.iter().map(|(topic, partition)| TopicPartition::new(*topic, *partition)).collect()
    }

    #[test]
    fn subscriptions_come_back_for_every_strategy() {
        let topics: BTreeSet<Arc<str>> = [Arc::from("a"), Arc::from("b")].into();
        let owned = set(&[("a", 0), ("a", 2), ("b", 1)]);
        let none = BTreeSet::new();
        for (strategy, kept, generation) in [
            (AssignmentStrategy::Range, &none, 7),
            (AssignmentStrategy::RoundRobin, &none, 7),
            (AssignmentStrategy::Sticky, &owned, 7),
            (AssignmentStrategy::CooperativeSticky, &owned, 7),
        ] {
            let cooperative = strategy == AssignmentStrategy::CooperativeSticky;
            let told = Told {
                topics: &topics,
                owned: if cooperative { &owned } else { &none },
                had: &owned,
                generation,
                rack: "r",
            };
            let bytes = subscription(strategy, &told).unwrap();
            let (version, member) = member("m", Some("i"), &bytes, strategy);
            assert_eq!((version, &member.topics, &member.owned), (3, &topics, kept), "{strategy:?}");
            assert_eq!(member.generation, generation, "{strategy:?}");
        }
    }

    #[test]
    fn the_bytes_are_kafkas() {
        // Version 0: one topic "t", no user data.
        let old = Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff");
        let (version, read) = member("m", None, &old, AssignmentStrategy::Range);
        assert_eq!((version, read.topics.len(), read.generation), (0, 1, -1));
        let bytes = assignment(&set(&[("t", 1), ("t", 5)]), 0).unwrap();
        assert_eq!(&bytes[..], b"\0\0\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x01\0\0\0\x05\xff\xff\xff\xff");
        assert_eq!(assignment_of(&bytes), set(&[("t", 1), ("t", 5)]).into_iter().collect::<Vec<_>>());
        assert_eq!(
            &sticky_user_data(&set(&[("t", 1)]), 3).unwrap()[..],
            b"\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x01\0\0\0\x03"
        );
    }

    #[test]
    fn nonsense_is_no_subscription() {
        for nonsense in [&b""[..], b"\0", b"\0\x03\x7f\xff\xff\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff"] {
            let (_, read) = member("m", None, &Bytes::copy_from_slice(nonsense), AssignmentStrategy::Sticky);
            assert!(read.topics.is_empty());
            assert!(assignment_of(&Bytes::copy_from_slice(nonsense)).is_empty());
        }
        assert!(read_sticky_user_data(Bytes::from_static(b"\x7f\xff\xff\xff\0\0\x7f\xff\xff\xff")).is_err());
    }
}
