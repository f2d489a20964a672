//! The half of the producer that runs on the caller's thread: from a record to its partition's open batch.
//!
//! ```text
//!  produce ─▶ choose partition ─▶ [ lock of that partition: encode into the open batch ]
//!                                    open batch full ─▶ closed, the sender is woken
//!                                    first record    ─▶ its linger begins, the sender is woken if it sleeps without a timer
//! ```
//!
//! A batch closes at `batch.size`, unless an earlier one of its partition still waits to be sent: then nothing is gained
//! by closing, and it grows on up to `headwater.batch.size.max`. Memory is counted per batch, in steps of `batch.size`,
//! so that a record costs no atomic operation on shared memory.

use super::ProduceRecord;
use super::delivery::{Completion, DeliveryHandle, Fate, Token};
use crate::config::ProducerConfig;
use crate::error::{Blocked, ClientError, ProduceError};
use crate::metadata::TopicMetadata;
use crate::partitioner::partition_for_key;
use crate::runtime::Runtime;
use arc_swap::{ArcSwap, ArcSwapOption};
use headwater_record::{BATCH_OVERHEAD, BatchBuilder};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A topic of one producer, looked up once. Cheap to clone.
#[derive(Clone)]
pub struct TopicHandle(pub(crate) Arc<Topic>);

impl TopicHandle {
    /// The topic's name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// How many partitions it has; `None` while that is unknown.
    pub fn partition_count(&self) -> Option<usize> {
        match &**self.0.partitions.load() {
            Partitions::Known { queues, .. } => Some(queues.len()),
            _ => None,
        }
    }
}

impl std::fmt::Debug for TopicHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("TopicHandle").field(&self.0.name).finish()
    }
}

pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: ArcSwap<Partitions>,
    /// Why there is no metadata yet, for whoever waits in vain.
    pub(crate) last_error: ArcSwapOption<ClientError>,
    /// Where records without a key go now, and how many of their bytes went there.
    sticky_partition: AtomicI32,
    sticky_bytes: AtomicUsize,
}

pub(crate) enum Partitions {
    Unknown,
    Failed(ClientError),
    Known {
        queues: Vec<Arc<PartitionQueue>>,
        /// Those with a leader, or all if none has one.
        available: Vec<i32>,
    },
}

/// The batches of one partition that the sender has not taken yet.
pub(crate) struct PartitionQueue {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    state: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    open: Option<Batch>,
    closed: VecDeque<Batch>,
    /// In the accumulator's list for the sender, or known to the sender already.
    announced: bool,
}

impl QueueState {
    fn close_open(&mut self) {
        if let Some(batch) = self.open.take() {
            self.closed.push_back(batch);
        }
    }
}

/// Records on their way, encoded but not yet finished.
pub(crate) struct Batch {
    pub(crate) builder: BatchBuilder,
    pub(crate) completion: Arc<Completion>,
    pub(crate) tokens: Vec<Token>,
    /// Records with a [`DeliveryHandle`].
    pub(crate) handles: u32,
    /// Bytes of `buffer.memory` that it holds.
    pub(crate) reserved: usize,
    pub(crate) created: Instant,
    pub(crate) id: u64,
}

impl Batch {
    /// Records that nobody asked about.
    pub(crate) fn unclaimed(&self) -> u64 {
        let count = u64::try_from(self.builder.record_count()).unwrap_or_default();
        count.saturating_sub(self.tokens.len() as u64 + u64::from(self.handles))
    }
}

/// What the partitions of one producer share.
pub(crate) struct Accumulator {
    pub(crate) config: ProducerConfig,
    runtime: Runtime,
    topics: Mutex<HashMap<Arc<str>, Arc<Topic>>>,
    /// Partitions that have something for the sender, each listed once.
    announced: Mutex<Vec<Arc<PartitionQueue>>>,
    pub(crate) wake_sender: Notify,
    /// The sender sleeps and no timer of its own would wake it for a new linger.
    pub(crate) sender_idle: AtomicBool,
    memory_used: AtomicUsize,
    pub(crate) memory_freed: Notify,
    /// Somebody waits for memory: nothing lingers meanwhile.
    pub(crate) waiting_for_memory: AtomicUsize,
    /// Completions without fate, for `flush`.
    incomplete: Mutex<Incomplete>,
    pub(crate) flushes: AtomicUsize,
    pub(crate) closed: AtomicBool,
    pub(crate) topics_changed: Notify,
}

