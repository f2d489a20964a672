//! The producer's background task: from full batches to requests, from answers to fates.
//!
//! One task owns all of this state, so nothing here needs a lock. It wakes when a batch is full, when a linger or a retry
//! is due, when an answer arrives and when metadata changes; with nothing on its way it sleeps without a timer.

mod identity;
mod settle;

use super::accumulator::{Accumulator, PartitionQueue, Partitions, Readiness};
use super::delivery::{DeliverySink, Fate};
use super::sealed::{Identity, PartitionState, Sealed};
use crate::client::Client;
use crate::config::Acks;
use crate::error::ClientError;
use crate::net::{Connection, Lane};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use headwater_protocol::Str;
use headwater_protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The newest Produce version that names topics; later ones want ids.
const PRODUCE_VERSION_MAX: i16 = 12;
/// Bytes of a request that are not records, per partition, at most.
const PARTITION_OVERHEAD: usize = 300;
/// How often batches are looked at for `delivery.timeout.ms`.
const EXPIRY_CHECK: Duration = Duration::from_secs(1);

type Pending = Pin<Box<dyn Future<Output = Event> + Send>>;

/// All that can wake the sender besides records, timers and metadata.
enum Event {
    Answered {
        node: i32,
        batches: Vec<(usize, Sealed)>,
        outcome: Result<Option<ProduceResponse>, ClientError>,
    },
    Connected {
        node: i32,
        outcome: Result<(), ClientError>,
    },
    Identified(Result<Identity, ClientError>),
}

/// Failures of records nobody asked about.
#[derive(Default)]
pub(crate) struct Unclaimed(pub(crate) Mutex<Option<(u64, ClientError)>>);

impl Unclaimed {
    pub(crate) fn take(&self) -> Option<(u64, ClientError)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn add(&self, count: u64, error: &ClientError) {
        if count > 0 {
            let mut failures = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            failures.get_or_insert_with(|| (0, error.clone())).0 += count;
        }
    }
}

#[derive(Default)]
struct NodeState {
    in_flight: usize,
    connecting: bool,
}

pub(crate) struct Sender {
    client: Client,
    accumulator: Arc<Accumulator>,
    sink: Option<Arc<dyn DeliverySink>>,
    unclaimed: Arc<Unclaimed>,
    closing: CancellationToken,
    partitions: Vec<PartitionState>,
    places: HashMap<(Arc<str>, i32), usize>,
    active: Vec<usize>,
    nodes: HashMap<i32, NodeState>,
    pending: FuturesUnordered<Pending>,
    /// `None` until the broker has given one; without idempotence always [`Identity::NONE`].
    identity: Option<Identity>,
    identifying: bool,
    identify_not_before: Option<Instant>,
    metadata_not_before: Option<Instant>,
    next_expiry: Option<Instant>,
}

impl Sender {
    pub(crate) fn new(
        client: Client,
        accumulator: Arc<Accumulator>,
        sink: Option<Arc<dyn DeliverySink>>,
        unclaimed: Arc<Unclaimed>,
        closing: CancellationToken,
    ) -> Self {
        let identity = (!accumulator.config.idempotent()).then_some(Identity::NONE);
        Self {
            client,
            accumulator,
            sink,
            unclaimed,
            closing,
            partitions: Vec::new(),
            places: HashMap::new(),
            active: Vec::new(),
            nodes: HashMap::new(),
            pending: FuturesUnordered::new(),
            identity,
            identifying: false,
            identify_not_before: None,
            metadata_not_before: None,
            next_expiry: None,
        }
    }

