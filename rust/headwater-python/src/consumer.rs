//! `Consumer`: lists of records per crossing of the boundary.
//!
//! Iteration hands out one record of such a list at a time. What lies in the list and was not handed out yet does not
//! count as read: commits, positions and closing go by the records that the program has really seen.

use crate::config::{pairs, take_callable};
use crate::errors::{Class, IntoPyErr, misuse};
use crate::names::{self, by_partition, read_offsets, read_partition, read_partitions};
use crate::record::{Deserializers, Record, decode};
use crate::runtime::{Birthplace, env};
use crate::scan::ArrowBatch;
use crate::silence::{LOOK_AFTER, Silence};
use crate::target;
use crate::values::ValueOptions;
use crate::wait::{seconds, wait};
use headwater_arrow::ValueSchema;
use headwater_client::{
    ConsumerConfig, FetchedPartition, OffsetAndMetadata, PollLimits, Polled, RebalanceEvent, RebalanceKind,
    Runtime,
};
use headwater_record::TopicPartition;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Records per poll where the caller does not say, as Kafka's `max.poll.records`.
const RECORDS_MAX: usize = 500;
/// Bytes of batches that one poll decodes at the most.
const BYTES_MAX: usize = 64 << 20;
/// How long closing waits for the last commit and the group, where the caller does not say.
const CLOSE_SECONDS: f64 = 30.0;

/// Reads records; see the stub for the documentation of each method.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct Consumer {
    inner: headwater_client::Consumer,
    with: Deserializers,
    state: Mutex<State>,
    silence: Silence,
    closed: AtomicBool,
    born: Birthplace,
}

#[derive(Default)]
struct State {
    topics: HashMap<Arc<str>, Py<PyString>>,
    listener: Listener,
    /// Polled for iteration and not handed out yet.
    buffered: VecDeque<Py<Record>>,
    /// What the values of `poll_arrow` were found to be.
    value_schema: Option<ValueSchema>,
}

#[derive(Default, Clone)]
struct Listener {
    on_assign: Option<Arc<Py<PyAny>>>,
    on_revoke: Option<Arc<Py<PyAny>>>,
    on_lost: Option<Arc<Py<PyAny>>>,
}

#[pymethods]
impl Consumer {
    #[new]
    #[pyo3(signature = (target, topics=None, *, group=None, **config))]
    fn new(
        target: &Bound<'_, PyAny>,
        topics: Option<&Bound<'_, PyAny>>,
        group: Option<String>,
        config: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = target.py();
        let with = Deserializers {
            key: take_callable(config, "key_deserializer")?,
            value: take_callable(config, "value_deserializer")?,
        };
        let mut settings = Vec::new();
        if let Some(group) = &group {
            settings.push(("group.id".to_owned(), group.clone()));
        } else {
            settings.push(("auto.offset.reset".to_owned(), "earliest".to_owned()));
            settings.push(("enable.auto.commit".to_owned(), "false".to_owned()));
        }
        // Later pairs win: what the caller says outweighs these defaults.
        settings.extend(pairs(config)?);
        let settings = ConsumerConfig::from_pairs(settings).map_err(|error| error.into_py_err(py))?;
        let inner =
            headwater_client::Consumer::new(Runtime::new(env()?), target::bootstrap(target)?, settings)
                .map_err(|error| error.into_py_err(py))?;
        let consumer = Self {
            inner,
            with,
            state: Mutex::default(),
            silence: Silence::default(),
            closed: AtomicBool::new(false),
            born: Birthplace::here(),
        };
        if let Some(topics) = topics {
            consumer
                .read_topics(&names_of(topics)?, group.is_some())
                .map_err(|error| error.into_py_err(py))?;
        }
        Ok(consumer)
    }

