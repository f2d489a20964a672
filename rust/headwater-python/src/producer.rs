//! `Producer`: one call per record on a path without a future, a lock of ours or a Python object of ours.

use crate::bytes_like::{OwnedHeaders, bytes_like, check_serialized, headers};
use crate::config::{pairs, take_callable};
use crate::delivery::{Delivery, Reports};
use crate::errors::{Class, IntoPyErr, misuse};
use crate::hints;
use crate::runtime::{Birthplace, env, runtime};
use crate::send_arrow;
use crate::target;
use crate::wait::{seconds, wait};
use headwater_arrow::send::SendColumns;
use headwater_client::{ProduceError, ProduceRecord, ProducerConfig, Runtime, TopicHandle};
use headwater_record::RecordHeader;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long closing waits for what is in flight, where the caller does not say.
const CLOSE_SECONDS: f64 = 120.0;
/// How long a producer that nobody closed may still send when it is thrown away.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends records; see the stub for the documentation of each method.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct Producer {
    inner: headwater_client::Producer,
    reports: Arc<Reports>,
    topics: Mutex<Topics>,
    key_serializer: Option<Py<PyAny>>,
    value_serializer: Option<Py<PyAny>>,
    closed: AtomicBool,
    born: Birthplace,
}

/// Topics that were looked up, and the one used last: most programs write to one topic with the same `str` object.
#[derive(Default)]
struct Topics {
    last: Option<(Py<PyString>, TopicHandle)>,
    known: HashMap<String, TopicHandle>,
}

/// One record's arguments after serialization.
struct Parts<'a> {
    key: Option<Cow<'a, [u8]>>,
    value: Option<Cow<'a, [u8]>>,
    headers: OwnedHeaders,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

#[pymethods]
impl Producer {
    #[new]
    #[pyo3(signature = (target, **config))]
    fn new(target: &Bound<'_, PyAny>, config: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let py = target.py();
        let key_serializer = take_callable(config, "key_serializer")?;
        let value_serializer = take_callable(config, "value_serializer")?;
        let settings = ProducerConfig::from_pairs(pairs(config)?).map_err(|error| error.into_py_err(py))?;
        let reports = Arc::new(Reports::default());
        let bootstrap = target::bootstrap(target)?;
        let runtime = Runtime::new(env()?);
        let sink = Arc::clone(&reports);
        let inner = headwater_client::Producer::with_sink(runtime, bootstrap, settings, sink)
            .map_err(|error| error.into_py_err(py))?;
        Ok(Self {
            inner,
            reports,
            topics: Mutex::default(),
            key_serializer,
            value_serializer,
            closed: AtomicBool::new(false),
            born: Birthplace::here(),
        })
    }

    #[pyo3(signature = (topic, value=None, *, key=None, headers=None, partition=None, timestamp=None, on_delivery=None))]
    #[expect(clippy::too_many_arguments, reason = "the arguments of one record")]
    fn produce(
        &self,
        py: Python<'_>,
        topic: &Bound<'_, PyString>,
        value: Option<Bound<'_, PyAny>>,
        key: Option<Bound<'_, PyAny>>,
        headers: Option<&Bound<'_, PyAny>>,
        partition: Option<i32>,
        timestamp: Option<i64>,
        on_delivery: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        self.usable(py)?;
        let topic = self.topic(topic)?;
        let (key, value) = self.serialized(py, key, value)?;
        let parts = Parts::new(key.as_ref(), value.as_ref(), headers, partition, timestamp)?;
        self.append(py, &topic, &parts, on_delivery)?;
        if self.reports.waiting() { self.reports.run_callbacks(py) } else { Ok(()) }
    }

    #[pyo3(signature = (topic, value=None, *, key=None, headers=None, partition=None, timestamp=None))]
    #[expect(clippy::too_many_arguments, reason = "the arguments of one record")]
    fn send(
        &self,
        py: Python<'_>,
        topic: &Bound<'_, PyString>,
        value: Option<Bound<'_, PyAny>>,
        key: Option<Bound<'_, PyAny>>,
        headers: Option<&Bound<'_, PyAny>>,
        partition: Option<i32>,
        timestamp: Option<i64>,
    ) -> PyResult<Delivery> {
        self.usable(py)?;
        let topic = self.topic(topic)?;
        let (key, value) = self.serialized(py, key, value)?;
        let parts = Parts::new(key.as_ref(), value.as_ref(), headers, partition, timestamp)?;
        let borrowed = parts.borrow_headers();
        let record = parts.record(&borrowed, None);
        let handle = self.retried(py, &topic, &record, || self.inner.produce_tracked(&topic, &record))?;
        Ok(Delivery::new(handle))
    }

