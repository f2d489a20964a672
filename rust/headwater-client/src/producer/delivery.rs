//! How the fate of records reaches whoever asked for it.
//!
//! A batch has one fate. A record that nobody asked about costs nothing; one with a [`DeliveryHandle`] costs a reference
//! count; one with a token costs 24 bytes in its batch. Each record is reported exactly once: a completion is set once and
//! never changes, and a batch that had to be split hands its tokens on to its parts.

use crate::error::ClientError;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Notify;

/// Where a record went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The record's offset; -1 with `acks=0`, and where the broker had already forgotten it when a retry was deduplicated.
    pub offset: i64,
    /// Milliseconds since the epoch: the record's own time, or the time of appending for topics with LogAppendTime.
    pub timestamp: i64,
}

/// Where the records of one batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Offset of the first record, -1 if unknown.
    pub(crate) base_offset: i64,
    /// The broker's time stamp, for topics with LogAppendTime.
    pub(crate) log_append_time: Option<i64>,
}

/// The fate of one batch.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    Delivered(Delivered),
    Failed(ClientError),
    /// The batch was too large and its records went on in parts; `first` is the index of a part's first record.
    Split(Vec<Part>),
}

#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) first: u32,
    pub(crate) completion: Arc<Completion>,
}

/// The place where the fate of one batch appears.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    fate: OnceLock<Fate>,
    settled: Notify,
}

impl Completion {
    pub(crate) fn new(topic: Arc<str>, partition: i32) -> Arc<Self> {
        Arc::new(Self { topic, partition, fate: OnceLock::new(), settled: Notify::new() })
    }

    /// Settles the batch. Returns false if it had been settled before; the first fate stays.
    pub(crate) fn settle(&self, fate: Fate) -> bool {
        let first = self.fate.set(fate).is_ok();
        self.settled.notify_waiters();
        first
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.fate.get().is_some()
    }

    /// Waits until this batch, and whatever it was split into, is settled.
    pub(crate) async fn settled(self: &Arc<Self>) {
        let mut open = vec![Arc::clone(self)];
        while let Some(completion) = open.pop() {
            completion.wait_own().await;
            if let Some(Fate::Split(parts)) = completion.fate.get() {
                open.extend(parts.iter().map(|part| Arc::clone(&part.completion)));
            }
        }
    }

    async fn wait_own(&self) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if self.fate.get().is_some() {
                return;
            }
            settled.await;
        }
    }

    fn look_up(&self, index: u32, timestamp: i64) -> Option<Result<RecordMetadata, ClientError>> {
        match self.fate.get()? {
            Fate::Delivered(delivered) => Some(Ok(self.metadata(delivered, index, timestamp))),
            Fate::Failed(error) => Some(Err(error.clone())),
            Fate::Split(parts) => {
                let part = parts.iter().rev().find(|part| part.first <= index)?;
                part.completion.look_up(index - part.first, timestamp)
            }
        }
    }

    fn metadata(&self, delivered: &Delivered, index: u32, timestamp: i64) -> RecordMetadata {
        RecordMetadata {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            offset: offset_of(delivered.base_offset, index),
            timestamp: delivered.log_append_time.unwrap_or(timestamp),
        }
    }
}

fn offset_of(base_offset: i64, index: u32) -> i64 {
    if base_offset < 0 { -1 } else { base_offset + i64::from(index) }
}

/// Tells the fate of one record. Cheap to make, to clone and to throw away.
#[derive(Debug, Clone)]
pub struct DeliveryHandle {
    pub(crate) completion: Arc<Completion>,
    pub(crate) index: u32,
    pub(crate) timestamp: i64,
}

impl DeliveryHandle {
    /// The record's topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.completion.topic
    }

    /// The record's partition.
    pub fn partition(&self) -> i32 {
        self.completion.partition
    }

    /// The fate of the record, if it is known by now.
    pub fn peek(&self) -> Option<Result<RecordMetadata, ClientError>> {
        self.completion.look_up(self.index, self.timestamp)
    }

    /// Waits for the fate of the record. Always ends: `delivery.timeout.ms` bounds it.
    pub async fn wait(&self) -> Result<RecordMetadata, ClientError> {
        loop {
            self.completion.settled().await;
            if let Some(fate) = self.peek() {
                return fate;
            }
        }
    }
}

/// A record of a batch whose sender left a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) index: u32,
    pub(crate) timestamp: i64,
    pub(crate) token: u64,
}

