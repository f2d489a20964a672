//! The whole broker on the simulated disk: power cuts, a full disk, a failed fsync.
//!
//! The page cache survives `kill -9`, so that proves nothing about durability. Here whatever was not synced
//! may be lost or torn, and what was acknowledged must be there afterwards: records of acks=all once and in
//! order, topics, committed offsets of groups. Starts are cut, too. `HEADWATER_SEEDS` sets which seeds are
//! tried. A seed gives the same disk and the same decisions again, but not always the same interleaving: the
//! metadata quorum's own `select!`s draw from a source that cannot be seeded.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_broker::{Broker, BrokerConfig, BrokerHandle};
use headwater_env::Env;
use headwater_env::net::MemoryNetwork;
use headwater_env::sim::{self, Fault, Operation, SimEnv};
use headwater_protocol::messages::find_coordinator::FindCoordinatorRequest;
use headwater_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use headwater_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use headwater_protocol::{ErrorCode, Str};

use crate::client::Client;
use crate::support::*;

const SEEDS_DEFAULT: u64 = 12;
const CLIENTS: usize = 3;
const ROUNDS: usize = 3;
/// How often a group is asked for while its coordinator is being loaded.
const LOADING_POLLS_MAX: usize = 1000;
const SHARED: &str = "shared";

/// `HEADWATER_SEEDS`: how many from 0 on, or `first..end` to come back to some.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("HEADWATER_SEEDS") else { return 0..SEEDS_DEFAULT };
    let number = |text: &str| text.parse().expect("HEADWATER_SEEDS is a number or a range `first..end`");
    match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => 0..number(&text),
    }
}

/// What clients were told, and what they tried.
#[derive(Debug, Default, Clone)]
struct Told {
    /// Values by offset, for each topic whose creation was acknowledged.
    records: BTreeMap<String, BTreeMap<i64, String>>,
    /// For each group the last commit that was acknowledged, and the last one that was sent.
    commits: BTreeMap<String, (Option<i64>, i64)>,
}

/// A client that works until the power goes, and takes notes.
struct Worker {
    client: Client,
    env: SimEnv,
    round: usize,
    number: usize,
    told: Arc<Mutex<Told>>,
}

impl Worker {
    /// Ends with `None` when the broker is gone.
    async fn work(&mut self) -> Option<()> {
        self.create(SHARED).await?;
        let own = format!("t{}-{}", self.round, self.number);
        self.create(&own).await?;
        for n in 0.. {
            // Pauses, so that cuts fall into different moments.
            tokio::time::sleep(Duration::from_micros(self.env.random_below(300))).await;
            self.produce(if n % 7 == 3 { &own } else { SHARED }, n).await?;
            if n % 5 == 4 {
                self.commit(self.round as i64 * 1_000_000 + i64::from(n)).await?;
            }
        }
        None
    }

    async fn create(&mut self, topic: &str) -> Option<()> {
        let answer = self.client.try_call(&topic_request(topic, 1, &[]), 7).await?;
        match ErrorCode::from_wire(answer.topics[0].error_code) {
            ErrorCode::None | ErrorCode::TopicAlreadyExists => {
                self.told.lock().unwrap().records.entry(topic.to_owned()).or_default();
                Some(())
            }
            _ => None,
        }
    }

    async fn produce(&mut self, topic: &str, n: i32) -> Option<()> {
        let values: Vec<String> =
            (0..1 + n % 3).map(|index| format!("{}/{}/{n}/{index}", self.round, self.number)).collect();
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let answer = self.client.try_call(&produce_request(topic, 0, batch(&texts), -1), PRODUCE).await?;
        let partition = &answer.responses[0].partition_responses[0];
        if partition.error_code != 0 {
            return None;
        }
        let mut told = self.told.lock().unwrap();
        told.records.entry(topic.to_owned()).or_default().extend((partition.base_offset..).zip(values));
        Some(())
    }

    async fn commit(&mut self, offset: i64) -> Option<()> {
        let group = format!("group-{}", self.number);
        let find = FindCoordinatorRequest { key: Str::from(&group), ..FindCoordinatorRequest::default() };
        self.client.try_call(&find, 3).await?;
        self.told.lock().unwrap().commits.entry(group.clone()).or_default().1 = offset;
        let answer = self.client.try_call(&commit_request(&group, offset), 8).await?;
        if answer.topics[0].partitions[0].error_code == 0 {
            self.told.lock().unwrap().commits.entry(group).or_default().0 = Some(offset);
        }
        Some(())
    }
}

fn commit_request(group: &str, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic = OffsetCommitRequestTopic {
        name: Str::from(SHARED),
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: Str::from(group),
        generation_id_or_member_epoch: -1,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    }
}

async fn committed(client: &mut Client, group: &str) -> i64 {
    let topic = OffsetFetchRequestTopic { name: Str::from(SHARED), partition_indexes: vec![0] };
    let request = OffsetFetchRequest {
        group_id: Str::from(group),
        topics: Some(vec![topic]),
        ..OffsetFetchRequest::default()
    };
    let mut last = ErrorCode::None;
    for _ in 0..LOADING_POLLS_MAX {
        let answer = client.call(&request, 6).await;
        last = ErrorCode::from_wire(answer.error_code);
        match last {
            ErrorCode::None => return answer.topics[0].partitions[0].committed_offset,
            ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => panic!("{group}: {other:?}"),
        }
    }
    panic!("{group} is not served: {last:?}")
}

