//! Sends records: encodes them on the caller's thread, batches them per partition, and delivers the batches from one
//! background task, exactly once and in order per partition unless idempotence is switched off.
//!
//! Deliberately absent: transactions, serializers, and callbacks on background threads (see [`DeliverySink`]).

mod accumulator;
mod delivery;
mod outcome;
mod sealed;
mod sender;

pub use accumulator::TopicHandle;
pub use delivery::{BatchReport, DeliveryHandle, DeliveryQueue, DeliverySink, RecordMetadata};
pub use headwater_record::RecordHeader;

use crate::client::Client;
use crate::config::ProducerConfig;
use crate::error::{ClientError, ProduceError};
use crate::metadata::PartitionMetadata;
use crate::net::Bootstrap;
use crate::runtime::Runtime;
use accumulator::{Accumulator, Partitions};
use sender::{Sender, Unclaimed};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// One record to be sent; everything is borrowed and copied once, into its batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProduceRecord<'a> {
    /// The partition; `None` lets the key, or else the sticky partitioner, decide.
    pub partition: Option<i32>,
    /// Milliseconds since the epoch; `None` is now.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers; order and duplicates are kept.
    pub headers: &'a [RecordHeader<'a>],
    /// Handed to the [`DeliverySink`] when the record's fate is known; `None` costs and reports nothing.
    pub token: Option<u64>,
}

/// Sends records. Cheap to clone; clones are the same producer and may be used from any thread.
///
/// Dropping the last clone abandons what is not delivered; call [`close`](Self::close) to have it delivered.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    accumulator: Arc<Accumulator>,
    unclaimed: Arc<Unclaimed>,
    closing: CancellationToken,
    _ends_sender: DropGuard,
}

