//! Disks that are full or fail.

use std::io::ErrorKind;
use std::time::Duration;

use headwater_controller::{Controller, ControllerOptions, OpenError, ProposeError, TopicError};
use headwater_env::Env;
use headwater_env::sim::{self, Operation};

use super::{directory, open, registration, topic};

#[test]
fn a_full_disk_is_an_answer_and_not_the_end() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        controller.register_broker(registration(1)).await.unwrap();
        env.disk().fill(0);
        let mut refused = None;
        for number in 0..2000 {
            let answer = controller.create_topics(vec![topic(format!("t{number}"))], false).await.remove(0);
            if let Err(error) = answer {
                refused = Some((number, error));
                break;
            }
        }
        let (number, error) = refused.expect("the disk fills up");
        assert!(matches!(error, TopicError::Propose(ProposeError::NoSpace(_))), "{error}");
        assert_eq!(error.kafka_code(), 56);
        assert_eq!(controller.image().topics.len(), number);
        env.disk().unfill();
        controller.create_topics(vec![topic("again")], false).await.remove(0).unwrap();
        controller.shutdown().await;
        assert_eq!(open(&env).await.image().topics.len(), number + 1);
    });
}

#[test]
fn snapshots_that_find_no_room_are_put_off() {
    sim::run(1, |env| async move {
        let options = ControllerOptions { snapshot_entries: 10, ..ControllerOptions::new(1) };
        let controller = Controller::open(env.clone(), directory(), options).await.unwrap();
        controller.register_broker(registration(1)).await.unwrap();
        controller.create_topics(vec![topic("first")], false).await.remove(0).unwrap();
        env.disk().fill(0);
        for number in 0..100 {
            controller.create_topics(vec![topic(format!("t{number}"))], false).await.remove(0).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(controller.status().purged_index, 0);
        env.disk().unfill();
        controller.create_topics(vec![topic("last")], false).await.remove(0).unwrap();
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(controller.status().purged_index > 100, "{:?}", controller.status());
    });
}

#[test]
fn a_failed_sync_takes_the_metadata_offline_until_the_next_start() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        controller.register_broker(registration(1)).await.unwrap();
        controller.create_topics(vec![topic("before")], false).await.remove(0).unwrap();
        env.disk().fail_next(Operation::Sync, ErrorKind::Other);
        for name in ["a", "b"] {
            let error = controller.create_topics(vec![topic(name)], false).await.remove(0).unwrap_err();
            assert_eq!(error.kafka_code(), 56, "{error}");
        }
        assert!(controller.image().topics.by_name("before").is_some());
        assert!(controller.image().topics.by_name("a").is_none());
        controller.shutdown().await;
        assert!(open(&env).await.image().topics.by_name("before").is_some());
    });
}

#[test]
fn a_failed_start_says_what_and_where() {
    sim::run(1, |env| async move {
        env.disk().fail_next(Operation::Sync, ErrorKind::Other);
        let opened = Controller::open(env.clone(), directory(), ControllerOptions::new(1));
        let error = opened.await.err().unwrap();
        assert!(matches!(error, OpenError::Io { .. }), "{error}");
        open(&env).await;
    });
}
