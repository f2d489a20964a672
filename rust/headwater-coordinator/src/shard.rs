//! What a coordinator of one partition looks like to the runtime that drives it.
//!
//! A shard has two kinds of state. **Durable** state is a function of the records in its log and is changed by
//! [`Shard::replay`] alone, live as in recovery. **Live** state (members waiting, timers, parked replies) is changed by
//! requests and time, is never written, and is rebuilt by [`Shard::loaded`].
//!
//! The life of a write:
//!
//! 1. [`Shard::handle`] returns a [`Decision`]. The runtime gives its records the next positions of the log and
//!    replays them at once, so that the next request sees them.
//! 2. The records of one or more decisions are appended as one batch.
//!    * Append refused: nothing of the batch is in the log. The runtime calls [`Shard::revert`] with the first
//!      position of the batch, answers every parked reply of the batch with the [`Refusal`], and settles every
//!      continuation with it.
//!    * Append done: the runtime waits for the high watermark.
//! 3. The high watermark passes: [`Shard::committed`], parked replies leave, continuations are settled with `Ok`.
//!    * It does not pass in time: parked replies and continuations get [`Refusal::TimedOut`]. Nothing is reverted,
//!      since the records are in the log and may still be committed.
//! 4. Leadership lost: [`Shard::unload`]; the state is thrown away, everything parked gets
//!    [`Refusal::NotCoordinator`].

use bytes::Bytes;
use thiserror::Error;

/// Names one request in flight. Given out by the runtime; a shard keeps it while the request waits inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyToken(pub u64);

/// A record for the shard's log. `value: None` is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key, with its type prefix. Never absent: the log is compacted.
    pub key: Bytes,
    /// The value, or `None` for a tombstone.
    pub value: Option<Bytes>,
}

impl Record {
    /// Bytes of key and value together.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// Where a replayed record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// Its offset in the log.
    pub offset: i64,
    /// The producer of the transaction it belongs to; `None` outside transactions.
    pub transactional_producer_id: Option<i64>,
}

impl RecordPosition {
    /// A record outside transactions.
    pub fn plain(offset: i64) -> Self {
        RecordPosition { offset, transactional_producer_id: None }
    }
}

/// How a transaction ended, as its marker in the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndTransaction {
    /// Its records count.
    Commit,
    /// Its records never were.
    Abort,
}

/// Why a request got no answer from the shard, or a decision did not last.
///
/// Variants say what the caller should do next: wait, look for the coordinator again, or give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The shard is being read from its log: the same request will work in a moment.
    #[error("the coordinator is still loading")]
    Loading,
    /// Another node coordinates this now, or the shard was unloaded before the answer: look it up again.
    #[error("this node does not coordinate the partition")]
    NotCoordinator,
    /// Too many requests wait already, or the coordinator is stopping: try again after a pause.
    #[error("the coordinator is not available")]
    NotAvailable,
    /// Too few replicas are in sync to accept the write: try again after a pause.
    #[error("not enough replicas are in sync")]
    NotEnoughReplicas,
    /// The records were written but not committed in time: they may still be, so the request may be repeated.
    #[error("the records were not committed in time")]
    TimedOut,
    /// The log cannot be written (disk full or broken).
    #[error("the coordinator's log cannot be written")]
    Storage,
    /// The records are larger than the log takes: repeating the request is no use.
    #[error("the records are larger than the log accepts")]
    TooLarge,
}

/// What a shard decided. Empty by default.
#[derive(Debug)]
pub struct Decision<S: Shard> {
    /// To be appended, in this order, as one piece.
    pub records: Vec<Record>,
    /// Replies that leave at once: they tell nothing that a crash could take back.
    pub replies: Vec<(ReplyToken, S::Reply)>,
    /// Replies that leave when `records`, and everything replayed before them, are committed.
    pub parked: Vec<(ReplyToken, S::Reply)>,
    /// Given back through [`Shard::settle`] when `records` are committed or refused.
    pub then: Option<S::Then>,
}

impl<S: Shard> Default for Decision<S> {
    fn default() -> Self {
        Decision { records: Vec::new(), replies: Vec::new(), parked: Vec::new(), then: None }
    }
}

impl<S: Shard> Decision<S> {
    /// One reply that leaves at once.
    pub fn reply(token: ReplyToken, reply: S::Reply) -> Self {
        Decision { replies: vec![(token, reply)], ..Decision::default() }
    }

