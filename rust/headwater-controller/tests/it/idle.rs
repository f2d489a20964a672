//! A lone leader sleeps: nothing in it counts time.

use std::time::Duration;

use headwater_env::sim;
use tokio::runtime::Handle;

use super::{open, registration};

#[test]
fn an_idle_controller_wakes_nobody() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        controller.register_broker(registration(1)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Virtual time jumps from timer to timer, and the one worker parks before each jump.
        let parked = || Handle::current().metrics().worker_park_count(0);
        let before = parked();
        tokio::time::sleep(Duration::from_secs(1000)).await;
        let wakes = parked() - before;
        assert!(wakes <= 10, "{wakes} wake-ups in 1000 s");
    });
}
