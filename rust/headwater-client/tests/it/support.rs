//! A server to test against, and topics of its own for each test.

use headwater_client::admin::NewTopic;
use headwater_client::{
    Admin, AdminConfig, Bootstrap, Consumer, ConsumerConfig, Producer, ProducerConfig, Runtime,
};
use headwater_env::real::RealEnv;
use std::sync::atomic::{AtomicU32, Ordering};

static TOPICS: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Server {
    pub(crate) bootstrap: Bootstrap,
    pub(crate) runtime: Runtime,
}

/// The server, or `None` with a word on standard error.
pub(crate) fn server() -> Option<Server> {
    let Ok(address) = std::env::var("HEADWATER_TEST_BOOTSTRAP") else {
        eprintln!("skipped: HEADWATER_TEST_BOOTSTRAP names no server");
        return None;
    };
    Some(Server { bootstrap: Bootstrap::parse(&address).unwrap(), runtime: Runtime::new(RealEnv::new()) })
}

impl Server {
    pub(crate) fn admin(&self) -> Admin {
        Admin::new(self.runtime.clone(), self.bootstrap.clone(), AdminConfig::default()).unwrap()
    }

    pub(crate) fn producer(&self, settings: &[(&str, &str)]) -> Producer {
        let config = ProducerConfig::from_pairs(settings.iter().copied()).unwrap();
        Producer::new(self.runtime.clone(), self.bootstrap.clone(), config).unwrap()
    }

    pub(crate) fn consumer(&self, settings: &[(&str, &str)]) -> Consumer {
        let config = ConsumerConfig::from_pairs(settings.iter().copied()).unwrap();
        Consumer::new(self.runtime.clone(), self.bootstrap.clone(), config).unwrap()
    }

    /// A new topic; the name is unique to this run.
    pub(crate) async fn topic(&self, stem: &str, partitions: i32) -> String {
        let name = unique(stem);
        let topic = NewTopic { name: name.clone(), partitions: Some(partitions), ..Default::default() };
        let created = self.admin().create_topics(&[topic], false).await.unwrap();
        created[&name].as_ref().unwrap();
        name
    }
}

/// A name that no other test and no other run uses.
pub(crate) fn unique(stem: &str) -> String {
    let count = TOPICS.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{}-{count}", std::process::id())
}

/// Waits until `holds`, at most 20 seconds.
pub(crate) async fn eventually(holds: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it never came true");
}