#[derive(Default)]
struct Incomplete {
    batches: HashMap<u64, Arc<Completion>>,
    next_id: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change under these locks leaves the state whole, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Accumulator {
    pub(crate) fn new(config: ProducerConfig, runtime: Runtime) -> Self {
        Self {
            config,
            runtime,
            topics: Mutex::default(),
            announced: Mutex::default(),
            wake_sender: Notify::new(),
            sender_idle: AtomicBool::new(false),
            memory_used: AtomicUsize::new(0),
            memory_freed: Notify::new(),
            waiting_for_memory: AtomicUsize::new(0),
            incomplete: Mutex::default(),
            flushes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            topics_changed: Notify::new(),
        }
    }

    /// The topic of this name, and whether it is new.
    pub(crate) fn topic(&self, name: &str) -> Result<(Arc<Topic>, bool), ProduceError> {
        let mut topics = lock(&self.topics);
        if let Some(topic) = topics.get(name) {
            return Ok((Arc::clone(topic), false));
        }
        if topics.len() >= self.config.headwater_topics_max {
            let limit = self.config.headwater_topics_max;
            return Err(ProduceError::Invalid(format!("more than headwater.topics.max={limit} topics")));
        }
        let topic = Arc::new(Topic {
            name: name.into(),
            partitions: ArcSwap::from_pointee(Partitions::Unknown),
            last_error: ArcSwapOption::empty(),
            sticky_partition: AtomicI32::new(-1),
            sticky_bytes: AtomicUsize::new(0),
        });
        topics.insert(Arc::clone(&topic.name), Arc::clone(&topic));
        Ok((topic, true))
    }

    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        lock(&self.topics).values().cloned().collect()
    }

    /// Takes over a topic's metadata. Queues of partitions that were known stay.
    pub(crate) fn update_topic(&self, topic: &Topic, metadata: Result<&TopicMetadata, &ClientError>) {
        let before = topic.partitions.load_full();
        let next = match (&*before, metadata) {
            // A topic that worked goes on working through passing errors; its batches meet them on their own. One that
            // is not there yet may be about to be created.
            (before, Err(error)) if error.retriable() || matches!(before, Partitions::Known { .. }) => {
                topic.last_error.store(Some(Arc::new(error.clone())));
                return;
            }
            (_, Err(error)) => Partitions::Failed(error.clone()),
            (before, Ok(metadata)) => {
                let mut queues = match before {
                    Partitions::Known { queues, .. } => queues.clone(),
                    _ => Vec::new(),
                };
                for partition in queues.len()..metadata.partitions.len() {
                    queues.push(Arc::new(PartitionQueue {
                        topic: Arc::clone(&topic.name),
                        partition: partition as i32,
                        state: Mutex::default(),
                    }));
                }
                let led = metadata.partitions.iter().filter(|partition| partition.leader.is_some());
                let mut available: Vec<i32> = led.map(|partition| partition.partition).collect();
                if available.is_empty() {
                    available = (0..queues.len() as i32).collect();
                }
                Partitions::Known { queues, available }
            }
        };
        topic.partitions.store(Arc::new(next));
        self.topics_changed.notify_waiters();
    }

    /// Appends a record; never waits.
    pub(crate) fn append(
        &self,
        topic: &Topic,
        record: &ProduceRecord<'_>,
        tracked: bool,
    ) -> Result<(i32, Option<DeliveryHandle>), ProduceError> {
        let partitions = topic.partitions.load();
        let (queues, available) = match &**partitions {
            Partitions::Known { queues, available } => (queues, available),
            Partitions::Unknown => return Err(ProduceError::WouldBlock(Blocked::Metadata)),
            Partitions::Failed(error) => return Err(ProduceError::Failed(error.clone())),
        };
        let size = BatchBuilder::record_size_max(record.key, record.value, record.headers);
        if size + BATCH_OVERHEAD > self.config.max_request_size.min(self.config.buffer_memory) {
            return Err(self.too_large(size + BATCH_OVERHEAD));
        }
        let (partition, sticky) = match (record.partition, record.key) {
            (Some(partition), _) => (partition, false),
            (None, Some(key)) if !self.config.partitioner_ignore_keys => {
                (partition_for_key(key, queues.len()), false)
            }
            (None, _) => (self.sticky(topic, available), true),
        };
        let queue = usize::try_from(partition).ok().and_then(|index| queues.get(index)).ok_or_else(|| {
            ProduceError::NoSuchPartition { topic: Arc::clone(&topic.name), partition, count: queues.len() }
        })?;
        let timestamp = record.timestamp.unwrap_or_else(|| self.runtime.wall_ms());
        let handle = self.append_to(queue, record, timestamp, size, tracked)?;
        if sticky {
            self.count_sticky(topic, size, partition, available);
        }
        Ok((partition, handle))
    }

