//! A node: network, one handler file per API, replicas, embedding.
//!
//! ```text
//!   network/     bytes ⇄ frames, order, limits            knows no API
//!   handlers/    one file per API and the table of them   knows no socket
//!   partition/   logs, high watermark, who waits for it   knows no request
//!   config/      the one table of configs
//!   node.rs      what handlers share      broker.rs       start and stop
//! ```
//!
//! [`Broker::start`] runs a broker in the caller's runtime; nothing is global, so a process may run many.
//! Deliberately absent: following another broker, transactions, TLS and SASL.

mod authorize;
mod broker;
pub mod config;
mod context;
mod coordinator;
mod errors;
mod handlers;
mod metrics;
mod network;
mod node;
mod partition;
mod policy;
mod producer_ids;
mod reply;

pub use broker::{Broker, BrokerHandle, StartError};
pub use config::{BrokerConfig, ConfigError, Listener};
pub use metrics::Metrics;
