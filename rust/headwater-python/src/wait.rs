//! The one place that releases the GIL: waits for a future, honours Ctrl-C, converts errors.

use crate::errors::IntoPyErr;
use crate::runtime::runtime;
use pyo3::prelude::*;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

/// How long Python's signal handlers wait for their turn at the most.
const SIGNAL_CHECK_MS: u64 = 50;

/// Waits for `future` with the GIL released.
///
/// A signal handler that raises (Ctrl-C) drops the future, which cancels what it waits for.
pub(crate) fn wait<F, T, E>(py: Python<'_>, future: F) -> PyResult<T>
where
    F: Future<Output = Result<T, E>> + Send,
    T: Send,
    E: Send + IntoPyErr,
{
    let runtime = runtime()?;
    let mut future = pin!(future);
    loop {
        let slice = Duration::from_millis(SIGNAL_CHECK_MS);
        let done =
            py.detach(|| runtime.block_on(async { tokio::time::timeout(slice, future.as_mut()).await }));
        match done {
            Ok(result) => return result.map_err(|error| error.into_py_err(py)),
            Err(_elapsed) => py.check_signals()?,
        }
    }
}

/// Runs work that keeps the thread busy with the GIL released.
pub(crate) fn without_gil<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    py.detach(work)
}

/// A timeout as Python gives it: seconds, `None` for as long as it takes.
pub(crate) fn seconds(py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Duration>> {
    timeout
        .map(|seconds| {
            Duration::try_from_secs_f64(seconds).map_err(|_| {
                crate::errors::misuse(py, &format!("timeout expects seconds ≥ 0 or None, got {seconds}"))
            })
        })
        .transpose()
}
