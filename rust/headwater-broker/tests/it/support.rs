//! Brokers for tests, and the requests that most tests need.

use bytes::Bytes;
use headwater_broker::{Broker, BrokerConfig, BrokerHandle};
use headwater_env::Env;
use headwater_env::net::MemoryNetwork;
use headwater_env::real::RealEnv;
use headwater_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use headwater_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use headwater_protocol::messages::init_producer_id::InitProducerIdRequest;
use headwater_protocol::messages::metadata::MetadataRequest;
use headwater_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use headwater_protocol::{ErrorCode, Str};
use headwater_record::{BatchBuilder, Compression, DecompressBuffer, batches};
use tempfile::TempDir;

use crate::client::Client;

/// A version of Produce and Fetch that names topics by name and has every field that tests look at.
pub(crate) const PRODUCE: i16 = 9;
pub(crate) const FETCH: i16 = 12;

/// A broker on the real disk.
pub(crate) struct Server {
    pub(crate) directory: TempDir,
    pub(crate) broker: BrokerHandle<RealEnv>,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::with(&[]).await
    }

    pub(crate) async fn with(configs: &[(&str, &str)]) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let broker = start_in(&directory, configs).await;
        Server { directory, broker }
    }

    pub(crate) async fn tcp(&self) -> Client {
        Client::tcp(self.broker.local_address().unwrap()).await
    }

    pub(crate) async fn memory(&self) -> Client {
        Client::memory(&self.broker).await
    }

    /// Stops the broker and starts it again on the same directory.
    pub(crate) async fn restart(self) -> Server {
        self.broker.stop().await.unwrap();
        let broker = start_in(&self.directory, &[]).await;
        Server { directory: self.directory, broker }
    }
}

pub(crate) async fn start_in(directory: &TempDir, configs: &[(&str, &str)]) -> BrokerHandle<RealEnv> {
    let mut config = BrokerConfig::new(directory.path());
    for (key, value) in configs {
        config.set(key, value).unwrap();
    }
    Broker::start(RealEnv::new(), config, Some(MemoryNetwork::new())).await.unwrap()
}

/// A broker that only memory reaches, in the world of `env`.
pub(crate) async fn start_simulated<E: Env>(env: &E, configs: &[(&str, &str)]) -> BrokerHandle<E> {
    let mut config = BrokerConfig::new("/data");
    config.listen(Vec::new());
    for (key, value) in configs {
        config.set(key, value).unwrap();
    }
    Broker::start(env.clone(), config, Some(MemoryNetwork::new())).await.unwrap()
}

pub(crate) async fn create_topic(client: &mut Client, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let response = client.call(&topic_request(name, partitions, configs), 7).await;
    assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
}

pub(crate) fn topic_request(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreateTopicsRequest {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: Str::from(*name),
        value: Some(Str::from(*value)),
    };
    let topic = CreatableTopic {
        name: Str::from(name),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..CreatableTopic::default()
    };
    CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, validate_only: false }
}

/// Asks for every topic.
pub(crate) fn all_topics() -> MetadataRequest {
    MetadataRequest { topics: None, ..MetadataRequest::default() }
}

/// Asks for a producer id without transactions.
pub(crate) fn init_producer() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 1000,
        ..InitProducerIdRequest::default()
    }
}

/// A batch of these values, without keys, stamped with the given time.
pub(crate) fn batch_at(timestamp: i64, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        builder.append(timestamp, None, Some(value.as_bytes()), &[]).unwrap();
    }
    builder.finish().unwrap()
}

/// A batch without timestamps.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    batch_at(-1, values)
}

/// A batch of an idempotent producer.
pub(crate) fn sequenced(producer_id: i64, sequence: i32, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.set_producer(producer_id, 0, sequence);
    // A producer is forgotten by the time of its batches.
    let now_ms = RealEnv::new().wall_ms();
    for value in values {
        builder.append(now_ms, None, Some(value.as_bytes()), &[]).unwrap();
    }
    builder.finish().unwrap()
}

pub(crate) fn produce_request(topic: &str, partition: i32, records: Bytes, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records: Some(records) };
    let topic = TopicProduceData {
        name: Str::from(topic),
        partition_data: vec![data],
        ..TopicProduceData::default()
    };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..ProduceRequest::default() }
}

/// Produces with acks=all and returns what is said of the partition.
pub(crate) async fn produce(
    client: &mut Client,
    topic: &str,
    partition: i32,
    records: Bytes,
) -> PartitionProduceResponse {
    let mut response = client.call(&produce_request(topic, partition, records, -1), PRODUCE).await;
    response.responses.remove(0).partition_responses.remove(0)
}

/// Produces and expects success; the base offset.
pub(crate) async fn produce_ok(client: &mut Client, topic: &str, partition: i32, records: Bytes) -> i64 {
    let response = produce(client, topic, partition, records).await;
    assert_eq!(ErrorCode::from_wire(response.error_code), ErrorCode::None, "{:?}", response.error_message);
    response.base_offset
}

pub(crate) fn fetch_request(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    let partition = FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic { topic: Str::from(topic), partitions: vec![partition], ..FetchTopic::default() };
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 10 << 20,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

/// The values of a fetch answer's first partition.
pub(crate) fn values_of(response: &FetchResponse) -> Vec<String> {
    let partition = &response.responses[0].partitions[0];
    assert_eq!(ErrorCode::from_wire(partition.error_code), ErrorCode::None);
    decode(partition.records.as_deref().unwrap_or_default()).into_iter().map(|(_, value)| value).collect()
}

/// Offsets and values of the records in `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let mut buffer = DecompressBuffer::default();
    for batch in batches(bytes) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        for record in batch.records(&mut buffer, 1 << 30).unwrap() {
            let record = record.unwrap();
            found.push((
                record.offset,
                String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned(),
            ));
        }
    }
    found
}

/// Everything in a partition, read to its high watermark.
pub(crate) async fn read_all(client: &mut Client, topic: &str, partition: i32) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let mut offset = 0;
    loop {
        let response = client.call(&fetch_request(topic, partition, offset), FETCH).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!(ErrorCode::from_wire(data.error_code), ErrorCode::None);
        let records = decode(data.records.as_deref().unwrap_or_default());
        found.extend(records.into_iter().filter(|(at, _)| *at >= offset));
        let next = found.last().map_or(0, |(at, _)| at + 1);
        if next >= data.high_watermark {
            return found;
        }
        assert!(next > offset, "a fetch below the high watermark gave nothing new");
        offset = next;
    }
}
