//! `Broker`: a broker in this process.

use crate::config::pairs;
use crate::errors::{Class, IntoPyErr, misuse};
use crate::hints;
use crate::runtime::{Birthplace, env, runtime};
use crate::wait::wait;
use headwater_broker::config::{broker_keys, nearest_key, settings_without_file};
use headwater_broker::{BrokerConfig, BrokerHandle, ConfigError, Listener, StartError};
use headwater_client::Bootstrap;
use headwater_env::net::MemoryNetwork;
use headwater_env::real::RealEnv;
use headwater_env::{Disk, Env, LockError};
use headwater_log::{Log, OpenDirError, StorageError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Topics that belong to the broker itself.
const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];
/// How long a broker that nobody stopped may take to stop when it is thrown away.
const DROP_SECONDS: u64 = 10;

type Handle = BrokerHandle<RealEnv>;

/// A broker inside this process; see the stub for the documentation of each method.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct Broker {
    // None once stopped.
    handle: Mutex<Option<Handle>>,
    memory: MemoryNetwork,
    data: PathBuf,
    is_temporary: bool,
    bootstrap_servers: Option<String>,
    born: Birthplace,
}

#[pymethods]
impl Broker {
    #[new]
    #[pyo3(
        signature = (data=None, *, listen=Some("127.0.0.1:0"), config=None),
        text_signature = "(data=None, *, listen='127.0.0.1:0', config=None)"
    )]
    fn new(
        py: Python<'_>,
        data: Option<PathBuf>,
        listen: Option<&str>,
        config: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let is_temporary = data.is_none();
        let listeners = listen.map(|listen| listener(py, listen)).transpose()?;
        let settings = settings_without_file().into_iter().chain(pairs(config)?);
        let data = match data {
            Some(data) => data,
            None => py.import("tempfile")?.call_method1("mkdtemp", ("", "headwater-"))?.extract()?,
        };
        let (mut settings, unknown) = BrokerConfig::from_properties(Some(data.clone()), settings)
            .map_err(|error| error.into_py_err(py))?;
        if let Some(key) = unknown.first() {
            let meant = match nearest_key(broker_keys(), key) {
                Some(meant) => format!("did you mean {meant}?"),
                None => "docs/configuration.md lists the settings of a broker".to_owned(),
            };
            return Err(Class::Config.error(
                py,
                &format!("unknown setting {key}; {meant}"),
                None,
                false,
                false,
            ));
        }
        settings.listen(listeners.into_iter().collect());
        let memory = MemoryNetwork::new();
        let handle = wait(py, headwater_broker::Broker::start(env()?, settings, Some(memory.clone())))?;
        let host = listen.and_then(|listen| listen.rsplit_once(':')).map(|(host, _)| host.to_owned());
        let bootstrap_servers =
            host.zip(handle.local_address()).map(|(host, address)| format!("{host}:{}", address.port()));
        Ok(Self {
            handle: Mutex::new(Some(handle)),
            memory,
            data,
            is_temporary,
            bootstrap_servers,
            born: Birthplace::here(),
        })
    }

    #[getter]
    fn bootstrap_servers(&self) -> Option<&str> {
        self.bootstrap_servers.as_deref()
    }

    #[getter]
    fn data(&self) -> String {
        self.data.to_string_lossy().into_owned()
    }

    #[getter]
    fn topics<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let names = slf.get().topic_names(py)?;
        py.import("headwater._topic")?.getattr("Topics")?.call1((slf, names))
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.born.check("Broker")?;
        let Some(handle) = self.take() else { return Ok(()) };
        let stopped = wait(py, async move { handle.stop().await });
        self.remove_if_temporary();
        stopped
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (kind, error, traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Py<PyAny>>,
        error: Option<Py<PyAny>>,
        traceback: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let _ = (error, traceback);
        let stopped = self.stop(py);
        // An error on the way out must not hide the one that led here.
        if kind.is_some() { Ok(()) } else { stopped }
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        crate::display::html(slf.as_any(), "broker")
    }

    fn __repr__(&self) -> String {
        let is_running = self.handle.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let state = match (&self.bootstrap_servers, is_running) {
            (_, false) => "stopped".to_owned(),
            (Some(address), true) => format!("serving at {address}"),
            (None, true) => "serving this process only".to_owned(),
        };
        format!("Broker({:?}, {state})", self.data)
    }
}

impl Broker {
    /// How clients of this process reach it.
    pub(crate) fn bootstrap(&self, py: Python<'_>) -> PyResult<Bootstrap> {
        self.running(py)?;
        Ok(Bootstrap::Memory(self.memory.clone()))
    }

