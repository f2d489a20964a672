//! Opening, closing, opening again.

use std::time::Duration;

use headwater_controller::{Controller, ControllerOptions, OpenError, ProposeError, TopicError};
use headwater_env::real::RealEnv;
use headwater_env::{Disk, Env, sim};
use headwater_record::Uuid;

use super::{directory, open, registration, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_on_the_real_disk_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("__cluster_metadata");
    let env = RealEnv::new();
    let options = ControllerOptions::new(7);
    let controller = Controller::open(env.clone(), path.clone(), options.clone()).await.unwrap();
    let mut broker = registration(1);
    broker.node_id = 7;
    controller.register_broker(broker).await.unwrap();
    controller.create_topics(vec![topic("a"), topic("b")], false).await;
    let before = controller.image();
    assert!(!before.cluster_id.is_zero());
    assert_eq!(before.controller_id, 7);
    controller.shutdown().await;

    let controller = Controller::open(env, path, options).await.unwrap();
    let after = controller.image();
    assert_eq!(after.cluster_id, before.cluster_id);
    assert_eq!(after.topics, before.topics);
    assert_eq!(after.brokers, before.brokers);
    controller.shutdown().await;
}

#[test]
fn two_controllers_do_not_share_a_directory() {
    sim::run(1, |env| async move {
        let first = open(&env).await;
        let second = Controller::open(env.clone(), directory(), ControllerOptions::new(1)).await;
        assert!(matches!(second, Err(OpenError::InUse { .. })));
        first.shutdown().await;
        open(&env).await;
    });
}

#[test]
fn after_a_shutdown_operations_are_refused() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        let other = controller.clone();
        controller.shutdown().await;
        controller.shutdown().await;
        let answers = other.create_topics(vec![topic("a")], false).await;
        assert_eq!(answers[0], Err(TopicError::Propose(ProposeError::Stopped)));
    });
}

#[test]
fn a_controller_that_is_only_dropped_gives_its_directory_free() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        controller.register_broker(registration(1)).await.unwrap();
        controller.create_topics(vec![topic("a")], false).await.remove(0).unwrap();
        drop(controller);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(open(&env).await.image().topics.len(), 1);
    });
}

#[test]
fn a_directory_belongs_to_one_node_of_one_cluster() {
    sim::run(1, |env| async move {
        let given = Uuid::from_bytes([5; 16]);
        let options = ControllerOptions { cluster_id: Some(given), ..ControllerOptions::new(1) };
        let controller = Controller::open(env.clone(), directory(), options.clone()).await.unwrap();
        assert_eq!(controller.image().cluster_id, given);
        controller.shutdown().await;
        let reopen = async |options: ControllerOptions| {
            Controller::open(env.clone(), directory(), options).await.map(|_| ())
        };
        let another_node = ControllerOptions { node_id: 2, ..options.clone() };
        assert!(matches!(reopen(another_node).await, Err(OpenError::WrongNode { found: 1, .. })));
        let another_cluster =
            ControllerOptions { cluster_id: Some(Uuid::from_bytes([6; 16])), ..options.clone() };
        assert!(matches!(reopen(another_cluster).await, Err(OpenError::WrongCluster { .. })));
        reopen(options).await.unwrap();
    });
}

#[test]
fn a_lost_log_is_a_loss_and_not_a_new_cluster() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        controller.shutdown().await;
        for entry in env.disk().read_dir(&directory()).unwrap() {
            if entry.name.ends_with(".log") {
                env.disk().remove_file(&directory().join(entry.name)).unwrap();
            }
        }
        let opened = Controller::open(env.clone(), directory(), ControllerOptions::new(1)).await;
        assert!(matches!(opened, Err(OpenError::Damaged { .. })));
    });
}

#[test]
fn snapshots_keep_the_log_short() {
    sim::run(1, |env| async move {
        let options = ControllerOptions { snapshot_entries: 50, ..ControllerOptions::new(1) };
        let controller = Controller::open(env.clone(), directory(), options.clone()).await.unwrap();
        controller.register_broker(registration(1)).await.unwrap();
        for number in 0..400 {
            controller.create_topics(vec![topic(format!("t{number}"))], false).await.remove(0).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let status = controller.status();
        assert!(status.last_index - status.purged_index < 200, "{status:?}");
        assert!(status.log_bytes < 1 << 20, "{status:?}");
        let before = controller.image();
        controller.shutdown().await;
        let snapshots = env.disk().read_dir(&directory()).unwrap();
        assert_eq!(snapshots.iter().filter(|entry| entry.name.ends_with(".snapshot")).count(), 1);

        let controller = Controller::open(env.clone(), directory(), options).await.unwrap();
        let after = controller.image();
        assert_eq!(after.topics, before.topics);
        assert_eq!(after.brokers, before.brokers);
        assert_eq!(after.features, before.features);
        controller.create_topics(vec![topic("more")], false).await.remove(0).unwrap();
    });
}