    fn append_to(
        &self,
        queue: &Arc<PartitionQueue>,
        record: &ProduceRecord<'_>,
        timestamp: i64,
        size: usize,
        tracked: bool,
    ) -> Result<Option<DeliveryHandle>, ProduceError> {
        let mut state = lock(&queue.state);
        if self.closed.load(Ordering::Relaxed) {
            return Err(ProduceError::Failed(ClientError::Closed));
        }
        if !self.fits(&mut state, size) {
            state.close_open();
            self.announce(queue, &mut state, true);
        }
        if state.open.is_none() {
            let batch = self.open_batch(queue, size)?;
            state.open = Some(batch);
            self.announce(queue, &mut state, false);
        }
        // The batch was just made if it was missing.
        let Some(batch) = state.open.as_mut() else { return Err(ProduceError::WouldBlock(Blocked::Memory)) };
        let appended = batch.builder.append(timestamp, record.key, record.value, record.headers);
        let index = appended.map_err(|error| ProduceError::Invalid(error.to_string()))? as u32;
        if let Some(token) = record.token {
            batch.tokens.push(Token { index, timestamp, token });
        }
        let handle = tracked.then(|| {
            batch.handles += 1;
            DeliveryHandle { completion: Arc::clone(&batch.completion), index, timestamp }
        });
        if batch.builder.uncompressed_size() >= self.config.batch_size && state.closed.is_empty() {
            state.close_open();
            self.announce(queue, &mut state, true);
        }
        Ok(handle)
    }

    /// Whether a record may go into the open batch; reserves the memory for it. True without an open batch.
    fn fits(&self, state: &mut QueueState, size: usize) -> bool {
        let waiting = !state.closed.is_empty();
        let Some(batch) = state.open.as_mut() else { return true };
        let needed = batch.builder.uncompressed_size() + size;
        if needed <= batch.reserved {
            return true;
        }
        if !waiting || needed > self.config.batch_limit() {
            return false;
        }
        let more = (needed - batch.reserved).max(self.config.batch_size);
        let reserved = self.reserve(more);
        if reserved {
            batch.reserved += more;
        }
        reserved
    }

    #[cold]
    fn open_batch(&self, queue: &PartitionQueue, size: usize) -> Result<Batch, ProduceError> {
        let reserved = self.config.batch_size.max(size + BATCH_OVERHEAD);
        if !self.reserve(reserved) {
            // Nothing may linger while somebody waits for memory.
            self.wake_sender.notify_one();
            return Err(ProduceError::WouldBlock(Blocked::Memory));
        }
        let batch = self.new_batch(&queue.topic, queue.partition, reserved, self.runtime.now());
        Ok(batch)
    }

    /// A batch whose memory is already reserved.
    pub(crate) fn new_batch(
        &self,
        topic: &Arc<str>,
        partition: i32,
        reserved: usize,
        created: Instant,
    ) -> Batch {
        let completion = Completion::new(Arc::clone(topic), partition);
        let mut incomplete = lock(&self.incomplete);
        let id = incomplete.next_id;
        incomplete.next_id += 1;
        incomplete.batches.insert(id, Arc::clone(&completion));
        drop(incomplete);
        let builder =
            BatchBuilder::with_capacity(self.config.compression_type, self.config.batch_size.min(reserved));
        Batch { builder, completion, tokens: Vec::new(), handles: 0, reserved, created, id }
    }

    /// Tells the sender about a partition, if it does not know of it yet.
    fn announce(&self, queue: &Arc<PartitionQueue>, state: &mut QueueState, full: bool) {
        if !state.announced {
            state.announced = true;
            lock(&self.announced).push(Arc::clone(queue));
        }
        if full || self.sender_idle.swap(false, Ordering::AcqRel) {
            self.wake_sender.notify_one();
        }
    }

    /// What became known since the last call.
    pub(crate) fn take_announced(&self) -> Vec<Arc<PartitionQueue>> {
        std::mem::take(&mut *lock(&self.announced))
    }

