//! The machine: the system's clock and randomness, a tokio runtime, the file system.

mod disk;
mod lock;

use std::panic;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio::runtime::Handle;

pub use disk::{RealDisk, RealFile};

use crate::env::Env;
use crate::task::TaskHandle;

/// The real world, tied to one tokio runtime.
#[derive(Debug, Clone, Default)]
pub struct RealEnv {
    disk: RealDisk,
    handle: Arc<OnceLock<Handle>>,
}

impl RealEnv {
    /// Uses the runtime this is called in. Called outside of one, the runtime of the first `spawn` or `blocking` is
    /// taken, so that the disk can be used with no runtime at all.
    pub fn new() -> Self {
        let env = Self::default();
        if let Ok(handle) = Handle::try_current() {
            env.handle.get_or_init(|| handle);
        }
        env
    }

    /// Uses the given runtime, from whatever thread.
    pub fn with_handle(handle: Handle) -> Self {
        Self { disk: RealDisk, handle: Arc::new(OnceLock::from(handle)) }
    }

    fn handle(&self) -> &Handle {
        self.handle.get_or_init(Handle::current)
    }
}

impl Env for RealEnv {
    type Disk = RealDisk;

    fn disk(&self) -> &RealDisk {
        &self.disk
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    fn wall_ms(&self) -> i64 {
        let now = SystemTime::now();
        let milliseconds =
            |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => milliseconds(since),
            Err(before) => -milliseconds(before.duration()),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    fn now(&self) -> tokio::time::Instant {
        tokio::time::Instant::now()
    }

    fn spawn<F>(&self, name: &'static str, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        TaskHandle::new(name, self.handle().spawn(future))
    }

    fn blocking<F, T>(&self, work: F) -> impl Future<Output = T> + Send + 'static
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let running = self.handle().spawn_blocking(work);
        async move {
            match running.await {
                Ok(value) => value,
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => panic::resume_unwind(payload),
                    // The runtime is being shut down: there will be no value, and this task is about to be dropped.
                    Err(_) => std::future::pending().await,
                },
            }
        }
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        OsRng.try_fill_bytes(buffer).expect("the operating system gives random bytes");
    }
}
