//! What a metadata quorum of one costs: time to start, to commit, to start again, and wake-ups while nothing happens.
//!
//! `cargo run --release -p headwater-controller --example idle`. Linux only: wake-ups are read from `/proc`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use headwater_controller::{BrokerRegistration, Controller, ControllerOptions, NewTopic};
use headwater_env::Env;
use headwater_env::real::RealEnv;
use headwater_record::Uuid;

const COMMITS: u32 = 200;
const IDLE: Duration = Duration::from_secs(10);

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = tempfile::tempdir()?;
    let env = RealEnv::new();
    let open = || Controller::open(env.clone(), root.path().join("metadata"), ControllerOptions::new(1));

    let start = env.now();
    let controller = open().await?;
    println!("first start      {:?}", start.elapsed());
    let broker = BrokerRegistration {
        node_id: 1,
        incarnation: Uuid::from_bytes([1; 16]),
        listeners: Vec::new(),
        rack: None,
        directories: Vec::new(),
        fenced: false,
    };
    controller.register_broker(broker).await?;

    let start = env.now();
    for number in 0..COMMITS {
        controller
            .create_topics(vec![NewTopic::new(format!("one-{number}"), 6, 1)], false)
            .await
            .remove(0)?;
    }
    println!("one topic        {:?}", start.elapsed() / COMMITS);
    let start = env.now();
    let many = (0..1000).map(|number| NewTopic::new(format!("many-{number}"), 6, 1)).collect();
    controller.create_topics(many, false).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    println!("1000 topics      {:?}", start.elapsed());

    controller.shutdown().await;
    let start = env.now();
    let controller = open().await?;
    println!("next start       {:?} with {} topics", start.elapsed(), controller.image().topics.len());

    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = wakes()?;
    tokio::time::sleep(IDLE).await;
    let wakes: u64 = wakes()?.iter().map(|(thread, count)| count - before.get(thread).unwrap_or(&0)).sum();
    println!("wake-ups         {:.1} a second", wakes as f64 / IDLE.as_secs_f64());
    controller.shutdown().await;
    Ok(())
}

/// Voluntary context switches of each thread of this process so far.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel tells its counts in files, and no broker reads them"
)]
fn wakes() -> Result<BTreeMap<OsString, u64>, Box<dyn std::error::Error>> {
    let mut counts = BTreeMap::new();
    for thread in std::fs::read_dir("/proc/self/task")? {
        let thread = thread?;
        let status = std::fs::read_to_string(thread.path().join("status"))?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        counts.insert(thread.file_name(), count.unwrap_or("0").trim().parse()?);
    }
    Ok(counts)
}