    /// Runs until the producer is closed or dropped.
    pub(crate) async fn run(mut self) {
        let mut metadata = self.client.metadata_changes();
        // An answer may have come before this task first ran.
        metadata.mark_changed();
        let accumulator = Arc::clone(&self.accumulator);
        loop {
            // Before looking: a record that comes after the look finds the flag and wakes us.
            accumulator.sender_idle.store(true, Ordering::Release);
            self.admit();
            let now = self.client.runtime().now();
            let next = self.dispatch(now);
            let linger = Duration::from_millis(accumulator.config.linger_ms);
            if next.is_some_and(|next| next <= now + linger) {
                accumulator.sender_idle.store(false, Ordering::Release);
            }
            let timer = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.closing.cancelled() => break,
                Some(event) = self.pending.next() => {
                    self.handle(event);
                    while let Some(Some(event)) = futures_util::FutureExt::now_or_never(self.pending.next()) {
                        self.handle(event);
                    }
                }
                () = accumulator.wake_sender.notified() => {}
                changed = metadata.changed() => if changed.is_ok() { self.update_topics() },
                () = timer => {}
            }
        }
        self.fail_everything(&ClientError::Closed);
    }

    /// Takes in partitions that have something to send.
    fn admit(&mut self) {
        for queue in self.accumulator.take_announced() {
            let place = self.place(queue);
            self.activate(place);
        }
    }

    fn place(&mut self, queue: Arc<PartitionQueue>) -> usize {
        let key = (Arc::clone(&queue.topic), queue.partition);
        let partitions = &mut self.partitions;
        *self.places.entry(key).or_insert_with(|| {
            partitions.push(PartitionState::new(queue));
            partitions.len() - 1
        })
    }

    fn activate(&mut self, place: usize) {
        let partition = &mut self.partitions[place];
        if !partition.active {
            partition.active = true;
            self.active.push(place);
        }
    }

    fn update_topics(&mut self) {
        let image = self.client.metadata();
        let mut unknown = false;
        for topic in self.accumulator.topics() {
            if let Some(metadata) = image.topics.get(&topic.name) {
                self.accumulator.update_topic(&topic, metadata.as_ref().map(|topic| &**topic));
            }
            unknown |= matches!(**topic.partitions.load(), Partitions::Unknown);
        }
        if unknown {
            self.refresh_later();
        }
    }

    fn refresh_later(&mut self) {
        let pause = Duration::from_millis(self.client.config().retry_backoff_ms);
        let at = self.client.runtime().now() + pause;
        self.metadata_not_before.get_or_insert(at);
    }

    /// Sends all that may go. Returns when to look again if nothing else happens.
    fn dispatch(&mut self, now: Instant) -> Option<Instant> {
        let mut next = Earliest::default();
        if self.metadata_not_before.is_some_and(|at| at <= now) {
            self.metadata_not_before = None;
            self.client.want_metadata();
        }
        next.add(self.metadata_not_before);
        self.expire(now, &mut next);
        if self.active.is_empty() {
            return next.0;
        }
        let Some(identity) = self.current_identity(now, &mut next) else { return next.0 };
        // Several rounds, since each request holds one batch per partition at most.
        while self.dispatch_round(now, identity, &mut next) {}
        next.0
    }

    /// One request per node at most. True if another round may find more.
    fn dispatch_round(&mut self, now: Instant, identity: Identity, next: &mut Earliest) -> bool {
        let mut by_node: HashMap<i32, Vec<usize>> = HashMap::new();
        let hurry = self.hurry();
        let mut places = std::mem::take(&mut self.active);
        // Whoever stood first last time stands last now, so that a full request starves nobody.
        if !places.is_empty() {
            places.rotate_left(1);
        }
        places.retain(|&place| {
            let readiness = self.readiness(place, now, identity, hurry);
            match readiness {
                Readiness::Nothing => {
                    let partition = &mut self.partitions[place];
                    partition.active = !partition.outstanding.is_empty();
                    return partition.active;
                }
                Readiness::At(at) => next.add(Some(at)),
                Readiness::Now => match self.leader(place) {
                    Some(node) => by_node.entry(node).or_default().push(place),
                    None => self.refresh_later(),
                },
            }
            true
        });
        places.append(&mut self.active);
        self.active = places;
        next.add(self.metadata_not_before);
        let mut again = false;
        for (node, places) in by_node {
            if let Some(connection) = self.usable_connection(node) {
                again |= self.send(node, &connection, &places, now);
            }
        }
        again
    }

    fn hurry(&self) -> bool {
        self.accumulator.flushes.load(Ordering::Acquire) > 0
            || self.accumulator.waiting_for_memory.load(Ordering::Acquire) > 0
    }

    fn readiness(&mut self, place: usize, now: Instant, identity: Identity, hurry: bool) -> Readiness {
        let partition = &mut self.partitions[place];
        partition.resolve();
        if partition.bump && partition.on_wire == 0 {
            self.bump(place);
            // The new identity is taken in the next round.
            return Readiness::At(now);
        }
        let partition = &mut self.partitions[place];
        let waits = partition.not_before.filter(|at| *at > now);
        if !partition.retry.is_empty() {
            return match waits {
                Some(at) => Readiness::At(at),
                None if partition.may_retry() => Readiness::Now,
                None => Readiness::Nothing,
            };
        }
        match partition.queue.readiness(now, &self.accumulator.config, hurry) {
            Readiness::Nothing => Readiness::Nothing,
            _ if !partition.may_send_new(identity) => Readiness::Nothing,
            Readiness::Now => waits.map_or(Readiness::Now, Readiness::At),
            later => later,
        }
    }

    fn leader(&self, place: usize) -> Option<i32> {
        let queue = &self.partitions[place].queue;
        self.client.metadata().leader(&queue.topic, queue.partition)
    }

    /// An open connection with room for another request; starts connecting if there is none.
    fn usable_connection(&mut self, node: i32) -> Option<Arc<Connection>> {
        let state = self.nodes.entry(node).or_default();
        if state.in_flight >= self.accumulator.config.max_in_flight_requests_per_connection
            || state.connecting
        {
            return None;
        }
        if let Some(connection) = self.client.existing_connection(node, Lane::General) {
            return Some(connection);
        }
        state.connecting = true;
        let client = self.client.clone();
        self.pending.push(Box::pin(async move {
            let outcome = client.node_connection(node, Lane::General).await.map(drop);
            Event::Connected { node, outcome }
        }));
        None
    }

    /// Puts one batch of each partition into a request, as far as it may grow. False if nothing was sent.
    fn send(&mut self, node: i32, connection: &Arc<Connection>, places: &[usize], now: Instant) -> bool {
        let limit = self.accumulator.config.max_request_size;
        let mut size = 0;
        let mut batches: Vec<(usize, Sealed)> = Vec::with_capacity(places.len());
        for &place in places {
            let Some(batch) = self.take(place, limit.saturating_sub(size), batches.is_empty()) else {
                continue;
            };
            size += batch.bytes.len() + PARTITION_OVERHEAD;
            self.partitions[place].on_wire += 1;
            batches.push((place, batch));
            if size >= limit {
                break;
            }
        }
        if batches.is_empty() {
            return false;
        }
        let request = self.request(&batches);
        let deadline =
            batches.iter().map(|(_, batch)| batch.created).min().unwrap_or(now) + self.delivery_timeout();
        let timeout =
            self.client.config().request_timeout().min(deadline - now).max(Duration::from_millis(1));
        match self.submit(connection, &request, timeout) {
            Ok(answer) => {
                self.nodes.entry(node).or_default().in_flight += 1;
                self.pending.push(Box::pin(async move {
                    let outcome = answer.await;
                    Event::Answered { node, batches, outcome }
                }));
                true
            }
            Err(error) => {
                self.request_failed(batches, &error);
                false
            }
        }
    }

    /// The next batch of a partition, if it fits: one to be sent again, or a new one.
    fn take(&mut self, place: usize, limit: usize, any_size: bool) -> Option<Sealed> {
        let partition = &mut self.partitions[place];
        if let Some(first) = partition.retry.front() {
            if !any_size && first.bytes.len() + PARTITION_OVERHEAD > limit {
                return None;
            }
            let mut batch = partition.retry.pop_front()?;
            partition.restamp(&mut batch);
            return Some(batch);
        }
        let batch = partition.queue.take(limit.saturating_sub(PARTITION_OVERHEAD), any_size)?;
        let unclaimed = batch.unclaimed();
        match partition.seal(batch) {
            Ok(sealed) => Some(sealed),
            Err(failure) => {
                let (batch, error) = *failure;
                let error = ClientError::Misuse(format!("a batch could not be encoded: {error}"));
                self.unclaimed.add(unclaimed, &error);
                let fate = Fate::Failed(error.clone());
                self.report(&batch.completion, Err(error), batch.tokens);
                self.accumulator.settle(&batch.completion, batch.id, batch.reserved, fate);
                None
            }
        }
    }

    fn request(&self, batches: &[(usize, Sealed)]) -> ProduceRequest {
        let mut topics: Vec<TopicProduceData> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (place, batch) in batches {
            let queue = &self.partitions[*place].queue;
            let topic = *places.entry(&queue.topic).or_insert_with(|| {
                topics.push(TopicProduceData { name: Str::from(&*queue.topic), ..Default::default() });
                topics.len() - 1
            });
            let records = Some(batch.bytes.clone());
            topics[topic].partition_data.push(PartitionProduceData { index: queue.partition, records });
        }
        ProduceRequest {
            transactional_id: None,
            acks: self.accumulator.config.acks.wire(),
            timeout_ms: self.client.config().request_timeout_ms as i32,
            topic_data: topics,
        }
    }

    #[expect(clippy::type_complexity, reason = "a boxed future, named nowhere else")]
    fn submit(
        &self,
        connection: &Connection,
        request: &ProduceRequest,
        timeout: Duration,
    ) -> Result<Pin<Box<dyn Future<Output = Result<Option<ProduceResponse>, ClientError>> + Send>>, ClientError>
    {
        let version = connection.version_of::<ProduceRequest>(PRODUCE_VERSION_MAX)?;
        if self.accumulator.config.acks == Acks::None {
            let written = connection.submit_unanswered(request, version)?;
            return Ok(Box::pin(async move { written.await.map(|()| None) }));
        }
        let answer = connection.submit(request, version, timeout)?;
        Ok(Box::pin(async move { answer.await.map(Some) }))
    }
}

#[derive(Default)]
struct Earliest(Option<Instant>);

impl Earliest {
    fn add(&mut self, at: Option<Instant>) {
        self.0 = match (self.0, at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}
