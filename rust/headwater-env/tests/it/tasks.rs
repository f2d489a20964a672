//! Tasks, clocks and randomness on both sides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_env::real::RealEnv;
use headwater_env::sim::{self, EPOCH_MS, SimEnv};
use headwater_env::{Disk, DiskFile, Env, OpenMode, TaskError};

async fn tasks_end_as_they_say(env: impl Env) {
    assert_eq!(env.spawn("adder", async { 1 + 1 }).await, Ok(2));
    let failed = env.spawn("failing", async { panic!("on purpose {}", 1) });
    let expected = TaskError::Panicked { name: "failing", message: "on purpose 1".to_owned() };
    assert_eq!(failed.await, Err::<(), _>(expected));
    let waiting = env.spawn("waiting", std::future::pending::<()>());
    assert!(!waiting.is_finished());
    waiting.abort();
    assert_eq!(waiting.await, Err(TaskError::Cancelled { name: "waiting" }));

    let (sender, receiver) = tokio::sync::oneshot::channel();
    drop(env.spawn("detached", async move { sender.send(7) }));
    assert_eq!(receiver.await, Ok(7), "dropping the handle does not stop the task");

    assert_eq!(env.blocking(|| 3).await, 3);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    drop(env.blocking(move || sender.send(8)));
    assert_eq!(receiver.await, Ok(8), "blocking work runs to its end");
    let blocking = env.blocking(|| panic!("in the pool"));
    let task = env.spawn("awaits", blocking);
    assert!(
        matches!(task.await, Err::<(), _>(TaskError::Panicked { message, .. }) if message == "in the pool")
    );
}

#[tokio::test]
async fn real_tasks() {
    tasks_end_as_they_say(RealEnv::new()).await;
}

#[test]
fn simulated_tasks() {
    for seed in 0..20 {
        sim::run(seed, tasks_end_as_they_say);
    }
}

#[tokio::test]
async fn the_real_side_spawns_from_any_thread() {
    let env = RealEnv::new();
    let task = std::thread::spawn(move || env.spawn("far", async { 5 })).join().unwrap();
    assert_eq!(task.await, Ok(5));
}

#[test]
fn real_time_and_randomness() {
    let env = RealEnv::new();
    let system =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    assert!((env.wall_ms() - system).abs() < 5_000);
    assert_ne!(env.random_u64(), env.random_u64());
}

#[test]
fn simulated_time_is_free_and_shared_by_both_clocks() {
    sim::run(1, |env| async move {
        assert_eq!(env.wall_ms(), EPOCH_MS);
        let start = env.now();
        tokio::time::sleep(Duration::from_secs(30 * 24 * 3600)).await;
        assert_eq!(env.now() - start, Duration::from_secs(30 * 24 * 3600));
        assert_eq!(env.wall_ms(), EPOCH_MS + 30 * 24 * 3_600_000);
        env.set_wall_skew_ms(-1000);
        assert_eq!(env.wall_ms(), EPOCH_MS + 30 * 24 * 3_600_000 - 1000);
    });
}

/// Four tasks take turns at a list; the order in which they get there is the interleaving.
fn interleaving(seed: u64) -> (Vec<u8>, u64) {
    sim::run(seed, |env| async move {
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..4)
            .map(|number| {
                let order = order.clone();
                env.spawn("turns", async move {
                    for _ in 0..8 {
                        order.lock().unwrap().push(number);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        (Arc::try_unwrap(order).unwrap().into_inner().unwrap(), env.random_u64())
    })
}

#[test]
fn interleavings_follow_from_the_seed_and_differ() {
    let all: Vec<_> = (0..40).map(interleaving).collect();
    assert!(all.iter().zip(0..).all(|(one, seed)| *one == interleaving(seed)), "a seed repeats");
    let mut orders: Vec<_> = all.into_iter().map(|(order, _)| order).collect();
    orders.sort();
    orders.dedup();
    assert!(orders.len() > 15, "{} orders of 40 seeds", orders.len());
}

#[test]
fn a_scenario_that_hangs_is_reported() {
    let hang = catch_unwind(|| sim::run(1, |_env| std::future::pending::<()>()));
    let message = *hang.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("hangs"), "{message}");
}

#[test]
fn a_power_cut_ends_tasks_before_they_can_tidy_up() {
    struct WritesOnDrop(SimEnv);
    impl Drop for WritesOnDrop {
        fn drop(&mut self) {
            let opened = self.0.disk().open(Path::new("clean-shutdown"), OpenMode::Create);
            assert!(opened.is_err(), "the disk is dead already");
        }
    }
    for seed in 0..10 {
        sim::run(seed, |env| async move {
            let other = env.new_machine();
            let survivor = other
                .spawn("on the other machine", async { tokio::time::sleep(Duration::from_secs(5)).await });
            let file = env.disk().open(Path::new("file"), OpenMode::Create).unwrap();
            file.sync().unwrap();
            env.disk().sync_dir(Path::new("/")).unwrap();
            let guard = WritesOnDrop(env.clone());
            let task = env.spawn("forever", async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
            tokio::time::sleep(Duration::from_secs(1)).await;
            let after = env.power_cut().await;
            assert!(task.is_finished());
            assert!(after.disk().exists(Path::new("file")).unwrap());
            assert!(!after.disk().exists(Path::new("clean-shutdown")).unwrap());
            assert!(env.disk().exists(Path::new("file")).is_err(), "the machine of before is gone");
            assert!(after.wall_ms() >= EPOCH_MS + 1000, "time does not go back");
            survivor.await.unwrap();
        });
    }
}

#[test]
fn a_failing_scenario_passes_its_panic_on() {
    let outcome = catch_unwind(AssertUnwindSafe(|| sim::run(1, |_env| async { panic!("broken law") })));
    assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "broken law");
}
