//! Coordinators as pure state machines: consumer groups today, transactions and share groups on the same frame later.
//!
//! ```text
//!              request, time                      key, value, position
//!   handler ───────────────▶ Shard::handle  ┌───▶ Shard::replay   (the only door to durable state)
//!                               │           │
//!                               ▼           │
//!                           Decision: records, replies that leave now,
//!                                     replies parked until the records are committed,
//!                                     and what to do then (Shard::settle)
//! ```
//!
//! The crate knows neither clock nor disk nor network nor task: time comes as an argument in milliseconds since the
//! Unix epoch, randomness as a field of the request that needs it, and whoever drives a [`Shard`] appends its records
//! to a log, hands them back through [`Shard::replay`], and releases replies when the log says they are committed.
//!
//! Deliberately absent: the consumer protocol of KIP-848 (its records are carried along untouched), transactional
//! offset commits as requests (their records and markers are replayed).

pub mod groups;
mod partitioning;
mod shard;
mod timers;

pub use partitioning::{java_string_hash, partition_for};
pub use shard::{
    Decision, EndTransaction, Record, RecordPosition, Refusal, ReplayError, ReplyToken, Shard, SnapshotChunk,
};
pub use timers::TimerQueue;
