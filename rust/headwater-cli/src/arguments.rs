//! The command tree, and what every command accepts.
//!
//! The arguments of a command are declared in its own file under `commands/`; here they are put together.

use crate::commands;
use clap::{Parser, Subcommand};

/// How every list of examples begins.
macro_rules! examples {
    ($($line:literal),+ $(,)?) => { concat!("Examples:", $("\n  ", $line),+) };
}
pub(crate) use examples;

#[derive(Debug, Parser)]
#[command(
    name = "headwater",
    version,
    about = "An event log that speaks the Kafka protocol",
    long_about = "An event log that speaks the Kafka protocol\n\n\
        `headwater start` runs a server. The other commands work with any server of that protocol, ours or Apache \
        Kafka; `verify` and `export --data` read the directory of a server that is stopped.\n\n\
        Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
    after_help = examples!(
        "headwater start --data ./data",
        "headwater topic create flights --partitions 6",
        "seq 10 | headwater produce flights",
        "headwater consume flights --from beginning",
    ),
    disable_help_subcommand = true,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    /// What to log to stderr: `error`, `warn`, `info`, `debug`, `trace`, or a list like `warn,headwater_log=debug`
    /// [default: `warn`, for `start` `info`]
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "HEADWATER_LOG",
        hide_env_values = true,
        // Behind the options of the command itself.
        display_order = 900
    )]
    pub(crate) log: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Start(commands::start::Start),
    #[command(flatten)]
    Other(Other),
}

/// The commands that need nothing before there is a runtime.
#[derive(Debug, Subcommand)]
pub(crate) enum Other {
    Topic(commands::topic::Topic),
    Group(commands::group::Group),
    Config(commands::config::Config),
    Produce(commands::produce::Produce),
    Consume(commands::consume::Consume),
    Export(commands::export::Export),
    Verify(commands::verify::Verify),
}

/// Reads `KEY=VALUE`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn pairs_keep_further_equals_signs() {
        assert_eq!(key_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(key_value("a="), Ok(("a".to_owned(), String::new())));
        assert!(key_value("a").is_err());
        assert!(key_value("=b").is_err());
    }
}
