//! Starting and stopping a broker. Nothing in it is global: a process may run many.
//!
//! ```text
//!   lock the directory ─▶ open the metadata ─▶ bind ─▶ register ─▶ open the logs ─▶ accept
//!   stop accepting, close connections ─▶ tasks end ─▶ metadata down ─▶ flush, checkpoint, clean marker, unlock
//! ```
//!
//! | task | who starts it | when it ends | channels |
//! |---|---|---|---|
//! | `accept-tcp`, one per listener | [`Broker::start`] | the broker stops | starts connections |
//! | `accept-local` | [`Broker::start`], with a TCP listener | the broker stops | starts connections |
//! | `accept-memory` | [`Broker::start`] | the broker stops, or another one takes the node id | starts connections |
//! | `connection`, one each | the accepting tasks | the client leaves, is idle or misbehaves; the broker stops | none |
//! | `reconcile-partitions` | [`Broker::start`] | the broker stops | metadata images in, [`Node::applied`] out |
//! | those of the coordinators | see [`coordinator`](crate::coordinator) | | |
//!
//! All of them end by [`Node::stop`] and are waited for. The data directory and the controller have tasks of
//! their own. At rest every task waits for something to happen; none ticks.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use headwater_controller::{
    BrokerError, BrokerRegistration, Controller, ControllerOptions, Endpoint, METADATA_DIRECTORY,
};
use headwater_env::Env;
use headwater_env::net::{LocalListener, MemoryNetwork, TcpListener, listen, listen_local};
use headwater_log::{Log, LogDir, LogDirOptions, OpenDirError, StorageError};
use headwater_protocol::lending::LOCAL_NAME_PREFIX;
use headwater_record::Uuid;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{BrokerConfig, ConfigError, Listener, PLAINTEXT};
use crate::coordinator::GroupCoordinator;
use crate::handlers::FetchSessions;
use crate::metrics::Metrics;
use crate::network::{Limits, accept_local, accept_memory, accept_tcp};
use crate::node::Node;
use crate::partition::{CreatedPartitions, PartitionTable, open_partitions};
use crate::policy::TablePolicy;
use crate::producer_ids::ProducerIds;

