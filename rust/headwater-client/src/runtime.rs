//! The world as this crate sees it: a clock, randomness and a place to run tasks.
//!
//! Everything comes from a `headwater_env::Env`. The environment is taken once, behind a small trait object, so that
//! `Client`, `Producer`, `Consumer` and `Admin` carry no type parameter; no hot path crosses it more than once per record.

use headwater_env::Env;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

trait World: Send + Sync {
    fn spawn(&self, name: &'static str, task: Task);
    fn wall_ms(&self) -> i64;
    fn now(&self) -> Instant;
    fn random_u64(&self) -> u64;
}

struct Of<E>(E);

impl<E: Env> World for Of<E> {
    fn spawn(&self, name: &'static str, task: Task) {
        // The handle detaches on drop; every task here ends by its own cancellation token.
        drop(self.0.spawn(name, task));
    }

    fn wall_ms(&self) -> i64 {
        self.0.wall_ms()
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn random_u64(&self) -> u64 {
        self.0.random_u64()
    }
}

/// An environment without its type. Cheap to clone.
#[derive(Clone)]
pub struct Runtime(Arc<dyn World>);

impl Runtime {
    /// Takes an environment. Tasks run where its `spawn` puts them.
    pub fn new<E: Env>(env: E) -> Self {
        Self(Arc::new(Of(env)))
    }

    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(name, Box::pin(task));
    }

    pub(crate) fn wall_ms(&self) -> i64 {
        self.0.wall_ms()
    }

    pub(crate) fn now(&self) -> Instant {
        self.0.now()
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub(crate) fn random_below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.0.random_u64() % bound }
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Runtime")
    }
}

/// Exponential backoff with 20 % of jitter, as Kafka's clients do.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first_ms: u64,
    longest_ms: u64,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first_ms: u64, longest_ms: u64) -> Self {
        Self { first_ms, longest_ms: longest_ms.max(first_ms), failures: 0 }
    }

    pub(crate) fn next(&mut self, runtime: &Runtime) -> Duration {
        let base = self.first_ms.saturating_mul(1 << self.failures.min(20)).min(self.longest_ms);
        self.failures = self.failures.saturating_add(1);
        let spread = base * 2 / 5;
        Duration::from_millis(base - spread / 2 + runtime.random_below(spread + 1))
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}
