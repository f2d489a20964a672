//! One run of the command: its runtime, its log, its signals, its end.
//!
//! ```text
//!  first SIGINT or SIGTERM ─► `interrupt`: commands that stream finish what they have begun, others are dropped
//!  second                  ─► `force`: whatever is going on is dropped
//! ```
//!
//! The calling thread only waits: terminals and pipes are read and written on threads that may block, so a signal is
//! heard even while somebody does not read what we write.

use crate::arguments::{Arguments, Command};
use crate::commands::Work;
use crate::failure::{DONE, Failure};
use crate::output::Output;
use headwater_env::Env;
use headwater_env::real::RealEnv;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long threads that block may hold up the end of a run. A thread that reads a terminal never ends by itself.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(200);

/// What every command is handed.
pub(crate) struct Session {
    /// The world of this run.
    pub(crate) env: RealEnv,
    /// Cancelled by the first signal.
    pub(crate) interrupt: CancellationToken,
    /// Name of the first signal.
    pub(crate) signal: Arc<OnceLock<&'static str>>,
}

impl Session {
    /// The environment as the client wants it.
    pub(crate) fn runtime(&self) -> headwater_client::Runtime {
        headwater_client::Runtime::new(self.env.clone())
    }

    /// Runs `work` unless a signal comes first.
    pub(crate) async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.interrupt.cancelled() => Err(Failure::Interrupted),
            outcome = work => outcome,
        }
    }

    /// Writes a whole document to stdout.
    pub(crate) async fn print(&self, text: String) -> Result<(), Failure> {
        let mut output = Output::stdout(&self.env);
        output.buffer().extend_from_slice(text.as_bytes());
        output.close().await
    }
}

/// Runs one command to its end and returns its exit code.
pub(crate) fn run(arguments: Arguments) -> i32 {
    log_to_stderr(&arguments);
    match prepare_and_run(arguments.command) {
        Ok(()) => DONE,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}

fn prepare_and_run(command: Command) -> Result<(), Failure> {
    let work = Work::prepare(command)?;
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = work.worker_threads() {
        builder.worker_threads(threads);
    }
    let runtime = builder
        .thread_name("headwater-worker")
        .enable_all()
        .build()
        .map_err(|error| Failure::io("the runtime could not be started", &error))?;
    let outcome = runtime.block_on(async {
        let session =
            Session { env: RealEnv::new(), interrupt: CancellationToken::new(), signal: Arc::default() };
        let force = CancellationToken::new();
        listen_to_signals(&session, force.clone())?;
        tokio::select! {
            biased;
            () = force.cancelled() => Err(Failure::Interrupted),
            outcome = work.run(&session) => outcome,
        }
    });
    runtime.shutdown_timeout(SHUTDOWN_WAIT);
    outcome
}

fn listen_to_signals(session: &Session, force: CancellationToken) -> Result<(), Failure> {
    let failed = |error| Failure::io("signals cannot be heard", &error);
    let mut interrupts = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(failed)?;
    let (first, name) = (session.interrupt.clone(), Arc::clone(&session.signal));
    let listening = async move {
        loop {
            let heard = tokio::select! {
                _ = interrupts.recv() => "SIGINT",
                _ = terminations.recv() => "SIGTERM",
            };
            if name.set(heard).is_err() {
                force.cancel();
            }
            first.cancel();
        }
    };
    // Ends with the runtime.
    drop(session.env.spawn("cli-signals", listening));
    Ok(())
}

/// Sends log lines to stderr, unless this process has a place for them already.
fn log_to_stderr(arguments: &Arguments) {
    let level = arguments.log.as_deref().unwrap_or(match arguments.command {
        // A quorum of one warns of its own first vote.
        Command::Start(_) => "info,openraft=error",
        Command::Other(_) => "warn",
    });
    let filter = EnvFilter::builder().parse(level).unwrap_or_else(|error| {
        crate::failure::say(&format!(
            "warning: `--log {level}` is not understood, logging warnings: {error}"
        ));
        EnvFilter::new("warn")
    });
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()),
        )
        .finish();
    // Fails when a subscriber is installed already, from an earlier run or by the host: then that one gets the lines.
    drop(tracing::subscriber::set_global_default(subscriber));
}