/// Counts up for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Producer {
    /// A producer without a sink: tokens are ignored. Does no I/O, and needs no runtime context on the calling thread.
    pub fn new(runtime: Runtime, bootstrap: Bootstrap, config: ProducerConfig) -> Result<Self, ClientError> {
        Self::start(runtime, bootstrap, config, None)
    }

    /// A producer whose records with tokens are reported to `sink`, each exactly once.
    pub fn with_sink(
        runtime: Runtime,
        bootstrap: Bootstrap,
        config: ProducerConfig,
        sink: Arc<dyn DeliverySink>,
    ) -> Result<Self, ClientError> {
        Self::start(runtime, bootstrap, config, Some(sink))
    }

    fn start(
        runtime: Runtime,
        bootstrap: Bootstrap,
        config: ProducerConfig,
        sink: Option<Arc<dyn DeliverySink>>,
    ) -> Result<Self, ClientError> {
        config.validate()?;
        let client = Client::new(runtime.clone(), bootstrap, config.client.clone())?;
        let accumulator = Arc::new(Accumulator::new(config, runtime.clone()));
        let unclaimed = Arc::new(Unclaimed::default());
        let closing = client.closed().child_token();
        let sender = Sender::new(
            client.clone(),
            Arc::clone(&accumulator),
            sink,
            Arc::clone(&unclaimed),
            closing.clone(),
        );
        runtime.spawn("client-producer", sender.run());
        let _ends_sender = closing.clone().drop_guard();
        Ok(Self { inner: Arc::new(Inner { client, accumulator, unclaimed, closing, _ends_sender }) })
    }

    /// Metadata and raw requests over this producer's connections.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The settings.
    pub fn config(&self) -> &ProducerConfig {
        &self.inner.accumulator.config
    }

    /// Looks a topic up; the first time for a name starts fetching its metadata. Never waits.
    pub fn topic(&self, name: &str) -> Result<TopicHandle, ProduceError> {
        let (topic, new) = self.inner.accumulator.topic(name)?;
        if new {
            self.inner.client.keep_topic(&topic.name, true);
        }
        Ok(TopicHandle(topic))
    }

    /// Appends a record to its partition's batch. Never waits; returns the partition.
    ///
    /// [`ProduceError::WouldBlock`] says that nothing was appended and [`ready`](Self::ready) tells when to try again.
    #[inline]
    pub fn produce(&self, topic: &TopicHandle, record: &ProduceRecord<'_>) -> Result<i32, ProduceError> {
        let (partition, _) = self.inner.accumulator.append(&topic.0, record, false)?;
        Ok(partition)
    }

    /// As [`produce`](Self::produce), with a handle that tells the record's fate.
    pub fn produce_tracked(
        &self,
        topic: &TopicHandle,
        record: &ProduceRecord<'_>,
    ) -> Result<DeliveryHandle, ProduceError> {
        match self.inner.accumulator.append(&topic.0, record, true)? {
            (_, Some(handle)) => Ok(handle),
            (partition, None) => Err(ProduceError::Invalid(format!("no handle for partition {partition}"))),
        }
    }

    /// As [`produce_tracked`](Self::produce_tracked), waiting up to `max.block.ms` for metadata and memory.
    pub async fn send(
        &self,
        topic: &TopicHandle,
        record: &ProduceRecord<'_>,
    ) -> Result<DeliveryHandle, ClientError> {
        let limit = Duration::from_millis(self.config().max_block_ms);
        let deadline = self.inner.client.runtime().now() + limit;
        loop {
            match self.produce_tracked(topic, record) {
                Err(ProduceError::WouldBlock(_)) => {
                    let left = deadline.saturating_duration_since(self.inner.client.runtime().now());
                    self.ready_within(topic, record, left).await?;
                }
                other => return Ok(other?),
            }
        }
    }

    /// Waits until a `produce` of this record that said [`ProduceError::WouldBlock`] is worth trying again. Fails after
    /// `max.block.ms`.
    pub async fn ready(&self, topic: &TopicHandle, record: &ProduceRecord<'_>) -> Result<(), ClientError> {
        self.ready_within(topic, record, Duration::from_millis(self.config().max_block_ms)).await
    }

    async fn ready_within(
        &self,
        topic: &TopicHandle,
        record: &ProduceRecord<'_>,
        limit: Duration,
    ) -> Result<(), ClientError> {
        let accumulator = &self.inner.accumulator;
        let waiting = async {
            self.known(topic).await;
            let _waiting = Counted::new(&accumulator.waiting_for_memory);
            loop {
                let freed = accumulator.memory_freed.notified();
                tokio::pin!(freed);
                freed.as_mut().enable();
                if accumulator.has_room(record) {
                    return;
                }
                accumulator.wake_sender.notify_one();
                freed.await;
            }
        };
        tokio::select! {
            biased;
            () = self.inner.closing.cancelled() => Err(ClientError::Closed),
            outcome = tokio::time::timeout(limit, waiting) => outcome.map_err(|_| self.blocked(topic)),
        }
    }

    /// Why `max.block.ms` went by.
    fn blocked(&self, topic: &TopicHandle) -> ClientError {
        let after = Duration::from_millis(self.config().max_block_ms);
        if topic.partition_count().is_some() {
            let used = self.inner.accumulator.memory_used();
            let doing =
                format!("waiting for memory ({used} of buffer.memory={} used)", self.config().buffer_memory);
            return ClientError::TimedOut { doing, after };
        }
        match topic.0.last_error.load_full() {
            Some(error) => ClientError::clone(&error),
            None => {
                let mut doing = format!("fetching metadata of topic {}", topic.name());
                if let Some(trouble) = self.inner.client.trouble() {
                    doing = format!("{doing} ({trouble})");
                }
                ClientError::TimedOut { doing, after }
            }
        }
    }

    /// Waits until the topic's partitions, or why it has none, are known.
    async fn known(&self, topic: &TopicHandle) {
        loop {
            let changed = self.inner.accumulator.topics_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !matches!(**topic.0.partitions.load(), Partitions::Unknown) {
                return;
            }
            changed.await;
        }
    }

    /// The partitions of a topic; waits up to `max.block.ms` for its metadata.
    pub async fn partitions_for(&self, topic: &str) -> Result<Vec<PartitionMetadata>, ClientError> {
        let handle = self.topic(topic)?;
        let limit = Duration::from_millis(self.config().max_block_ms);
        tokio::time::timeout(limit, self.known(&handle)).await.map_err(|_| self.blocked(&handle))?;
        if let Partitions::Failed(error) = &**handle.0.partitions.load() {
            return Err(error.clone());
        }
        let image = self.inner.client.metadata();
        Ok(image.topic(topic).map(|topic| topic.partitions.clone()).unwrap_or_default())
    }

    /// Sends at once what lingers and waits until every record appended before this call has its fate.
    ///
    /// `None` waits as long as it takes (`delivery.timeout.ms` bounds it). Fails only if the time was too short; whether
    /// records were delivered is told by their handles and tokens, and by
    /// [`take_unclaimed_failures`](Self::take_unclaimed_failures).
    pub async fn flush(&self, timeout: Option<Duration>) -> Result<(), ClientError> {
        let accumulator = &self.inner.accumulator;
        let _flushing = Counted::new(&accumulator.flushes);
        accumulator.wake_sender.notify_one();
        let settled = async {
            for completion in accumulator.incomplete() {
                completion.settled().await;
            }
        };
        match timeout {
            None => settled.await,
            Some(limit) => tokio::time::timeout(limit, settled)
                .await
                .map_err(|_| ClientError::TimedOut { doing: "flushing".into(), after: limit })?,
        }
        Ok(())
    }

    /// Number of records that failed although nobody had asked about them (no token, no handle), and the first reason,
    /// since the last call.
    pub fn take_unclaimed_failures(&self) -> Option<(u64, ClientError)> {
        self.inner.unclaimed.take()
    }

    /// Bytes of `buffer.memory` held by records without fate.
    pub fn memory_used(&self) -> usize {
        self.inner.accumulator.memory_used()
    }

    /// Whether every record has its fate.
    pub fn is_idle(&self) -> bool {
        !self.inner.accumulator.has_incomplete()
    }

    /// Flushes, then ends all tasks. What is not delivered within `timeout` fails with [`ClientError::Closed`], which
    /// this call then reports as an error of its own.
    pub async fn close(&self, timeout: Duration) -> Result<(), ClientError> {
        self.inner.accumulator.closed.store(true, Ordering::Release);
        let flushed = self.flush(Some(timeout)).await;
        self.inner.closing.cancel();
        let settled = async {
            for completion in self.inner.accumulator.incomplete() {
                completion.settled().await;
            }
        };
        // The sender settles everything on its way out; the limit guards against a runtime that is shutting down.
        tokio::time::timeout(Duration::from_secs(1), settled).await.ok();
        self.inner.client.close();
        flushed
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Producer").field("client", &self.inner.client).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
