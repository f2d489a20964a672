//! The `headwater` command from the outside: the binary as a child process, its pipes, its exit codes, its signals.

#![allow(clippy::disallowed_methods, reason = "tests look at files and time from outside")]

mod arguments;
mod groups;
mod help;
mod offline;
mod pipes;
mod process;
mod round_trips;
mod support;
mod topics;
