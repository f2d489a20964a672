//! A scripted broker over memory, for tests of what a real one does too rarely: lost answers, refusals, silence.
//!
//! One topic `t` with one partition. Produce checks sequence numbers as Kafka does and remembers every record value.

use crate::runtime::Runtime;
use bytes::Bytes;
use headwater_env::net::{Frame, MemoryConnection, MemoryNetwork};
use headwater_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use headwater_protocol::messages::init_producer_id::InitProducerIdResponse;
use headwater_protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use headwater_protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use headwater_protocol::{ApiKey, ErrorCode, Reader, RequestHeader, frame};
use headwater_record::{BatchView, DecompressBuffer};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

/// What happens to one produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is served.
    None,
    /// It is refused and not appended.
    Refuse(ErrorCode),
    /// It is appended, and the connection ends before the answer.
    LoseAnswer,
    /// The connection ends before it is read.
    LoseRequest,
    /// It is never answered.
    Silence,
}

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) produce: VecDeque<Fault>,
    /// Used when the script is at its end; `None` serves.
    pub(crate) forever: Option<Fault>,
    /// The newest ApiVersions version it knows.
    pub(crate) api_versions_max: i16,
    pub(crate) values: Vec<Vec<u8>>,
    pub(crate) epochs: Vec<i16>,
    pub(crate) connections: usize,
    /// First and last sequence number and offset of the last five batches.
    pub(crate) sequences: VecDeque<(i32, i32, i64)>,
    /// The producer's epoch, and how many producer ids were given.
    pub(crate) epoch: i16,
    pub(crate) init_count: i64,
}

#[derive(Clone)]
pub(crate) struct FakeBroker {
    pub(crate) network: MemoryNetwork,
    script: Arc<Mutex<Script>>,
}

impl FakeBroker {
    pub(crate) fn start(runtime: &Runtime, script: Script) -> Self {
        let network = MemoryNetwork::new();
        let mut listener = network.listen(1);
        let broker = Self { network, script: Arc::new(Mutex::new(script)) };
        let (serving, runtime_too) = (broker.clone(), runtime.clone());
        runtime.spawn("fake-broker", async move {
            while let Some(connection) = listener.accept().await {
                serving.script().connections += 1;
                runtime_too.spawn("fake-connection", serve(serving.clone(), connection));
            }
        });
        broker
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

async fn serve(broker: FakeBroker, mut connection: MemoryConnection) {
    while let Ok(Some(chunks)) = connection.recv().await {
        let whole = Bytes::from(chunks.concat());
        match broker.answer(whole) {
            Some(Some(answer)) => connection.send(answer).await.unwrap_or(()),
            Some(None) => {}
            None => return,
        }
    }
}

impl FakeBroker {
    /// The answer; `Some(None)` for silence, `None` to end the connection.
    fn answer(&self, whole: Bytes) -> Option<Option<Frame>> {
        let header = RequestHeader::decode(&mut Reader::new(whole.clone())).unwrap();
        let (key, version, id) = (header.api_key, header.api_version, header.correlation_id);
        let mut script = self.script();
        let answer = match key {
            ApiKey::ApiVersions => {
                let known = version <= script.api_versions_max;
                let code = if known { ErrorCode::None } else { ErrorCode::UnsupportedVersion };
                let entry = |key: ApiKey, max_version| ApiVersion {
                    api_key: key as i16,
                    min_version: 0,
                    max_version,
                };
                let api_keys = vec![
                    entry(ApiKey::ApiVersions, script.api_versions_max),
                    entry(ApiKey::Metadata, 12),
                    entry(ApiKey::Produce, 9),
                    entry(ApiKey::InitProducerId, 4),
                ];
                let response =
                    ApiVersionsResponse { error_code: code.code(), api_keys, ..Default::default() };
                frame::encode_response(&response, key, if known { version } else { 0 }, id)
            }
            ApiKey::Metadata => frame::encode_response(&metadata(whole), key, version, id),
            ApiKey::InitProducerId => {
                script.init_count += 1;
                let producer_id = script.init_count;
                script.epoch = 0;
                script.sequences.clear();
                let response =
                    InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() };
                frame::encode_response(&response, key, version, id)
            }
            ApiKey::Produce => {
                let next = script.produce.pop_front();
                let fault = next.or(script.forever).unwrap_or(Fault::None);
                let (_, request) = frame::decode_request::<ProduceRequest>(whole).unwrap();
                let response = match fault {
                    Fault::None | Fault::LoseAnswer => script.append(&request),
                    Fault::Refuse(code) => outcome(code, -1),
                    Fault::LoseRequest => return None,
                    Fault::Silence => return Some(None),
                };
                if fault == Fault::LoseAnswer {
                    return None;
                }
                frame::encode_response(&response, key, version, id)
            }
            other => panic!("the fake broker does not know {other:?}"),
        };
        Some(Some(answer.unwrap().into_chunks()))
    }
}

impl Script {
    fn append(&mut self, request: &ProduceRequest) -> ProduceResponse {
        let records = request.topic_data[0].partition_data[0].records.clone().unwrap();
        let view = BatchView::new(&records).unwrap();
        view.verify_crc().unwrap();
        let header = view.header();
        if header.producer_epoch > self.epoch {
            if header.base_sequence != 0 {
                return outcome(ErrorCode::OutOfOrderSequenceNumber, -1);
            }
            self.epoch = header.producer_epoch;
            self.sequences.clear();
        }
        if header.producer_epoch < self.epoch {
            return outcome(ErrorCode::InvalidProducerEpoch, -1);
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        if let Some((_, _, offset)) = self.sequences.iter().find(|(f, l, _)| (*f, *l) == (first, last)) {
            return outcome(ErrorCode::None, *offset);
        }
        let expected = self.sequences.back().map_or(0, |(_, last, _)| last + 1);
        if first != expected {
            return outcome(ErrorCode::OutOfOrderSequenceNumber, -1);
        }
        let offset = self.values.len() as i64;
        self.sequences.push_back((first, last, offset));
        if self.sequences.len() > 5 {
            self.sequences.pop_front();
        }
        let mut buffer = DecompressBuffer::new();
        for record in view.records(&mut buffer, 1 << 20).unwrap() {
            self.values.push(record.unwrap().value.unwrap().to_vec());
        }
        self.epochs.push(header.producer_epoch);
        outcome(ErrorCode::None, offset)
    }
}

fn outcome(code: ErrorCode, base_offset: i64) -> ProduceResponse {
    let partition = PartitionProduceResponse { error_code: code.code(), base_offset, ..Default::default() };
    let topic =
        TopicProduceResponse { name: "t".into(), partition_responses: vec![partition], ..Default::default() };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}

fn metadata(whole: Bytes) -> MetadataResponse {
    let (_, request) = frame::decode_request::<MetadataRequest>(whole).unwrap();
    let partition = MetadataResponsePartition { leader_id: 1, leader_epoch: 0, ..Default::default() };
    let topic =
        |name| MetadataResponseTopic { name, partitions: vec![partition.clone()], ..Default::default() };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: 1,
            host: "unreachable".into(),
            port: 1,
            ..Default::default()
        }],
        controller_id: 1,
        topics: request.topics.unwrap_or_default().into_iter().map(|wanted| topic(wanted.name)).collect(),
        ..Default::default()
    }
}
