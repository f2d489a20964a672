//! `Producer.send_arrow`: a table of Python's into the producer, with the GIL released all the while.

use crate::capsule;
use crate::delivery::Reports;
use crate::errors::{IntoPyErr, in_context, misuse};
use crate::runtime::env;
use crate::wait::{wait, without_gil};
use headwater_arrow::send::{RecordSink, SendColumns, SendError, ValueFormat, rows_before, send};
use headwater_client::{ProduceError, ProduceRecord, Producer, TopicHandle};
use headwater_env::Env;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use std::time::Duration;
use tokio::time::Instant;

/// How often signal handlers and callbacks have their turn.
const ATTACH_EVERY: Duration = Duration::from_millis(50);

/// How a value is written, by its name.
pub(crate) fn value_format(py: Python<'_>, name: Option<&str>) -> PyResult<ValueFormat> {
    match name {
        None => Ok(ValueFormat::ByType),
        Some("json") => Ok(ValueFormat::Json),
        Some(other) => Err(misuse(py, &format!("value_format expects \"json\" or None, got \"{other}\""))),
    }
}

/// Sends every row of `data`; returns how many.
pub(crate) fn run(
    producer: &Producer,
    reports: &Reports,
    data: &Bound<'_, PyAny>,
    columns: &SendColumns,
) -> PyResult<u64> {
    let py = data.py();
    let reader = capsule::reader(data)?;
    let env = env()?;
    let attached = env.now();
    let mut sink = Sink { producer, reports, env, attached };
    let sent = without_gil(py, || send(reader, columns, &mut sink));
    sent.map_err(|error| {
        let message = error.to_string();
        match error {
            SendError::Plan(_) | SendError::Row { .. } => misuse(py, &message),
            SendError::Data { source, .. } => unreadable(py, &message, &source.to_string()),
            SendError::Sink { row, source } => {
                in_context(py, source, &format!("row {row}"), &rows_before(row))
            }
        }
    })
}

/// The error of data that could not be read. Through Arrow's C interface a Python exception comes as text, its traceback
/// behind its message; a Ctrl-C is still a Ctrl-C.
fn unreadable(py: Python<'_>, message: &str, reason: &str) -> PyErr {
    if let Err(raised) = py.check_signals() {
        return raised;
    }
    if reason.contains("KeyboardInterrupt") {
        return PyKeyboardInterrupt::new_err(());
    }
    let short = reason.split(" Detail: Python exception").next().unwrap_or(reason).trim_end();
    misuse(py, &message.replace(reason, short))
}

/// The producer, waited for as `produce` waits: up to `max.block.ms`, callbacks running meanwhile.
struct Sink<'a, E> {
    producer: &'a Producer,
    reports: &'a Reports,
    env: E,
    /// When Python last had its turn.
    attached: Instant,
}

impl<E: Env> RecordSink for Sink<'_, E> {
    type Topic = TopicHandle;
    type Error = PyErr;

    fn topic(&mut self, name: &str) -> PyResult<TopicHandle> {
        self.producer.topic(name).map_err(|error| Python::attach(|py| error.into_py_err(py)))
    }

    #[inline]
    fn send(&mut self, topic: &TopicHandle, record: &ProduceRecord<'_>) -> PyResult<()> {
        loop {
            match self.producer.produce(topic, record) {
                Ok(_) => return Ok(()),
                Err(ProduceError::WouldBlock(_)) => Python::attach(|py| {
                    wait(py, self.producer.ready(topic, record))?;
                    self.reports.run_callbacks(py)
                })?,
                Err(error) => return Err(Python::attach(|py| error.into_py_err(py))),
            }
        }
    }

    fn check(&mut self) -> PyResult<()> {
        let now = self.env.now();
        if now - self.attached < ATTACH_EVERY {
            return Ok(());
        }
        self.attached = now;
        Python::attach(|py| {
            py.check_signals()?;
            if self.reports.waiting() { self.reports.run_callbacks(py) } else { Ok(()) }
        })
    }
}