    #[pyo3(signature = (topic, values, keys=None, *, partition=None, timestamps=None))]
    fn produce_many(
        &self,
        py: Python<'_>,
        topic: &Bound<'_, PyString>,
        values: &Bound<'_, PyAny>,
        keys: Option<&Bound<'_, PyAny>>,
        partition: Option<i32>,
        timestamps: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        self.usable(py)?;
        let topic = self.topic(topic)?;
        let mut keys = keys.map(|keys| keys.try_iter()).transpose()?;
        let mut timestamps = timestamps.map(|timestamps| timestamps.try_iter()).transpose()?;
        let mut count = 0;
        for value in values.try_iter()? {
            let key = next_of(py, keys.as_mut(), "keys", count)?;
            let timestamp = match next_of(py, timestamps.as_mut(), "timestamps", count)? {
                Some(timestamp) => timestamp.extract()?,
                None => None,
            };
            let (key, value) = self.serialized(py, key, Some(value?))?;
            let parts = Parts::new(key.as_ref(), value.as_ref(), None, partition, timestamp)?;
            self.append(py, &topic, &parts, None)?;
            count += 1;
        }
        Ok(count)
    }

    #[pyo3(signature = (
        topic, data, *, key=None, value=None, headers=None, partition=None, timestamp=None, value_format=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "the roles that a column can have")]
    fn send_arrow(
        &self,
        py: Python<'_>,
        topic: Option<String>,
        data: &Bound<'_, PyAny>,
        key: Option<String>,
        value: Option<String>,
        headers: Option<String>,
        partition: Option<String>,
        timestamp: Option<String>,
        value_format: Option<&str>,
    ) -> PyResult<u64> {
        self.usable(py)?;
        let value_format = send_arrow::value_format(py, value_format)?;
        let columns = SendColumns { topic, key, value, value_format, headers, partition, timestamp };
        let sent = send_arrow::run(&self.inner, &self.reports, data, &columns)?;
        if self.reports.waiting() {
            self.reports.run_callbacks(py)?;
        }
        Ok(sent)
    }

    #[pyo3(signature = (timeout=0.0))]
    fn poll(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<usize> {
        self.born.check("Producer")?;
        let timeout = seconds(py, timeout)?;
        if !self.reports.waiting() && timeout != Some(Duration::ZERO) {
            let reports = Arc::clone(&self.reports);
            wait(py, async move {
                let arrived = reports.arrived();
                match timeout {
                    Some(timeout) => tokio::time::timeout(timeout, arrived).await.unwrap_or(()),
                    None => arrived.await,
                }
                Ok::<(), PyErr>(())
            })?;
        }
        let count = self.reports.len();
        self.reports.run_callbacks(py)?;
        Ok(count)
    }

    #[pyo3(signature = (timeout=None))]
    fn flush(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        self.usable(py)?;
        let timeout = seconds(py, timeout)?;
        let flushed = wait(py, self.inner.flush(timeout));
        self.reports.run_callbacks(py)?;
        flushed?;
        self.unclaimed(py)
    }

    #[pyo3(signature = (timeout=120.0))]
    fn close(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        self.born.check("Producer")?;
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let timeout = seconds(py, timeout)?.unwrap_or(Duration::from_secs_f64(CLOSE_SECONDS));
        let closed = wait(py, self.inner.close(timeout));
        self.reports.run_callbacks(py)?;
        closed?;
        self.unclaimed(py)
    }

    #[getter]
    fn buffered_bytes(&self) -> usize {
        self.inner.memory_used()
    }

    fn partitions_for(&self, py: Python<'_>, topic: &str) -> PyResult<Vec<i32>> {
        self.usable(py)?;
        let partitions = wait(py, self.inner.partitions_for(topic))?;
        Ok(partitions.iter().map(|partition| partition.partition).collect())
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (kind=None, _error=None, _traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Py<PyAny>>,
        _error: Option<Py<PyAny>>,
        _traceback: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let closed = self.close(py, Some(CLOSE_SECONDS));
        // An error on the way out must not hide the one that led here.
        if kind.is_some() { Ok(()) } else { closed }
    }

    fn __repr__(&self) -> String {
        let state = if self.closed.load(Ordering::Relaxed) { "closed" } else { "open" };
        format!("Producer({state}, {} bytes buffered)", self.inner.memory_used())
    }
}

impl Producer {
    fn usable(&self, py: Python<'_>) -> PyResult<()> {
        self.born.check("Producer")?;
        if self.closed.load(Ordering::Relaxed) {
            return Err(Class::Closed.error(py, "the producer is closed; make a new one", None, false, true));
        }
        Ok(())
    }

    fn topic(&self, name: &Bound<'_, PyString>) -> PyResult<TopicHandle> {
        let py = name.py();
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, handle)) = &topics.last
            && last.as_ptr() == name.as_ptr()
        {
            return Ok(handle.clone());
        }
        let text = name.to_str()?;
        let handle = match topics.known.get(text) {
            Some(handle) => handle.clone(),
            None => {
                let handle = self.inner.topic(text).map_err(|error| error.into_py_err(py))?;
                topics.known.insert(text.to_owned(), handle.clone());
                handle
            }
        };
        topics.last = Some((name.clone().unbind(), handle.clone()));
        Ok(handle)
    }

    #[expect(clippy::type_complexity, reason = "key and value, each maybe absent")]
    fn serialized<'py>(
        &self,
        py: Python<'py>,
        key: Option<Bound<'py, PyAny>>,
        value: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>)> {
        let apply = |with: &Option<Py<PyAny>>, part: Option<Bound<'py, PyAny>>, what| match (with, part) {
            (Some(with), Some(part)) => {
                let made = with.bind(py).call1((part,))?;
                check_serialized(&made, what)?;
                Ok::<_, PyErr>(Some(made))
            }
            (_, part) => Ok(part),
        };
        Ok((
            apply(&self.key_serializer, key, "key_serializer")?,
            apply(&self.value_serializer, value, "value_serializer")?,
        ))
    }

    fn append(
        &self,
        py: Python<'_>,
        topic: &TopicHandle,
        parts: &Parts<'_>,
        on_delivery: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let borrowed = parts.borrow_headers();
        let token = on_delivery.map(Reports::token);
        let record = parts.record(&borrowed, token);
        let appended = self.retried(py, topic, &record, || self.inner.produce(topic, &record));
        if appended.is_err()
            && let Some(token) = token
        {
            Reports::forget(py, token);
        }
        appended.map(|_| ())
    }

    /// Calls `produce` until there is room, for `max.block.ms` at the most. Callbacks run meanwhile, as they would in
    /// `poll`: a program that only produces has no other place for them.
    fn retried<T>(
        &self,
        py: Python<'_>,
        topic: &TopicHandle,
        record: &ProduceRecord<'_>,
        mut produce: impl FnMut() -> Result<T, ProduceError>,
    ) -> PyResult<T> {
        loop {
            match produce() {
                Ok(done) => return Ok(done),
                Err(ProduceError::WouldBlock(_)) => {
                    wait(py, self.inner.ready(topic, record))?;
                    self.reports.run_callbacks(py)?;
                }
                Err(error) => return Err(error.into_py_err(py)),
            }
        }
    }

    /// Records that failed although nobody had asked about them must not fail in silence.
    fn unclaimed(&self, py: Python<'_>) -> PyResult<()> {
        match self.inner.take_unclaimed_failures() {
            None => Ok(()),
            Some((count, error)) => {
                let code = error.code().map(|code| code.name());
                let message = format!("{count} records were not delivered; the first: {error}");
                let message = hints::with_hint(&message, hints::of_client(&error));
                Err(Class::Broker.error(py, &message, code, error.retriable(), error.fatal()))
            }
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if !self.born.is_here() {
            // In a forked child the inherited producer's threads do not exist: its parts are left alone.
            std::mem::forget(self.inner.clone());
            return;
        }
        // A program that forgets `close` still gets its records sent. No runtime thread needs the GIL, so waiting with it
        // held cannot lock up. Callbacks are not called any more.
        if !*self.closed.get_mut()
            && self.inner.memory_used() > 0
            && let Ok(runtime) = runtime()
            && let Err(error) = runtime.block_on(self.inner.close(DROP_TIMEOUT))
        {
            tracing::warn!(%error, "a producer was thrown away and not everything was delivered");
        }
    }
}