/// The fate of those records of one batch that were produced with a token.
#[derive(Debug)]
pub struct BatchReport {
    pub(crate) completion: Arc<Completion>,
    pub(crate) fate: Result<Delivered, ClientError>,
    pub(crate) tokens: Vec<Token>,
}

impl BatchReport {
    /// The topic of the batch.
    pub fn topic(&self) -> &Arc<str> {
        &self.completion.topic
    }

    /// The partition of the batch.
    pub fn partition(&self) -> i32 {
        self.completion.partition
    }

    /// Why the whole batch failed, if it did.
    pub fn error(&self) -> Option<&ClientError> {
        self.fate.as_ref().err()
    }

    /// How many records are reported.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether nothing is reported; a sink never sees such a report.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Token, offset (-1 if unknown) and timestamp of each record, in the order of `produce`. For a failed batch the
    /// offset is -1; see [`error`](Self::error).
    pub fn records(&self) -> impl Iterator<Item = (u64, i64, i64)> + '_ {
        let (base_offset, log_append_time) = match &self.fate {
            Ok(delivered) => (delivered.base_offset, delivered.log_append_time),
            Err(_) => (-1, None),
        };
        self.tokens.iter().map(move |token| {
            (token.token, offset_of(base_offset, token.index), log_append_time.unwrap_or(token.timestamp))
        })
    }
}

/// Receives reports on the sender's task. Must return at once and never block; [`DeliveryQueue`] is the usual one.
pub trait DeliverySink: Send + Sync + 'static {
    /// Takes one report.
    fn report(&self, report: BatchReport);
}

/// Keeps reports until the thread that polls drains them. Bounded by what is in flight: at most one entry per batch.
#[derive(Debug, Default)]
pub struct DeliveryQueue {
    reports: Mutex<VecDeque<BatchReport>>,
    arrived: Notify,
}

impl DeliveryQueue {
    /// An empty queue, to be given to [`Producer::with_sink`](crate::Producer::with_sink).
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes all reports that are there.
    pub fn drain(&self) -> VecDeque<BatchReport> {
        std::mem::take(&mut *self.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there is at least one report.
    pub async fn arrived(&self) {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if !self.reports.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return;
            }
            arrived.await;
        }
    }
}

impl DeliverySink for DeliveryQueue {
    fn report(&self, report: BatchReport) {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).push_back(report);
        self.arrived.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(completion: &Arc<Completion>, index: u32) -> DeliveryHandle {
        DeliveryHandle { completion: Arc::clone(completion), index, timestamp: 77 }
    }

    #[test]
    fn a_fate_is_set_once() {
        let batch = Completion::new("t".into(), 3);
        assert!(handle(&batch, 2).peek().is_none());
        assert!(batch.settle(Fate::Delivered(Delivered { base_offset: 10, log_append_time: None })));
        assert!(!batch.settle(Fate::Failed(ClientError::Closed)));
        let metadata = handle(&batch, 2).peek().unwrap().unwrap();
        assert_eq!((metadata.partition, metadata.offset, metadata.timestamp), (3, 12, 77));
    }

    #[tokio::test]
    async fn a_split_batch_answers_through_its_parts() {
        let batch = Completion::new("t".into(), 0);
        let parts: Vec<_> =
            [0, 5].map(|first| Part { first, completion: Completion::new("t".into(), 0) }).into();
        batch.settle(Fate::Split(parts.clone()));
        assert!(handle(&batch, 6).peek().is_none());
        parts[1].completion.settle(Fate::Delivered(Delivered { base_offset: 100, log_append_time: Some(9) }));
        assert_eq!(handle(&batch, 6).peek().unwrap().unwrap().offset, 101);
        assert_eq!(handle(&batch, 6).peek().unwrap().unwrap().timestamp, 9);
        assert!(handle(&batch, 4).peek().is_none());
        parts[0].completion.settle(Fate::Failed(ClientError::Closed));
        assert!(handle(&batch, 4).wait().await.is_err());
        batch.settled().await;
    }

    #[test]
    fn reports_carry_tokens_in_order() {
        let queue = DeliveryQueue::new();
        queue.report(BatchReport {
            completion: Completion::new("t".into(), 0),
            fate: Ok(Delivered { base_offset: 40, log_append_time: None }),
            tokens: vec![
                Token { index: 0, timestamp: 1, token: 7 },
                Token { index: 3, timestamp: 2, token: 8 },
            ],
        });
        let reports = queue.drain();
        assert_eq!(reports[0].records().collect::<Vec<_>>(), [(7, 40, 1), (8, 43, 2)]);
        assert!(queue.drain().is_empty());
    }
}
