//! Why a poll brings nothing, said once as a warning: no broker can be reached, or a topic does not exist.
//!
//! Not an exception: as with Kafka's own clients a poll goes on trying, for a broker may restart and a topic may come.

use crate::hints;
use headwater_client::{ClientError, Consumer};
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing may come before anything is said about brokers that refuse connections.
const UNREACHABLE_AFTER: Duration = Duration::from_millis(900);
/// As long for topics: the first answers about one that is just being created do not know it either.
const MISSING_AFTER: Duration = Duration::from_secs(3);
/// How long a poll waits before it looks whether there is something to say.
pub(crate) const LOOK_AFTER: Duration = Duration::from_secs(4);

/// What was said to the user of one consumer.
#[derive(Default)]
pub(crate) struct Silence {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    told: Option<String>,
}

impl Silence {
    /// A poll begins to wait.
    pub(crate) fn begin(&self, now: Instant) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).since.get_or_insert(now);
    }

    /// Records came.
    pub(crate) fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).since = None;
    }

    /// A poll has waited and got nothing: warns if there is a reason that was not told before.
    pub(crate) fn explain(&self, py: Python<'_>, consumer: &Consumer, now: Instant) -> PyResult<()> {
        let message = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(since) = state.since else { return Ok(()) };
            let message = reason(consumer, now.saturating_duration_since(since));
            if message.is_none() || message == state.told {
                return Ok(());
            }
            state.told.clone_from(&message);
            message.unwrap_or_default()
        };
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &CString::new(message)?, 1)
    }
}

fn reason(consumer: &Consumer, silent: Duration) -> Option<String> {
    if let Some(trouble) = consumer.client().trouble()
        && silent >= UNREACHABLE_AFTER
        && matches!(&*trouble, ClientError::Unreachable { .. })
    {
        let message = hints::with_hint(&trouble.to_string(), hints::of_client(&trouble));
        return Some(format!("poll brings nothing and goes on trying: {message}"));
    }
    let missing = consumer.missing_topics();
    let missing = missing.first().filter(|_| silent >= MISSING_AFTER)?;
    Some(format!(
        "poll brings nothing and goes on waiting: topic {missing:?} does not exist; {}",
        hints::UNKNOWN_TOPIC
    ))
}