    fn reserve(&self, bytes: usize) -> bool {
        let take = |used| self.room_for(used, bytes).then_some(used + bytes);
        self.memory_used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, take).is_ok()
    }

    /// One batch may always be there, or a `batch.size` above `buffer.memory` would never send anything.
    fn room_for(&self, used: usize, bytes: usize) -> bool {
        used == 0 || used + bytes <= self.config.buffer_memory
    }

    /// Whether a new batch for a record of this size could be opened now.
    pub(crate) fn has_room(&self, record: &ProduceRecord<'_>) -> bool {
        let size = BatchBuilder::record_size_max(record.key, record.value, record.headers);
        self.room_for(
            self.memory_used.load(Ordering::Acquire),
            self.config.batch_size.max(size + BATCH_OVERHEAD),
        )
    }

    fn release(&self, bytes: usize) {
        self.memory_used.fetch_sub(bytes, Ordering::AcqRel);
        self.memory_freed.notify_waiters();
    }

    pub(crate) fn memory_used(&self) -> usize {
        self.memory_used.load(Ordering::Acquire)
    }

    /// Frees what a batch held, then gives it its fate.
    pub(crate) fn settle(&self, completion: &Completion, id: u64, reserved: usize, fate: Fate) {
        self.release(reserved);
        completion.settle(fate);
        lock(&self.incomplete).batches.remove(&id);
    }

    /// All completions that have no fate yet.
    pub(crate) fn incomplete(&self) -> Vec<Arc<Completion>> {
        lock(&self.incomplete).batches.values().cloned().collect()
    }

    pub(crate) fn has_incomplete(&self) -> bool {
        !lock(&self.incomplete).batches.values().all(|completion| completion.is_settled())
    }

    fn too_large(&self, size: usize) -> ProduceError {
        if self.config.buffer_memory < self.config.max_request_size {
            return ProduceError::RecordTooLarge {
                size,
                limit: self.config.buffer_memory,
                setting: "buffer.memory",
            };
        }
        ProduceError::RecordTooLarge {
            size,
            limit: self.config.max_request_size,
            setting: "max.request.size",
        }
    }

    fn sticky(&self, topic: &Topic, available: &[i32]) -> i32 {
        match topic.sticky_partition.load(Ordering::Relaxed) {
            -1 => self.next_sticky(topic, -1, available),
            partition => partition,
        }
    }

    /// After `batch.size` bytes the next partition has its turn (KIP-794).
    fn count_sticky(&self, topic: &Topic, size: usize, partition: i32, available: &[i32]) {
        let bytes = topic.sticky_bytes.fetch_add(size, Ordering::Relaxed) + size;
        if bytes >= self.config.batch_size {
            topic.sticky_bytes.store(0, Ordering::Relaxed);
            self.next_sticky(topic, partition, available);
        }
    }

    #[cold]
    fn next_sticky(&self, topic: &Topic, before: i32, available: &[i32]) -> i32 {
        let others = available.len() - usize::from(available.len() > 1 && available.contains(&before));
        let choice = self.runtime.random_below(others as u64) as usize;
        let mut candidates =
            available.iter().filter(|partition| others == available.len() || **partition != before);
        let next = candidates.nth(choice).copied().unwrap_or(0);
        topic.sticky_partition.store(next, Ordering::Relaxed);
        next
    }
}

/// When something of a partition may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    Nothing,
    Now,
    At(Instant),
}

impl PartitionQueue {
    /// When the first batch may go. With nothing there, the queue announces itself again at its next record.
    pub(crate) fn readiness(&self, now: Instant, config: &ProducerConfig, hurry: bool) -> Readiness {
        let mut state = lock(&self.state);
        if !state.closed.is_empty() {
            return Readiness::Now;
        }
        let Some(open) = &state.open else {
            state.announced = false;
            return Readiness::Nothing;
        };
        let due = open.created + std::time::Duration::from_millis(config.linger_ms);
        let full = open.builder.uncompressed_size() >= config.batch_size;
        if hurry || full || due <= now { Readiness::Now } else { Readiness::At(due) }
    }

    /// Takes the oldest batch, if it is at most `limit` bytes or `any_size`.
    pub(crate) fn take(&self, limit: usize, any_size: bool) -> Option<Batch> {
        let mut state = lock(&self.state);
        let first = state.closed.front().or(state.open.as_ref())?;
        if !any_size && first.builder.uncompressed_size() > limit {
            return None;
        }
        state.closed.pop_front().or_else(|| state.open.take())
    }

    /// Takes all batches, also those still open.
    pub(crate) fn take_all(&self) -> Vec<Batch> {
        let mut state = lock(&self.state);
        let mut batches: Vec<Batch> = state.closed.drain(..).collect();
        batches.extend(state.open.take());
        batches
    }

    /// Takes what was created before `horizon` and was not sent.
    pub(crate) fn take_older(&self, horizon: Instant) -> Vec<Batch> {
        let mut state = lock(&self.state);
        let mut batches = Vec::new();
        while state.closed.front().is_some_and(|batch| batch.created <= horizon) {
            batches.extend(state.closed.pop_front());
        }
        if state.open.as_ref().is_some_and(|batch| batch.created <= horizon) {
            batches.extend(state.open.take());
        }
        batches
    }
}
