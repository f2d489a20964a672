//! Asking, waiting for the high watermark, failing, loading and unloading.

use std::time::Duration;

use futures_util::future::join_all;
use headwater_coordinator::Refusal;
use headwater_coordinator::groups::{GroupReply, GroupRequest, JoinRequest, ListRequest, Name};
use headwater_env::sim;

use super::memory_log::MemoryLog;
use super::*;
use crate::context::Order;

#[test]
fn commits_that_come_together_share_an_append() {
    sim::run(1, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env, log.clone()).await;
        let commits = (0..200).map(|partition| try_commit(&runtime, "g", partition, 7));
        assert!(join_all(commits).await.into_iter().all(|outcome| outcome == Ok(())));
        assert!(log.appends() < 20, "{} appends", log.appends());
        assert_eq!(committed(&runtime, "g", 199).await, Ok(7));
    });
}

#[test]
fn an_answer_leaves_when_its_records_are_committed() {
    sim::run(2, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env, log.clone()).await;
        try_commit(&runtime, "g", 0, 1).await.expect("committed");
        log.hold(true);
        let mut second = std::pin::pin!(try_commit(&runtime, "g", 0, 2));
        tokio::select! { biased;
            _ = &mut second => panic!("answered before it is committed"),
            () = settle() => {}
        }
        assert_eq!(committed(&runtime, "g", 0).await, Ok(1), "reads see what is committed");
        log.hold(false);
        assert_eq!(second.await, Ok(()));
        assert_eq!(committed(&runtime, "g", 0).await, Ok(2));
    });
}

#[test]
fn what_is_not_committed_in_time_is_refused_and_may_still_count() {
    sim::run(3, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env.clone(), log.clone()).await;
        log.hold(true);
        let before = env.now();
        assert_eq!(try_commit(&runtime, "g", 0, 1).await, Err(Refusal::TimedOut));
        assert_eq!((env.now() - before).as_secs(), 5);
        log.hold(false);
        settle().await;
        assert_eq!(committed(&runtime, "g", 0).await, Ok(1));
    });
}

#[test]
fn a_refused_append_is_taken_back() {
    sim::run(4, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env, log.clone()).await;
        try_commit(&runtime, "g", 0, 1).await.expect("committed");
        log.refuse(Some(Refusal::NotEnoughReplicas));
        assert_eq!(try_commit(&runtime, "g", 0, 2).await, Err(Refusal::NotEnoughReplicas));
        assert_eq!(committed(&runtime, "g", 0).await, Ok(1));
        log.refuse(None);
        assert_eq!(try_commit(&runtime, "g", 0, 3).await, Ok(()));
        let other = loaded_from(&log).await;
        assert_eq!(committed(&other, "g", 0).await, Ok(3));
    });
}

async fn loaded_from(log: &MemoryLog) -> Runtime<sim::SimEnv> {
    loaded(sim::SimEnv::new(9), log.survivor()).await
}

#[test]
fn a_large_decision_goes_in_several_batches_and_a_record_that_fits_none_is_refused() {
    sim::run(5, |env| async move {
        let log = MemoryLog::default();
        log.limit_batches(2_000);
        let runtime = loaded(env, log.clone()).await;
        let request = commit("g", 0..1_000, 5);
        let reply = runtime.ask(0, request, &Order::default()).await.expect("committed");
        assert!(
            matches!(reply, GroupReply::CommitOffsets(Ok(results)) if results[0].partitions.len() == 1_000)
        );
        assert!(log.appends() > 10);
        let other = loaded_from(&log).await;
        assert_eq!(committed(&other, "g", 999).await, Ok(5));

        let group = "g".repeat(3_000);
        assert_eq!(try_commit(&runtime, &group, 0, 1).await, Err(Refusal::TooLarge));
        assert_eq!(committed(&runtime, &group, 0).await, Ok(-1));
    });
}

