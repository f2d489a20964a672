//! Project chores. The library part exists so that tests can read the message schema, too.

#![allow(clippy::disallowed_methods, reason = "a tool for the working tree, not part of what ships")]

mod codec;
pub mod codegen;
mod emit;
pub mod layers;
pub mod schema;
pub mod tidy;
