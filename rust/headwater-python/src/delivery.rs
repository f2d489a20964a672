//! How Python learns of a record's fate: callbacks on the thread that polls, or a `Delivery` to wait for.

use crate::errors::IntoPyErr;
use crate::runtime::{Birthplace, runtime};
use crate::wait::{seconds, wait};
use headwater_client::{BatchReport, ClientError, DeliveryHandle, DeliverySink};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Where a delivered record lies.
#[pyclass(frozen, get_all, module = "headwater")]
pub(crate) struct RecordMetadata {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp: i64,
}

#[pymethods]
impl RecordMetadata {
    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        crate::display::html(slf.as_any(), "record_metadata")
    }

    fn __repr__(&self) -> String {
        format!(
            "RecordMetadata(topic={:?}, partition={}, offset={}, timestamp={})",
            self.topic, self.partition, self.offset, self.timestamp
        )
    }
}

impl From<headwater_client::RecordMetadata> for RecordMetadata {
    fn from(of: headwater_client::RecordMetadata) -> Self {
        Self {
            topic: of.topic.to_string(),
            partition: of.partition,
            offset: of.offset,
            timestamp: of.timestamp,
        }
    }
}

/// Reports that wait for a Python thread to run their callbacks. Bounded by what is in flight.
///
/// A record's token is its callback: a reference that is owned by the token until the record is reported, once.
#[derive(Default)]
pub(crate) struct Reports {
    queue: Mutex<VecDeque<BatchReport>>,
    waiting: AtomicBool,
    arrived: Notify,
}

impl DeliverySink for Reports {
    fn report(&self, report: BatchReport) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(report);
        self.waiting.store(true, Ordering::Release);
        self.arrived.notify_waiters();
    }
}

impl Reports {
    /// The token that stands for a callback.
    pub(crate) fn token(callback: Py<PyAny>) -> u64 {
        callback.into_ptr() as u64
    }

    /// Gives up the callback of a record that was never appended.
    pub(crate) fn forget(py: Python<'_>, token: u64) {
        drop(Self::callback(py, token));
    }

    fn callback(py: Python<'_>, token: u64) -> Py<PyAny> {
        // SAFETY: the token is a reference that `token` gave away, and comes back exactly once.
        unsafe { Bound::from_owned_ptr(py, token as *mut pyo3::ffi::PyObject) }.unbind()
    }

    /// Whether there may be callbacks to run; one relaxed load for the hot path.
    pub(crate) fn waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Records whose callbacks wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).iter().map(BatchReport::len).sum()
    }

    /// Returns when there is a report.
    pub(crate) async fn arrived(&self) {
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            arrived.as_mut().enable();
            if self.waiting.load(Ordering::Acquire) {
                return;
            }
            arrived.await;
        }
    }

    /// Calls `callback(error or None, RecordMetadata)` for every reported record, in order. The first exception of a
    /// callback is raised after all of them have run.
    pub(crate) fn run_callbacks(&self, py: Python<'_>) -> PyResult<()> {
        let mut first_error = None;
        loop {
            let report = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let report = queue.pop_front();
                if report.is_none() {
                    self.waiting.store(false, Ordering::Release);
                }
                report
            };
            let Some(report) = report else { return first_error.map_or(Ok(()), Err) };
            if let Err(error) = run_report(py, &report) {
                first_error.get_or_insert(error);
            }
        }
    }
}

fn run_report(py: Python<'_>, report: &BatchReport) -> PyResult<()> {
    let error = report.error().map(|error| error.clone().into_py_err(py).into_value(py));
    let mut first_error = None;
    for (token, offset, timestamp) in report.records() {
        let callback = Reports::callback(py, token);
        let topic = report.topic().to_string();
        let metadata = RecordMetadata { topic, partition: report.partition(), offset, timestamp };
        if let Err(error) = callback.bind(py).call1((error.as_ref(), metadata)) {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// The fate of one record that was sent with `Producer.send`.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct Delivery {
    handle: DeliveryHandle,
    born: Birthplace,
}

impl Delivery {
    pub(crate) fn new(handle: DeliveryHandle) -> Self {
        Self { handle, born: Birthplace::here() }
    }
}

#[pymethods]
impl Delivery {
    #[pyo3(signature = (timeout=None))]
    fn result(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<RecordMetadata> {
        if let Some(fate) = self.handle.peek() {
            return fate.map(Into::into).map_err(|error| error.into_py_err(py));
        }
        self.born.check("Delivery")?;
        let timeout = seconds(py, timeout)?;
        let waited = wait(py, async {
            let Some(timeout) = timeout else { return self.handle.wait().await };
            tokio::time::timeout(timeout, self.handle.wait()).await.unwrap_or_else(|_| {
                let doing = format!("delivery to {}-{}", self.handle.topic(), self.handle.partition());
                Err(ClientError::TimedOut { doing, after: timeout })
            })
        });
        waited.map(Into::into)
    }

    fn done(&self) -> bool {
        self.handle.peek().is_some()
    }

    #[getter]
    fn topic(&self) -> &str {
        self.handle.topic()
    }

    #[getter]
    fn partition(&self) -> i32 {
        self.handle.partition()
    }

    fn __await__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("headwater._aio")?.call_method1("wait_for", (slf,))
    }

    fn __repr__(&self) -> String {
        let state = match self.handle.peek() {
            None => "in flight".to_owned(),
            Some(Ok(metadata)) => format!("at offset {}", metadata.offset),
            Some(Err(error)) => format!("failed: {error}"),
        };
        format!("Delivery({}-{}, {state})", self.handle.topic(), self.handle.partition())
    }
}

/// Tells an event loop which deliveries are settled: the runtime puts a number on a list and a byte into a socket that
/// the loop watches. No runtime thread touches Python.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct Arrivals {
    shared: Arc<Shared>,
    born: Birthplace,
}

struct Shared {
    settled: Mutex<Vec<u64>>,
    bell: Mutex<std::fs::File>,
}

#[pymethods]
impl Arrivals {
    /// Takes ownership of a descriptor, the writing end of a socket pair.
    #[new]
    fn new(descriptor: i32) -> PyResult<Self> {
        if descriptor < 0 {
            return Err(PyRuntimeError::new_err("a descriptor is not negative"));
        }
        // SAFETY: the caller detached the descriptor from its socket object and gives it away.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let shared = Shared { settled: Mutex::default(), bell: Mutex::new(owned.into()) };
        Ok(Self { shared: Arc::new(shared), born: Birthplace::here() })
    }

    /// Rings when `delivery` is settled; `drain` then names `number`.
    fn expect(&self, delivery: &Delivery, number: u64) -> PyResult<()> {
        self.born.check("event loop")?;
        let (shared, handle) = (Arc::clone(&self.shared), delivery.handle.clone());
        let task = async move {
            // The fate itself is asked for on the Python side.
            let _ = handle.wait().await;
            let mut settled = shared.settled.lock().unwrap_or_else(PoisonError::into_inner);
            settled.push(number);
            if settled.len() == 1 {
                // The list was empty, so no byte is under way: one byte never finds the socket full.
                let mut bell = shared.bell.lock().unwrap_or_else(PoisonError::into_inner);
                // A closed loop has no reader any more, and nobody waits.
                let _ = bell.write_all(&[1]);
            }
        };
        drop(runtime()?.spawn(task));
        Ok(())
    }

    /// The numbers that are settled since the last call.
    fn drain(&self) -> Vec<u64> {
        std::mem::take(&mut *self.shared.settled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
