//! The crate from outside: one binary, one module per concern.

mod append;
mod directory;
mod faults;
mod golden;
mod laws;
mod reading;
mod recovery;
mod retention;
mod support;