    /// The logs of a topic's partitions, for reading them in place.
    pub(crate) fn local_logs(&self, py: Python<'_>, topic: &str) -> PyResult<Vec<(i32, Log<RealEnv>)>> {
        let handle = self.running(py)?;
        let Some(count) = handle.partition_count(topic) else {
            return Err(unknown_topic(py, topic, &self.topic_names(py)?));
        };
        let partitions = 0..i32::try_from(count).unwrap_or(i32::MAX);
        partitions
            .map(|partition| match handle.local_log(topic, partition) {
                Some(log) => Ok((partition, log)),
                None => {
                    let message = format!("{topic}-{partition} is offline");
                    Err(Class::Storage.error(py, &message, Some("KAFKA_STORAGE_ERROR"), true, false))
                }
            })
            .collect()
    }

    fn topic_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let topics = self.running(py)?.topics();
        Ok(topics.into_iter().filter(|topic| !INTERNAL_TOPICS.contains(&topic.as_str())).collect())
    }

    fn running(&self, py: Python<'_>) -> PyResult<Handle> {
        self.born.check("Broker")?;
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).clone();
        handle.ok_or_else(|| {
            Class::Closed.error(
                py,
                "the broker is stopped; make a new Broker of the same directory",
                None,
                false,
                true,
            )
        })
    }

    fn take(&self) -> Option<Handle> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn remove_if_temporary(&self) {
        if self.is_temporary
            && let Ok(env) = env()
            && let Err(error) = env.disk().remove_dir_all(&self.data)
        {
            tracing::warn!(%error, data = %self.data.display(), "the temporary directory stays");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let Some(handle) = self.take() else { return };
        if !self.born.is_here() {
            // In a forked child the broker's threads do not exist: what was inherited is left alone.
            std::mem::forget(handle);
            return;
        }
        // A script that ends without `stop` still leaves a clean directory. No runtime thread needs the GIL, so waiting
        // with it held cannot lock up.
        if let Ok(runtime) = runtime() {
            let within = Duration::from_secs(DROP_SECONDS);
            // The timer needs the runtime's context, which the block gives it.
            let stop = async { tokio::time::timeout(within, handle.stop()).await };
            if let Ok(Err(error)) = runtime.block_on(stop) {
                tracing::warn!(%error, "the data directory was not closed cleanly");
            }
        }
        self.remove_if_temporary();
    }
}

/// Says which topic was probably meant.
fn unknown_topic(py: Python<'_>, topic: &str, known: &[String]) -> PyErr {
    let similar = || -> PyResult<Vec<String>> {
        py.import("difflib")?.call_method1("get_close_matches", (topic, known, 1))?.extract()
    };
    let meant = match similar() {
        Ok(similar) => similar.first().map(|meant| format!(" (did you mean {meant:?}?)")).unwrap_or_default(),
        Err(error) => return error,
    };
    let message =
        hints::with_hint(&format!("topic {topic:?} does not exist{meant}"), Some(hints::UNKNOWN_TOPIC));
    Class::Broker.error(py, &message, Some("UNKNOWN_TOPIC_OR_PARTITION"), true, false)
}

fn listener(py: Python<'_>, address: &str) -> PyResult<Listener> {
    let parsed = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parsed
        .ok_or_else(|| misuse(py, &format!("listen expects \"host:port\" or None, got {address:?}")))?;
    Ok(Listener::plaintext(host.trim_start_matches('[').trim_end_matches(']'), port))
}

impl IntoPyErr for StartError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        let message = self.to_string();
        match self {
            Self::Config(error) => error.into_py_err(py),
            Self::Listen { .. } => {
                let message = format!("{message}; choose another address, or port 0 for one that is free");
                Class::ConnectionFailed.error(py, &message, None, true, true)
            }
            Self::Directory(OpenDirError::Storage(_)) => {
                let message = format!("{message}; data expects a directory that can be made and written");
                Class::Storage.error(py, &message, None, false, true)
            }
            Self::Directory(OpenDirError::Lock(LockError::Held { holder, .. })) => {
                let hint = match holder.pid {
                    pid if pid == std::process::id() => "call stop() on the Broker that has it",
                    _ => "stop that process (its end frees the directory)",
                };
                Class::Storage.error(
                    py,
                    &format!("{message}; {hint}, or use another directory"),
                    None,
                    true,
                    true,
                )
            }
            _ => Class::Storage.error(py, &message, None, false, true),
        }
    }
}

impl IntoPyErr for ConfigError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        Class::Config.error(py, &self.to_string(), None, false, false)
    }
}

impl IntoPyErr for StorageError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        Class::Storage.error(py, &self.to_string(), Some("KAFKA_STORAGE_ERROR"), false, true)
    }
}
