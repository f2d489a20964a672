//! The controller from outside: what is answered is true, and stays true through restarts, power cuts and full disks.

mod crash;
mod faults;
mod idle;
mod lifecycle;
mod operations;

use std::path::PathBuf;

use headwater_controller::{BrokerRegistration, Controller, ControllerOptions, Endpoint, NewTopic};
use headwater_env::Env;
use headwater_record::Uuid;

fn directory() -> PathBuf {
    PathBuf::from("/data").join(headwater_controller::METADATA_DIRECTORY)
}

async fn open<E: Env>(env: &E) -> Controller<E> {
    Controller::open(env.clone(), directory(), ControllerOptions::new(1)).await.unwrap()
}

fn registration(incarnation: u8) -> BrokerRegistration {
    BrokerRegistration {
        node_id: 1,
        incarnation: Uuid::from_bytes([incarnation; 16]),
        listeners: vec![Endpoint { name: "PLAINTEXT".into(), host: "localhost".into(), port: 9092 }],
        rack: None,
        directories: vec![Uuid::from_bytes([100; 16])],
        fenced: false,
    }
}

fn topic(name: impl Into<String>) -> NewTopic {
    NewTopic::new(name, 3, 1)
}
