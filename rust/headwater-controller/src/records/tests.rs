//! Every record type round-trips, a golden batch stays readable, hostile bytes are refused.

use headwater_record::Uuid;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::image::ConfigResourceKind;

fn uuids() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

fn ids() -> impl Strategy<Value = Vec<i32>> {
    vec(any::<i32>(), 0..4)
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    (".*", ".*", any::<u16>()).prop_map(|(name, host, port)| Endpoint { name, host, port })
}

fn kinds() -> impl Strategy<Value = ConfigResourceKind> {
    prop::sample::select(ConfigResourceKind::ALL.to_vec())
}

fn partitions() -> impl Strategy<Value = PartitionRecord> {
    (
        (uuids(), any::<i32>(), ids(), ids(), ids(), ids()),
        (any::<i32>(), any::<i32>(), any::<i32>(), vec(uuids(), 0..4)),
    )
        .prop_map(
            |(
                (topic_id, partition, replicas, isr, elr, last_known_elr),
                (leader, leader_epoch, partition_epoch, directories),
            )| {
                PartitionRecord {
                    topic_id,
                    partition,
                    replicas,
                    isr,
                    elr,
                    last_known_elr,
                    leader,
                    leader_epoch,
                    partition_epoch,
                    directories,
                }
            },
        )
}

fn changes() -> impl Strategy<Value = PartitionChangeRecord> {
    (
        (uuids(), any::<i32>()),
        (option::of(ids()), option::of(ids()), option::of(ids()), option::of(ids())),
        (option::of(any::<i32>()), option::of(vec(uuids(), 0..3))),
    )
        .prop_map(
            |((topic_id, partition), (replicas, isr, elr, last_known_elr), (leader, directories))| {
                PartitionChangeRecord {
                    topic_id,
                    partition,
                    replicas,
                    isr,
                    elr,
                    last_known_elr,
                    leader,
                    directories,
                }
            },
        )
}

fn brokers() -> impl Strategy<Value = BrokerRecord> {
    (
        (any::<i32>(), uuids(), option::of(0..i64::MAX)),
        (vec(endpoints(), 0..3), option::of(".*"), vec(uuids(), 0..3), any::<bool>()),
    )
        .prop_map(|((node_id, incarnation, epoch), (endpoints, rack, directories, fenced))| {
            BrokerRecord { node_id, incarnation, epoch, endpoints, rack, directories, fenced }
        })
}

fn records() -> impl Strategy<Value = MetadataRecord> {
    prop_oneof![
        Just(MetadataRecord::NoOp),
        (".*", any::<i16>()).prop_map(|(name, level)| MetadataRecord::FeatureLevel { name, level }),
        (any::<u64>(), any::<i32>(), uuids()).prop_map(|(raft_id, node_id, directory)| {
            MetadataRecord::RaftId(RaftIdRecord { raft_id, node_id, directory })
        }),
        brokers().prop_map(MetadataRecord::Broker),
        (any::<i32>(), any::<i64>())
            .prop_map(|(node_id, epoch)| MetadataRecord::RemoveBroker { node_id, epoch }),
        (any::<i32>(), any::<i64>(), any::<bool>()).prop_map(|(node_id, epoch, fenced)| {
            MetadataRecord::Fencing(FencingRecord { node_id, epoch, fenced })
        }),
        (".*", uuids()).prop_map(|(name, id)| MetadataRecord::Topic(TopicRecord { name, id })),
        partitions().prop_map(MetadataRecord::Partition),
        changes().prop_map(MetadataRecord::PartitionChange),
        uuids().prop_map(|id| MetadataRecord::RemoveTopic { id }),
        (kinds(), ".*", ".*", option::of(".*")).prop_map(|(kind, name, key, value)| MetadataRecord::Config(
            ConfigRecord { resource: ConfigResource { kind, name }, key, value }
        )),
        (any::<i32>(), any::<i64>(), any::<i64>()).prop_map(|(node_id, broker_epoch, next)| {
            MetadataRecord::ProducerIds(ProducerIdsRecord { node_id, broker_epoch, next })
        }),
    ]
}

proptest! {
    #[test]
    fn batches_round_trip(batch in vec(records(), 0..8)) {
        prop_assert_eq!(decode_batch(&encode_batch(&batch)), Ok(batch));
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_batch(&bytes);
    }

    #[test]
    fn a_cut_batch_is_refused(batch in vec(records(), 1..4), cut in any::<prop::sample::Index>()) {
        let bytes = encode_batch(&batch);
        prop_assert!(decode_batch(&bytes[..cut.index(bytes.len())]).is_err());
    }
}

#[test]
fn what_the_first_version_wrote_stays_readable() {
    let batch = [
        MetadataRecord::Topic(TopicRecord { name: "flights".into(), id: Uuid::from_bytes([7; 16]) }),
        MetadataRecord::Config(ConfigRecord {
            resource: ConfigResource { kind: ConfigResourceKind::Topic, name: "flights".into() },
            key: "retention.ms".into(),
            value: Some("-1".into()),
        }),
    ];
    let golden = [
        &[1, 0, 0, 0, 2][..],
        &[0, 6, 1, 0, 0, 0, 27, 0, 0, 0, 7][..],
        b"flights",
        &[7; 16],
        &[0, 10, 1, 0, 0, 0, 35, 2, 0, 0, 0, 7],
        b"flights",
        &[0, 0, 0, 12],
        b"retention.ms",
        &[1, 0, 0, 0, 2],
        b"-1",
    ]
    .concat();
    assert_eq!(encode_batch(&batch), golden);
    assert_eq!(decode_batch(&golden).as_deref(), Ok(&batch[..]));
}

#[test]
fn a_newer_type_or_version_is_named() {
    let newer_type = [1, 0, 0, 0, 1, 0xff, 0xff, 1, 0, 0, 0, 0];
    assert_eq!(decode_batch(&newer_type), Err(RecordError::Newer { record_type: 0xffff, version: 1 }));
    let newer_version = [1, 0, 0, 0, 1, 0, 0, 9, 0, 0, 0, 0];
    assert_eq!(decode_batch(&newer_version), Err(RecordError::Newer { record_type: 0, version: 9 }));
    assert_eq!(decode_batch(&[2, 0, 0, 0, 0]), Err(RecordError::Newer { record_type: 0, version: 2 }));
}
