//! Creating, growing and deleting topics, and deleting records.

use headwater_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use headwater_protocol::messages::create_topics::{CreatableReplicaAssignment, CreateTopicsResponse};
use headwater_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use headwater_protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use headwater_protocol::{ErrorCode, Str, Uuid};

use crate::client::Client;
use crate::support::*;

fn code(response: &CreateTopicsResponse) -> ErrorCode {
    ErrorCode::from_wire(response.topics[0].error_code)
}

#[tokio::test]
async fn a_created_topic_is_served_when_the_answer_comes() {
    let server = Server::start().await;
    for version in 2..=7 {
        let mut client = server.tcp().await;
        let name = format!("t{version}");
        client.send(&topic_request(&name, 4, &[("retention.ms", "1234")]), version).await;
        // Sent before the answer is read, and handled after it.
        let (_, response) =
            client.receive::<headwater_protocol::messages::create_topics::CreateTopicsRequest>(version).await;
        let topic = &response.topics[0];
        assert_eq!(topic.error_code, 0);
        if version >= 5 {
            assert_eq!((topic.num_partitions, topic.replication_factor), (4, 1));
            let configs = topic.configs.as_ref().unwrap();
            let retention = configs.iter().find(|config| &*config.name == "retention.ms").unwrap();
            assert_eq!((retention.value.as_deref(), retention.config_source), (Some("1234"), 1));
            let segment = configs.iter().find(|config| &*config.name == "segment.bytes").unwrap();
            assert_eq!((segment.value.as_deref(), segment.config_source), (Some("1073741824"), 5));
        }
        if version == 7 {
            assert_ne!(topic.topic_id, Uuid::ZERO);
        }
        for partition in 0..4 {
            produce_ok(&mut client, &name, partition, batch(&["x"])).await;
        }
    }
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_as_in_kafka() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "there", 1, &[]).await;
    let long = "x".repeat(250);
    let cases = [
        ("there", 1, vec![], ErrorCode::TopicAlreadyExists),
        ("", 1, vec![], ErrorCode::InvalidTopicException),
        ("..", 1, vec![], ErrorCode::InvalidTopicException),
        ("with space", 1, vec![], ErrorCode::InvalidTopicException),
        (long.as_str(), 1, vec![], ErrorCode::InvalidTopicException),
        ("none", 0, vec![], ErrorCode::InvalidPartitions),
        ("__cluster_metadata", 1, vec![], ErrorCode::InvalidRequest),
        ("config", 1, vec![("no.such.key", "1")], ErrorCode::InvalidConfig),
        ("config", 1, vec![("segment.bytes", "1000")], ErrorCode::InvalidConfig),
        ("config", 1, vec![("cleanup.policy", "sweep")], ErrorCode::InvalidConfig),
    ];
    for (name, partitions, configs, expected) in cases {
        let response = client.call(&topic_request(name, partitions, &configs), 7).await;
        assert_eq!(code(&response), expected, "{name}");
        assert!(response.topics[0].error_message.is_some());
    }
    let mut replicated = topic_request("replicated", 1, &[]);
    replicated.topics[0].replication_factor = 3;
    assert_eq!(code(&client.call(&replicated, 7).await), ErrorCode::InvalidReplicationFactor);
    let mut twice = topic_request("twice", 1, &[]);
    twice.topics.push(twice.topics[0].clone());
    let response = client.call(&twice, 7).await;
    assert_eq!((code(&response), response.topics.len()), (ErrorCode::InvalidRequest, 1));
    let last_wins = topic_request("last-wins", 1, &[("retention.ms", "1"), ("retention.ms", "2")]);
    let response = client.call(&last_wins, 7).await;
    assert_eq!(code(&response), ErrorCode::None);
    let configs = response.topics[0].configs.as_ref().unwrap();
    let retention = configs.iter().find(|config| config.name == "retention.ms").unwrap();
    assert_eq!(retention.value.as_deref(), Some("2"));
    let mut trial = topic_request("trial", 2, &[]);
    trial.validate_only = true;
    assert_eq!(code(&client.call(&trial, 7).await), ErrorCode::None);
    let mut by_hand = topic_request("by-hand", -1, &[]);
    by_hand.topics[0].replication_factor = -1;
    by_hand.topics[0].assignments = (0..2)
        .map(|partition_index| CreatableReplicaAssignment { partition_index, broker_ids: vec![1] })
        .collect();
    assert_eq!(code(&client.call(&by_hand, 7).await), ErrorCode::None);
    assert_eq!(server.broker.topics(), ["by-hand", "last-wins", "there"]);
}

#[tokio::test]
async fn topics_grow() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    produce_ok(&mut client, "t", 0, batch(&["kept"])).await;
    let grow = |topic: &str, count: i32| {
        let topic = CreatePartitionsTopic { name: Str::from(topic), count, assignments: None };
        CreatePartitionsRequest { topics: vec![topic], timeout_ms: 1000, validate_only: false }
    };
    for (topic, count, expected) in [
        ("t", 3, ErrorCode::None),
        ("t", 3, ErrorCode::InvalidPartitions),
        ("t", 2, ErrorCode::InvalidPartitions),
        ("missing", 2, ErrorCode::UnknownTopicOrPartition),
    ] {
        let response = client.call(&grow(topic, count), 3).await;
        assert_eq!(ErrorCode::from_wire(response.results[0].error_code), expected, "{topic} {count}");
    }
    produce_ok(&mut client, "t", 2, batch(&["new"])).await;
    assert_eq!(read_all(&mut client, "t", 0).await.len(), 1);
}

