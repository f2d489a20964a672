//! One file per command: its arguments, and `run`.

pub(crate) mod config;
pub(crate) mod consume;
pub(crate) mod export;
pub(crate) mod group;
pub(crate) mod produce;
pub(crate) mod start;
pub(crate) mod topic;
pub(crate) mod verify;

use crate::arguments::{Command, Other};
use crate::failure::Failure;
use crate::session::Session;

/// A command whose arguments have been checked as far as that goes without a runtime.
pub(crate) enum Work {
    Serve(start::Server),
    Other(Other),
}

impl Work {
    pub(crate) fn prepare(command: Command) -> Result<Self, Failure> {
        match command {
            Command::Start(start) => start.prepare().map(Self::Serve),
            Command::Other(other) => Ok(Self::Other(other)),
        }
    }

    /// Threads of the runtime; `None` for as many as there are processors.
    pub(crate) fn worker_threads(&self) -> Option<usize> {
        match self {
            Self::Serve(server) => server.worker_threads(),
            Self::Other(_) => None,
        }
    }

    /// Runs to the end. Commands that stream hear the first signal themselves and end in good order; the others are
    /// dropped.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Serve(server) => server.run(session).await,
            Self::Other(command) => run_other(command, session).await,
        }
    }
}

async fn run_other(command: Other, session: &Session) -> Result<(), Failure> {
    match command {
        Other::Topic(topic) => session.unless_interrupted(topic.run(session)).await,
        Other::Group(group) => session.unless_interrupted(group.run(session)).await,
        Other::Config(config) => session.unless_interrupted(config.run(session)).await,
        Other::Produce(produce) => produce.run(session).await,
        Other::Consume(consume) => consume.run(session).await,
        Other::Export(export) => export.run(session).await,
        Other::Verify(verify) => session.unless_interrupted(verify.run(session)).await,
    }
}

/// Says every failure of several things asked for at once, and fails if there was one.
pub(crate) fn all_or_said<T>(outcomes: Vec<Result<T, Failure>>) -> Result<Vec<T>, Failure> {
    let mut good = Vec::with_capacity(outcomes.len());
    let mut failed = None;
    for outcome in outcomes {
        match outcome {
            Ok(value) => good.push(value),
            Err(failure) => {
                if let Some(earlier) = failed.replace(failure) {
                    earlier.print();
                }
            }
        }
    }
    failed.map_or(Ok(good), Err)
}
