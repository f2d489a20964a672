//! What all handlers of a broker share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::{ArcSwap, Guard};
use headwater_controller::{BrokerImage, ConfigResourceKind, Controller, MetadataImage};
use headwater_env::Env;
use headwater_log::LogDir;
use headwater_record::Uuid;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{BrokerConfig, Layers, TopicSettings};
use crate::context::ConnectionContext;
use crate::coordinator::GroupCoordinator;
use crate::handlers::FetchSessions;
use crate::metrics::Metrics;
use crate::network::Limits;
use crate::partition::{Partition, PartitionTable, TopicEntry, Unavailable};
use crate::producer_ids::ProducerIds;

/// A running broker, as its handlers and tasks see it.
pub(crate) struct Node<E: Env> {
    /// The world.
    pub(crate) env: E,
    /// The configuration it was started with.
    pub(crate) config: BrokerConfig,
    /// Its number.
    pub(crate) node_id: i32,
    /// The cluster's metadata.
    pub(crate) controller: Controller<E>,
    /// The data directory.
    pub(crate) log_dir: LogDir<E>,
    /// The partitions that are served.
    pub(crate) partitions: ArcSwap<PartitionTable<E>>,
    /// Index of the newest metadata that the partitions reflect.
    pub(crate) applied: watch::Sender<u64>,
    /// Network limits.
    pub(crate) limits: Limits,
    /// Metrics.
    pub(crate) metrics: Metrics,
    /// Where processes of the same machine may connect besides TCP, if they may.
    pub(crate) local_name: Option<Arc<str>>,
    /// Fetch sessions of all connections.
    pub(crate) fetch_sessions: FetchSessions,
    /// The groups that this broker coordinates.
    pub(crate) groups: GroupCoordinator<E>,
    /// Producer ids in hand.
    pub(crate) producer_ids: ProducerIds,
    /// The epoch of its registration.
    pub(crate) broker_epoch: AtomicI64,
    /// Cancelled when the broker stops.
    pub(crate) stop: CancellationToken,
    /// All tasks of the broker, to be waited for when it stops.
    pub(crate) tasks: TaskTracker,
}

impl<E: Env> Node<E> {
    /// Starts a task that the broker waits for when it stops; it must end when [`stop`](Self::stop) is
    /// cancelled.
    pub(crate) fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.env.spawn(name, self.tasks.track_future(future)));
    }

    /// The partitions as they are now; to be taken once for a request.
    pub(crate) fn table(&self) -> Guard<Arc<PartitionTable<E>>> {
        self.partitions.load()
    }

    /// A partition by name, with the reason if it cannot be had.
    pub(crate) fn partition(&self, topic: &str, index: i32) -> Result<Arc<Partition<E>>, Unavailable> {
        self.find(&self.table(), topic, index)
    }

    /// A partition of `table` by name.
    pub(crate) fn find(
        &self,
        table: &PartitionTable<E>,
        topic: &str,
        index: i32,
    ) -> Result<Arc<Partition<E>>, Unavailable> {
        table.partition(topic, index).cloned().map_err(|error| match error {
            Unavailable::Unknown if self.is_known(topic, index) => Unavailable::Starting,
            other => other,
        })
    }

    /// A topic of `table` by id. A topic that is not served yet is said to be unknown: clients then ask for
    /// metadata and come again.
    pub(crate) fn find_id<'a>(
        &self,
        table: &'a PartitionTable<E>,
        id: Uuid,
    ) -> Result<&'a Arc<TopicEntry<E>>, Unavailable> {
        table.topic_by_id(id).ok_or(Unavailable::UnknownId)
    }

    fn is_known(&self, topic: &str, index: i32) -> bool {
        self.controller.image().topics.partition(topic, index).is_some()
    }

    /// The settings of a topic by this metadata.
    pub(crate) fn topic_settings(&self, image: &MetadataImage, topic: &str) -> TopicSettings {
        let set = image.configs.of(ConfigResourceKind::Topic, topic);
        TopicSettings::resolve(&self.config, &self.layers(image), set.map(AsRef::as_ref))
    }

    /// The layers in which configs of this broker are looked up.
    pub(crate) fn layers<'a>(&'a self, image: &'a MetadataImage) -> Layers<'a> {
        let broker = image.configs.of(ConfigResourceKind::Broker, &self.node_id.to_string());
        let cluster = image.configs.of(ConfigResourceKind::Broker, "");
        Layers {
            broker: broker.map(AsRef::as_ref),
            cluster: cluster.map(AsRef::as_ref),
            fixed: self.config.values(),
        }
    }

    /// Returns once the partitions reflect all metadata that is committed now, or the broker stops.
    pub(crate) async fn caught_up(&self) {
        let index = self.controller.image().index;
        let mut applied = self.applied.subscribe();
        tokio::select! {
            // The sender lives in this very struct.
            _ = applied.wait_for(|applied| *applied >= index) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// The epoch of the broker's registration.
    pub(crate) fn broker_epoch(&self) -> i64 {
        self.broker_epoch.load(Ordering::Acquire)
    }

    /// The address of a broker for a client that came in by `connection`.
    pub(crate) fn address_of(&self, broker: &BrokerImage, connection: &ConnectionContext) -> (String, i32) {
        let endpoint = broker.endpoint(&connection.listener).or_else(|| broker.endpoints.first());
        let Some(endpoint) = endpoint else {
            // Only reachable in memory, by node id.
            return ("localhost".to_owned(), 0);
        };
        let host = match connection.local {
            // A listener on all interfaces that advertises nothing: the address that this client has
            // reached is one that works for it.
            Some(local) if endpoint.host.is_empty() => local.to_string(),
            None if endpoint.host.is_empty() => "localhost".to_owned(),
            _ => endpoint.host.clone(),
        };
        (host, i32::from(endpoint.port))
    }
}
