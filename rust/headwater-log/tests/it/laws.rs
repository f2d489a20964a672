//! The suite of laws, on both disks. `HEADWATER_SEEDS` sets the number of simulated seeds, `HEADWATER_SEED` tries one.

use std::path::Path;

use headwater_env::sim;
use headwater_log::laws::{self, LawsReport, RealWorld, SimWorld};

const STEPS: u64 = 120;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn on_the_simulated_disk() {
    let mut total = LawsReport::default();
    let only = number("HEADWATER_SEED", u64::MAX);
    let seeds = if only == u64::MAX { 0..number("HEADWATER_SEEDS", 150) } else { only..only + 1 };
    for seed in seeds {
        total.add(sim::run(seed, |env| laws::run(SimWorld::new(env), Path::new("/data"), seed, STEPS)));
    }
    println!("{total:?}");
    assert!(total.appended > 0 && total.crashes > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_real_disk() {
    let mut total = LawsReport::default();
    for seed in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        total.add(laws::run(RealWorld::new(), folder.path(), seed, STEPS).await);
    }
    assert!(total.appended > 0 && total.restarts > 0);
}
