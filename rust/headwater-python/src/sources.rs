//! Where a scan or an export reads: this process's broker in place, a stopped broker's directory, or any cluster.

use crate::broker::Broker;
use crate::config::pairs;
use crate::errors::{Class, IntoPyErr, misuse};
use crate::hints;
use crate::places::read_time;
use crate::runtime::{env, runtime};
use crate::target;
use crate::wait::without_gil;
use headwater_arrow::source::{
    ClusterSources, Isolation, LogSource, PartitionSource, ReadOnlySources, SCAN_SETTINGS, StoppedDirError,
};
use headwater_arrow::{BytesLayout, Interrupt, Interruption, ScanBound};
use headwater_client::{ConsumerConfig, IsolationLevel, Runtime};
use headwater_log::OpenDirError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Asks Python whether a signal handler (Ctrl-C) wants to stop a scan.
pub(crate) fn python_interrupt() -> Arc<dyn Interrupt> {
    Arc::new(|| {
        let asked = Python::try_attach(|py| py.check_signals().is_err());
        if asked == Some(true) {
            // The exception cannot travel through Arrow's C interface: ask for it again once Python runs.
            // SAFETY: needs neither the GIL nor a thread state; it only sets a flag.
            unsafe { pyo3::ffi::PyErr_SetInterrupt() };
            return Err(Interruption::Cancelled);
        }
        Ok(())
    })
}

/// What a caller's `config=` says of how to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadConfig {
    pairs: Vec<(String, String)>,
    isolation: Isolation,
}

impl ReadConfig {
    /// Reads a mapping of Kafka's consumer settings, names with dots or underscores.
    pub(crate) fn read(config: Option<&Bound<'_, PyAny>>) -> PyResult<ReadConfig> {
        let Some(config) = config else { return Ok(ReadConfig::default()) };
        let py = config.py();
        let Ok(settings) = py.get_type::<PyDict>().call1((config,)) else {
            let kind = config.get_type().name()?;
            return Err(misuse(py, &format!("config expects a mapping of consumer settings, got {kind}")));
        };
        let pairs = pairs(Some(settings.cast::<PyDict>()?))?;
        if pairs.iter().any(|(key, _)| matches!(key.as_str(), "group.id" | "group_id")) {
            return Err(misuse(py, "config has group.id, but a scan belongs to no group; leave it out"));
        }
        let read = ConsumerConfig::from_pairs(pairs.iter().map(|(key, value)| (key, value)))
            .map_err(|error| error.into_py_err(py))?;
        let isolation = match read.isolation_level {
            IsolationLevel::ReadCommitted => Isolation::ReadCommitted,
            IsolationLevel::ReadUncommitted => Isolation::ReadUncommitted,
        };
        Ok(ReadConfig { pairs, isolation })
    }
}

/// The sources of a topic's partitions, in order.
pub(crate) fn open(
    target: &Bound<'_, PyAny>,
    topic: &str,
    layout: BytesLayout,
    config: &ReadConfig,
    interrupt: &Arc<dyn Interrupt>,
) -> PyResult<Vec<Box<dyn PartitionSource>>> {
    let py = target.py();
    let isolation = config.isolation;
    if let Ok(broker) = target.cast::<Broker>() {
        let logs = broker.get().local_logs(py, topic)?;
        let source = |(partition, log)| -> Box<dyn PartitionSource> {
            Box::new(LogSource::new(topic, partition, log, isolation, layout))
        };
        return Ok(logs.into_iter().map(source).collect());
    }
    if !target.is_instance_of::<PyString>() && target.hasattr("__fspath__")? {
        let directory: PathBuf = target.extract()?;
        let env = env()?;
        let opened = without_gil(py, || {
            ReadOnlySources::open(env, &directory)
                .and_then(|sources| sources.of_topic(topic, isolation, layout))
        });
        return opened.map_err(|error| error.into_py_err(py));
    }
    of_cluster(target, topic, config, interrupt)
}

fn of_cluster(
    target: &Bound<'_, PyAny>,
    topic: &str,
    config: &ReadConfig,
    interrupt: &Arc<dyn Interrupt>,
) -> PyResult<Vec<Box<dyn PartitionSource>>> {
    let py = target.py();
    // A scan says itself where it reads, and notices itself what retention deletes meanwhile.
    let fixed = [("auto.offset.reset", "earliest"), ("enable.auto.commit", "false")];
    let given = config.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let settings = ConsumerConfig::from_pairs(SCAN_SETTINGS.into_iter().chain(given).chain(fixed))
        .map_err(|error| error.into_py_err(py))?;
    let consumer =
        headwater_client::Consumer::new(Runtime::new(env()?), target::bootstrap(target)?, settings)
            .map_err(|error| error.into_py_err(py))?;
    let sources = ClusterSources::new(consumer, runtime()?.handle().clone());
    let found = without_gil(py, || sources.of_topic(topic, &**interrupt));
    match found {
        Ok(Some(sources)) => Ok(sources),
        Ok(None) => {
            let message =
                hints::with_hint(&format!("topic {topic:?} does not exist"), Some(hints::UNKNOWN_TOPIC));
            Err(Class::Broker.error(py, &message, Some("UNKNOWN_TOPIC_OR_PARTITION"), true, false))
        }
        Err(error) => Err(error.into_py_err(py)),
    }
}

impl IntoPyErr for headwater_arrow::SourceError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Client(error) => error.into_py_err(py),
            Self::Interrupted(_) => pyo3::exceptions::PyKeyboardInterrupt::new_err(()),
            error @ Self::OffsetOutOfRange { .. } => {
                Class::Offset.error(py, &error.to_string(), Some("OFFSET_OUT_OF_RANGE"), false, false)
            }
            error => Class::Storage.error(py, &error.to_string(), Some("KAFKA_STORAGE_ERROR"), false, false),
        }
    }
}

impl IntoPyErr for StoppedDirError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        let code = match &self {
            Self::UnknownTopic { .. } => Some("UNKNOWN_TOPIC_OR_PARTITION"),
            Self::Directory(_) => None,
        };
        let hint = match &self {
            Self::Directory(OpenDirError::Lock(_)) => {
                Some("while a broker runs, give it or its address instead of the directory")
            }
            Self::Directory(OpenDirError::Missing { .. }) => Some("expected the data directory of a broker"),
            _ => None,
        };
        Class::Storage.error(py, &hints::with_hint(&self.to_string(), hint), code, false, false)
    }
}

/// An end of a scan: an offset, a datetime, `{partition: offset}`, or nothing.
pub(crate) fn bound(value: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<ScanBound> {
    let Some(value) = value else { return Ok(ScanBound::Open) };
    let py = value.py();
    if let Ok(offset) = value.extract::<i64>() {
        return Ok(ScanBound::Offset(offset));
    }
    if let Ok(offsets) = value.cast::<PyDict>() {
        let offsets = offsets.iter().map(|(partition, offset)| Ok((partition.extract()?, offset.extract()?)));
        return Ok(ScanBound::Offsets(offsets.collect::<PyResult<BTreeMap<i32, i64>>>()?));
    }
    if let Some(time_ms) = read_time(what, value)? {
        return Ok(ScanBound::Timestamp(time_ms));
    }
    let kind = value.get_type().name()?;
    let expected = "expects an offset (int), a datetime, or {partition: offset}";
    Err(misuse(py, &format!("{what} {expected}, got {kind}")))
}