    #[pyo3(signature = (topics=None, *, pattern=None, on_assign=None, on_revoke=None, on_lost=None))]
    fn subscribe(
        &self,
        py: Python<'_>,
        topics: Option<&Bound<'_, PyAny>>,
        pattern: Option<&str>,
        on_assign: Option<Py<PyAny>>,
        on_revoke: Option<Py<PyAny>>,
        on_lost: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        self.usable(py)?;
        let listener = Listener {
            on_assign: on_assign.map(Arc::new),
            on_revoke: on_revoke.map(Arc::new),
            on_lost: on_lost.map(Arc::new),
        };
        self.state().listener = listener;
        let grouped = !self.inner.config().group_id.as_deref().unwrap_or_default().is_empty();
        if pattern.is_some() && !grouped {
            return Err(misuse(py, "subscribe(pattern=…) needs a group: make the Consumer with group=\"…\""));
        }
        let done = match (topics, pattern) {
            (Some(topics), None) => self.read_topics(&names_of(topics)?, grouped),
            (None, Some(pattern)) => self.inner.subscribe_pattern(pattern),
            _ => return Err(misuse(py, "subscribe expects either topics or pattern=")),
        };
        done.map_err(|error| error.into_py_err(py))
    }

    fn unsubscribe(&self, py: Python<'_>) -> PyResult<()> {
        self.usable(py)?;
        self.give_back(py)?;
        wait(py, self.inner.unsubscribe())
    }

    fn assign(&self, py: Python<'_>, partitions: &Bound<'_, PyAny>) -> PyResult<()> {
        self.usable(py)?;
        self.give_back(py)?;
        self.inner.assign(&read_partitions(partitions)?).map_err(|error| error.into_py_err(py))
    }

