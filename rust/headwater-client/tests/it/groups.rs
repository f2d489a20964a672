//! Membership: sharing, rebalancing with every strategy, commits, static members.

use crate::consume::{fill, read};
use crate::support::{Server, server, unique};
use headwater_client::{Consumer, PollLimits, ProduceRecord, RebalanceKind};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn limits() -> PollLimits {
    PollLimits { records: 500, bytes: usize::MAX }
}

fn member(server: &Server, group: &str, strategy: &str) -> Consumer {
    server.consumer(&[
        ("group.id", group),
        ("partition.assignment.strategy", strategy),
        ("auto.offset.reset", "earliest"),
        ("heartbeat.interval.ms", "200"),
    ])
}

/// Polls all members until together they own `count` partitions, each as told by its events.
async fn settle(members: &[&Consumer], count: usize, each: usize) -> Vec<BTreeSet<TopicPartition>> {
    let meeting = async {
        loop {
            for member in members {
                member.poll(limits(), Duration::from_millis(50)).await.unwrap();
            }
            let shares: Vec<BTreeSet<TopicPartition>> =
                members.iter().map(|member| member.assignment().into_iter().collect()).collect();
            let all: BTreeSet<_> = shares.iter().flatten().collect();
            if all.len() == count && shares.iter().all(|share| share.len() >= each) {
                return shares;
            }
        }
    };
    tokio::time::timeout(PATIENCE, meeting).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_share_and_take_over_with_every_strategy() {
    let Some(server) = server() else { return };
    for strategy in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        let topic = server.topic(strategy, 4).await;
        let group = unique("group");
        let first = member(&server, &group, strategy);
        first.subscribe(&[&topic]).unwrap();
        let alone = settle(&[&first], 4, 4).await;
        let second = member(&server, &group, strategy);
        second.subscribe(&[&topic]).unwrap();
        let shares = settle(&[&first, &second], 4, 2).await;
        assert_eq!((shares[0].len(), shares[1].len()), (2, 2), "{strategy}");
        assert!(shares[0].is_disjoint(&shares[1]));
        if strategy.contains("sticky") {
            assert!(shares[0].is_subset(&alone[0]), "{strategy} keeps what it has");
        }
        second.close(PATIENCE).await.unwrap();
        settle(&[&first], 4, 4).await;
        first.close(PATIENCE).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_of_every_change() {
    let Some(server) = server() else { return };
    let topic = server.topic("events", 2).await;
    let group = unique("group");
    let first = member(&server, &group, "cooperative-sticky");
    first.subscribe(&[&topic]).unwrap();
    let mut told: Vec<(RebalanceKind, usize)> = Vec::new();
    while told.is_empty() {
        let polled = first.poll(limits(), PATIENCE).await.unwrap();
        told.extend(polled.events.iter().map(|event| (event.kind, event.partitions.len())));
    }
    assert_eq!(told, [(RebalanceKind::Assigned, 2)]);
    let second = member(&server, &group, "cooperative-sticky");
    second.subscribe(&[&topic]).unwrap();
    told.clear();
    let polling = async {
        while !told.contains(&(RebalanceKind::Revoked, 1)) || second.assignment().is_empty() {
            let polled = first.poll(limits(), Duration::from_millis(50)).await.unwrap();
            told.extend(polled.events.iter().map(|event| (event.kind, event.partitions.len())));
            second.poll(limits(), Duration::from_millis(50)).await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.unwrap();
    assert!(!told.contains(&(RebalanceKind::Revoked, 2)), "only what moves is revoked: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_where_the_next_member_begins() {
    let Some(server) = server() else { return };
    let topic = server.topic("commits", 1).await;
    fill(&server, &topic, 100, "none").await;
    let group = unique("group");
    let partition = TopicPartition::new(topic.as_str(), 0);
    let first = member(&server, &group, "range");
    first.subscribe(&[&topic]).unwrap();
    let ten = PollLimits { records: 10, bytes: usize::MAX };
    assert_eq!(read(&first, 30, ten).await.len(), 30);
    // Polled once more, what came before counts as processed and closing commits all that was handed out.
    first.close(PATIENCE).await.unwrap();
    let second = server.consumer(&[("group.id", &group), ("enable.auto.commit", "false")]);
    second.subscribe(&[&topic]).unwrap();
    assert_eq!(read(&second, 10, ten).await[0], (30, 30));
    let offsets = BTreeMap::from([(
        partition.clone(),
        headwater_client::OffsetAndMetadata { offset: 77, leader_epoch: None, metadata: "note".into() },
    )]);
    second.commit_offsets(&offsets).await.unwrap();
    let committed = second.committed(std::slice::from_ref(&partition)).await.unwrap();
    let committed = committed[&partition].clone().unwrap();
    assert_eq!((committed.offset, committed.metadata.as_str()), (77, "note"));
    second.close(PATIENCE).await.unwrap();
    let third = member(&server, &group, "range");
    third.subscribe(&[&topic]).unwrap();
    assert_eq!(read(&third, 1, ten).await[0], (77, 77));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_comes_back_to_its_partitions() {
    let Some(server) = server() else { return };
    let topic = server.topic("static", 4).await;
    let group = unique("group");
    let named = |name: &str| {
        let consumer = server.consumer(&[
            ("group.id", &group),
            ("group.instance.id", name),
            ("heartbeat.interval.ms", "200"),
            ("auto.offset.reset", "earliest"),
        ]);
        consumer.subscribe(&[&topic]).unwrap();
        consumer
    };
    let (first, second) = (named("one"), named("two"));
    let shares = settle(&[&first, &second], 4, 2).await;
    let (_, generation) = first.group_membership().unwrap();
    second.close(PATIENCE).await.unwrap();
    let second = named("two");
    let after = settle(&[&first, &second], 4, 2).await;
    assert_eq!(shares, after);
    assert_eq!(first.group_membership().unwrap().1, generation, "no rebalance took place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_finds_topics_that_come_later() {
    let Some(server) = server() else { return };
    let stem = unique("pattern");
    let group = unique("group");
    let consumer = server.consumer(&[
        ("group.id", &group),
        ("auto.offset.reset", "earliest"),
        ("metadata.max.age.ms", "300"),
        ("heartbeat.interval.ms", "200"),
    ]);
    let producer = server.producer(&[]);
    let create = async |suffix: &str| {
        let name = format!("{stem}-{suffix}");
        let topic = headwater_client::admin::NewTopic {
            name: name.clone(),
            partitions: Some(1),
            ..Default::default()
        };
        server.admin().create_topics(&[topic], false).await.unwrap()[&name].as_ref().unwrap();
        let handle = producer.topic(&name).unwrap();
        let record = ProduceRecord { value: Some(b"1"), ..Default::default() };
        producer.send(&handle, &record).await.unwrap().wait().await.unwrap();
    };
    create("a").await;
    consumer.subscribe_pattern(&format!("{stem}-.*")).unwrap();
    assert_eq!(settle(&[&consumer], 1, 1).await[0].len(), 1);
    create("b").await;
    assert_eq!(settle(&[&consumer], 2, 2).await[0].len(), 2);
    assert_eq!(consumer.subscription().len(), 2);
    consumer.unsubscribe().await.unwrap();
    assert!(consumer.assignment().is_empty() && consumer.group_membership().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_poll_leaves_and_comes_back() {
    let Some(server) = server() else { return };
    let topic = server.topic("late", 1).await;
    let consumer = server.consumer(&[
        ("group.id", &unique("group")),
        ("max.poll.interval.ms", "600"),
        ("heartbeat.interval.ms", "100"),
        ("session.timeout.ms", "6000"),
    ]);
    consumer.subscribe(&[&topic]).unwrap();
    settle(&[&consumer], 1, 1).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(consumer.group_membership().is_none());
    let polled = consumer.poll(limits(), PATIENCE).await.unwrap();
    assert_eq!(polled.events[0].kind, RebalanceKind::Lost);
    let error = consumer.poll(limits(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, headwater_client::ClientError::PolledTooLate(_)), "{error}");
    settle(&[&consumer], 1, 1).await;
}
