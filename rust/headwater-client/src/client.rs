//! Connections, metadata and raw requests, shared by producer, consumer and admin.

use crate::config::ClientConfig;
use crate::coordinators::{Coordinators, Kind};
use crate::error::ClientError;
use crate::metadata::{ClusterMetadata, MetadataCache, Node, Scope};
use crate::net::{Address, Bootstrap, Connection, Lane, Pool, Reply, Target, split_address};
use crate::runtime::{Backoff, Runtime};
use arc_swap::ArcSwapOption;
use headwater_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use headwater_protocol::{ErrorCode, Request};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a topic or partition that a broker does not know is asked about again: a new one is known everywhere a moment
/// after its creation. A misspelled one would otherwise take the whole `default.api.timeout.ms` to be told.
pub(crate) const UNKNOWN_FOR_MAX: Duration = Duration::from_secs(3);

/// Which broker a request goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Any broker.
    Any,
    /// The broker with this node id.
    Node(i32),
    /// The active controller, as far as metadata tells.
    Controller,
    /// The coordinator of this group.
    Group(String),
    /// The coordinator of this transactional id.
    Transaction(String),
}

/// Access to one cluster. Cheap to clone; clones are the same client. Dropping the last ends its connections and tasks.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    config: ClientConfig,
    bootstrap: Bootstrap,
    pool: Pool,
    metadata: Arc<MetadataCache>,
    refreshing: AtomicBool,
    coordinators: Coordinators,
    /// Why no broker could be reached at the last try.
    trouble: ArcSwapOption<ClientError>,
    closed: CancellationToken,
    _ends_tasks: DropGuard,
}