    fn assignment<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.inner.assignment().iter().map(|partition| names::topic_partition(py, partition)).collect()
    }

    fn subscription(&self) -> Vec<String> {
        self.inner.subscription().iter().map(ToString::to_string).collect()
    }

    #[pyo3(signature = (max_records=500, timeout=None))]
    fn poll<'py>(
        &self,
        py: Python<'py>,
        max_records: usize,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.usable(py)?;
        if max_records == 0 {
            return Err(misuse(py, "max_records expects a number ≥ 1"));
        }
        let buffered: Vec<_> = {
            let mut state = self.state();
            let count = state.buffered.len().min(max_records);
            state.buffered.drain(..count).collect()
        };
        let records = if buffered.is_empty() {
            self.poll_records(py, max_records, seconds(py, timeout)?)?
        } else {
            buffered
        };
        names::records(py, records)
    }

    #[pyo3(signature = (
        max_records=None, timeout=None, *, columns=None,
        value_format=None, value_schema=None, bad_rows="fail", sample=1000
    ))]
    #[expect(clippy::too_many_arguments, reason = "the options of a poll")]
    fn poll_arrow(
        &self,
        py: Python<'_>,
        max_records: Option<usize>,
        timeout: Option<f64>,
        columns: Option<Vec<String>>,
        value_format: Option<&str>,
        value_schema: Option<&Bound<'_, PyAny>>,
        bad_rows: &str,
        sample: usize,
    ) -> PyResult<ArrowBatch> {
        self.usable(py)?;
        let values = ValueOptions::read(py, value_format, value_schema, bad_rows, sample)?;
        crate::scan::poll_arrow(self, py, max_records, timeout, columns.as_deref(), values)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<Record>>> {
        self.usable(py)?;
        loop {
            let next = self.state().buffered.pop_front();
            if next.is_some() {
                return Ok(next);
            }
            let records = self.poll_records(py, RECORDS_MAX, None)?;
            self.state().buffered.extend(records);
        }
    }

    #[pyo3(signature = (partition, *, timeout=None))]
    fn position(&self, py: Python<'_>, partition: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<i64> {
        self.usable(py)?;
        let partition = read_partition(partition)?;
        match self.unread(py).get(&partition) {
            Some(&offset) => Ok(offset),
            None => wait(py, self.within(py, timeout)?.position(&partition)),
        }
    }

    fn positions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.usable(py)?;
        by_partition(py, self.seen(&self.unread(py)), |position| names::offset_and_metadata(py, &position))
    }

    fn seek(&self, py: Python<'_>, partition: &Bound<'_, PyAny>, offset: i64) -> PyResult<()> {
        self.usable(py)?;
        self.give_back(py)?;
        self.inner.seek(&read_partition(partition)?, offset).map_err(|error| error.into_py_err(py))
    }

    #[pyo3(signature = (partitions=None))]
    fn seek_to_beginning(&self, py: Python<'_>, partitions: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.usable(py)?;
        self.give_back(py)?;
        let partitions = maybe_partitions(partitions)?;
        self.inner.seek_to_beginning(&partitions).map_err(|error| error.into_py_err(py))
    }

    #[pyo3(signature = (partitions=None))]
    fn seek_to_end(&self, py: Python<'_>, partitions: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.usable(py)?;
        self.give_back(py)?;
        self.inner.seek_to_end(&maybe_partitions(partitions)?).map_err(|error| error.into_py_err(py))
    }

    fn pause(&self, py: Python<'_>, partitions: &Bound<'_, PyAny>) -> PyResult<()> {
        self.usable(py)?;
        self.give_back(py)?;
        self.inner.pause(&read_partitions(partitions)?).map_err(|error| error.into_py_err(py))
    }

    fn resume(&self, py: Python<'_>, partitions: &Bound<'_, PyAny>) -> PyResult<()> {
        self.usable(py)?;
        self.inner.resume(&read_partitions(partitions)?).map_err(|error| error.into_py_err(py))
    }

    fn paused<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.inner.paused().iter().map(|partition| names::topic_partition(py, partition)).collect()
    }

    #[pyo3(signature = (offsets=None, *, timeout=None))]
    fn commit<'py>(
        &self,
        py: Python<'py>,
        offsets: Option<&Bound<'_, PyDict>>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.usable(py)?;
        self.grouped(py, "commit()")?;
        let committed = match offsets {
            Some(offsets) => read_offsets(offsets)?,
            None => self.seen(&self.unread(py)),
        };
        wait(py, self.within(py, timeout)?.commit_offsets(&committed))?;
        by_partition(py, committed, |offset| names::offset_and_metadata(py, &offset))
    }

    #[pyo3(signature = (partitions, *, timeout=None))]
    fn committed<'py>(
        &self,
        py: Python<'py>,
        partitions: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.usable(py)?;
        self.grouped(py, "committed()")?;
        let partitions = read_partitions(partitions)?;
        let committed = wait(py, self.within(py, timeout)?.committed(&partitions))?;
        by_partition(py, committed, |offset| match offset {
            Some(offset) => names::offset_and_metadata(py, &offset),
            None => Ok(py.None().into_bound(py)),
        })
    }

    #[pyo3(signature = (times, *, timeout=None))]
    fn offsets_for_times<'py>(
        &self,
        py: Python<'py>,
        times: HashMap<(String, i32), i64>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.usable(py)?;
        let times = times
            .into_iter()
            .map(|((topic, partition), time)| (TopicPartition { topic: topic.into(), partition }, time))
            .collect();
        let found = wait(py, self.within(py, timeout)?.offsets_for_times(&times))?;
        by_partition(py, found, |offset| match offset {
            Some(offset) => names::offset_and_timestamp(py, &offset),
            None => Ok(py.None().into_bound(py)),
        })
    }

    #[pyo3(signature = (partitions, *, timeout=None))]
    fn beginning_offsets<'py>(
        &self,
        py: Python<'py>,
        partitions: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.usable(py)?;
        let partitions = read_partitions(partitions)?;
        let offsets = wait(py, self.within(py, timeout)?.beginning_offsets(&partitions))?;
        by_partition(py, offsets, |offset| Ok(offset.into_pyobject(py)?.into_any()))
    }

    #[pyo3(signature = (partitions, *, timeout=None))]
    fn end_offsets<'py>(
        &self,
        py: Python<'py>,
        partitions: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.usable(py)?;
        let partitions = read_partitions(partitions)?;
        let offsets = wait(py, self.within(py, timeout)?.end_offsets(&partitions))?;
        by_partition(py, offsets, |offset| Ok(offset.into_pyobject(py)?.into_any()))
    }

    fn lag(&self, partition: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
        Ok(self.inner.lag(&read_partition(partition)?))
    }

    fn high_watermark(&self, partition: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
        Ok(self.inner.high_watermark(&read_partition(partition)?))
    }

    fn partitions_for(&self, py: Python<'_>, topic: &str) -> PyResult<Option<Vec<i32>>> {
        self.usable(py)?;
        let partitions = wait(py, self.inner.partitions_for(topic))?;
        Ok(partitions.map(|partitions| partitions.iter().map(|partition| partition.partition).collect()))
    }

    #[getter]
    fn member_id(&self) -> Option<String> {
        self.inner.group_membership().map(|(member, _)| member)
    }

    #[getter]
    fn membership<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let membership = self.inner.group_membership();
        membership.map(|membership| names::membership(py, membership)).transpose()
    }

    #[pyo3(signature = (timeout=30.0))]
    fn close(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        self.born.check("Consumer")?;
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.give_back(py)?;
        let timeout = seconds(py, timeout)?.unwrap_or(Duration::from_secs_f64(CLOSE_SECONDS));
        wait(py, self.inner.close(timeout))
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
        format!("Consumer({state}, topics={:?})", self.inner.subscription())
    }
}

