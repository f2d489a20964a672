//! The producer's background task: from full batches to requests, from answers to fates.
//!
//! One task owns all of this state, so nothing here needs a lock. It wakes when a batch is full, when a linger or a retry
//! is due, when an answer arrives and when metadata changes; with nothing on its way it sleeps without a timer.

use super::accumulator::{Accumulator, PartitionQueue, Partitions, Readiness};
use super::delivery::{BatchReport, Delivered, DeliverySink, Fate};
use super::outcome::{Verdict, judge};
use super::sealed::{Identity, PartitionState, Sealed};
use crate::client::{Client, Destination};
use crate::config::Acks;
use crate::error::ClientError;
use crate::net::{Connection, Lane};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use headwater_protocol::Str;
use headwater_protocol::messages::init_producer_id::InitProducerIdRequest;
use headwater_protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
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

    fn handle(&mut self, event: Event) {
        match event {
            Event::Connected { node, outcome } => {
                self.nodes.entry(node).or_default().connecting = false;
                if let Err(error) = outcome {
                    tracing::debug!(node, %error, "no connection to a leader");
                    self.refresh_later();
                }
            }
            Event::Identified(outcome) => self.identified(outcome),
            Event::Answered { node, batches, outcome } => {
                let state = self.nodes.entry(node).or_default();
                state.in_flight = state.in_flight.saturating_sub(1);
                match outcome {
                    Ok(Some(answer)) => self.answered(batches, &answer),
                    Ok(None) => batches.into_iter().for_each(|(place, batch)| {
                        self.partitions[place].on_wire -= 1;
                        self.delivered(place, batch, Delivered { base_offset: -1, log_append_time: None });
                    }),
                    Err(error) => self.request_failed_on_wire(batches, &error),
                }
            }
        }
    }

    fn answered(&mut self, batches: Vec<(usize, Sealed)>, answer: &ProduceResponse) {
        let mut results: HashMap<(&str, i32), &PartitionProduceResponse> =
            HashMap::with_capacity(batches.len());
        for topic in &answer.responses {
            for partition in &topic.partition_responses {
                results.insert((&topic.name, partition.index), partition);
            }
        }
        for (place, batch) in batches {
            let queue = &self.partitions[place].queue;
            let result = results.get(&(&*queue.topic, queue.partition)).copied();
            self.partitions[place].on_wire -= 1;
            self.settle(place, batch, result);
        }
    }

    fn settle(&mut self, place: usize, batch: Sealed, result: Option<&PartitionProduceResponse>) {
        match judge(&self.partitions[place], &batch, result) {
            Verdict::Delivered(delivered) => self.delivered(place, batch, delivered),
            Verdict::Split => self.split(place, batch),
            Verdict::Retry { error, stale_metadata, bump } => {
                self.partitions[place].bump |= bump;
                if stale_metadata {
                    self.client.want_metadata();
                }
                self.retry(place, batch, &error);
            }
            Verdict::Failed { error, bump } => {
                self.partitions[place].bump |= bump && self.accumulator.config.idempotent();
                self.failed(place, batch, error);
            }
            Verdict::NewIdentity(error) => {
                self.identity = None;
                self.partitions[place].bump = false;
                self.failed(place, batch, error);
            }
        }
    }

    fn request_failed_on_wire(&mut self, batches: Vec<(usize, Sealed)>, error: &ClientError) {
        if error.retriable() {
            self.client.want_metadata();
        }
        self.request_failed(batches, error);
    }

    fn request_failed(&mut self, batches: Vec<(usize, Sealed)>, error: &ClientError) {
        for (place, batch) in batches {
            self.partitions[place].on_wire -= 1;
            if error.retriable() {
                self.retry(place, batch, error);
            } else {
                self.lost(place, batch, error.clone());
            }
        }
    }

    fn retry(&mut self, place: usize, mut batch: Sealed, error: &ClientError) {
        let now = self.client.runtime().now();
        batch.attempts += 1;
        if batch.attempts > self.accumulator.config.retries {
            return self.lost(place, batch, error.clone());
        }
        if batch.created + self.delivery_timeout() <= now {
            let error = self.timed_out(&batch, Some(error));
            return self.lost(place, batch, error);
        }
        let mut backoff = self.client.backoff();
        let pauses = (1..batch.attempts.min(16)).map(|_| backoff.next(self.client.runtime())).last();
        let pause = pauses.unwrap_or_else(|| backoff.next(self.client.runtime()));
        let partition = &mut self.partitions[place];
        partition.not_before = Some(now + pause);
        partition.put_back(batch);
        self.activate(place);
    }

    fn split(&mut self, place: usize, batch: Sealed) {
        match self.partitions[place].split(&batch, &self.accumulator) {
            Ok(parts) => {
                self.accumulator.settle(&batch.completion, batch.id, 0, Fate::Split(parts));
                self.activate(place);
            }
            Err(error) => self.failed(place, batch, error),
        }
    }

    fn delivered(&mut self, place: usize, batch: Sealed, delivered: Delivered) {
        let partition = &mut self.partitions[place];
        partition.acknowledged(&batch);
        partition.not_before = None;
        self.report(&batch.completion, Ok(delivered), batch.tokens);
        self.accumulator.settle(&batch.completion, batch.id, batch.reserved, Fate::Delivered(delivered));
        self.activate(place);
    }

    /// The batch has failed without a word of the broker: it may be in the log or not.
    fn lost(&mut self, place: usize, batch: Sealed, error: ClientError) {
        let partition = &mut self.partitions[place];
        partition.unresolved |= self.accumulator.config.idempotent() && !partition.bump;
        self.failed(place, batch, error);
    }

    fn failed(&mut self, place: usize, batch: Sealed, error: ClientError) {
        self.partitions[place].outstanding.remove(&batch.ordinal);
        let claimed = (batch.tokens.len() as u64).saturating_add(u64::from(batch.handles));
        self.unclaimed.add(u64::from(batch.records).saturating_sub(claimed), &error);
        self.report(&batch.completion, Err(error.clone()), batch.tokens);
        self.accumulator.settle(&batch.completion, batch.id, batch.reserved, Fate::Failed(error));
        self.activate(place);
    }

    /// To be called before the batch is settled, so that whoever has flushed finds every report.
    fn report(
        &self,
        completion: &Arc<super::delivery::Completion>,
        fate: Result<Delivered, ClientError>,
        tokens: Vec<super::delivery::Token>,
    ) {
        if let Some(sink) = self.sink.as_ref().filter(|_| !tokens.is_empty()) {
            sink.report(BatchReport { completion: Arc::clone(completion), fate, tokens });
        }
    }

    fn delivery_timeout(&self) -> Duration {
        Duration::from_millis(self.accumulator.config.delivery_timeout_ms)
    }

    fn timed_out(&self, batch: &Sealed, cause: Option<&ClientError>) -> ClientError {
        let (topic, partition) = (&batch.completion.topic, batch.completion.partition);
        let cause = cause.map(|error| format!(" (last: {error})")).unwrap_or_default();
        ClientError::TimedOut {
            doing: format!("delivering to {topic}-{partition}{cause}"),
            after: self.delivery_timeout(),
        }
    }

    /// Fails what has waited for `delivery.timeout.ms`.
    fn expire(&mut self, now: Instant, next: &mut Earliest) {
        if self.active.is_empty() {
            self.next_expiry = None;
            return;
        }
        let pause = EXPIRY_CHECK.min(self.delivery_timeout() / 4).max(Duration::from_millis(1));
        let due = *self.next_expiry.get_or_insert(now + pause);
        if due > now {
            return next.add(Some(due));
        }
        self.next_expiry = Some(now + pause);
        next.add(self.next_expiry);
        let Some(horizon) = now.checked_sub(self.delivery_timeout()) else { return };
        for place in self.active.clone() {
            let old =
                self.partitions[place].retry.iter().take_while(|batch| batch.created <= horizon).count();
            for _ in 0..old {
                if let Some(batch) = self.partitions[place].retry.pop_front() {
                    let error = self.timed_out(&batch, None);
                    self.lost(place, batch, error);
                }
            }
            for batch in self.partitions[place].queue.take_older(horizon) {
                self.never_sent(batch, None);
            }
        }
    }

    /// Fails a batch that was never sent. `None` says that its time was up.
    fn never_sent(&mut self, batch: super::accumulator::Batch, error: Option<&ClientError>) {
        let (topic, partition) = (&batch.completion.topic, batch.completion.partition);
        let error = error.cloned().unwrap_or_else(|| ClientError::TimedOut {
            doing: format!("delivering to {topic}-{partition}, which had no reachable leader"),
            after: self.delivery_timeout(),
        });
        self.unclaimed.add(batch.unclaimed(), &error);
        self.report(&batch.completion, Err(error.clone()), batch.tokens);
        self.accumulator.settle(&batch.completion, batch.id, batch.reserved, Fate::Failed(error));
    }

    fn fail_everything(&mut self, error: &ClientError) {
        self.admit();
        for place in 0..self.partitions.len() {
            while let Some(batch) = self.partitions[place].retry.pop_front() {
                self.failed(place, batch, error.clone());
            }
            for batch in self.partitions[place].queue.take_all() {
                self.never_sent(batch, Some(error));
            }
        }
        let pending = std::mem::take(&mut self.pending);
        drop(pending);
        // What was on the wire died with the futures above; whoever waits for it learns it here.
        for completion in self.accumulator.incomplete() {
            completion.settle(Fate::Failed(error.clone()));
        }
    }

    // Idempotence (KIP-98, KIP-360).

    fn current_identity(&mut self, now: Instant, next: &mut Earliest) -> Option<Identity> {
        if self.identity.is_some() {
            return self.identity;
        }
        if let Some(at) = self.identify_not_before.filter(|at| *at > now) {
            next.add(Some(at));
            return None;
        }
        if !self.identifying {
            self.identifying = true;
            let client = self.client.clone();
            self.pending.push(Box::pin(async move { Event::Identified(identify(&client).await) }));
        }
        None
    }

    fn identified(&mut self, outcome: Result<Identity, ClientError>) {
        self.identifying = false;
        match outcome {
            Ok(identity) => {
                self.identity = Some(identity);
                self.identify_not_before = None;
            }
            Err(error) if error.retriable() => {
                tracing::debug!(%error, "no producer id yet");
                let pause = self.client.backoff().next(self.client.runtime());
                self.identify_not_before = Some(self.client.runtime().now() + pause);
            }
            Err(error) => {
                for place in self.active.clone() {
                    for batch in self.partitions[place].queue.take_all() {
                        self.never_sent(batch, Some(&error));
                    }
                }
                let pause = Duration::from_millis(self.client.config().retry_backoff_max_ms);
                self.identify_not_before = Some(self.client.runtime().now() + pause);
            }
        }
    }

    /// Starts a partition's sequence anew under the next epoch; other partitions follow when they have nothing outstanding.
    fn bump(&mut self, place: usize) {
        let Some(identity) = self.identity else { return };
        let Some(epoch) = identity.epoch.checked_add(1) else {
            // The epochs of this id are used up; the partition goes on under a fresh id.
            self.identity = None;
            return;
        };
        let identity = Identity { epoch, ..identity };
        self.identity = Some(identity);
        self.partitions[place].restart_under(identity);
    }
}

async fn identify(client: &Client) -> Result<Identity, ClientError> {
    let request = |_| InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..Default::default()
    };
    let timeout = client.config().request_timeout();
    let answer = client.call(&Destination::Any, Lane::General, 5, timeout, request).await?.body;
    ClientError::check(answer.error_code, || "producer id".to_owned())?;
    Ok(Identity { id: answer.producer_id, epoch: answer.producer_epoch })
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
