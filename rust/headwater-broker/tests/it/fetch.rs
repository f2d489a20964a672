//! Fetch: limits, long polls, sessions, isolation, and the way the bytes go.

use headwater_protocol::messages::fetch::{FetchPartition, FetchRequest, ForgottenTopic};
use headwater_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use headwater_protocol::messages::metadata::MetadataRequest;
use headwater_protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use headwater_protocol::{ErrorCode, Str, Uuid};

use crate::client::Client;
use crate::support::*;

fn partition(index: i32, offset: i64) -> FetchPartition {
    FetchPartition {
        partition: index,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    }
}

#[tokio::test]
async fn plaintext_fetches_go_by_sendfile_and_memory_does_not() {
    let server = Server::start().await;
    let mut tcp = server.tcp().await;
    create_topic(&mut tcp, "t", 1, &[]).await;
    let value = "v".repeat(500_000);
    produce_ok(&mut tcp, "t", 0, batch(&[&value])).await;
    let mut memory = server.memory().await;
    assert_eq!(values_of(&memory.call(&fetch_request("t", 0, 0), FETCH).await), std::slice::from_ref(&value));
    assert_eq!(server.broker.metrics().sendfile_bytes(), 0);
    let response = tcp.call(&fetch_request("t", 0, 0), FETCH).await;
    let sent = response.responses[0].partitions[0].records.as_ref().unwrap().len();
    assert_eq!(values_of(&response), [value]);
    assert_eq!(server.broker.metrics().sendfile_bytes(), sent as u64);
}

#[tokio::test]
async fn the_first_batch_comes_however_large_and_limits_hold_for_the_rest() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 2, &[]).await;
    let value = "v".repeat(10_000);
    for index in 0..2 {
        for _ in 0..3 {
            produce_ok(&mut client, "t", index, batch(&[&value, &value])).await;
        }
    }
    let mut request = fetch_request("t", 0, 1);
    request.topics[0].partitions[0].partition_max_bytes = 1;
    let response = client.call(&request, FETCH).await;
    assert_eq!(values_of(&response).len(), 2, "the whole batch of the offset in its middle");

    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions.push(partition(1, 0));
    request.max_bytes = 50_000;
    let response = client.call(&request, FETCH).await;
    let sizes: Vec<usize> =
        response.responses[0].partitions.iter().map(|data| data.records.as_ref().unwrap().len()).collect();
    assert!(sizes[0] > 0 && sizes[0] + sizes[1] <= 50_000, "{sizes:?}");
}

#[tokio::test]
async fn half_a_batch_is_never_sent() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 2, &[]).await;
    let value = "v".repeat(10_000);
    for index in 0..2 {
        produce_ok(&mut client, "t", index, batch(&[&value])).await;
        produce_ok(&mut client, "t", index, batch(&[&value])).await;
    }
    // Room for a batch and a half: of the second partition nothing fits, and it is told so by no bytes at all (KIP-74).
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions[0].partition_max_bytes = 10_200;
    request.topics[0].partitions.push(partition(1, 0));
    request.max_bytes = 15_000;
    let response = client.call(&request, FETCH).await;
    let sizes: Vec<usize> =
        response.responses[0].partitions.iter().map(|data| data.records.as_ref().unwrap().len()).collect();
    assert!((10_000..=10_200).contains(&sizes[0]) && sizes[1] == 0, "{sizes:?}");
}

#[tokio::test]
async fn errors_are_said_for_each_partition() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    produce_ok(&mut client, "t", 0, batch(&["a"])).await;
    let code = |response: &headwater_protocol::messages::fetch::FetchResponse| {
        ErrorCode::from_wire(response.responses[0].partitions[0].error_code)
    };
    for (topic, index, offset, expected) in [
        ("t", 0, 2, ErrorCode::OffsetOutOfRange),
        ("t", 0, -5, ErrorCode::OffsetOutOfRange),
        ("t", 1, 0, ErrorCode::UnknownTopicOrPartition),
        ("missing", 0, 0, ErrorCode::UnknownTopicOrPartition),
    ] {
        let mut request = fetch_request(topic, index, offset);
        // An error is not waited with.
        request.max_wait_ms = 60_000;
        assert_eq!(code(&client.call(&request, FETCH).await), expected, "{topic}-{index}@{offset}");
    }
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions[0].current_leader_epoch = 1000;
    assert_eq!(code(&client.call(&request, FETCH).await), ErrorCode::UnknownLeaderEpoch);
    // A follower that nobody has appointed; consumers have the id -1.
    let follower = FetchRequest { replica_id: 5, ..fetch_request("t", 0, 0) };
    assert_eq!(code(&client.call(&follower, 11).await), ErrorCode::NotLeaderOrFollower);
    assert_eq!(values_of(&client.call(&fetch_request("t", 0, 0), FETCH).await), ["a"]);

    produce_ok(&mut client, "t", 0, batch(&["b"])).await;
    let mut twice = fetch_request("t", 0, 0);
    twice.topics.push(fetch_request("t", 0, 1).topics.remove(0));
    let response = client.call(&twice, FETCH).await;
    assert_eq!(
        (response.responses.len(), values_of(&response)),
        (1, vec!["b".to_owned()]),
        "the last one counts"
    );
}

