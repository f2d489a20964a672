//! How a long scan is told to stop: it asks between batches, and while it waits for the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_env::Env;
use tokio::time::Instant;

/// Why a scan was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    /// Somebody asked for it, with Ctrl-C for example.
    #[error("the scan was cancelled")]
    Cancelled,
    /// It took longer than allowed.
    #[error("the scan's time is up")]
    DeadlinePassed,
}

/// Asked between batches, at least every 100 ms while waiting. A closure will do.
pub trait Interrupt: Send + Sync {
    /// An error ends the scan.
    ///
    /// # Errors
    /// The reason to stop.
    fn check(&self) -> Result<(), Interruption>;
}

impl<F: Fn() -> Result<(), Interruption> + Send + Sync> Interrupt for F {
    fn check(&self) -> Result<(), Interruption> {
        self()
    }
}

/// Never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uninterrupted;

impl Interrupt for Uninterrupted {
    fn check(&self) -> Result<(), Interruption> {
        Ok(())
    }
}

/// A flag that another thread can raise. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not raised.
    pub fn new() -> CancelFlag {
        CancelFlag::default()
    }

    /// Stops whoever looks at the flag, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Interrupt for CancelFlag {
    fn check(&self) -> Result<(), Interruption> {
        if self.0.load(Ordering::Relaxed) { Err(Interruption::Cancelled) } else { Ok(()) }
    }
}

/// Stops at a moment on the environment's monotonic clock.
pub struct Deadline<E: Env> {
    env: E,
    at: Instant,
}

impl<E: Env> Deadline<E> {
    /// Stops at `at`.
    pub fn new(env: E, at: Instant) -> Deadline<E> {
        Deadline { env, at }
    }
}

impl<E: Env> Interrupt for Deadline<E> {
    fn check(&self) -> Result<(), Interruption> {
        if self.env.now() < self.at { Ok(()) } else { Err(Interruption::DeadlinePassed) }
    }
}
