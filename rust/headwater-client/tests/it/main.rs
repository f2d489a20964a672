//! Tests against a server, whose address `HEADWATER_TEST_BOOTSTRAP` names (any Kafka-protocol cluster). Without it each
//! test says that it is skipped and passes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod consume;
mod groups;
mod produce;
mod support;