impl Consumer {
    pub(crate) fn usable(&self, py: Python<'_>) -> PyResult<()> {
        self.born.check("Consumer")?;
        if self.closed.load(Ordering::Relaxed) {
            return Err(Class::Closed.error(py, "the consumer is closed; make a new one", None, false, true));
        }
        Ok(())
    }

    /// An error if there is no group whose offsets `call` could be about.
    fn grouped(&self, py: Python<'_>, call: &str) -> PyResult<()> {
        match self.inner.config().group_id.as_deref() {
            None | Some("") => {
                Err(misuse(py, &format!("{call} needs a group: make the Consumer with group=\"…\"")))
            }
            Some(_) => Ok(()),
        }
    }

    /// The consumer, whose calls may take `timeout` seconds if that is given.
    fn within(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<headwater_client::Consumer> {
        let limit = seconds(py, timeout)?;
        Ok(limit.map_or_else(|| self.inner.clone(), |limit| self.inner.within(limit)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The schema of values that an earlier poll inferred.
    pub(crate) fn value_schema(&self) -> Option<ValueSchema> {
        self.state().value_schema.clone()
    }

    /// Keeps the schema for later polls.
    pub(crate) fn keep_value_schema(&self, schema: &ValueSchema) {
        self.state().value_schema = Some(schema.clone());
    }

    fn read_topics(&self, topics: &[String], grouped: bool) -> Result<(), headwater_client::ClientError> {
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        if grouped { self.inner.subscribe(&topics) } else { self.inner.assign_topics(&topics) }
    }

    fn poll_records(
        &self,
        py: Python<'_>,
        records: usize,
        timeout: Option<Duration>,
    ) -> PyResult<Vec<Py<Record>>> {
        let fetched = self.poll_fetched(py, PollLimits { records, bytes: BYTES_MAX }, timeout)?;
        let mut made = Vec::with_capacity(records.min(1024));
        let decoded = fetched.iter().try_for_each(|partition| {
            let topic = self.topic_name(py, &partition.topic);
            decode(py, partition, &topic, &self.with, &mut made)
        });
        if decoded.is_err() {
            self.rewind(py, &starts(&fetched))?;
        }
        decoded.map(|()| made)
    }

    /// Goes back to where a poll began whose records were not handed out: a later commit must not pass them.
    pub(crate) fn rewind(&self, py: Python<'_>, starts: &HashMap<TopicPartition, i64>) -> PyResult<()> {
        starts.iter().try_for_each(|(partition, offset)| {
            self.inner.seek(partition, *offset).map_err(|error| error.into_py_err(py))
        })
    }

    /// Waits for data of any partition. Changes of the assignment are told to the listener on the way; a poll that
    /// brought nothing else goes on waiting, which also acknowledges them.
    pub(crate) fn poll_fetched(
        &self,
        py: Python<'_>,
        limits: PollLimits,
        timeout: Option<Duration>,
    ) -> PyResult<Vec<FetchedPartition>> {
        const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
        if self.inner.reads_nothing() {
            let message = "the consumer has nothing to read: pass topics to Consumer(), or call subscribe() or assign()";
            return Err(misuse(py, message));
        }
        #[expect(clippy::disallowed_methods, reason = "a deadline on the caller's own thread")]
        let began = Instant::now();
        let deadline = began + timeout.unwrap_or(FOREVER);
        let mut polled = self.inner.try_poll(limits).map_err(|error| error.into_py_err(py))?;
        loop {
            let Polled { partitions, events } = polled;
            for event in &events {
                self.tell(py, event)?;
            }
            if !partitions.is_empty() {
                self.silence.end();
                return Ok(partitions);
            }
            #[expect(clippy::disallowed_methods, reason = "a deadline on the caller's own thread")]
            let now = Instant::now();
            self.silence.begin(began);
            self.silence.explain(py, &self.inner, now)?;
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return Ok(partitions);
            }
            polled = wait(py, self.inner.poll(limits, left.min(LOOK_AFTER)))?;
        }
    }

    fn tell(&self, py: Python<'_>, event: &RebalanceEvent) -> PyResult<()> {
        let listener = self.state().listener.clone();
        let callback = match event.kind {
            RebalanceKind::Assigned => listener.on_assign,
            RebalanceKind::Revoked => listener.on_revoke,
            RebalanceKind::Lost => listener.on_lost.or(listener.on_revoke),
        };
        let Some(callback) = callback else { return Ok(()) };
        let partitions = event.partitions.iter().map(|partition| names::topic_partition(py, partition));
        callback.bind(py).call1((partitions.collect::<PyResult<Vec<_>>>()?,))?;
        Ok(())
    }

    fn topic_name(&self, py: Python<'_>, topic: &Arc<str>) -> Py<PyString> {
        let mut state = self.state();
        let name = state.topics.entry(Arc::clone(topic)).or_insert_with(|| PyString::new(py, topic).unbind());
        name.clone_ref(py)
    }

    /// First offset of each partition that lies in the buffer of the iteration.
    fn unread(&self, py: Python<'_>) -> HashMap<TopicPartition, i64> {
        let mut unread = HashMap::new();
        for record in &self.state().buffered {
            let (partition, offset) = record.get().place(py);
            unread.entry(partition).or_insert(offset);
        }
        unread
    }

    /// Forgets the buffer of the iteration: its records will be fetched again.
    pub(crate) fn give_back(&self, py: Python<'_>) -> PyResult<()> {
        let unread = self.unread(py);
        self.state().buffered.clear();
        self.rewind(py, &unread)
    }

    /// Positions by the records that were handed out.
    fn seen(&self, unread: &HashMap<TopicPartition, i64>) -> BTreeMap<TopicPartition, OffsetAndMetadata> {
        let mut positions = self.inner.positions();
        for (partition, position) in &mut positions {
            if let Some(&offset) = unread.get(partition) {
                *position = offset.into();
            }
        }
        positions
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // In a forked child the inherited consumer's threads do not exist: its parts are left alone.
        if !self.born.is_here() {
            std::mem::forget(self.inner.clone());
        }
    }
}

/// The first offset of each partition of one poll; a partition may come in several pieces, in order.
pub(crate) fn starts(fetched: &[FetchedPartition]) -> HashMap<TopicPartition, i64> {
    let mut starts = HashMap::new();
    for piece in fetched {
        let partition = TopicPartition { topic: piece.topic.clone(), partition: piece.partition };
        starts.entry(partition).or_insert(piece.start_offset);
    }
    starts
}

/// One topic or several.
fn names_of(topics: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(one) = topics.cast::<PyString>() {
        return Ok(vec![one.to_str()?.to_owned()]);
    }
    let names = topics.extract::<Vec<String>>();
    names.map_err(|_| misuse(topics.py(), "topics expects a str or a list of str"))
}

fn maybe_partitions(partitions: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<TopicPartition>> {
    partitions.map_or_else(|| Ok(Vec::new()), read_partitions)
}
