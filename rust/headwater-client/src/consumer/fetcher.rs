//! The fetch task of a consumer: finds positions and fetches ahead of the polls.
//!
//! Per broker one fetch is on its way, a long poll in a session of its own. A partition is left out while its share of
//! `headwater.queued.bytes.max` waits to be polled; the fetch then waits only briefly at the broker, so that the partition
//! is back soon after it has been polled empty. A fetch that waits for records to be written would hold up what is asked
//! after a seek, since answers come in the order of the questions: it is given up then, with its connection.

use super::Shared;
use super::buffer::{Answer, Marks, next_offset};
use super::fetched::AbortedTransaction;
use super::session::Session;
use super::state::{PartitionState, Position, Reached, State, Subscription};
use crate::client::Destination;
use crate::config::IsolationLevel;
use crate::error::ClientError;
use crate::metadata::ClusterMetadata;
use crate::net::Lane;
use crate::offsets::{self, OffsetAndMetadata, OffsetAndTimestamp, Outcomes};
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Aborted, abortable};
use futures_util::stream::FuturesUnordered;
use headwater_protocol::ErrorCode;
use headwater_protocol::messages::fetch::{FetchRequest, FetchResponse, PartitionData};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The newest Fetch version that names topics; later ones want ids.
const FETCH_VERSION_MAX: i16 = 12;
/// How long a fetch waits at the broker while partitions are left out of it.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// How long a nearer replica is read from before the leader is asked again (KIP-392).
const PREFERRED_REPLICA: Duration = Duration::from_secs(300);

type Pending = Pin<Box<dyn Future<Output = Event> + Send>>;

/// What is asked of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) max_bytes: i32,
}

/// Partitions with the version of their position, to notice a seek in between.
type Asked = BTreeMap<TopicPartition, u64>;

enum Event {
    Fetched {
        node: i32,
        asked: BTreeMap<TopicPartition, (Wanted, u64)>,
        outcome: Result<FetchResponse, ClientError>,
    },
    /// A fetch that ended because it was given up.
    GivenUp,
    Committed {
        asked: Asked,
        outcome: Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError>,
    },
    Looked {
        asked: Asked,
        outcome: Result<Outcomes<Option<OffsetAndTimestamp>>, ClientError>,
    },
}

#[derive(Default)]
struct NodeState {
    session: Session,
    not_before: Option<Instant>,
    on_its_way: Option<OnItsWay>,
}

/// The fetch that a broker has not answered yet.
struct OnItsWay {
    /// Ends it, wherever it is: it may not even be connected.
    abort: AbortHandle,
    /// Where the partitions stood when it was sent, if it waits for what is not written yet.
    waits_since: Option<Asked>,
}

impl OnItsWay {
    /// Whether it keeps waiting although there is a partition by now that was elsewhere or not there.
    fn is_in_the_way(&self, wanted: &BTreeMap<TopicPartition, (Wanted, u64)>) -> bool {
        let Some(then) = &self.waits_since else { return false };
        wanted.iter().any(|(name, (_, version))| then.get(name) != Some(version))
    }
}

pub(super) struct Fetcher {
    shared: Arc<Shared>,
    nodes: HashMap<i32, NodeState>,
    pending: FuturesUnordered<Pending>,
}