#[test]
fn half_a_large_decision_may_be_there_when_the_log_fails_in_between() {
    sim::run(6, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env, log.clone()).await;
        try_commit(&runtime, "g", 0, 1).await.expect("committed");
        log.limit_batches(2_000);
        log.refuse(Some(Refusal::Storage));
        let outcome = runtime.ask(0, commit("g", 0..1_000, 5), &Order::default()).await;
        assert_eq!(outcome, Err(Refusal::Storage));
        assert_eq!(committed(&runtime, "g", 0).await, Ok(1));
        assert_eq!(committed(&runtime, "g", 999).await, Ok(-1));
        log.refuse(None);
        try_commit(&runtime, "g", 999, 8).await.expect("committed");
        let other = loaded_from(&log).await;
        assert_eq!((committed(&other, "g", 0).await, committed(&other, "g", 999).await), (Ok(1), Ok(8)));
    });
}

#[test]
fn before_and_after_its_time_a_coordinator_says_so() {
    sim::run(7, |env| async move {
        let log = MemoryLog::default();
        let runtime = runtime(env.clone());
        assert_eq!(committed(&runtime, "g", 0).await, Err(Refusal::NotCoordinator));
        runtime.load(0, TERM, log.clone(), shard);
        assert!(runtime.is_loading());
        assert_eq!(committed(&runtime, "g", 0).await, Err(Refusal::Loading));
        runtime.wait_until_loaded(0).await;
        assert_eq!((runtime.active(), runtime.terms().get(&0)), (vec![0], Some(&TERM)));

        let order = Order::default();
        let waiting = runtime.ask(0, GroupRequest::Join(join_request()), &order);
        let unload = async {
            settle().await;
            runtime.unload(0);
        };
        let (joined, ()) = tokio::join!(waiting, unload);
        assert_eq!(joined, Err(Refusal::NotCoordinator));
        assert_eq!(committed(&runtime, "g", 0).await, Err(Refusal::NotCoordinator));
    });
}

#[test]
fn losing_the_log_ends_everything_that_waits() {
    sim::run(8, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env, log.clone()).await;
        log.hold(true);
        let lose = async {
            settle().await;
            log.lose();
        };
        let (outcome, ()) = tokio::join!(try_commit(&runtime, "g", 0, 1), lose);
        assert_eq!(outcome, Err(Refusal::NotCoordinator));
        assert_eq!(runtime.active(), Vec::<i32>::new());
    });
}

#[test]
fn a_damaged_log_is_not_coordinated() {
    sim::run(9, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env.clone(), log.clone()).await;
        try_commit(&runtime, "g", 0, 1).await.expect("committed");
        let mut builder = headwater_record::BatchBuilder::new(headwater_record::Compression::None);
        builder.append(0, Some(b"\0\x01\0\x09g"), Some(b"x"), &[]).expect("it fits");
        let batch = builder.finish().expect("a batch").into();
        crate::coordinator::log::CoordinatorLog::append(&log, batch, 0).expect("appended");
        let runtime = loaded(env, log.survivor()).await;
        assert_eq!(committed(&runtime, "g", 0).await, Err(Refusal::NotAvailable));
        assert_eq!(runtime.active(), Vec::<i32>::new());
    });
}

#[test]
fn a_log_that_cannot_be_read_for_a_while_is_loaded_when_it_can() {
    sim::run(12, |env| async move {
        let log = MemoryLog::default();
        let first = loaded(env.clone(), log.clone()).await;
        try_commit(&first, "g", 0, 7).await.expect("committed");
        let log = log.survivor();
        log.fail_reads(true);
        let runtime = loaded(env.clone(), log.clone()).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(committed(&runtime, "g", 0).await, Err(Refusal::NotAvailable), "not somewhere else");
        assert!((10..60).contains(&log.reads()), "tried {} times in ten minutes", log.reads());
        assert_eq!(runtime.metrics().load_failures.get(), log.reads() as u64);

        log.fail_reads(false);
        tokio::time::sleep(Duration::from_secs(40)).await;
        assert_eq!(committed(&runtime, "g", 0).await, Ok(7));
        try_commit(&runtime, "g", 0, 8).await.expect("committed");
        assert!(!runtime.is_loading());
    });
}