/// Why a broker did not start. The data directory is as it was, and unlocked.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Mend the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory is in use, of another node, or damaged.
    #[error("cannot open the data directory: {0}")]
    Directory(#[from] OpenDirError),
    /// The metadata in the data directory cannot be opened.
    #[error("cannot open the metadata: {0}")]
    Metadata(#[from] headwater_controller::OpenError),
    /// The address is taken or does not exist.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The controller does not accept this broker.
    #[error("cannot register: {0}")]
    Register(#[from] BrokerError),
    /// The list of created partitions cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Created {
        /// The data directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Starts brokers.
pub struct Broker;

impl Broker {
    /// Starts a broker and returns once it serves. With a `memory` network it can also be reached within the
    /// process, by its node id; without listeners only so.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start<E: Env>(
        env: E,
        config: BrokerConfig,
        memory: Option<MemoryNetwork>,
    ) -> Result<BrokerHandle<E>, StartError> {
        let node_id = config.node_id();
        let log_dir = {
            let (env, path) = (env.clone(), config.data_dir().to_owned());
            let millis = |name| Duration::from_millis(u64::try_from(config.long(name)).unwrap_or(1).max(1));
            let options = LogDirOptions {
                retention_check_interval: millis("log.retention.check.interval.ms"),
                checkpoint_interval: millis("log.flush.offset.checkpoint.interval.ms"),
                parallel_opens_max: config.count("num.recovery.threads.per.data.dir").max(1),
                ..LogDirOptions::new(node_id)
            };
            env.clone().blocking(move || LogDir::open(env, &path, options)).await?
        };
        match start_in(env, config, memory, log_dir.clone()).await {
            Ok(handle) => Ok(handle),
            Err(error) => {
                if let Err(error) = log_dir.close().await {
                    tracing::warn!(%error, "the data directory was not closed");
                }
                Err(error)
            }
        }
    }
}

async fn start_in<E: Env>(
    env: E,
    config: BrokerConfig,
    memory: Option<MemoryNetwork>,
    log_dir: LogDir<E>,
) -> Result<BrokerHandle<E>, StartError> {
    let node_id = config.node_id();
    let sockets = bind(config.listeners()).await?;
    let local = if sockets.is_empty() { None } else { bind_local(&env, &config) };
    let options = ControllerOptions {
        cluster_id: Some(log_dir.cluster_id()),
        config_policy: Arc::new(TablePolicy::new(config.clone())),
        ..ControllerOptions::new(node_id)
    };
    let directory = config.data_dir().join(METADATA_DIRECTORY);
    let controller = Controller::open(env.clone(), directory, options).await?;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let metrics = Metrics::new();
    let coordinator_metrics = metrics.group_coordinator.clone();
    let node = Arc::new(Node {
        node_id,
        groups: GroupCoordinator::new(env.clone(), &config, coordinator_metrics, tasks.clone(), stop.clone()),
        limits: Limits::new(&config),
        local_name: local.as_ref().map(|(name, _)| name.clone()),
        fetch_sessions: FetchSessions::new(config.count("max.incremental.fetch.session.cache.slots")),
        config,
        controller,
        log_dir,
        partitions: ArcSwap::from_pointee(PartitionTable::default()),
        applied: watch::Sender::new(0),
        metrics,
        producer_ids: ProducerIds::default(),
        broker_epoch: AtomicI64::new(-1),
        stop,
        tasks,
        env,
    });
    let addresses: Vec<(Listener, SocketAddr)> =
        sockets.iter().map(|(listener, _, address)| (listener.clone(), *address)).collect();
    let inner = Inner {
        node: node.clone(),
        memory: memory.clone(),
        addresses,
        stopped: tokio::sync::Mutex::new(false),
    };
    let handle = BrokerHandle { inner: Arc::new(inner) };
    match bring_up(&node, &handle.inner.addresses).await {
        Ok(()) => {}
        Err(error) => {
            node.stop.cancel();
            node.controller.shutdown().await;
            return Err(error);
        }
    }
    for (listener, socket, address) in sockets {
        tracing::info!(node_id, listener = listener.name, %address, "listening");
        node.spawn("accept-tcp", accept_tcp(node.clone(), listener.name.into(), socket));
    }
    if let Some((_, listener)) = local {
        node.spawn("accept-local", accept_local(node.clone(), PLAINTEXT.into(), listener));
    }
    if let Some(memory) = memory {
        let listener = memory.listen(node_id);
        node.spawn("accept-memory", accept_memory(node.clone(), PLAINTEXT.into(), listener));
    }
    Ok(handle)
}

/// Registers and opens the logs.
async fn bring_up<E: Env>(
    node: &Arc<Node<E>>,
    addresses: &[(Listener, SocketAddr)],
) -> Result<(), StartError> {
    let epoch = node.controller.register_broker(registration(node, addresses)).await?;
    node.broker_epoch.store(epoch, Ordering::Release);
    let created = {
        let (env, path) = (node.env.clone(), node.config.data_dir().to_owned());
        let loaded = node.env.blocking(move || CreatedPartitions::load(env.disk(), &path)).await;
        loaded.map_err(|source| StartError::Created { path: node.config.data_dir().to_owned(), source })?
    };
    let reconciler = open_partitions(node.clone(), created).await?;
    node.spawn("reconcile-partitions", reconciler.run());
    GroupCoordinator::start(node);
    Ok(())
}

type Bound = (Listener, TcpListener, SocketAddr);

async fn bind(listeners: &[Listener]) -> Result<Vec<Bound>, StartError> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        let failed = |source| StartError::Listen { address: listener.bind_address(), source };
        let socket = listen(listener.bind_address()).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        bound.push((listener.clone(), socket, address));
    }
    Ok(bound)
}

/// Where processes of this machine may connect to be lent segments, under a name that nobody has taken. Without it they
/// read by TCP. No listener asks who comes, so the same may be read here; one that does must not lead here.
fn bind_local<E: Env>(env: &E, config: &BrokerConfig) -> Option<(Arc<str>, LocalListener)> {
    if !config.flag("headwater.local.reads.enable") {
        return None;
    }
    let mut unique = [0; 16];
    env.fill_random(&mut unique);
    let name = format!("{LOCAL_NAME_PREFIX}{}", Uuid::from_bytes(unique));
    let bound = listen_local(&name).inspect_err(|error| tracing::debug!(%error, "no local reads"));
    Some((name.into(), bound.ok()?))
}

