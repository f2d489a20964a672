//! The runtime on a partition of a simulated disk: what was answered survives a power cut.

use std::path::Path;
use std::sync::Arc;

use headwater_env::sim::{self, SimEnv};
use headwater_log::{LogDir, LogDirOptions, LogIdentity, Placement};

use super::*;
use crate::config::{BrokerConfig, Layers, TopicSettings};
use crate::partition::Partition;

const TOPIC: &str = "__consumer_offsets";

fn settings() -> Arc<TopicSettings> {
    let config = BrokerConfig::new("/data");
    let layers = Layers { broker: None, cluster: None, fixed: config.values() };
    let compact = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
    Arc::new(TopicSettings::resolve(&config, &layers, Some(&compact)))
}

fn identity() -> LogIdentity {
    LogIdentity::new(TOPIC, Uuid::from_bytes([3; 16]), 0)
}

/// The partition on this machine's disk, as a start finds or makes it.
async fn partition(env: &SimEnv) -> (LogDir<SimEnv>, Arc<Partition<SimEnv>>) {
    let log_dir = LogDir::open(env.clone(), Path::new("/data"), LogDirOptions::new(1)).expect("a directory");
    let settings = settings();
    let config = settings.log.clone();
    let found =
        log_dir.clone().load(move |_| Placement::Open(identity(), config.clone())).await.expect("loaded");
    let log = match found.logs.into_iter().next() {
        Some((log, _)) => log,
        None => log_dir.create_log(identity(), settings.log.clone()).expect("a log"),
    };
    let partition = Partition::lead(Uuid::from_bytes([3; 16]), log, settings);
    (log_dir, partition)
}

#[test]
fn answered_commits_survive_power_cuts() {
    for seed in 0..30 {
        sim::run(seed, |mut env| async move {
            let mut answered = [-1i64; 8];
            let mut tried = [-1i64; 8];
            for round in 0..4 {
                let (log_dir, partition) = partition(&env).await;
                let runtime = loaded(env.clone(), partition).await;
                for key in 0..8 {
                    let found = committed(&runtime, "g", key).await.expect("loaded");
                    let (least, most) = (answered[key as usize], tried[key as usize]);
                    assert!((least..=most).contains(&found), "seed {seed}: {found} of {least}..={most}");
                }
                for step in 0..20 {
                    let key = (seed + step * 3) as usize % 8;
                    let offset = (round * 100 + step) as i64;
                    tried[key] = offset;
                    if step == 10 + seed % 10 {
                        // The power goes while this one is on its way.
                        let commit = try_commit(&runtime, "g", key as i32, offset);
                        let polls =
                            tokio::time::timeout(Duration::from_micros(env.random_below(300)), commit);
                        if let Ok(outcome) = polls.await {
                            outcome.expect("committed");
                            answered[key] = offset;
                        }
                        break;
                    }
                    try_commit(&runtime, "g", key as i32, offset).await.expect("committed");
                    answered[key] = offset;
                }
                drop(log_dir);
                env = env.power_cut().await;
            }
        });
    }
}
