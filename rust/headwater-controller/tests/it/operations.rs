//! Operations and what the image shows after them.

use headwater_controller::{
    AlterPartition, ConfigChange, ConfigOperation, ConfigOperationKind, ConfigResource, ConfigResourceKind,
    IsrMember, NewPartitions, TopicRef,
};
use headwater_env::sim;

use super::{open, registration, topic};

#[test]
fn an_answer_is_in_the_image() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        let mut watch = controller.watch();
        let epoch = controller.register_broker(registration(1)).await.unwrap();
        assert_eq!(controller.image().brokers.get(1).unwrap().epoch, epoch);
        assert_eq!(epoch as u64, controller.image().index);

        let created = controller.create_topics(vec![topic("flights")], false).await.remove(0).unwrap();
        let image = controller.image();
        assert_eq!(image.topics.by_id(created.id), Some(&created));
        assert_eq!(created.partitions[0].leader, 1);
        assert!(watch.has_changed().unwrap());
        assert_eq!(*watch.borrow_and_update(), image);

        let change = ConfigChange {
            resource: ConfigResource::topic("flights"),
            operations: vec![ConfigOperation {
                key: "retention.ms".into(),
                kind: ConfigOperationKind::Set,
                value: Some("-1".into()),
            }],
        };
        controller.alter_configs(vec![change], false).await.remove(0).unwrap();
        let image = controller.image();
        assert_eq!(image.configs.value(ConfigResourceKind::Topic, "flights", "retention.ms"), Some("-1"));

        let grown = NewPartitions { topic: "flights".into(), count: 5, assignment: None };
        let grown = controller.create_partitions(vec![grown], false).await.remove(0).unwrap();
        assert_eq!(grown.partitions.len(), 5);

        let deleted = controller.delete_topics(vec![TopicRef::Id(created.id)]).await.remove(0).unwrap();
        assert_eq!(deleted.name.as_ref(), "flights");
        assert!(controller.image().topics.is_empty());
    });
}

#[test]
fn a_thousand_topics_are_one_entry() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        controller.register_broker(registration(1)).await.unwrap();
        let before = controller.status();
        let names = (0..1000).map(|number| topic(format!("t{number}"))).collect();
        let created = controller.create_topics(names, false).await;
        assert!(created.iter().all(Result::is_ok));
        assert_eq!(controller.status().last_index, before.last_index + 1);
        assert_eq!(controller.image().topics.len(), 1000);
    });
}

#[test]
fn operations_that_come_together_share_an_entry() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        controller.register_broker(registration(1)).await.unwrap();
        let before = controller.status();
        let operations = (0..100).map(|number| {
            let controller = controller.clone();
            async move { controller.create_topics(vec![topic(format!("t{number}"))], false).await.remove(0) }
        });
        let created = futures_util::future::join_all(operations).await;
        assert!(created.iter().all(Result::is_ok));
        assert_eq!(controller.image().topics.len(), 100);
        let after = controller.status();
        assert!(after.syncs - before.syncs < 20, "{} syncs", after.syncs - before.syncs);
    });
}

#[test]
fn one_bad_topic_does_not_spoil_the_others() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        controller.register_broker(registration(1)).await.unwrap();
        let requests = vec![topic("a"), topic("a"), topic("a b"), topic("b")];
        let answers = controller.create_topics(requests, false).await;
        let codes: Vec<_> = answers
            .iter()
            .map(|answer| answer.as_ref().map_or_else(|error| error.kafka_code(), |_| 0))
            .collect();
        assert_eq!(codes, [0, 36, 17, 0]);
        assert_eq!(controller.image().topics.len(), 2);
        let too_many = vec![headwater_controller::NewTopic::new("c", 9_999, 1), topic("d")];
        let answers = controller.create_topics(too_many, false).await;
        assert!(answers.iter().all(|answer| answer.as_ref().unwrap_err().kafka_code() == 44));
    });
}

#[test]
fn validating_changes_nothing() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        controller.register_broker(registration(1)).await.unwrap();
        let before = controller.image();
        let answers = controller.create_topics(vec![topic("a"), topic("a"), topic("b")], true).await;
        assert!(answers[0].is_ok() && answers[1].is_err() && answers[2].is_ok());
        assert_eq!(controller.image(), before);
    });
}

#[test]
fn producer_ids_are_given_out_once() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        let epoch = controller.register_broker(registration(1)).await.unwrap();
        assert_eq!(controller.allocate_producer_ids(1, epoch).await.unwrap(), 0..1000);
        controller.shutdown().await;
        let controller = open(&env).await;
        assert_eq!(controller.allocate_producer_ids(1, epoch).await.unwrap(), 1000..2000);
        let newer = controller.register_broker(registration(2)).await.unwrap();
        assert!(newer > epoch);
        assert_eq!(controller.allocate_producer_ids(1, epoch).await.unwrap_err().kafka_code(), 77);
        assert_eq!(controller.allocate_producer_ids(2, epoch).await.unwrap_err().kafka_code(), 102);
    });
}

#[test]
fn a_leader_asks_for_its_isr() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        let broker_epoch = controller.register_broker(registration(1)).await.unwrap();
        let topic_id = controller.create_topics(vec![topic("a")], false).await.remove(0).unwrap().id;
        let request = AlterPartition {
            node_id: 1,
            broker_epoch,
            topic_id,
            partition: 0,
            leader_epoch: 0,
            partition_epoch: 0,
            isr: vec![IsrMember { node_id: 1, broker_epoch: Some(broker_epoch) }],
        };
        let stale = AlterPartition { leader_epoch: -1, ..request.clone() };
        let answers = controller.alter_partitions(vec![request, stale]).await;
        assert_eq!(answers[0].as_ref().unwrap().isr, [1]);
        assert_eq!(answers[1].as_ref().unwrap_err().kafka_code(), 74);
    });
}

#[test]
fn fencing_and_removal_take_leadership_away() {
    sim::run(1, |env| async move {
        let controller = open(&env).await;
        let epoch = controller.register_broker(registration(1)).await.unwrap();
        controller.create_topics(vec![topic("a")], false).await.remove(0).unwrap();
        controller.set_broker_fenced(1, epoch, true).await.unwrap();
        let leader = || controller.image().topics.partition("a", 0).unwrap().leader;
        assert_eq!(leader(), headwater_controller::NO_LEADER);
        controller.set_broker_fenced(1, epoch, false).await.unwrap();
        assert_eq!(leader(), 1);
        controller.unregister_broker(1).await.unwrap();
        assert_eq!(leader(), headwater_controller::NO_LEADER);
        assert_eq!(
            controller.create_topics(vec![topic("b")], false).await[0].as_ref().unwrap_err().kafka_code(),
            38
        );
    });
}