#[tokio::test]
async fn a_long_poll_ends_with_data_or_with_time() {
    let server = Server::start().await;
    let mut consumer = server.tcp().await;
    let mut producer = server.tcp().await;
    create_topic(&mut producer, "t", 2, &[]).await;
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions.push(partition(1, 0));
    request.max_wait_ms = 20_000;
    let answered = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        consumer.send(&request, FETCH).await;
        // Asked on the same connection, answered after the poll.
        consumer.send(&all_topics(), 12).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        produce_ok(&mut producer, "t", 1, batch(&["news"])).await;
        let (_, response) = consumer.receive::<FetchRequest>(FETCH).await;
        let data = &response.responses[0].partitions[1];
        assert_eq!(decode(data.records.as_deref().unwrap()), [(0, "news".to_owned())]);
        consumer.receive::<MetadataRequest>(12).await;
    });
    answered.await.expect("the poll ends when there is data");

    request.topics[0].partitions[1].fetch_offset = 1;
    request.max_wait_ms = 150;
    let waited =
        tokio::time::timeout(std::time::Duration::from_millis(100), consumer.call(&request, FETCH)).await;
    assert!(waited.is_err(), "it waits as long as it was told to");
    let (_, response) = consumer.receive::<FetchRequest>(FETCH).await;
    assert!(
        response.responses[0]
            .partitions
            .iter()
            .all(|data| data.records.as_ref().is_none_or(|r| r.is_empty()))
    );
}

#[tokio::test]
async fn a_deleted_topic_ends_the_poll() {
    let server = Server::start().await;
    let mut consumer = server.tcp().await;
    let mut admin = server.tcp().await;
    create_topic(&mut admin, "t", 1, &[]).await;
    let mut request = fetch_request("t", 0, 0);
    request.max_wait_ms = 60_000;
    consumer.send(&request, FETCH).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let delete = headwater_protocol::messages::delete_topics::DeleteTopicsRequest {
        topic_names: vec![Str::from("t")],
        ..Default::default()
    };
    assert_eq!(admin.call(&delete, 5).await.responses[0].error_code, 0);
    let (_, response) = consumer.receive::<FetchRequest>(FETCH).await;
    assert_ne!(response.responses[0].partitions[0].error_code, 0);
}

#[tokio::test]
async fn sessions_say_only_what_is_new() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 2, &[]).await;
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions.push(partition(1, 0));
    request.session_epoch = 0;
    let full = client.call(&request, FETCH).await;
    assert!(full.session_id > 0);
    assert_eq!(full.responses[0].partitions.len(), 2);

    let next = |epoch: i32| FetchRequest {
        session_id: full.session_id,
        session_epoch: epoch,
        max_wait_ms: 0,
        max_bytes: 1 << 20,
        min_bytes: 1,
        ..FetchRequest::default()
    };
    assert!(client.call(&next(1), FETCH).await.responses.is_empty());
    produce_ok(&mut client, "t", 1, batch(&["a"])).await;
    let response = client.call(&next(2), FETCH).await;
    assert_eq!(response.responses[0].partitions.len(), 1);
    assert_eq!(values_of(&response), ["a"]);
    let mut moved = next(3);
    moved.topics = fetch_request("t", 1, 1).topics;
    moved.forgotten_topics_data =
        vec![ForgottenTopic { topic: Str::from("t"), partitions: vec![0], ..ForgottenTopic::default() }];
    assert!(client.call(&moved, FETCH).await.responses.is_empty());
    let wrong = client.call(&next(3), FETCH).await;
    assert_eq!(ErrorCode::from_wire(wrong.error_code), ErrorCode::InvalidFetchSessionEpoch);
    let mut unknown = next(4);
    unknown.session_id += 1;
    let unknown = client.call(&unknown, FETCH).await;
    assert_eq!(ErrorCode::from_wire(unknown.error_code), ErrorCode::FetchSessionIdNotFound);
}

#[tokio::test]
async fn topics_by_id() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    produce_ok(&mut client, "t", 0, batch(&["a"])).await;
    let id = client.call(&all_topics(), 12).await.topics[0].topic_id;
    let mut request = fetch_request("", 0, 0);
    request.topics[0].topic_id = id;
    let response = client.call(&request, 18).await;
    assert_eq!((values_of(&response), response.responses[0].topic_id), (vec!["a".to_owned()], id));
    request.topics[0].topic_id = Uuid::from_bytes([1; 16]);
    let response = client.call(&request, 18).await;
    assert_eq!(
        ErrorCode::from_wire(response.responses[0].partitions[0].error_code),
        ErrorCode::UnknownTopicId
    );
}

