//! Power cuts at every kind of moment: every acknowledged change is there afterwards.

use std::collections::{BTreeMap, BTreeSet};

use headwater_controller::{
    ConfigChange, ConfigOperation, ConfigOperationKind, ConfigResource, ConfigResourceKind, Controller,
    ControllerOptions, TopicRef,
};
use headwater_env::Env;
use headwater_env::sim::{self, SimEnv};

use super::{directory, registration, topic};

/// What was acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Topics, with the value of their one configuration.
    topics: BTreeMap<String, Option<String>>,
    /// Topics of which nobody knows: the power went while they were being created or deleted.
    unknown: BTreeSet<String>,
    producer_ids: i64,
    broker_epoch: i64,
    made: u64,
}

impl Acknowledged {
    fn check(&self, controller: &Controller<SimEnv>) {
        let image = controller.image();
        for (name, value) in &self.topics {
            if self.unknown.contains(name) {
                continue;
            }
            let topic = image.topics.by_name(name).unwrap_or_else(|| panic!("topic {name} is lost"));
            assert_eq!(topic.partitions.len(), 3);
            let found = image.configs.value(ConfigResourceKind::Topic, name, "k");
            assert_eq!(found, value.as_deref(), "config of {name}");
        }
        for topic in image.topics.iter() {
            let known =
                self.topics.contains_key(topic.name.as_ref()) || self.unknown.contains(topic.name.as_ref());
            assert!(known, "topic {} came back", topic.name);
        }
        assert!(image.next_producer_id >= self.producer_ids, "producer ids went back");
    }

    /// Does one operation. False when the power is gone.
    async fn step(&mut self, env: &SimEnv, controller: &Controller<SimEnv>) -> bool {
        let some = |names: &BTreeMap<String, Option<String>>| {
            let index = env.random_below(names.len().max(1) as u64) as usize;
            names.keys().nth(index).cloned()
        };
        self.made += 1;
        match (env.random_below(8), some(&self.topics)) {
            (0, Some(name)) => {
                self.unknown.insert(name.clone());
                let answer = controller.delete_topics(vec![TopicRef::Name(name.clone())]).await.remove(0);
                if answer.is_ok() {
                    self.unknown.remove(&name);
                    self.topics.remove(&name);
                }
                env.disk().is_powered()
            }
            (1 | 2, Some(name)) => {
                self.unknown.insert(name.clone());
                let value = self.made.to_string();
                let change = ConfigChange {
                    resource: ConfigResource::topic(name.clone()),
                    operations: vec![ConfigOperation {
                        key: "k".into(),
                        kind: ConfigOperationKind::Set,
                        value: Some(value.clone()),
                    }],
                };
                if controller.alter_configs(vec![change], false).await.remove(0).is_ok() {
                    self.unknown.remove(&name);
                    self.topics.insert(name, Some(value));
                }
                env.disk().is_powered()
            }
            (3, _) => match controller.allocate_producer_ids(1, self.broker_epoch).await {
                Ok(block) => {
                    assert!(block.start >= self.producer_ids, "producer ids were given out twice");
                    self.producer_ids = block.end;
                    true
                }
                Err(_) => false,
            },
            _ => {
                let names: Vec<String> =
                    (0..1 + env.random_below(5)).map(|n| format!("t{}-{n}", self.made)).collect();
                self.unknown.extend(names.iter().cloned());
                let answers =
                    controller.create_topics(names.iter().cloned().map(topic).collect(), false).await;
                for (name, answer) in names.into_iter().zip(answers) {
                    if answer.is_ok() {
                        self.unknown.remove(&name);
                        self.topics.insert(name, None);
                    }
                }
                env.disk().is_powered()
            }
        }
    }

    /// Takes what is there for known.
    fn adopt(&mut self, controller: &Controller<SimEnv>) {
        let image = controller.image();
        for name in std::mem::take(&mut self.unknown) {
            match image.topics.by_name(&name) {
                Some(_) => {
                    let value = image.configs.value(ConfigResourceKind::Topic, &name, "k").map(str::to_owned);
                    self.topics.insert(name, value);
                }
                None => {
                    self.topics.remove(&name);
                }
            }
        }
    }
}

#[test]
fn acknowledged_changes_survive_power_cuts() {
    let seeds = std::env::var("HEADWATER_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(25);
    for seed in 0..seeds {
        sim::run(seed, |env| async move {
            let mut env = env;
            let mut acknowledged = Acknowledged::default();
            let options = ControllerOptions { snapshot_entries: 20, ..ControllerOptions::new(1) };
            for life in 1..6 {
                // Power goes while starting, too.
                env.disk().crash_at_op(1 + env.random_below(400));
                let opened = Controller::open(env.clone(), directory(), options.clone()).await;
                let controller = match opened {
                    Ok(controller) => controller,
                    Err(error) => {
                        assert!(!env.disk().is_powered(), "cannot start: {error}");
                        env = env.power_cut().await;
                        continue;
                    }
                };
                acknowledged.check(&controller);
                acknowledged.adopt(&controller);
                if let Ok(epoch) = controller.register_broker(registration(life)).await {
                    assert!(epoch > acknowledged.broker_epoch, "a broker epoch was given out twice");
                    acknowledged.broker_epoch = epoch;
                    for _ in 0..60 {
                        if !acknowledged.step(&env, &controller).await {
                            break;
                        }
                    }
                }
                env = env.power_cut().await;
                drop(controller);
            }
        });
    }
}
