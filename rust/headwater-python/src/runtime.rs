//! The one tokio runtime of the process: made when first needed, left behind by a forked child.
//!
//! ```text
//! import headwater          no thread, no socket
//! first Broker or client ─► runtime of this process (min(4, cpus) workers)
//! fork ─► child: generation + 1, no runtime; what it inherited answers with a clear error,
//!         and its first own object makes a fresh runtime
//! ```
//!
//! A runtime cannot survive a fork (its threads are gone), and dropping it in the child would wait for threads that
//! never end. So the child's handler only stores two atomics and closes inherited listeners and sockets; the old
//! runtime is leaked. At exit the runtime is leaked as well: its threads never touch Python.

use headwater_env::real::RealEnv;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use tokio::runtime::{Builder, Runtime};

/// Threads of an embedded runtime at the most: brokers and clients of one notebook share them.
const WORKERS_MAX: usize = 4;

static CURRENT: AtomicPtr<Runtime> = AtomicPtr::new(ptr::null_mut());
static GENERATION: AtomicU64 = AtomicU64::new(0);

extern "C" fn forked_child() {
    // Only async-signal-safe steps: another thread may have held any lock when the fork happened.
    CURRENT.store(ptr::null_mut(), Ordering::SeqCst);
    GENERATION.fetch_add(1, Ordering::SeqCst);
    headwater_env::net::close_inherited_in_child();
}

/// Registers the fork handler. Called once, when the module is imported.
pub(crate) fn watch_forks() -> PyResult<()> {
    // SAFETY: the handler is a plain function without captured state and does only async-signal-safe work.
    let failed = unsafe { libc::pthread_atfork(None, None, Some(forked_child)) };
    if failed == 0 {
        Ok(())
    } else {
        Err(PyRuntimeError::new_err("the fork handler could not be registered"))
    }
}

/// The runtime of this process, made by the first caller.
pub(crate) fn runtime() -> PyResult<&'static Runtime> {
    let current = CURRENT.load(Ordering::SeqCst);
    if !current.is_null() {
        // SAFETY: a runtime that was published is never freed.
        return Ok(unsafe { &*current });
    }
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    let fresh = Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("headwater-worker")
        .enable_all()
        .build()
        .map_err(|error| PyRuntimeError::new_err(format!("the runtime could not be started: {error}")))?;
    // No lock: a lock that was held during a fork would stay held in the child for ever.
    let fresh = Box::into_raw(Box::new(fresh));
    match CURRENT.compare_exchange(ptr::null_mut(), fresh, Ordering::SeqCst, Ordering::SeqCst) {
        // SAFETY: just published, never freed.
        Ok(_) => Ok(unsafe { &*fresh }),
        Err(other) => {
            // SAFETY: `fresh` was never published; this thread is its only owner.
            unsafe { Box::from_raw(fresh) }.shutdown_background();
            // SAFETY: a runtime that was published is never freed.
            Ok(unsafe { &*other })
        }
    }
}

/// The environment that brokers and clients of this process run in.
pub(crate) fn env() -> PyResult<RealEnv> {
    Ok(RealEnv::with_handle(runtime()?.handle().clone()))
}

/// Remembers in which process an object was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Birthplace(u64);

impl Birthplace {
    /// Here and now.
    pub(crate) fn here() -> Self {
        Self(GENERATION.load(Ordering::SeqCst))
    }

    /// An error if this process is a forked child of the object's own.
    pub(crate) fn check(self, what: &str) -> PyResult<()> {
        if self.0 == GENERATION.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(format!(
            "this {what} was made before the process forked and does not work in the child; make a new {what} here"
        )))
    }

    /// Whether this process made the object.
    pub(crate) fn is_here(self) -> bool {
        self.0 == GENERATION.load(Ordering::Relaxed)
    }
}
