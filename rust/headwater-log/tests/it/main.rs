//! The crate from outside: one binary, one module per concern.

#![expect(clippy::disallowed_methods, reason = "the tests look at the machine's files from outside")]

mod append;
mod directory;
mod faults;
mod golden;
mod laws;
mod reading;
mod recovery;
mod retention;
mod support;