#[tokio::test]
async fn read_committed_names_no_aborted_transaction_where_there_is_none() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    produce_ok(&mut client, "t", 0, batch(&["a"])).await;
    let mut request = fetch_request("t", 0, 0);
    request.isolation_level = 1;
    let response = client.call(&request, FETCH).await;
    let data = &response.responses[0].partitions[0];
    assert_eq!((data.last_stable_offset, data.aborted_transactions.as_ref().map(Vec::len)), (1, Some(0)));
    let response = client.call(&fetch_request("t", 0, 0), FETCH).await;
    assert_eq!(response.responses[0].partitions[0].aborted_transactions, None);
}

async fn offset_of(client: &mut Client, topic: &str, timestamp: i64, version: i16) -> (ErrorCode, i64, i64) {
    let asked = ListOffsetsPartition { partition_index: 0, timestamp, ..ListOffsetsPartition::default() };
    let topic = ListOffsetsTopic { name: Str::from(topic), partitions: vec![asked] };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..ListOffsetsRequest::default() };
    let response = client.call(&request, version).await;
    let found = &response.topics[0].partitions[0];
    (ErrorCode::from_wire(found.error_code), found.offset, found.timestamp)
}

#[tokio::test]
async fn offsets_by_time_and_their_special_values() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[("retention.ms", "-1")]).await;
    for time in [1000, 3000, 2000] {
        produce_ok(&mut client, "t", 0, batch_at(time, &["x"])).await;
    }
    let none = ErrorCode::None;
    assert_eq!(offset_of(&mut client, "t", -1, 5).await, (none, 3, -1));
    assert_eq!(offset_of(&mut client, "t", -2, 5).await, (none, 0, -1));
    assert_eq!(offset_of(&mut client, "t", -3, 7).await, (none, 1, 3000));
    assert_eq!(offset_of(&mut client, "t", -4, 8).await, (none, 0, -1));
    assert_eq!(offset_of(&mut client, "t", -5, 9).await, (none, -1, -1));
    assert_eq!(offset_of(&mut client, "t", 0, 5).await, (none, 0, 1000));
    assert_eq!(offset_of(&mut client, "t", 1500, 5).await, (none, 1, 3000));
    assert_eq!(offset_of(&mut client, "t", 3001, 5).await, (none, -1, -1));
    assert_eq!(offset_of(&mut client, "t", -3, 5).await.0, ErrorCode::UnsupportedVersion);
    assert_eq!(offset_of(&mut client, "missing", -1, 5).await.0, ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn a_partition_that_is_asked_for_twice_is_refused_once() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 2, &[]).await;
    let asked = |partition_index, timestamp| ListOffsetsPartition {
        partition_index,
        timestamp,
        ..ListOffsetsPartition::default()
    };
    let partitions = vec![asked(0, -1), asked(1, -1), asked(0, -2)];
    let topic = ListOffsetsTopic { name: Str::from("t"), partitions };
    let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..ListOffsetsRequest::default() };
    let response = client.call(&request, 5).await;
    let codes: Vec<(i32, i16)> = response.topics[0]
        .partitions
        .iter()
        .map(|partition| (partition.partition_index, partition.error_code))
        .collect();
    assert_eq!(codes, [(0, ErrorCode::InvalidRequest.code()), (1, 0)]);
}

#[tokio::test]
async fn epochs_end_where_the_next_one_begins() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    produce_ok(&mut client, "t", 0, batch(&["a", "b"])).await;
    let ask = |epoch: i32, current: i32| {
        let asked =
            OffsetForLeaderPartition { partition: 0, leader_epoch: epoch, current_leader_epoch: current };
        let topic = OffsetForLeaderTopic { topic: Str::from("t"), partitions: vec![asked] };
        OffsetForLeaderEpochRequest { topics: vec![topic], ..OffsetForLeaderEpochRequest::default() }
    };
    let metadata = client.call(&all_topics(), 12).await;
    let epoch = metadata.topics[0].partitions[0].leader_epoch;
    let end = client.call(&ask(epoch, -1), 4).await;
    assert_eq!(
        (end.topics[0].partitions[0].leader_epoch, end.topics[0].partitions[0].end_offset),
        (epoch, 2)
    );
    let unknown = client.call(&ask(epoch + 5, -1), 4).await;
    assert_eq!(unknown.topics[0].partitions[0].end_offset, -1);
    let ahead = client.call(&ask(epoch, epoch + 1), 4).await;
    assert_eq!(ErrorCode::from_wire(ahead.topics[0].partitions[0].error_code), ErrorCode::UnknownLeaderEpoch);
}
