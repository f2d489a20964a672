//! Producer, consumer and admin for any cluster that speaks the Kafka protocol.
//!
//! ```text
//!  Producer ── accumulator (caller's thread) ── sender task ─┐
//!  Consumer ── poll (caller's thread) ── fetch task, group task ─┼── Client: metadata, coordinators ── connections ── brokers
//!  Admin ────────────────────────────────────────────────────┘        (TCP, or frames over memory by node id)
//! ```
//!
//! Nothing here blocks a thread: what waits is `async`, what is called once per record is synchronous and returns at once.
//! All tasks are spawned through the environment that the [`Runtime`] was made from and end when the object that started
//! them is closed or dropped. Fetched data is handed out as the bytes of whole batches and decoded by whoever asks for it.
//!
//! Deliberately absent: transactions as a producer, the KIP-848 group protocol, TLS and SASL, serializers (they belong to
//! the language on top).

pub mod admin;
pub mod assignor;
mod client;
pub mod config;
pub mod consumer;
mod coordinators;
mod error;
#[cfg(test)]
mod fake;
#[cfg(fuzzing)]
pub mod fuzzing;
mod metadata;
mod net;
mod offsets;
pub mod partitioner;
pub mod producer;
mod runtime;

pub use admin::Admin;
pub use client::{Client, Destination};
pub use config::{
    Acks, AdminConfig, AssignmentStrategy, AutoOffsetReset, ClientConfig, ConfigError, ConfigKey,
    ConsumerConfig, IsolationLevel, ProducerConfig,
};
pub use consumer::{
    AbortedTransaction, CommitDone, Consumer, FetchedPartition, PollLimits, Polled, RebalanceEvent,
    RebalanceKind, RecordCursor,
};
pub use error::{Blocked, ClientError, ProduceError};
pub use headwater_protocol::ErrorCode;
pub use metadata::{ClusterMetadata, Node, PartitionMetadata, TopicMetadata};
pub use net::Bootstrap;
pub use offsets::{OffsetAndMetadata, OffsetAndTimestamp};
pub use producer::{
    BatchReport, DeliveryHandle, DeliveryQueue, DeliverySink, ProduceRecord, Producer, RecordHeader,
    RecordMetadata, TopicHandle,
};
pub use runtime::Runtime;