    /// One reply that leaves when `records` and everything before them are committed.
    pub fn write(records: Vec<Record>, token: ReplyToken, reply: S::Reply) -> Self {
        Decision { records, parked: vec![(token, reply)], ..Decision::default() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.replies.is_empty() && self.parked.is_empty() && self.then.is_none()
    }
}

/// A part of the live state as records. See [`Shard::snapshot`].
#[derive(Debug)]
pub struct SnapshotChunk<C> {
    /// Records that bring a replaying shard to the same values for the keys of this chunk.
    pub records: Vec<Record>,
    /// Where to go on; `None` when this was the last chunk.
    pub next: Option<C>,
}

/// A record that could not be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// Key or value is not what its type and version promise. Replaying the rest would give a state with a hole.
    #[error("damaged coordinator record at offset {offset}: {what}")]
    Damaged {
        /// Where the record stands in the log.
        offset: i64,
        /// What is wrong with it.
        what: String,
    },
}

/// The coordinator of one partition of an internal topic: pure, driven by a runtime. See the module's head.
pub trait Shard: Send + Sized + 'static {
    /// What handlers ask.
    type Request: Send + 'static;
    /// What they are answered.
    type Reply: Send + 'static;
    /// What is left to do once the records of a decision are committed or refused.
    type Then: Send + 'static;
    /// A place in the live state, to go on from with the next chunk of a snapshot.
    type Cursor: Send + 'static;

    /// Takes a request. The answer for `token` is in this decision or in a later one.
    fn handle(&mut self, now_ms: i64, token: ReplyToken, request: Self::Request) -> Decision<Self>;

    /// When [`Shard::on_time`] wants to be called next, in milliseconds since the Unix epoch.
    fn next_deadline(&self) -> Option<i64>;

    /// Runs at most one timer that is due. To be called again while [`Shard::next_deadline`] is not after `now_ms`.
    fn on_time(&mut self, now_ms: i64) -> Decision<Self>;

    /// The wall clock was set forward by `by_ms` (back if negative), or stood still while the machine slept. Deadlines
    /// move along: nobody has been silent for as long as the clock says.
    fn clock_moved(&mut self, by_ms: i64);

    /// The records of the decision that carried `then` are committed, or will not be.
    fn settle(&mut self, now_ms: i64, then: Self::Then, outcome: Result<(), Refusal>) -> Decision<Self>;

    /// Applies a record to the durable state. Keys of a type this version does not know are kept as they are.
    ///
    /// # Errors
    /// [`ReplayError::Damaged`] when the bytes are not what their type and version promise; nothing has changed then.
    fn replay(
        &mut self,
        position: RecordPosition,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ReplayError>;

    /// Applies the marker that ends a transaction of `producer_id`.
    fn replay_end_transaction(&mut self, offset: i64, producer_id: i64, end: EndTransaction);

    /// Everything below `offset` is committed and will not be reverted any more.
    fn committed(&mut self, offset: i64);

    /// Takes back what was replayed at `offset` and after. Never called below what was committed.
    fn revert(&mut self, offset: i64);

    /// The log has been replayed: live state is derived from durable state, timers start.
    fn loaded(&mut self, now_ms: i64) -> Decision<Self>;

    /// Leadership is lost: gives back the requests that wait inside. The shard is dropped afterwards.
    fn unload(&mut self) -> Vec<ReplyToken>;

    /// The live state as records, from `after` on, about `bytes_max` bytes at a time (at least one record).
    ///
    /// Each record sets a key to the value it has now, so a rewrite may be cut off anywhere and other writes may come
    /// between two chunks. Keys touched by an open transaction are left out: writing them again would put the old
    /// value behind the transaction's.
    fn snapshot(&self, after: Option<Self::Cursor>, bytes_max: usize) -> SnapshotChunk<Self::Cursor>;

    /// The lowest offset of the records that make up the live state. Everything below it can be deleted once all
    /// that is replayed so far is committed. `None` when the state is empty.
    fn oldest_needed(&self) -> Option<i64>;

    /// How many things it coordinates right now (groups), for a metric.
    fn live(&self) -> usize;

    /// How many keys are live, for deciding when a rewrite pays.
    fn live_records(&self) -> usize;
}
