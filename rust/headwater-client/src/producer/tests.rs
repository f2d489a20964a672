//! The producer against a scripted broker, in virtual time: nothing lost, doubled, reordered or reported twice.

use super::{DeliveryHandle, ProduceRecord, Producer};
use crate::config::ProducerConfig;
use crate::error::{ClientError, ProduceError};
use crate::fake::{FakeBroker, Fault, Script};
use crate::net::Bootstrap;
use crate::runtime::Runtime;
use headwater_env::sim;
use headwater_protocol::ErrorCode;
use std::collections::VecDeque;
use std::time::Duration;

/// One record per batch, so that every record can meet a fault of its own.
const ONE_BY_ONE: [(&str, &str); 3] =
    [("linger.ms", "0"), ("batch.size", "1"), ("headwater.batch.size.max", "0")];

fn script(faults: &[Fault]) -> Script {
    Script { produce: faults.iter().copied().collect(), api_versions_max: 4, ..Script::default() }
}

fn start(env: sim::SimEnv, script: Script, settings: &[(&str, &str)]) -> (Producer, FakeBroker) {
    let runtime = Runtime::new(env);
    let broker = FakeBroker::start(&runtime, script);
    let config = ProducerConfig::from_pairs(settings.iter().copied()).unwrap();
    (Producer::new(runtime, Bootstrap::Memory(broker.network.clone()), config).unwrap(), broker)
}

async fn send(producer: &Producer, count: u32) -> Vec<DeliveryHandle> {
    let topic = producer.topic("t").unwrap();
    let mut handles = Vec::new();
    for number in 0..count {
        let value = number.to_be_bytes();
        let record = ProduceRecord { value: Some(&value), ..Default::default() };
        handles.push(producer.send(&topic, &record).await.unwrap());
    }
    handles
}

fn numbers(broker: &FakeBroker) -> Vec<u32> {
    broker.script().values.iter().map(|value| u32::from_be_bytes(value[..].try_into().unwrap())).collect()
}

/// Sends ten records through these faults; all must arrive once and in order.
fn all_arrive(faults: &[Fault]) {
    sim::run(1, |env| async move {
        let (producer, broker) = start(env, script(faults), &ONE_BY_ONE);
        let handles = send(&producer, 10).await;
        producer.flush(None).await.unwrap();
        for (number, handle) in handles.iter().enumerate() {
            assert_eq!(handle.peek().unwrap().unwrap().offset, number as i64, "{faults:?}");
        }
        assert_eq!(numbers(&broker), (0..10).collect::<Vec<_>>(), "{faults:?}");
        assert_eq!(producer.memory_used(), 0);
    });
}

#[test]
fn passing_faults_cost_nothing() {
    let refused = Fault::Refuse(ErrorCode::NotLeaderOrFollower);
    all_arrive(&[]);
    all_arrive(&[refused]);
    all_arrive(&[Fault::LoseAnswer]);
    all_arrive(&[Fault::LoseRequest]);
    all_arrive(&[Fault::None, refused]);
    all_arrive(&[Fault::None, Fault::LoseAnswer, Fault::LoseAnswer, Fault::LoseRequest]);
    all_arrive(&[Fault::None, Fault::None, refused, Fault::None, Fault::LoseAnswer, refused]);
    all_arrive(&[Fault::None, Fault::Refuse(ErrorCode::UnknownProducerId)]);
}

#[test]
fn random_faults_lose_nothing_and_double_nothing() {
    for seed in 0..60_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut faults = Vec::new();
        for _ in 0..20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            faults.push(match state % 6 {
                0 => Fault::LoseAnswer,
                1 => Fault::LoseRequest,
                2 => Fault::Refuse(ErrorCode::NotLeaderOrFollower),
                _ => Fault::None,
            });
        }
        all_arrive(&faults);
    }
}

