//! Consuming without a group: every record once and in order, seeks, times, and both ends.

use crate::support::{Server, server};
use headwater_client::{
    ClientError, Consumer, ErrorCode, OffsetAndTimestamp, PollLimits, ProduceRecord, RecordHeader,
};
use headwater_record::TopicPartition;
use std::collections::HashMap;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Produces numbers `0..count` to partition 0, with time stamps of thousands, in batches of about ten.
pub(crate) async fn fill(server: &Server, topic: &str, count: u32, codec: &str) {
    let producer = server.producer(&[
        ("compression.type", codec),
        ("batch.size", "1200"),
        ("headwater.batch.size.max", "0"),
    ]);
    let handle = producer.topic(topic).unwrap();
    for number in 0..count {
        let value = format!("{number:0>100}");
        let record = ProduceRecord {
            partition: Some(0),
            key: Some(b"k"),
            value: Some(value.as_bytes()),
            timestamp: Some(i64::from(number) * 1000),
            headers: &[RecordHeader { key: "h", value: Some(b"1") }, RecordHeader { key: "h", value: None }],
            ..Default::default()
        };
        producer.send(&handle, &record).await.unwrap();
    }
    producer.close(PATIENCE).await.unwrap();
}

/// Polls until so many records were seen; offsets with values as numbers.
pub(crate) async fn read(consumer: &Consumer, count: usize, limits: PollLimits) -> Vec<(i64, i64)> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let polled = consumer.poll(limits, PATIENCE).await.unwrap();
        assert!(!polled.is_empty(), "only {} of {count}", seen.len());
        let mut in_poll = 0;
        for fetched in &polled.partitions {
            let mut cursor = fetched.records();
            while let Some(record) = cursor.next_record().unwrap() {
                let text = std::str::from_utf8(record.value.unwrap()).unwrap();
                seen.push((record.offset, text.parse().unwrap()));
                in_poll += 1;
            }
        }
        assert!(in_poll <= limits.records);
    }
    seen
}