async fn check(broker: &BrokerHandle<SimEnv>, told: &Told) {
    let mut client = Client::memory(broker).await;
    for (topic, acknowledged) in &told.records {
        assert!(broker.topics().contains(topic), "the acknowledged topic {topic} is gone");
        let found = read_all(&mut client, topic, 0).await;
        assert!(found.is_sorted_by(|a, b| a.0 < b.0));
        let by_offset: BTreeMap<i64, &str> =
            found.iter().map(|(offset, value)| (*offset, value.as_str())).collect();
        for (offset, value) in acknowledged {
            assert_eq!(by_offset.get(offset), Some(&value.as_str()), "{topic} at {offset}");
        }
        let mut values: Vec<&str> = by_offset.into_values().collect();
        values.sort_unstable();
        assert!(values.is_sorted_by(|a, b| a < b), "{topic} holds something twice");
    }
    for (group, (acknowledged, sent)) in &told.commits {
        // Without an acknowledged commit there may not even be an offsets topic.
        let Some(acknowledged) = acknowledged else { continue };
        let found = committed(&mut client, group).await;
        assert!((*acknowledged..=*sent).contains(&found), "{group}: {acknowledged} {found} {sent}");
    }
}

/// Starts a broker; the power may go during that as well, and then it is tried again.
async fn start_through_cuts(env: &mut SimEnv) -> BrokerHandle<SimEnv> {
    loop {
        if env.random_below(2) == 0 {
            env.disk().crash_at_op(1 + env.random_below(60));
        }
        let mut config = BrokerConfig::new("/data");
        config.listen(Vec::new());
        config.set("offsets.topic.num.partitions", "2").unwrap();
        let started = Broker::start(env.clone(), config, Some(MemoryNetwork::new())).await;
        match started {
            Ok(broker) if env.disk().is_powered() => {
                env.disk().crash_at_op(0);
                return broker;
            }
            Ok(_) => {}
            Err(error) => assert!(!env.disk().is_powered(), "a start fails only without power: {error}"),
        }
        *env = env.power_cut().await;
    }
}

async fn power_cuts(mut env: SimEnv) -> Told {
    let told = Arc::new(Mutex::new(Told::default()));
    for round in 0..ROUNDS {
        let broker = start_through_cuts(&mut env).await;
        let so_far = told.lock().unwrap().clone();
        check(&broker, &so_far).await;
        let mut workers = Vec::new();
        for number in 0..CLIENTS {
            let client = Client::memory(&broker).await;
            workers.push(Worker { client, env: env.clone(), round, number, told: told.clone() });
        }
        // Both the time and the number of writes may end a round.
        env.disk().crash_at_op(100 + env.random_below(600));
        let running = Duration::from_micros(2_000 + env.random_below(60_000));
        let working = futures_util::future::join_all(workers.iter_mut().map(Worker::work));
        let _ = tokio::time::timeout(running, working).await;
        env = env.power_cut().await;
    }
    let broker = start_through_cuts(&mut env).await;
    let told = told.lock().unwrap().clone();
    check(&broker, &told).await;
    broker.stop().await.unwrap();
    told
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    let (mut records, mut commits) = (0, 0);
    for seed in seeds() {
        let told = sim::run(seed, power_cuts);
        records += told.records.values().map(BTreeMap::len).sum::<usize>();
        commits += told.commits.values().filter(|(acknowledged, _)| acknowledged.is_some()).count();
    }
    // A broker that acknowledges nothing would pass otherwise.
    let count = seeds().count();
    assert!(records >= count * 10, "{records} records were acknowledged");
    assert!(commits >= count, "{commits} groups had an acknowledged commit");
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    sim::run(1, |env| async move {
        let broker = start_simulated(&env, &[]).await;
        let mut client = Client::memory(&broker).await;
        create_topic(&mut client, "t", 1, &[]).await;
        produce_ok(&mut client, "t", 0, batch(&["before"])).await;
        env.disk().fill(0);
        let full = produce(&mut client, "t", 0, batch(&["x".repeat(5000).as_str()])).await;
        assert_eq!(ErrorCode::from_wire(full.error_code), ErrorCode::KafkaStorageError);
        assert_eq!(read_all(&mut client, "t", 0).await.len(), 1, "reading goes on");
        env.disk().unfill();
        assert_eq!(produce_ok(&mut client, "t", 0, batch(&["after"])).await, 1);
        broker.stop().await.unwrap();
    });
}

#[test]
fn a_failed_fsync_is_never_acknowledged_and_takes_the_directory_offline() {
    sim::run(2, |env| async move {
        let broker = start_simulated(&env, &[]).await;
        let mut client = Client::memory(&broker).await;
        create_topic(&mut client, "t", 1, &[]).await;
        produce_ok(&mut client, "t", 0, batch(&["safe"])).await;
        env.disk().fail(Fault::new(Operation::Sync, io::ErrorKind::Other).on(".log"));
        let failed = produce(&mut client, "t", 0, batch(&["unsafe"])).await;
        assert_eq!(ErrorCode::from_wire(failed.error_code), ErrorCode::KafkaStorageError);
        // A retried fsync that succeeds would prove nothing, so there is none.
        let offline = produce(&mut client, "t", 0, batch(&["later"])).await;
        assert_eq!(ErrorCode::from_wire(offline.error_code), ErrorCode::KafkaStorageError);
        let env = env.power_cut().await;
        drop(broker);
        let broker = start_simulated(&env, &[]).await;
        let found = read_all(&mut Client::memory(&broker).await, "t", 0).await;
        assert_eq!(found[0].1, "safe");
        assert!(found.iter().all(|(_, value)| value != "later"));
        broker.stop().await.unwrap();
    });
}