async fn delete(client: &mut Client, name: &str) -> ErrorCode {
    let request =
        DeleteTopicsRequest { topic_names: vec![Str::from(name)], ..DeleteTopicsRequest::default() };
    ErrorCode::from_wire(client.call(&request, 5).await.responses[0].error_code)
}

#[tokio::test]
async fn a_deleted_topic_is_gone_with_its_records_and_can_be_made_again() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[("retention.ms", "99")]).await;
    produce_ok(&mut client, "t", 0, batch(&["old"])).await;
    assert_eq!(delete(&mut client, "t").await, ErrorCode::None);
    assert_eq!(delete(&mut client, "t").await, ErrorCode::UnknownTopicOrPartition);
    let gone = produce(&mut client, "t", 0, batch(&["x"])).await;
    assert_eq!(ErrorCode::from_wire(gone.error_code), ErrorCode::UnknownTopicOrPartition);
    create_topic(&mut client, "t", 1, &[]).await;
    assert!(read_all(&mut client, "t", 0).await.is_empty());
    assert_eq!(produce_ok(&mut client, "t", 0, batch(&["new"])).await, 0);

    let id = client.call(&all_topics(), 12).await.topics[0].topic_id;
    let by_id = |topic_id| DeleteTopicsRequest {
        topics: vec![DeleteTopicState { name: None, topic_id }],
        ..DeleteTopicsRequest::default()
    };
    let unknown = client.call(&by_id(Uuid::from_bytes([8; 16])), 6).await;
    assert_eq!(ErrorCode::from_wire(unknown.responses[0].error_code), ErrorCode::UnknownTopicId);
    let deleted = client.call(&by_id(id), 6).await;
    assert_eq!((deleted.responses[0].error_code, deleted.responses[0].name.as_deref()), (0, Some("t")));
    let server = server.restart().await;
    assert!(server.broker.topics().is_empty());
}

#[tokio::test]
async fn a_topic_that_is_named_twice_or_not_at_all_is_not_deleted() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    for name in ["t", "u"] {
        create_topic(&mut client, name, 1, &[]).await;
    }
    let described = client.call(&all_topics(), 12).await;
    let id = described.topics.iter().find(|topic| topic.name.as_deref() == Some("t")).unwrap().topic_id;
    let by_name = |name: &str| DeleteTopicState { name: Some(Str::from(name)), topic_id: Uuid::ZERO };
    let by_id = |topic_id| DeleteTopicState { name: None, topic_id };
    for twice in [[by_name("t"), by_name("t")], [by_name("t"), by_id(id)], [by_id(id), by_id(id)]] {
        let topics = twice.into_iter().chain([by_id(Uuid::ZERO)]).collect();
        let request = DeleteTopicsRequest { topics, ..DeleteTopicsRequest::default() };
        let response = client.call(&request, 6).await;
        let codes: Vec<i16> = response.responses.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [ErrorCode::InvalidRequest.code(); 2], "{:?}", response.responses);
    }
    assert_eq!(server.broker.topics(), ["t", "u"]);
}

#[tokio::test]
async fn deletion_can_be_forbidden() {
    let server = Server::with(&[("delete.topic.enable", "false")]).await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    assert_eq!(delete(&mut client, "t").await, ErrorCode::TopicDeletionDisabled);
}

#[tokio::test]
async fn records_are_deleted_up_to_an_offset_and_never_beyond_what_is_committed() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    create_topic(&mut client, "compacted", 1, &[("cleanup.policy", "compact")]).await;
    for value in ["a", "b", "c"] {
        produce_ok(&mut client, "t", 0, batch(&[value])).await;
    }
    let request = |topic: &str, offset: i64| {
        let partition = DeleteRecordsPartition { partition_index: 0, offset };
        let topic = DeleteRecordsTopic { name: Str::from(topic), partitions: vec![partition] };
        DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000 }
    };
    for (topic, offset, expected, low_watermark) in [
        ("t", 2, ErrorCode::None, 2),
        ("t", 1, ErrorCode::None, 2),
        ("t", 9, ErrorCode::OffsetOutOfRange, -1),
        ("t", -2, ErrorCode::OffsetOutOfRange, -1),
        ("missing", 0, ErrorCode::UnknownTopicOrPartition, -1),
        ("compacted", 0, ErrorCode::PolicyViolation, -1),
        ("t", -1, ErrorCode::None, 3),
    ] {
        let response = client.call(&request(topic, offset), 2).await;
        let partition = &response.topics[0].partitions[0];
        assert_eq!(ErrorCode::from_wire(partition.error_code), expected, "{topic} {offset}");
        assert_eq!(partition.low_watermark, low_watermark);
    }
    let response = client.call(&fetch_request("t", 0, 1), FETCH).await;
    let partition = &response.responses[0].partitions[0];
    assert_eq!(ErrorCode::from_wire(partition.error_code), ErrorCode::OffsetOutOfRange);
}