fn registration<E: Env>(node: &Node<E>, addresses: &[(Listener, SocketAddr)]) -> BrokerRegistration {
    let mut incarnation = [0; 16];
    node.env.fill_random(&mut incarnation);
    let endpoint = |(listener, address): &(Listener, SocketAddr)| {
        let advertised = node.config.advertised(&listener.name);
        let host = match advertised {
            Some(advertised) => advertised.host.clone(),
            // Nobody can connect to "all interfaces"; see `Node::address_of`.
            None if address.ip().is_unspecified() => String::new(),
            None => listener.host.clone(),
        };
        let port = advertised.map(|advertised| advertised.port).filter(|port| *port != 0);
        Endpoint { name: listener.name.clone(), host, port: port.unwrap_or(address.port()) }
    };
    BrokerRegistration {
        node_id: node.node_id,
        incarnation: Uuid::from_bytes(incarnation),
        listeners: addresses.iter().map(endpoint).collect(),
        rack: node.config.text("broker.rack").filter(|rack| !rack.is_empty()),
        directories: vec![node.log_dir.directory_id()],
        fenced: false,
    }
}

/// A running broker. Clones are the same broker; when the last one is dropped without
/// [`stop`](Self::stop), its tasks end soon, and the next start recovers as after a crash.
pub struct BrokerHandle<E: Env> {
    inner: Arc<Inner<E>>,
}

struct Inner<E: Env> {
    node: Arc<Node<E>>,
    memory: Option<MemoryNetwork>,
    addresses: Vec<(Listener, SocketAddr)>,
    stopped: tokio::sync::Mutex<bool>,
}

impl<E: Env> Clone for BrokerHandle<E> {
    fn clone(&self) -> BrokerHandle<E> {
        BrokerHandle { inner: self.inner.clone() }
    }
}

impl<E: Env> Drop for Inner<E> {
    fn drop(&mut self) {
        self.node.stop.cancel();
    }
}

impl<E: Env> BrokerHandle<E> {
    /// Where the first TCP listener listens, with the port the system chose; `None` without one.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.inner.addresses.first().map(|(_, address)| *address)
    }

    /// All TCP listeners by name, with their addresses.
    pub fn local_addresses(&self) -> Vec<(String, SocketAddr)> {
        self.inner.addresses.iter().map(|(listener, address)| (listener.name.clone(), *address)).collect()
    }

    /// The network on which it can be reached within the process.
    pub fn memory_network(&self) -> Option<MemoryNetwork> {
        self.inner.memory.clone()
    }

    /// Its number.
    pub fn node_id(&self) -> i32 {
        self.inner.node.node_id
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> Uuid {
        self.inner.node.controller.image().cluster_id
    }

    /// The names of the topics, sorted, internal ones included.
    pub fn topics(&self) -> Vec<String> {
        self.inner.node.controller.image().topics.iter().map(|topic| topic.name.to_string()).collect()
    }

    /// How many partitions a topic has; `None` if there is no such topic.
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        self.inner.node.controller.image().topics.by_name(topic).map(|topic| topic.partitions.len())
    }

    /// The log of a partition that this broker serves, for reading it in place.
    pub fn local_log(&self, topic: &str, partition: i32) -> Option<Log<E>> {
        self.inner.node.partition(topic, partition).ok().map(|partition| partition.log().clone())
    }

    /// Its metrics, with the counters of the data directory as of now.
    pub fn metrics(&self) -> Metrics {
        let counters = self.inner.node.log_dir.flush_counters();
        self.inner.node.metrics.set_flushes(counters.fsyncs, counters.rounds);
        self.inner.node.metrics.clone()
    }

    /// Stops: closes listeners and connections, waits for all tasks, flushes, writes the checkpoints and the
    /// marker of a clean stop, and gives the data directory back. Does nothing the second time.
    ///
    /// # Errors
    /// [`StorageError`] when the data directory could not be closed cleanly; the next start then recovers.
    pub async fn stop(&self) -> Result<(), StorageError> {
        let mut stopped = self.inner.stopped.lock().await;
        if *stopped {
            return Ok(());
        }
        let node = &self.inner.node;
        node.stop.cancel();
        node.table().topics().flat_map(|topic| topic.online()).for_each(|partition| partition.leave());
        node.tasks.close();
        node.tasks.wait().await;
        node.controller.shutdown().await;
        *stopped = true;
        node.log_dir.close().await
    }
}
