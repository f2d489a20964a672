//! The rules of topics, one by one.

use super::super::configs::AcceptAnyConfig;
use super::super::testing::{cluster, replay, uuid, with_topic};
use super::*;
use crate::image::ConfigResourceKind;

fn try_create(image: &MetadataImage, request: &NewTopic) -> Result<Vec<MetadataRecord>, TopicError> {
    create(image, &AcceptAnyConfig, request, uuid(250))
}

fn by_hand(assignment: &[(i32, &[i32])]) -> NewTopic {
    let mut request = NewTopic::new("a", -1, -1);
    request.assignment = assignment
        .iter()
        .map(|(partition, replicas)| PartitionAssignment {
            partition: *partition,
            replicas: replicas.to_vec(),
        })
        .collect();
    request
}

#[test]
fn a_new_topic_is_led_from_the_start() {
    let mut image = cluster(3, &[]);
    let mut request = NewTopic::new("flights", 6, 2);
    request.configs = vec![("retention.ms".into(), Some("-1".into()))];
    let records = try_create(&image, &request).unwrap();
    replay(&mut image, &records);
    let topic = image.topics.by_name("flights").unwrap();
    assert_eq!(topic.partitions.len(), 6);
    for partition in &topic.partitions {
        assert_eq!(partition.isr, partition.replicas);
        assert_eq!(partition.leader, partition.replicas[0]);
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (0, 0));
        assert_eq!(partition.directory(partition.leader), Some(uuid(100 + partition.leader as u8)));
    }
    assert_eq!(image.configs.value(ConfigResourceKind::Topic, "flights", "retention.ms"), Some("-1"));
}

#[test]
fn what_cannot_be_created_is_named() {
    let mut image = cluster(2, &[]);
    with_topic(&mut image, "a.b", 1, 1);
    let code = |request: NewTopic| try_create(&image, &request).unwrap_err().kafka_code();
    assert_eq!(code(NewTopic::new("a.b", 1, 1)), 36);
    assert_eq!(code(NewTopic::new("a_b", 1, 1)), 17);
    assert_eq!(code(NewTopic::new("", 1, 1)), 17);
    assert_eq!(code(NewTopic::new("c", 0, 1)), 37);
    assert_eq!(code(NewTopic::new("c", -1, 1)), 37);
    assert_eq!(code(NewTopic::new("c", i32::MAX, 1)), 44);
    assert_eq!(code(NewTopic::new("c", 1, 3)), 38);
    assert_eq!(code(NewTopic::new("c", 1, 0)), 38);
    let mut request = NewTopic::new("c", 1, 1);
    request.configs = vec![("k".into(), None)];
    assert_eq!(code(request), 40);
}

#[test]
fn assignments_by_hand_are_checked() {
    let mut image = cluster(3, &[]);
    let records = try_create(&image, &by_hand(&[(1, &[3, 1]), (0, &[2, 3])])).unwrap();
    replay(&mut image, &records);
    let topic = image.topics.by_name("a").unwrap();
    assert_eq!(topic.partitions[0].replicas, [2, 3]);
    assert_eq!(topic.partitions[1].leader, 3);

    let image = cluster(3, &[]);
    for assignment in [
        &[(0, &[1][..]), (0, &[2])][..],
        &[(1, &[1])],
        &[(0, &[1]), (2, &[1])],
        &[(0, &[])],
        &[(0, &[1, 1])],
        &[(0, &[1, 9])],
        &[(0, &[1]), (1, &[1, 2])],
    ] {
        assert_eq!(try_create(&image, &by_hand(assignment)).unwrap_err().kafka_code(), 39, "{assignment:?}");
    }
    let mut both = by_hand(&[(0, &[1])]);
    both.partitions = 1;
    assert_eq!(try_create(&image, &both).unwrap_err().kafka_code(), 42);
}

#[test]
fn partitions_only_grow() {
    let mut image = cluster(2, &[]);
    with_topic(&mut image, "a", 2, 2);
    let request = |count, assignment| NewPartitions { topic: "a".into(), count, assignment };
    let code = |request| add_partitions(&image, &request).unwrap_err().kafka_code();
    assert_eq!(code(request(2, None)), 37);
    assert_eq!(code(request(1, None)), 37);
    assert_eq!(code(request(-1, None)), 37);
    assert_eq!(code(request(i32::MAX, None)), 44);
    assert_eq!(code(request(4, Some(vec![vec![1, 2]]))), 39);
    assert_eq!(code(request(3, Some(vec![vec![1]]))), 39);
    assert_eq!(code(NewPartitions { topic: "b".into(), count: 1, assignment: None }), 3);
    let records = add_partitions(&image, &request(3, Some(vec![vec![2, 1]]))).unwrap();
    replay(&mut image, &records);
    let records = add_partitions(&image, &request(5, None)).unwrap();
    replay(&mut image, &records);
    let topic = image.topics.by_name("a").unwrap();
    assert_eq!(topic.partitions[2].replicas, [2, 1]);
    assert_eq!(topic.partitions.len(), 5);
    assert!(topic.partitions.iter().all(|partition| partition.replicas.len() == 2));
}

#[test]
fn topics_are_deleted_by_name_or_id() {
    let mut image = cluster(1, &[]);
    let id = with_topic(&mut image, "a", 1, 1);
    with_topic(&mut image, "b", 1, 1);
    assert_eq!(delete(&image, &TopicRef::Name("c".into())).unwrap_err().kafka_code(), 3);
    assert_eq!(delete(&image, &TopicRef::Id(uuid(9))).unwrap_err().kafka_code(), 100);
    for topic in [TopicRef::Id(id), TopicRef::Name("b".into())] {
        let (records, _) = delete(&image, &topic).unwrap();
        replay(&mut image, &records);
    }
    assert!(image.topics.is_empty());
}