impl<'a> Parts<'a> {
    fn new(
        key: Option<&'a Bound<'_, PyAny>>,
        value: Option<&'a Bound<'_, PyAny>>,
        of: Option<&Bound<'_, PyAny>>,
        partition: Option<i32>,
        timestamp: Option<i64>,
    ) -> PyResult<Self> {
        Ok(Self {
            key: key.map(|key| bytes_like(key, "key")).transpose()?.flatten(),
            value: value.map(|value| bytes_like(value, "value")).transpose()?.flatten(),
            headers: headers(of)?,
            partition,
            timestamp,
        })
    }

    fn borrow_headers(&self) -> Vec<RecordHeader<'_>> {
        self.headers.iter().map(|(key, value)| RecordHeader { key, value: value.as_deref() }).collect()
    }

    fn record<'b>(&'b self, headers: &'b [RecordHeader<'b>], token: Option<u64>) -> ProduceRecord<'b> {
        ProduceRecord {
            partition: self.partition,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers,
            token,
        }
    }
}

/// The next item of an optional sequence beside the values.
fn next_of<'py>(
    py: Python<'py>,
    items: Option<&mut Bound<'py, pyo3::types::PyIterator>>,
    what: &str,
    at: usize,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(items) = items else { return Ok(None) };
    match items.next() {
        Some(item) => item.map(Some),
        None => {
            Err(misuse(py, &format!("{what} has {at} items, values has more; {at} records were produced")))
        }
    }
}