fn all(limit: usize) -> PollLimits {
    PollLimits { records: limit, bytes: usize::MAX }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_comes_back_in_order_whatever_the_poll_size() {
    let Some(server) = server() else { return };
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = server.topic(codec, 1).await;
        fill(&server, &topic, 333, codec).await;
        for limit in [1_usize, 7, 500] {
            let consumer = server.consumer(&[]);
            consumer.assign_topics(&[&topic]).unwrap();
            let expected: Vec<(i64, i64)> = (0..333).map(|number| (number, number)).collect();
            assert_eq!(read(&consumer, 333, all(limit)).await, expected, "{codec} by {limit}");
            let partition = TopicPartition::new(topic.as_str(), 0);
            assert_eq!(consumer.position(&partition).await.unwrap(), 333);
            assert_eq!(consumer.lag(&partition), Some(0));
            consumer.close(PATIENCE).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeks_land_inside_batches_and_headers_keep_duplicates() {
    let Some(server) = server() else { return };
    let topic = server.topic("seek", 1).await;
    fill(&server, &topic, 100, "zstd").await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let consumer = server.consumer(&[]);
    consumer.assign(std::slice::from_ref(&partition)).unwrap();
    for start in [57, 3, 99, 0] {
        consumer.seek(&partition, start).unwrap();
        let seen = read(&consumer, 1, all(1)).await;
        assert_eq!(seen, [(start, start)]);
        assert_eq!(consumer.known_position(&partition), Some(start + 1));
    }
    consumer.seek(&partition, 5).unwrap();
    let polled = consumer.poll(all(1), PATIENCE).await.unwrap();
    let mut cursor = polled.partitions[0].records();
    let record = cursor.next_record().unwrap().unwrap();
    let headers: Vec<_> = record.headers.iter().map(|header| (header.key, header.value)).collect();
    assert_eq!(headers, [(&b"h"[..], Some(&b"1"[..])), (b"h", None)]);
    assert_eq!((record.key, record.timestamp), (Some(&b"k"[..]), 5_000));
    consumer.seek_to_end(&[]).unwrap();
    assert_eq!(consumer.position(&partition).await.unwrap(), 100);
    consumer.seek_to_beginning(&[]).unwrap();
    assert_eq!(consumer.position(&partition).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_by_time_and_both_ends() {
    let Some(server) = server() else { return };
    let topic = server.topic("times", 1).await;
    fill(&server, &topic, 50, "none").await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let consumer = server.consumer(&[]);
    let found = consumer.offsets_for_times(&HashMap::from([(partition.clone(), 20_500)])).await.unwrap();
    assert!(
        matches!(found[&partition], Some(OffsetAndTimestamp { offset: 21, timestamp: 21_000, .. })),
        "{found:?}"
    );
    let found = consumer.offsets_for_times(&HashMap::from([(partition.clone(), 60_000)])).await.unwrap();
    assert_eq!(found[&partition], None);
    assert_eq!(consumer.beginning_offsets(std::slice::from_ref(&partition)).await.unwrap()[&partition], 0);
    assert_eq!(consumer.end_offsets(std::slice::from_ref(&partition)).await.unwrap()[&partition], 50);
    assert_eq!(consumer.partitions_for("no-such-topic-anywhere").await.unwrap(), None);
    assert_eq!(consumer.partitions_for(&topic).await.unwrap().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_that_does_not_exist_is_an_error_or_a_reset() {
    let Some(server) = server() else { return };
    let topic = server.topic("range", 1).await;
    fill(&server, &topic, 10, "none").await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let strict = server.consumer(&[("auto.offset.reset", "none")]);
    strict.assign(std::slice::from_ref(&partition)).unwrap();
    let error = strict.poll(all(1), PATIENCE).await.unwrap_err();
    assert!(matches!(error, ClientError::NoOffset { .. }), "{error}");
    strict.seek(&partition, 1_000).unwrap();
    let error = strict.poll(all(1), PATIENCE).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange), "{error}");
    let lenient = server.consumer(&[("auto.offset.reset", "earliest")]);
    lenient.assign(std::slice::from_ref(&partition)).unwrap();
    lenient.seek(&partition, 1_000).unwrap();
    assert_eq!(read(&lenient, 1, all(1)).await, [(0, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_partition_waits_and_then_goes_on() {
    let Some(server) = server() else { return };
    let topic = server.topic("pause", 1).await;
    fill(&server, &topic, 20, "none").await;
    let partition = [TopicPartition::new(topic.as_str(), 0)];
    let consumer = server.consumer(&[]);
    consumer.assign(&partition).unwrap();
    assert_eq!(read(&consumer, 5, all(5)).await.len(), 5);
    consumer.pause(&partition).unwrap();
    assert_eq!(consumer.paused(), partition);
    assert!(consumer.poll(all(5), Duration::from_millis(300)).await.unwrap().is_empty());
    consumer.resume(&partition).unwrap();
    assert_eq!(read(&consumer, 15, all(500)).await.first(), Some(&(5, 5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_ends_with_the_first_record() {
    let Some(server) = server() else { return };
    let topic = server.topic("tail", 1).await;
    let consumer = server.consumer(&[("fetch.max.wait.ms", "10000")]);
    consumer.assign_topics(&[&topic]).unwrap();
    let partition = TopicPartition::new(topic.as_str(), 0);
    while consumer.assignment().is_empty() {
        consumer.poll(all(1), Duration::from_millis(10)).await.unwrap();
    }
    assert_eq!(consumer.position(&partition).await.unwrap(), 0);
    let filling = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fill(&server, &topic, 1, "none").await;
    };
    let limit = Duration::from_secs(5);
    let ((), seen) = tokio::join!(filling, tokio::time::timeout(limit, read(&consumer, 1, all(1))));
    assert_eq!(seen.unwrap(), [(0, 0)]);
}
