//! Tests over every message in every version.
//!
//! `specimen` builds valid bytes from the schema alone, without the generated code; the other modules hold
//! the generated code, the crate `kafka-protocol` and the definitions of Apache Kafka against them.
//! `PROPTEST_CASES` raises the number of cases.

#![allow(clippy::disallowed_methods, reason = "the tests read the schema's files and Kafka's definitions")]

mod allocations;
mod definitions;
mod entry;
mod golden;
mod hostile;
mod oracle;
mod round_trip;
mod semantics;
mod specimen;
mod table;

use proptest::test_runner::Config;

/// Proptest's configuration with `cases` unless the environment asks for another number.
fn cases(cases: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|value| value.parse().ok());
    Config { cases: asked.unwrap_or(cases), failure_persistence: None, ..Config::default() }
}
