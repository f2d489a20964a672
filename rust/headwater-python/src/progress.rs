//! How far a long call is, shown where somebody looks: a bar on a terminal, a bar in a notebook, or a callable.
//!
//! Everything happens on the calling thread. A callable that raises (Ctrl-C during it, for example) stops the work, and its
//! exception is what the call raises.

use crate::errors::misuse;
use crate::sources::python_interrupt;
use headwater_arrow::{Interrupt, Interruption};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pyo3::prelude::*;
use pyo3::types::PyBool;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Python is called at most ten times a second.
const CALL_INTERVAL: Duration = Duration::from_millis(100);

/// Shows progress until it is finished.
pub(crate) struct Progress {
    bar: ProgressBar,
    callback: Option<Py<PyAny>>,
    /// Ours in a notebook: it is also told how the work ended.
    is_display: bool,
    called: Option<Instant>,
    at: (u64, u64),
    failed: Arc<AtomicBool>,
    error: Option<PyErr>,
}

impl Progress {
    /// `wanted` is what the caller passed: nothing or true (shown where somebody looks), false, or a callable of
    /// (done, total).
    pub(crate) fn new(py: Python<'_>, wanted: Option<&Bound<'_, PyAny>>, label: &str) -> PyResult<Self> {
        let is_flag = |flag: bool| wanted.is_some_and(|wanted| wanted.is(PyBool::new(py, flag)));
        let (mut callback, mut is_display, mut on_terminal) = (None, false, false);
        match wanted {
            Some(_) if is_flag(false) => {}
            Some(wanted) if wanted.is_callable() => callback = Some(wanted.clone().unbind()),
            Some(wanted) if !is_flag(true) => {
                let kind = wanted.get_type().name()?;
                let expected = "progress expects True, False or a callable of (done, total)";
                return Err(misuse(py, &format!("{expected}, got {kind}")));
            }
            _ => {
                let display = py.import("headwater._progress")?.call_method1("notebook_bar", (label,))?;
                is_display = !display.is_none();
                on_terminal = !is_display;
                callback = is_display.then(|| display.unbind());
            }
        }
        let bar = bar(on_terminal, label);
        let failed = Arc::default();
        Ok(Self { bar, callback, is_display, called: None, at: (0, 0), failed, error: None })
    }

    /// Asks for signals, as every long call does, and whether the callable has failed.
    pub(crate) fn interrupt(&self) -> Arc<dyn Interrupt> {
        let (python, failed) = (python_interrupt(), Arc::clone(&self.failed));
        Arc::new(
            move || {
                if failed.load(Ordering::Relaxed) { Err(Interruption::Cancelled) } else { python.check() }
            },
        )
    }

    /// Called without the GIL.
    pub(crate) fn show(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.at = (done, total);
        if self.callback.is_none() || self.error.is_some() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "paces what a person sees, on the caller's own thread")]
        let now = Instant::now();
        if self.called.is_none_or(|called| now.duration_since(called) >= CALL_INTERVAL) {
            self.called = Some(now);
            if let Some(Err(error)) = Python::try_attach(|py| self.call(py)) {
                self.failed.store(true, Ordering::Relaxed);
                self.error = Some(error);
            }
        }
    }

    fn call(&self, py: Python<'_>) -> PyResult<()> {
        self.callback.as_ref().map_or(Ok(()), |callback| callback.call1(py, self.at).map(drop))
    }

    /// Shows the end. The error of the callable outweighs the outcome that it led to.
    pub(crate) fn finish<T>(mut self, py: Python<'_>, outcome: PyResult<T>) -> PyResult<T> {
        self.bar.finish_and_clear();
        let mut outcome = self.error.take().map_or(outcome, Err);
        if outcome.is_ok()
            && let Err(error) = self.call(py)
        {
            outcome = Err(error);
        }
        if let (true, Some(display)) = (self.is_display, &self.callback) {
            display.call_method1(py, "finish", (outcome.is_ok(),))?;
        }
        outcome
    }
}

/// A bar on stderr, hidden where stderr is not a terminal.
fn bar(wanted: bool, label: &str) -> ProgressBar {
    let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    ProgressBar::with_draw_target(Some(0), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(label.to_owned())
}
