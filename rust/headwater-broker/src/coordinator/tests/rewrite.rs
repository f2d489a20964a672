//! A log that is committed to for ever stays short, and nothing of it is lost at any moment.

use std::time::Instant;

use headwater_env::sim;

use super::memory_log::MemoryLog;
use super::*;
use crate::coordinator::log::CoordinatorLog;

/// Commits `rounds` times for each of `keys` partitions.
async fn commit_all(runtime: &Runtime<sim::SimEnv>, keys: i32, rounds: i64) {
    const PARTITIONS_PER_REQUEST: i32 = 500;
    for offset in 0..rounds {
        for first in (0..keys).step_by(PARTITIONS_PER_REQUEST as usize) {
            let partitions = first..(first + PARTITIONS_PER_REQUEST).min(keys);
            runtime.ask(0, commit("g", partitions, offset), &Order::default()).await.expect("committed");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is about real time")]
fn a_million_commits_leave_a_short_log_and_a_quick_start() {
    sim::run(21, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env.clone(), log.clone()).await;
        commit_all(&runtime, 2_000, 500).await;
        settle().await;
        let records = log.end() - log.start();
        assert!(log.end() >= 1_000_000 && records < 110_000, "{records} records of {}", log.end());

        let before = Instant::now();
        let next = loaded(env, log.survivor()).await;
        let took = before.elapsed();
        for partition in [0, 1_234, 1_999] {
            assert_eq!(committed(&next, "g", partition).await, Ok(499));
        }
        assert!(took.as_secs() < 10, "the start took {took:?}");
    });
}

#[test]
fn whoever_takes_over_in_the_middle_of_a_rewrite_finds_everything() {
    sim::run(22, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env.clone(), log.clone()).await;
        let (mut rewrites, mut start, mut checked) = (0, 0, 0);
        // A rewrite of 12,000 keys has several pieces; commits go on meanwhile.
        for offset in 0..9 {
            for first in (0..12_000).step_by(1_000) {
                let request = commit("g", first..first + 1_000, offset);
                runtime.ask(0, request, &Order::default()).await.expect("committed");
                if log.end() > 95_000 {
                    let next = loaded(env.clone(), log.survivor()).await;
                    let expected = |partition| if partition < first + 1_000 { offset } else { offset - 1 };
                    for partition in [0, 4_000, 8_000, 11_999] {
                        assert_eq!(committed(&next, "g", partition).await, Ok(expected(partition)));
                    }
                    checked += 1;
                }
                if log.start() != start {
                    (start, rewrites) = (log.start(), rewrites + 1);
                }
            }
        }
        assert!(rewrites > 0 && checked > 5, "{rewrites} rewrites, {checked} looks");
    });
}

#[test]
fn a_rewrite_that_fails_is_tried_again_later() {
    sim::run(23, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env, log.clone()).await;
        // One more request and the log is long enough; 10,000 keys take several pieces.
        commit_all(&runtime, 10_000, 9).await;
        log.hold(true);
        let order = Order::default();
        let request = runtime.ask(0, commit("g", 0..500, 9), &order);
        let fail = async {
            settle().await;
            log.refuse(Some(Refusal::Storage));
            log.hold(false);
            settle().await;
            log.refuse(None);
        };
        let (outcome, ()) = tokio::join!(request, fail);
        assert!(outcome.is_ok());
        let given_up_at = log.end();
        assert!((91_000..100_000).contains(&given_up_at), "one piece was written: {given_up_at}");
        commit_all(&runtime, 10_000, 4).await;
        assert_eq!(log.start(), 0, "not at once");
        commit_all(&runtime, 10_000, 3).await;
        settle().await;
        assert!(log.start() > given_up_at);
        assert_eq!(committed(&runtime, "g", 5_000).await, Ok(2));
    });
}
