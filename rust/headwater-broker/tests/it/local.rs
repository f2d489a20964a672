//! Segments that are lent to clients on the same machine.

use std::time::Duration;

use headwater_client::{Bootstrap, Consumer, ConsumerConfig, PollLimits, Runtime};
use headwater_env::real::RealEnv;
use headwater_protocol::Str;
use headwater_protocol::messages::api_versions::ApiVersionsRequest;
use headwater_record::TopicPartition;

use crate::client::Client;
use crate::support::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn consumer(server: &Server, settings: &[(&str, &str)]) -> Consumer {
    let address = server.broker.local_address().unwrap().to_string();
    let config = ConsumerConfig::from_pairs(settings.iter().copied()).unwrap();
    Consumer::new(Runtime::new(RealEnv::new()), Bootstrap::parse(&address).unwrap(), config).unwrap()
}

/// The values of partition 0 of `t`, read from its beginning until there are `count`.
async fn read(consumer: &Consumer, count: usize) -> Vec<String> {
    let partition = TopicPartition::new("t", 0);
    consumer.assign(std::slice::from_ref(&partition)).unwrap();
    consumer.seek(&partition, 0).unwrap();
    let mut values = Vec::new();
    while values.len() < count {
        let polled =
            consumer.poll(PollLimits { records: usize::MAX, bytes: usize::MAX }, PATIENCE).await.unwrap();
        assert!(!polled.is_empty(), "{} of {count}", values.len());
        for fetched in &polled.partitions {
            let mut records = fetched.records();
            while let Some(record) = records.next_record().unwrap() {
                values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
    }
    values
}

/// Fills `t` with batches from a few bytes to some hundred kilobytes; the values.
async fn fill(server: &Server) -> Vec<String> {
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[("segment.bytes", "1048576")]).await;
    let mut values = Vec::new();
    for (number, size) in (0..).zip([1, 500_000, 31_000, 33_000, 700_000, 10, 400_000, 20]) {
        let value = format!("{number}{}", "v".repeat(size));
        produce_ok(&mut client, "t", 0, batch(&[&value])).await;
        values.push(value);
    }
    values
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn consumers_here_read_in_place_what_others_are_sent() {
    let server = Server::start().await;
    let values = fill(&server).await;
    let metrics = server.broker.metrics();

    assert!(read(&consumer(&server, &[]), values.len()).await == values);
    let lent = metrics.lent_bytes();
    assert!(lent > 1_600_000, "{lent}");
    assert_eq!(metrics.sendfile_bytes(), 0);

    let over_tcp = consumer(&server, &[("headwater.local.reads", "false")]);
    assert!(read(&over_tcp, values.len()).await == values);
    assert_eq!(metrics.lent_bytes(), lent);
    assert!(metrics.sendfile_bytes() >= lent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_lend_sends() {
    let server = Server::with(&[("headwater.local.reads.enable", "false")]).await;
    let values = fill(&server).await;
    assert!(read(&consumer(&server, &[]), values.len()).await == values);
    assert_eq!(server.broker.metrics().lent_bytes(), 0);
    assert!(server.broker.metrics().sendfile_bytes() > 1_600_000);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_readable_after_its_segment_is_gone() {
    use headwater_protocol::messages::delete_records::{
        DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
    };
    let server = Server::start().await;
    let values = fill(&server).await;
    // Fetched ahead no further than one piece, so that the rest is asked for after the deletion.
    let consumer =
        consumer(&server, &[("headwater.queued.bytes.max", "1"), ("auto.offset.reset", "earliest")]);
    assert!(read(&consumer, 1).await[0] == values[0]);
    let mut client = server.tcp().await;
    let partition = DeleteRecordsPartition { partition_index: 0, offset: 6 };
    let topic = DeleteRecordsTopic { name: "t".into(), partitions: vec![partition] };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 5000 };
    assert_eq!(client.call(&request, 2).await.topics[0].partitions[0].error_code, 0);
    let limits = PollLimits { records: usize::MAX, bytes: usize::MAX };
    let mut rest = Vec::new();
    while rest.last() != Some(&7) {
        let polled = consumer.poll(limits, PATIENCE).await.unwrap();
        assert!(!polled.is_empty(), "{rest:?}");
        for fetched in &polled.partitions {
            let mut records = fetched.records();
            while let Some(record) = records.next_record().unwrap() {
                assert!(record.value.unwrap() == values[record.offset as usize].as_bytes());
                rest.push(record.offset);
            }
        }
    }
    assert!(rest.is_sorted() && rest.ends_with(&[6, 7]), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_client_by_tcp_is_told_where() {
    let server = Server::start().await;
    let told = async |mut client: Client, name: &'static str| {
        let request = ApiVersionsRequest {
            client_software_name: Str::from_static(name),
            client_software_version: Str::from_static("1"),
        };
        client.call(&request, 4).await.local_name
    };
    assert_eq!(told(server.tcp().await, "headwater").await.is_some(), cfg!(target_os = "linux"));
    assert_eq!(told(server.tcp().await, "apache-kafka-java").await, None);
    assert_eq!(told(server.memory().await, "headwater").await, None);
}