#[test]
fn a_refused_batch_fails_alone_and_the_epoch_is_bumped() {
    sim::run(2, |env| async move {
        let faults = [Fault::None, Fault::Refuse(ErrorCode::InvalidRecord)];
        let (producer, broker) = start(env, script(&faults), &ONE_BY_ONE);
        let handles = send(&producer, 8).await;
        producer.flush(None).await.unwrap();
        let fates: Vec<_> = handles.iter().map(|handle| handle.peek().unwrap()).collect();
        assert_eq!(fates.iter().filter(|fate| fate.is_err()).count(), 1);
        assert_eq!(fates[1].as_ref().unwrap_err().code(), Some(ErrorCode::InvalidRecord));
        assert_eq!(numbers(&broker), [0, 2, 3, 4, 5, 6, 7]);
        assert_eq!(broker.script().epochs.last(), Some(&1));
        assert!(producer.take_unclaimed_failures().is_none(), "every record had a handle");
    });
}

#[test]
fn silence_ends_with_the_delivery_timeout() {
    sim::run(3, |env| async move {
        let mut silent = script(&[]);
        silent.forever = Some(Fault::Silence);
        let settings = [("delivery.timeout.ms", "5000"), ("request.timeout.ms", "1000"), ("linger.ms", "0")];
        let (producer, broker) = start(env, silent, &settings);
        let topic = producer.topic("t").unwrap();
        let record = ProduceRecord { value: Some(b"v"), ..Default::default() };
        let before = tokio::time::timeout(Duration::from_secs(10), producer.send(&topic, &record)).await;
        let handle = before.unwrap().unwrap();
        producer.ready(&topic, &record).await.unwrap();
        producer.produce(&topic, &record).unwrap();
        let limit = Duration::from_millis(6_500);
        tokio::time::timeout(limit, producer.flush(None))
            .await
            .expect("bounded by delivery.timeout.ms")
            .unwrap();
        let error = handle.peek().unwrap().unwrap_err();
        assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
        assert!(producer.take_unclaimed_failures().is_some_and(|(count, _)| count >= 1));
        assert_eq!(producer.memory_used(), 0);
        assert!(broker.script().connections > 1, "it was tried again on another connection");
    });
}

#[test]
fn memory_pushes_back_and_is_given_back() {
    sim::run(4, |env| async move {
        let mut stuck = script(&[]);
        stuck.forever = Some(Fault::Refuse(ErrorCode::NotEnoughReplicas));
        let settings = [("buffer.memory", "2000"), ("batch.size", "1000"), ("max.block.ms", "300")];
        let (producer, broker) = start(env, stuck, &settings);
        let topic = producer.topic("t").unwrap();
        let value = [0; 400];
        let record = ProduceRecord { value: Some(&value), ..Default::default() };
        producer.send(&topic, &record).await.unwrap();
        let blocked = loop {
            match producer.produce(&topic, &record) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(blocked, ProduceError::WouldBlock(_)) && blocked.retriable());
        let error = producer.ready(&topic, &record).await.unwrap_err();
        assert!(error.to_string().contains("buffer.memory=2000"), "{error}");
        broker.script().forever = None;
        producer.ready(&topic, &record).await.unwrap();
        producer.produce(&topic, &record).unwrap();
        let large = [0; 3_000];
        let too_large = ProduceRecord { value: Some(&large), ..Default::default() };
        let error = producer.produce(&topic, &too_large).unwrap_err();
        assert!(matches!(error, ProduceError::RecordTooLarge { setting: "buffer.memory", .. }), "{error}");
        producer.close(Duration::from_secs(5)).await.unwrap();
        let error = producer.produce(&topic, &record).unwrap_err();
        assert!(error.fatal(), "{error}");
    });
}

#[test]
fn an_old_broker_is_asked_in_its_own_version() {
    sim::run(5, |env| async move {
        let old = Script { api_versions_max: 2, produce: VecDeque::new(), ..Script::default() };
        let (producer, broker) = start(env, old, &[]);
        let handles = send(&producer, 3).await;
        producer.close(Duration::from_secs(5)).await.unwrap();
        assert_eq!(handles[2].peek().unwrap().unwrap().offset, 2);
        assert_eq!(numbers(&broker), [0, 1, 2]);
    });
}

#[test]
fn closing_reports_what_could_not_be_delivered() {
    sim::run(6, |env| async move {
        let mut silent = script(&[]);
        silent.forever = Some(Fault::Silence);
        let (producer, _broker) = start(env, silent, &[]);
        let handles = send(&producer, 3).await;
        assert!(producer.close(Duration::from_millis(100)).await.is_err());
        for handle in handles {
            assert!(matches!(handle.peek(), Some(Err(ClientError::Closed))));
        }
    });
}
