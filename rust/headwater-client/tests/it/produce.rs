//! Producing: offsets, every codec, and what is refused.

use crate::support::server;
use headwater_client::{ClientError, DeliveryQueue, ErrorCode, ProduceRecord, Producer, ProducerConfig};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_told_in_order() {
    let Some(server) = server() else { return };
    let name = server.topic("offsets", 1).await;
    let producer = server.producer(&[]);
    let topic = producer.topic(&name).unwrap();
    let mut handles = Vec::new();
    for number in 0..10_000_u32 {
        let value = number.to_be_bytes();
        let record =
            ProduceRecord { value: Some(&value), timestamp: Some(i64::from(number)), ..Default::default() };
        handles.push(producer.send(&topic, &record).await.unwrap());
    }
    producer.flush(Some(Duration::from_secs(20))).await.unwrap();
    for (number, handle) in handles.iter().enumerate() {
        let metadata = handle.peek().unwrap().unwrap();
        assert_eq!((metadata.offset, metadata.timestamp), (number as i64, number as i64));
    }
    assert!(producer.is_idle());
    assert_eq!(producer.memory_used(), 0);
    producer.close(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_reported_once_each() {
    let Some(server) = server() else { return };
    let name = server.topic("tokens", 3).await;
    let queue = DeliveryQueue::new();
    let config = ProducerConfig::from_pairs([("compression.type", "lz4"), ("linger.ms", "1")]).unwrap();
    let producer =
        Producer::with_sink(server.runtime.clone(), server.bootstrap.clone(), config, queue.clone()).unwrap();
    let topic = producer.topic(&name).unwrap();
    for token in 0..5_000_u64 {
        let record = ProduceRecord { value: Some(b"v"), token: Some(token), ..Default::default() };
        while let Err(error) = producer.produce(&topic, &record) {
            assert!(error.retriable(), "{error}");
            producer.ready(&topic, &record).await.unwrap();
        }
    }
    producer.flush(None).await.unwrap();
    let mut tokens: Vec<u64> = Vec::new();
    for report in queue.drain() {
        assert!(report.error().is_none(), "{:?}", report.error());
        tokens.extend(report.records().map(|(token, offset, _)| {
            assert!(offset >= 0);
            token
        }));
    }
    tokens.sort_unstable();
    assert_eq!(tokens, (0..5_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_above_the_topics_limit_is_split() {
    let Some(server) = server() else { return };
    let name = crate::support::unique("small-batches");
    let new = headwater_client::admin::NewTopic {
        name: name.clone(),
        partitions: Some(1),
        configs: [("max.message.bytes".to_owned(), "2000".to_owned())].into(),
        ..Default::default()
    };
    server.admin().create_topics(&[new], false).await.unwrap()[&name].as_ref().unwrap();
    let producer = server.producer(&[("linger.ms", "50")]);
    let topic = producer.topic(&name).unwrap();
    let mut handles = Vec::new();
    for number in 0..100_u8 {
        let value = [number; 100];
        let record = ProduceRecord { value: Some(&value), ..Default::default() };
        handles.push(producer.send(&topic, &record).await.unwrap());
    }
    let large = [7; 5_000];
    let refused =
        producer.send(&topic, &ProduceRecord { value: Some(&large), ..Default::default() }).await.unwrap();
    let after =
        producer.send(&topic, &ProduceRecord { value: Some(b"x"), ..Default::default() }).await.unwrap();
    for (number, handle) in handles.iter().enumerate() {
        assert_eq!(handle.wait().await.unwrap().offset, number as i64);
    }
    let error = refused.wait().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge), "{error}");
    assert_eq!(after.wait().await.unwrap().offset, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_of_none_and_one() {
    let Some(server) = server() else { return };
    let name = server.topic("acks", 1).await;
    for (acks, offset) in [("1", 0), ("0", -1)] {
        let producer = server.producer(&[("acks", acks)]);
        let topic = producer.topic(&name).unwrap();
        let handle =
            producer.send(&topic, &ProduceRecord { value: Some(b"v"), ..Default::default() }).await.unwrap();
        assert_eq!(handle.wait().await.unwrap().offset, offset);
        producer.close(Duration::from_secs(5)).await.unwrap();
        assert!(matches!(handle.wait().await, Ok(metadata) if metadata.partition == 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_with_an_impossible_name_is_refused_by_name() {
    let Some(server) = server() else { return };
    let producer = server.producer(&[("max.block.ms", "5000")]);
    let topic = producer.topic("no/such topic").unwrap();
    let error = producer.send(&topic, &ProduceRecord::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { .. }), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::InvalidTopicException), "{error}");
}
