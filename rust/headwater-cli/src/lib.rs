//! The `headwater` command: arguments in, tables and records out.
//!
//! ```text
//!  run(arguments) ─ arguments.rs (clap) ─ session.rs (runtime, signals, log) ─ commands/<name>.rs
//!                                                       │
//!           stdin ─ input.rs ─► records ─► client       └─ failure.rs ─► `error: …`, `hint: …`, exit code
//!           client ─► record_text/ ─► output.rs ─► stdout
//! ```
//!
//! Data goes to stdout, everything else to stderr. The same library stands behind the binary and behind the Python
//! wheel, so nothing here ends the process, and everything that was started has ended when [`run`] returns (a thread
//! that waits for a terminal or a full pipe excepted).
//!
//! Deliberately absent: how a thing is done. Commands call the client, the broker, the log and the exporter.

mod arguments;
mod commands;
mod connect;
mod escape;
mod failure;
mod input;
mod moment;
mod output;
mod properties;
mod record_text;
mod session;
mod table;
mod values;

use clap::{CommandFactory, Parser};
use std::ffi::OsString;

/// Runs the command with `arguments` (without the program's name) and returns its exit code: 0 done, 1 failed,
/// 2 wrong usage, 130 interrupted by Ctrl-C or SIGTERM. `start` returns 0 when a signal stopped it in good order.
///
/// Makes a tokio runtime of its own and shuts it down before it returns, so it must not be called from inside one.
/// While it runs it listens to SIGINT and SIGTERM; handlers that were there before are called too. A host with a
/// handler of its own, like Python's for SIGINT, should put the default back first.
pub fn run(arguments: Vec<OsString>) -> i32 {
    let arguments = std::iter::once(OsString::from("headwater")).chain(arguments);
    match arguments::Arguments::try_parse_from(arguments) {
        Ok(arguments) => session::run(arguments),
        Err(error) => {
            // Help and version are errors to clap, with code 0. A closed stdout is no reason to fail.
            drop(error.print());
            error.exit_code()
        }
    }
}

/// The whole command tree as clap knows it, for completions and reference pages.
pub fn command() -> clap::Command {
    arguments::Arguments::command()
}