impl Client {
    /// A client that connects when first used.
    pub fn new(runtime: Runtime, bootstrap: Bootstrap, config: ClientConfig) -> Result<Self, ClientError> {
        config.validate()?;
        let bootstrap = bootstrap.checked()?;
        let closed = CancellationToken::new();
        let memory = match &bootstrap {
            Bootstrap::Memory(network) => Some(network.clone()),
            Bootstrap::Servers(_) => None,
        };
        let pool = Pool::new(runtime.clone(), config.clone(), memory, closed.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                runtime,
                config,
                bootstrap,
                pool,
                metadata: Arc::new(MetadataCache::new()),
                refreshing: AtomicBool::new(false),
                coordinators: Coordinators::default(),
                trouble: ArcSwapOption::empty(),
                _ends_tasks: closed.clone().drop_guard(),
                closed,
            }),
        })
    }

    /// Sends one request at the highest version both sides know and waits for the answer, once: retrying, and looking at
    /// the error codes inside the answer, is the caller's part (`Admin` does both).
    pub async fn send<R: Request + Send>(
        &self,
        to: &Destination,
        request: R,
    ) -> Result<R::Response, ClientError> {
        let timeout = self.config().request_timeout();
        Ok(self.call(to, Lane::General, i16::MAX, timeout, |_| request).await?.body)
    }

    /// As `send`, for requests whose fields depend on the version: `build` is told the version, which `newest` caps. Gives
    /// the version of the answer too.
    pub async fn send_versioned<R: Request>(
        &self,
        to: &Destination,
        newest: i16,
        timeout: Duration,
        build: impl FnOnce(i16) -> R + Send,
    ) -> Result<(i16, R::Response), ClientError> {
        let reply = self.call(to, Lane::General, newest, timeout, build).await?;
        Ok((reply.version, reply.body))
    }

    /// The cluster as last seen; empty before the first contact.
    pub fn metadata(&self) -> Arc<ClusterMetadata> {
        self.inner.metadata.image()
    }

    /// Fetches metadata of these topics (none: only of the cluster), retrying until `timeout`. Creates no topic. Topics
    /// that do not exist are errors inside the image.
    pub async fn refresh_metadata(
        &self,
        topics: &[&str],
        timeout: Duration,
    ) -> Result<Arc<ClusterMetadata>, ClientError> {
        let scope = Scope::Topics(topics.iter().map(|topic| Arc::from(*topic)).collect());
        self.fetch_metadata(scope, timeout).await
    }

    /// Why no broker could be reached at the last try; `None` before the first, and while one can be.
    pub fn trouble(&self) -> Option<Arc<ClientError>> {
        self.inner.trouble.load_full()
    }

    /// Ends all connections and tasks.
    pub fn close(&self) {
        self.inner.closed.cancel();
        self.inner.pool.clear();
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    /// Cancelled when the client closes.
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.inner.closed
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.config().retry_backoff_ms, self.config().retry_backoff_max_ms)
    }

    pub(crate) async fn call<R: Request>(
        &self,
        to: &Destination,
        lane: Lane,
        newest: i16,
        timeout: Duration,
        build: impl FnOnce(i16) -> R + Send,
    ) -> Result<Reply<R::Response>, ClientError> {
        let connection = self.connection(to, lane).await?;
        let version = connection.version_of::<R>(newest)?;
        let answer = connection.submit(&build(version), version, timeout)?;
        Ok(Reply { version, body: answer.await? })
    }

    /// Calls `attempt` until it succeeds, fails for good, or `timeout` has passed.
    pub(crate) async fn retrying<T, A>(
        &self,
        timeout: Duration,
        doing: &(dyn Fn() -> String + Send + Sync),
        mut attempt: impl FnMut() -> A,
    ) -> Result<T, ClientError>
    where
        A: Future<Output = Result<T, ClientError>>,
    {
        let began = self.runtime().now();
        let deadline = began + timeout;
        let mut backoff = self.backoff();
        let mut last = None;
        let timed_out = || ClientError::TimedOut { doing: doing(), after: timeout };
        loop {
            let outcome = tokio::time::timeout_at(deadline, attempt()).await;
            match outcome {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if error.is_worth_retrying(self.runtime().now() - began) => last = Some(error),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(last.unwrap_or_else(timed_out)),
            }
            let pause = backoff.next(self.runtime());
            if self.inner.closed.is_cancelled() {
                return Err(ClientError::Closed);
            }
            if self.runtime().now() + pause >= deadline {
                return Err(last.unwrap_or_else(timed_out));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// As [`retrying`](Self::retrying) against a group's coordinator, which is looked up again when it has moved.
    pub(crate) async fn retrying_group<T, A>(
        &self,
        group: &str,
        timeout: Duration,
        doing: &(dyn Fn() -> String + Send + Sync),
        mut attempt: impl FnMut() -> A,
    ) -> Result<T, ClientError>
    where
        A: Future<Output = Result<T, ClientError>>,
    {
        self.retrying(timeout, doing, || {
            let attempt = attempt();
            async move { attempt.await.inspect_err(|error| self.coordinator_failed(group, error)) }
        })
        .await
    }

    /// Forgets the coordinator of a group if `error` says that it may have moved.
    pub(crate) fn coordinator_failed(&self, group: &str, error: &ClientError) {
        let moved = match error {
            ClientError::Refused { code, .. } => {
                matches!(code, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)
            }
            ClientError::Unreachable { .. }
            | ClientError::Disconnected { .. }
            | ClientError::TimedOut { .. } => true,
            _ => false,
        };
        if moved {
            self.inner.coordinators.forget(Kind::Group, group);
        }
    }

    /// The coordinator of a group, if it has been looked up.
    pub(crate) fn coordinator_node(&self, group: &str) -> Option<Node> {
        let id = self.inner.coordinators.remembered(Kind::Group, group)?;
        self.metadata().nodes.get(&id).cloned()
    }

    pub(crate) async fn connection(
        &self,
        to: &Destination,
        lane: Lane,
    ) -> Result<Arc<Connection>, ClientError> {
        if self.inner.closed.is_cancelled() {
            return Err(ClientError::Closed);
        }
        let node = match to {
            Destination::Any => return self.any_connection(lane).await,
            Destination::Node(node) => *node,
            Destination::Controller => return self.controller_connection(lane).await,
            Destination::Group(group) => {
                Box::pin(self.inner.coordinators.find(self, Kind::Group, group)).await?
            }
            Destination::Transaction(id) => {
                Box::pin(self.inner.coordinators.find(self, Kind::Transaction, id)).await?
            }
        };
        self.node_connection(node, lane).await
    }

    pub(crate) async fn node_connection(
        &self,
        node: i32,
        lane: Lane,
    ) -> Result<Arc<Connection>, ClientError> {
        let address = match self.address(node) {
            Some(address) => address,
            None => {
                Box::pin(self.refresh_metadata(&[], self.config().request_timeout())).await?;
                self.address(node).ok_or_else(|| ClientError::Unreachable {
                    node: format!("broker {node}"),
                    reason: "the cluster does not list it".into(),
                })?
            }
        };
        self.inner.pool.get(Target::Node(node), lane, &address).await
    }

    /// Ends the connection to a broker, and all that waits for answers on it; the next request opens another at once.
    pub(crate) fn disconnect(&self, node: i32, lane: Lane) {
        self.inner.pool.renew(Target::Node(node), lane);
    }

    /// The open connection to a node, if there is one.
    pub(crate) fn existing_connection(&self, node: i32, lane: Lane) -> Option<Arc<Connection>> {
        self.inner.pool.existing(Target::Node(node), lane, &self.address(node)?)
    }

    fn address(&self, node: i32) -> Option<Address> {
        if let Bootstrap::Memory(_) = self.inner.bootstrap {
            return Some(Address::Memory(node));
        }
        let image = self.metadata();
        let node = image.nodes.get(&node)?;
        Some(Address::Tcp { host: node.host.clone(), port: u16::try_from(node.port).ok()? })
    }

    async fn controller_connection(&self, lane: Lane) -> Result<Arc<Connection>, ClientError> {
        if self.metadata().controller.is_none() {
            Box::pin(self.refresh_metadata(&[], self.config().request_timeout())).await?;
        }
        match self.metadata().controller {
            Some(node) => self.node_connection(node, lane).await,
            // Any broker of a KRaft cluster forwards what only the controller can do.
            None => self.any_connection(lane).await,
        }
    }

    /// A connection to whoever answers first: open ones, then known brokers and bootstrap servers in random order.
    async fn any_connection(&self, lane: Lane) -> Result<Arc<Connection>, ClientError> {
        let mut candidates = self.candidates();
        for (target, address) in &candidates {
            if let Some(connection) = self.inner.pool.existing(*target, lane, address) {
                return Ok(connection);
            }
        }
        let runtime = self.runtime();
        for place in (1..candidates.len()).rev() {
            candidates.swap(place, runtime.random_below(place as u64 + 1) as usize);
        }
        let mut failure = ClientError::Unreachable {
            node: "the cluster".into(),
            reason: "no broker runs in this process".into(),
        };
        for (target, address) in candidates {
            match self.inner.pool.get(target, lane, &address).await {
                Ok(connection) => {
                    self.inner.trouble.store(None);
                    return Ok(connection);
                }
                Err(error) => failure = error,
            }
        }
        self.inner.trouble.store(Some(Arc::new(failure.clone())));
        Err(failure)
    }

    fn candidates(&self) -> Vec<(Target, Address)> {
        match &self.inner.bootstrap {
            Bootstrap::Memory(network) => {
                network.nodes().into_iter().map(|id| (Target::Node(id), Address::Memory(id))).collect()
            }
            Bootstrap::Servers(servers) => {
                let image = self.metadata();
                let known = image.nodes.values().filter_map(|node| {
                    let port = u16::try_from(node.port).ok()?;
                    Some((Target::Node(node.id), Address::Tcp { host: node.host.clone(), port }))
                });
                let seeds = servers.iter().enumerate().filter_map(|(place, server)| {
                    let (host, port) = split_address(server)?;
                    Some((Target::Seed(place), Address::Tcp { host, port }))
                });
                known.chain(seeds).collect()
            }
        }
    }

    pub(crate) fn add_node(&self, node: &Node) {
        self.inner.metadata.add_node(node);
    }

    /// Fetches metadata now and adds it to the image.
    pub(crate) async fn fetch_metadata(
        &self,
        scope: Scope,
        timeout: Duration,
    ) -> Result<Arc<ClusterMetadata>, ClientError> {
        let doing = || "fetching metadata".to_owned();
        let answer = self.retrying(timeout, &doing, || self.request_metadata(&scope, false)).await?;
        Ok(self.inner.metadata.publish(&answer, scope == Scope::All))
    }

    pub(crate) async fn request_metadata(
        &self,
        scope: &Scope,
        allow_auto_creation: bool,
    ) -> Result<MetadataResponse, ClientError> {
        let build = |version: i16| -> MetadataRequest { scope.request(version, allow_auto_creation) };
        let timeout = self.config().request_timeout();
        let answer = self.call(&Destination::Any, Lane::General, i16::MAX, timeout, build).await?.body;
        ClientError::check(answer.error_code, || "metadata".to_owned())?;
        Ok(answer)
    }

    /// Keeps a topic's metadata fresh from now on.
    pub(crate) fn keep_topic(&self, name: &Arc<str>, allow_auto_creation: bool) {
        self.inner.metadata.add_topic(name, allow_auto_creation);
        self.start_refreshing();
    }

    /// Keeps these topics fresh from now on, instead of those before.
    pub(crate) fn keep_scope(&self, scope: Scope, allow_auto_creation: bool) {
        self.inner.metadata.set_scope(scope, allow_auto_creation);
        self.start_refreshing();
    }

    /// Asks for fresh metadata soon: something failed in a way that says the image is old.
    pub(crate) fn want_metadata(&self) {
        self.inner.metadata.want();
    }

    pub(crate) fn metadata_changes(&self) -> watch::Receiver<u64> {
        self.inner.metadata.changes()
    }

    fn start_refreshing(&self) {
        if !self.inner.refreshing.swap(true, Ordering::AcqRel) {
            let task = refresh(
                Arc::downgrade(&self.inner),
                Arc::clone(&self.inner.metadata),
                self.inner.closed.clone(),
            );
            self.runtime().spawn("client-metadata", task);
        }
    }
}

/// Keeps the image fresh until the client is closed or dropped.
async fn refresh(client: Weak<Inner>, cache: Arc<MetadataCache>, closed: CancellationToken) {
    let mut failures: Option<Backoff> = None;
    let mut pause = Duration::ZERO;
    loop {
        let Some(max_age) =
            client.upgrade().map(|inner| Duration::from_millis(inner.config.metadata_max_age_ms))
        else {
            return;
        };
        let wait = async {
            if failures.is_some() {
                let urgent = async {
                    while !cache.urgent.swap(false, Ordering::AcqRel) {
                        cache.wanted.notified().await;
                    }
                };
                // Either way it is time to ask again.
                tokio::time::timeout(pause, urgent).await.ok();
            } else if tokio::time::timeout(max_age, cache.wanted.notified()).await.is_ok()
                && !cache.urgent.swap(false, Ordering::AcqRel)
            {
                // Many may notice the same change at once; one answer serves them all.
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            biased;
            () = closed.cancelled() => return,
            () = wait => {}
        }
        let Some(inner) = client.upgrade() else { return };
        let client = Client { inner };
        pause = Duration::from_millis(client.config().retry_backoff_ms);
        let (scope, allow_auto_creation) = cache.scope();
        let request = client.request_metadata(&scope, allow_auto_creation);
        let outcome = tokio::select! {
            biased;
            () = closed.cancelled() => return,
            outcome = request => outcome,
        };
        match outcome {
            Ok(answer) => {
                let image = cache.publish(&answer, true);
                // A topic that is just being created is there a moment later.
                let unsettled =
                    image.topics.values().any(|topic| topic.as_ref().is_err_and(ClientError::retriable));
                if unsettled {
                    pause = failures.get_or_insert_with(|| client.backoff()).next(client.runtime());
                } else {
                    failures = None;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "metadata could not be refreshed");
                pause = failures.get_or_insert_with(|| client.backoff()).next(client.runtime());
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("bootstrap", &self.inner.bootstrap).finish_non_exhaustive()
    }
}