#[test]
fn a_coordinator_that_cannot_be_loaded_holds_nobody_up_and_can_be_unloaded() {
    sim::run(13, |env| async move {
        let log = MemoryLog::default();
        let first = loaded(env.clone(), log.clone()).await;
        try_commit(&first, "g", 0, 7).await.expect("committed");
        let log = log.survivor();
        log.fail_reads(true);
        let runtime = loaded(env, log.clone()).await;
        // More than its queue holds.
        for _ in 0..2_000 {
            runtime.tell_all(|| GroupRequest::TopicsDeleted(vec!["other".into()])).await;
        }
        runtime.unload(0);
        settle().await;
        let reads = log.reads();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(log.reads(), reads, "nobody reads any more");
        assert_eq!(committed(&runtime, "g", 0).await, Err(Refusal::NotCoordinator));
    });
}

#[test]
fn metrics_follow_groups_and_appends() {
    sim::run(14, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env, log.clone()).await;
        for group in ["a", "b", "c"] {
            try_commit(&runtime, group, 0, 1).await.expect("committed");
        }
        settle().await;
        let metrics = runtime.metrics();
        assert_eq!((metrics.live.get(), metrics.pending_appends.get()), (3, 0));
        log.hold(true);
        let look = async {
            settle().await;
            assert_eq!(metrics.pending_appends.get(), 1);
            log.hold(false);
        };
        let (outcome, ()) = tokio::join!(try_commit(&runtime, "d", 0, 1), look);
        outcome.expect("committed");
        runtime.unload(0);
        settle().await;
        assert_eq!((metrics.live.get(), metrics.pending_appends.get()), (0, 0), "gone with the coordinator");
        assert_eq!(metrics.load_failures.get(), 0);
    });
}

#[test]
fn timers_run_by_themselves_and_a_jump_of_the_clock_ends_no_session() {
    sim::run(10, |env| async move {
        let log = MemoryLog::default();
        let runtime = loaded(env.clone(), log.clone()).await;
        let reply = runtime.ask(0, GroupRequest::Join(join_request()), &Order::default()).await;
        assert!(
            matches!(reply, Ok(GroupReply::Join(reply)) if reply.error.is_none()),
            "after the initial delay"
        );
        env.set_wall_skew_ms(3_600_000);
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(state(&runtime).await, "CompletingRebalance");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(state(&runtime).await, "Empty");
    });
}

async fn state(runtime: &Runtime<sim::SimEnv>) -> &'static str {
    let request = GroupRequest::List(ListRequest::default());
    match runtime.ask(0, request, &Order::default()).await {
        Ok(GroupReply::List(groups)) => groups[0].state.name(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn deleted_topics_reach_a_coordinator_that_is_still_loading() {
    sim::run(11, |env| async move {
        let log = MemoryLog::default();
        let first = loaded(env.clone(), log.clone()).await;
        try_commit(&first, "g", 0, 1).await.expect("committed");
        let runtime = runtime(env);
        runtime.load(0, TERM, log.survivor(), shard);
        runtime.tell_all(|| GroupRequest::TopicsDeleted(vec!["t".into()])).await;
        runtime.wait_until_loaded(0).await;
        settle().await;
        assert_eq!(committed(&runtime, "g", 0).await, Ok(-1));
    });
}

fn join_request() -> JoinRequest {
    JoinRequest {
        group_id: "g".into(),
        member_id: Name::default(),
        group_instance_id: None,
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), bytes::Bytes::new())],
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        requires_known_member_id: false,
        supports_skipping_assignment: false,
        fresh_id: 1,
    }
}