impl Fetcher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, nodes: HashMap::new(), pending: FuturesUnordered::new() }
    }

    /// Runs until the consumer is closed or dropped.
    pub(super) async fn run(mut self) {
        let mut metadata = self.shared.client.metadata_changes();
        // An answer may have come before this task first ran.
        metadata.mark_changed();
        let closing = self.shared.closing.clone();
        let shared = Arc::clone(&self.shared);
        loop {
            let wake = shared.wake_fetcher.notified();
            tokio::pin!(wake);
            wake.as_mut().enable();
            let next = self.dispatch();
            let timer = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = closing.cancelled() => return,
                Some(event) = self.pending.next() => self.handle(event),
                () = wake => {}
                changed = metadata.changed() => if changed.is_ok() { self.metadata_changed() },
                () = timer => {}
            }
        }
    }

    fn now(&self) -> Instant {
        self.shared.client.runtime().now()
    }

    /// `assign_topics` follows the partitions of its topics.
    fn metadata_changed(&mut self) {
        let image = self.shared.client.metadata();
        let mut state = self.shared.state();
        let Subscription::AllOf(topics) = &state.subscription else { return };
        let mut wanted = BTreeSet::new();
        let mut errors = Vec::new();
        for topic in topics {
            match image.topics.get(topic) {
                Some(Ok(metadata)) => {
                    let all = metadata.partitions.iter();
                    wanted.extend(
                        all.map(|partition| TopicPartition::new(Arc::clone(topic), partition.partition)),
                    );
                }
                Some(Err(error)) if !error.retriable() => errors.push(error.clone()),
                _ => {}
            }
        }
        for error in errors {
            state.fail(error);
        }
        if state.assigned() != wanted {
            let known = state.assigned();
            state.assign(&wanted, Position::Unknown);
            // Records written to a new partition before it was noticed must not be missed.
            if !known.is_empty() {
                for (_, partition) in state.partitions.iter_mut().filter(|(name, _)| !known.contains(name)) {
                    partition.go_to(Position::Reset(offsets::EARLIEST));
                }
            }
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Starts all that can be started. Returns when to look again if nothing else happens.
    fn dispatch(&mut self) -> Option<Instant> {
        let now = self.now();
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let mut next = None;
        let mut later = |at: Instant| next = Some(next.map_or(at, |next: Instant| next.min(at)));
        self.find_positions(&mut state, now, &mut later);
        self.fetch(&mut state, now, &mut later);
        next
    }

    fn find_positions(&mut self, state: &mut State, now: Instant, later: &mut impl FnMut(Instant)) {
        let mut committed = Asked::new();
        let mut specs = BTreeMap::new();
        let mut looked = Asked::new();
        let mut refused = Vec::new();
        let policy = self.shared.config.offset_reset();
        let now_ms = self.shared.client.runtime().wall_ms();
        for (name, partition) in &mut state.partitions {
            if partition.resolving || matches!(partition.position, Position::At(_)) {
                continue;
            }
            if let Some(at) = partition.not_before.filter(|at| *at > now) {
                later(at);
                continue;
            }
            if partition.position == Position::Unknown && self.shared.config.group_id.is_none() {
                match State::reset_position(policy, now_ms) {
                    Some(position) => partition.position = position,
                    None => {
                        refused.push(name.clone());
                        partition.resolving = true;
                        continue;
                    }
                }
            }
            partition.resolving = true;
            match partition.position {
                Position::Reset(spec) => {
                    specs.insert(name.clone(), spec);
                    looked.insert(name.clone(), partition.version);
                }
                _ => drop(committed.insert(name.clone(), partition.version)),
            }
        }
        for name in refused {
            state.fail(ClientError::NoOffset { topic: name.topic, partition: name.partition });
            self.shared.changed.notify_waiters();
        }
        if let (false, Some(group)) = (committed.is_empty(), self.shared.config.group_id.clone()) {
            let shared = Arc::clone(&self.shared);
            self.pending.push(Box::pin(async move {
                let partitions = committed.keys().cloned().collect();
                let limit = shared.api_timeout();
                let outcome = offsets::committed(&shared.client, &group, Some(&partitions), limit).await;
                Event::Committed { asked: committed, outcome }
            }));
        }
        if !specs.is_empty() {
            let shared = Arc::clone(&self.shared);
            self.pending.push(Box::pin(async move {
                let isolation = shared.config.isolation_level;
                let outcome = offsets::list(
                    &shared.client,
                    &specs,
                    isolation,
                    shared.client.config().request_timeout(),
                );
                Event::Looked { asked: looked, outcome: outcome.await }
            }));
        }
    }

    fn fetch(&mut self, state: &mut State, now: Instant, later: &mut impl FnMut(Instant)) {
        let shared = Arc::clone(&self.shared);
        let image = shared.client.metadata();
        let config = &shared.config;
        let queued = state.queued_bytes();
        let share = config.headwater_queued_bytes_max / state.partitions.len().max(1);
        let mut by_node: HashMap<i32, BTreeMap<TopicPartition, (Wanted, u64)>> = HashMap::new();
        let mut left_out: HashMap<i32, ()> = HashMap::new();
        // Brokers that have something to read now, as far as is known; before the first answer nothing is.
        let mut have_records: BTreeSet<i32> = BTreeSet::new();
        let mut stale = false;
        for (name, partition) in &mut state.partitions {
            if !partition.is_fetched() {
                continue;
            }
            if let Some(at) = partition.not_before.filter(|at| *at > now) {
                later(at);
                continue;
            }
            let Some((node, leader_epoch)) = read_from(&image, name, partition, now) else {
                stale = true;
                continue;
            };
            let full = partition.queued_bytes > 0
                && (partition.queued_bytes >= share || queued >= config.headwater_queued_bytes_max);
            if full {
                left_out.insert(node, ());
                continue;
            }
            if partition.end.is_some_and(|end| partition.fetch_offset < end) {
                have_records.insert(node);
            }
            let max_bytes = config.max_partition_fetch_bytes as i32;
            let wanted = Wanted { offset: partition.fetch_offset, leader_epoch, max_bytes };
            by_node.entry(node).or_default().insert(name.clone(), (wanted, partition.version));
        }
        if stale {
            // Without a leader there is nothing to ask; the answer to this wakes us.
            self.shared.client.want_metadata();
        }
        let room = config.headwater_queued_bytes_max.saturating_sub(queued).max(1);
        for (node, wanted) in by_node {
            let wait = match left_out.contains_key(&node) {
                true => SHORT_WAIT.min(Duration::from_millis(config.fetch_max_wait_ms)),
                false => Duration::from_millis(config.fetch_max_wait_ms),
            };
            let node_state = self.nodes.entry(node).or_default();
            if let Some(former) = node_state.on_its_way.take_if(|fetch| fetch.is_in_the_way(&wanted)) {
                former.abort.abort();
                node_state.session.reset();
                shared.client.disconnect(node, Lane::Fetch);
            }
            if node_state.on_its_way.is_some() {
                continue;
            }
            if let Some(at) = node_state.not_before.filter(|at| *at > now) {
                later(at);
                continue;
            }
            let waits = wait > SHORT_WAIT && (config.fetch_min_bytes > 1 || !have_records.contains(&node));
            let waits_since = waits.then(|| {
                state.partitions.iter().map(|(name, partition)| (name.clone(), partition.version)).collect()
            });
            let abort = self.ask(node, wanted, wait, room);
            self.nodes.entry(node).or_default().on_its_way = Some(OnItsWay { abort, waits_since });
        }
    }

    /// Sends a fetch; the handle ends it.
    fn ask(
        &mut self,
        node: i32,
        asked: BTreeMap<TopicPartition, (Wanted, u64)>,
        wait: Duration,
        room: usize,
    ) -> AbortHandle {
        let config = &self.shared.config;
        let state = self.nodes.entry(node).or_default();
        let wanted = asked.iter().map(|(name, (wanted, _))| (name.clone(), *wanted)).collect();
        let question = state.session.ask(&wanted);
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: wait.as_millis() as i32,
            min_bytes: config.fetch_min_bytes as i32,
            max_bytes: config.fetch_max_bytes.min(room.max(config.max_partition_fetch_bytes)) as i32,
            isolation_level: config.isolation_level.wire(),
            session_id: question.session_id,
            session_epoch: question.session_epoch,
            topics: question.topics,
            forgotten_topics_data: question.forgotten,
            rack_id: config.client_rack.as_str().into(),
            ..Default::default()
        };
        let client = self.shared.client.clone();
        let timeout = client.config().request_timeout() + wait;
        let call = async move {
            let to = Destination::Node(node);
            let reply =
                client.call(&to, Lane::Fetch, FETCH_VERSION_MAX, timeout, |version| strip(request, version));
            reply.await.map(|reply| reply.body)
        };
        let (call, abort) = abortable(call);
        self.pending.push(Box::pin(async move {
            match call.await {
                Ok(outcome) => Event::Fetched { node, asked, outcome },
                Err(Aborted) => Event::GivenUp,
            }
        }));
        abort
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Fetched { node, asked, outcome } => self.fetched(node, &asked, outcome),
            Event::GivenUp => return,
            Event::Committed { asked, outcome } => self.committed(&asked, outcome),
            Event::Looked { asked, outcome } => self.looked(&asked, outcome),
        }
        self.shared.changed.notify_waiters();
    }

    fn pause(&self) -> Instant {
        self.now() + self.shared.client.backoff().next(self.shared.client.runtime())
    }

    fn committed(
        &mut self,
        asked: &Asked,
        outcome: Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError>,
    ) {
        let pause = self.pause();
        let now_ms = self.shared.client.runtime().wall_ms();
        let mut state = self.shared.state();
        if let Err(error) = &outcome {
            if !error.retriable() {
                state.fail(error.clone());
            }
            tracing::debug!(%error, "committed offsets are not known yet");
        }
        let mut without = Vec::new();
        for (name, version) in asked {
            let Some(partition) = current(&mut state, name, *version) else { continue };
            partition.resolving = false;
            match &outcome {
                Err(_) => partition.not_before = Some(pause),
                Ok(found) => match found.get(name) {
                    Some(committed) => partition
                        .found(Reached { offset: committed.offset, leader_epoch: committed.leader_epoch }),
                    None => match State::reset_position(self.shared.config.offset_reset(), now_ms) {
                        Some(position) => partition.position = position,
                        None => {
                            // Said once; a seek ends it.
                            partition.resolving = true;
                            without.push(name.clone());
                        }
                    },
                },
            }
        }
        for name in without {
            state.fail(ClientError::NoOffset { topic: name.topic, partition: name.partition });
        }
    }

    fn looked(&mut self, asked: &Asked, outcome: Result<Outcomes<Option<OffsetAndTimestamp>>, ClientError>) {
        let pause = self.pause();
        let outcomes = outcome.unwrap_or_default();
        let mut state = self.shared.state();
        for (name, version) in asked {
            let Some(partition) = current(&mut state, name, *version) else { continue };
            partition.resolving = false;
            match outcomes.get(name) {
                Some(Ok(Some(found))) => {
                    partition.found(Reached { offset: found.offset, leader_epoch: None })
                }
                // No record is that young: begin after the last.
                Some(Ok(None)) => partition.position = Position::Reset(offsets::LATEST),
                Some(Err(error)) if !error.retriable() => {
                    partition.resolving = true;
                    state.fail(error.clone());
                }
                _ => partition.not_before = Some(pause),
            }
        }
    }

    fn fetched(
        &mut self,
        node: i32,
        asked: &BTreeMap<TopicPartition, (Wanted, u64)>,
        outcome: Result<FetchResponse, ClientError>,
    ) {
        let pause = self.pause();
        let now = self.now();
        let state = self.nodes.entry(node).or_default();
        state.on_its_way = None;
        let answer = match outcome.and_then(|answer| {
            ClientError::check(answer.error_code, || format!("fetch from broker {node}"))?;
            Ok(answer)
        }) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(node, %error, "fetch failed");
                if error.is(ErrorCode::FetchSessionIdNotFound) {
                    state.session.unknown();
                    return;
                }
                state.session.reset();
                if error.is(ErrorCode::InvalidFetchSessionEpoch) {
                    return;
                }
                state.not_before = Some(pause);
                self.shared.client.want_metadata();
                if !error.retriable() {
                    self.shared.state().fail(error);
                }
                return;
            }
        };
        state.session.answered(answer.session_id);
        state.not_before = None;
        let mut stale = false;
        let mut state = self.shared.state();
        for topic in answer.responses {
            for data in topic.partitions {
                let name = TopicPartition::new(&*topic.topic, data.partition_index);
                // In a session an answer may also be to an older question.
                let Some((wanted, version)) = asked.get(&name) else { continue };
                stale |= self.fetched_partition(&mut state, &name, *wanted, *version, data, now, pause);
            }
        }
        drop(state);
        if stale {
            self.shared.client.want_metadata();
        }
    }

    /// Takes in one partition of an answer. True if metadata looks old.
    #[expect(clippy::too_many_arguments, reason = "one answer, and the question it belongs to")]
    fn fetched_partition(
        &self,
        state: &mut State,
        name: &TopicPartition,
        wanted: Wanted,
        version: u64,
        data: PartitionData,
        now: Instant,
        pause: Instant,
    ) -> bool {
        let Some(partition) = current(state, name, version) else { return false };
        let code = ErrorCode::from_wire(data.error_code);
        if code != ErrorCode::None {
            return self.partition_failed(state, name, wanted, code, pause);
        }
        partition.high_watermark = Some(data.high_watermark);
        partition.end = Some(match self.shared.config.isolation_level {
            IsolationLevel::ReadCommitted => data.last_stable_offset,
            IsolationLevel::ReadUncommitted => data.high_watermark,
        });
        if data.preferred_read_replica >= 0 {
            partition.preferred = Some((data.preferred_read_replica, now + PREFERRED_REPLICA));
            return false;
        }
        let bytes = data.records.unwrap_or_default();
        if bytes.is_empty() || partition.fetch_offset != wanted.offset {
            return false;
        }
        let Some(next) = next_offset(&bytes) else {
            let reason = "the answer holds no whole batch".to_owned();
            let (topic, number) = (Arc::clone(&name.topic), name.partition);
            partition.not_before = Some(pause);
            state.fail(ClientError::CorruptBatch { topic, partition: number, offset: wanted.offset, reason });
            return false;
        };
        let marks = Marks {
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
        };
        let aborted = (self.shared.config.isolation_level == IsolationLevel::ReadCommitted).then(|| {
            let aborted = data.aborted_transactions.into_iter().flatten();
            let aborted = aborted.map(|transaction| AbortedTransaction {
                producer_id: transaction.producer_id,
                first_offset: transaction.first_offset,
            });
            aborted.collect()
        });
        partition.push(Answer::new(bytes, marks, aborted), next.max(wanted.offset));
        false
    }

    fn partition_failed(
        &self,
        state: &mut State,
        name: &TopicPartition,
        wanted: Wanted,
        code: ErrorCode,
        pause: Instant,
    ) -> bool {
        let Some(partition) = state.partitions.get_mut(name) else { return false };
        tracing::debug!(%name, %code, "fetch of a partition failed");
        let at_replica = partition.preferred.take().is_some();
        match code {
            // A follower may lag behind; the leader knows for certain.
            ErrorCode::OffsetOutOfRange if at_replica => false,
            ErrorCode::OffsetOutOfRange if partition.answers.is_empty() => {
                let policy = self.shared.config.offset_reset();
                match State::reset_position(policy, self.shared.client.runtime().wall_ms()) {
                    Some(position) => partition.go_to(position),
                    None => {
                        partition.not_before = Some(pause);
                        let (topic, number) = (Arc::clone(&name.topic), name.partition);
                        state.fail(ClientError::OffsetOutOfRange {
                            topic,
                            partition: number,
                            offset: wanted.offset,
                        });
                    }
                }
                false
            }
            // What was fetched before is handed out first.
            ErrorCode::OffsetOutOfRange => {
                partition.not_before = Some(pause);
                false
            }
            code if code.is_retriable() => {
                partition.not_before = Some(pause);
                true
            }
            code => {
                partition.not_before = Some(pause);
                state.fail(ClientError::refused(code, name.to_string()));
                false
            }
        }
    }
}

/// The partition, if nobody moved it since.
fn current<'a>(state: &'a mut State, name: &TopicPartition, version: u64) -> Option<&'a mut PartitionState> {
    state.partitions.get_mut(name).filter(|partition| partition.version == version)
}

/// Which broker to read from, and the leader's epoch.
fn read_from(
    image: &ClusterMetadata,
    name: &TopicPartition,
    partition: &mut PartitionState,
    now: Instant,
) -> Option<(i32, i32)> {
    let metadata = image.partition(&name.topic, name.partition)?;
    let preferred =
        partition.preferred.filter(|(node, until)| *until > now && image.nodes.contains_key(node));
    partition.preferred = preferred;
    let node = preferred.map(|(node, _)| node).or(metadata.leader)?;
    Some((node, metadata.leader_epoch))
}

/// Takes out what older versions cannot say and may do without.
fn strip(mut request: FetchRequest, version: i16) -> FetchRequest {
    if version < 7 {
        request.session_id = 0;
        request.session_epoch = -1;
        request.forgotten_topics_data.clear();
    }
    request
}
