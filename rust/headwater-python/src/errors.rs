//! Errors of the Rust crates as exceptions of `headwater.errors`, where the classes are defined in Python.

use crate::hints;
use headwater_client::{ClientError, ConfigError, ProduceError};
use pyo3::prelude::*;

/// The exception classes, by the names of their module.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Class {
    Broker,
    Closed,
    Config,
    ConnectionFailed,
    CorruptRecord,
    Misuse,
    Offset,
    Storage,
    TimedOut,
}

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Broker => "BrokerError",
            Self::Closed => "ClosedError",
            Self::Config => "ConfigError",
            Self::ConnectionFailed => "ConnectionFailedError",
            Self::CorruptRecord => "CorruptRecordError",
            Self::Misuse => "MisuseError",
            Self::Offset => "OffsetError",
            Self::Storage => "StorageError",
            Self::TimedOut => "TimedOutError",
        }
    }

    /// An exception of this class.
    pub(crate) fn error(
        self,
        py: Python<'_>,
        message: &str,
        code: Option<&str>,
        retriable: bool,
        fatal: bool,
    ) -> PyErr {
        let made = py
            .import("headwater.errors")
            .and_then(|module| module.getattr(self.name()))
            .and_then(|class| class.call1((message, code, retriable, fatal)));
        match made {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    }
}

/// A wrong argument; `message` says what was expected.
pub(crate) fn misuse(py: Python<'_>, message: &str) -> PyErr {
    Class::Misuse.error(py, message, None, false, false)
}

/// The same error with words before and after its own. Exceptions that are not ours get them as a note.
pub(crate) fn in_context(py: Python<'_>, error: PyErr, before: &str, after: &str) -> PyErr {
    let ours = |error: &PyErr| {
        let value = error.value(py);
        let base = py.import("headwater.errors")?.getattr("HeadwaterError")?;
        if !value.is_instance(&base)? {
            // Python 3.10 has no notes.
            if value.hasattr("add_note")? {
                value.call_method1("add_note", (format!("{before}{after}"),))?;
            }
            return Ok(None);
        }
        let (code, retriable, fatal) =
            (value.getattr("code")?, value.getattr("retriable")?, value.getattr("fatal")?);
        let message = format!("{before}: {}{after}", value.str()?);
        value.get_type().call1((message, code, retriable, fatal)).map(Some)
    };
    match ours(&error) {
        Ok(Some(worded)) => PyErr::from_value(worded),
        Ok(None) => error,
        Err(failed) => failed,
    }
}

/// Something with a place among the exceptions.
pub(crate) trait IntoPyErr {
    fn into_py_err(self, py: Python<'_>) -> PyErr;
}

impl IntoPyErr for ClientError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        let class = match &self {
            Self::Unreachable { .. } | Self::Disconnected { .. } => Class::ConnectionFailed,
            Self::TimedOut { .. } => Class::TimedOut,
            Self::OffsetOutOfRange { .. } | Self::NoOffset { .. } => Class::Offset,
            Self::CorruptBatch { .. } => Class::CorruptRecord,
            Self::Config(_) => Class::Config,
            Self::Misuse(_) => Class::Misuse,
            Self::Closed => Class::Closed,
            _ => Class::Broker,
        };
        let code = self.code().map(|code| code.name());
        let message = hints::with_hint(&self.to_string(), hints::of_client(&self));
        class.error(py, &message, code, self.retriable(), self.fatal())
    }
}

impl IntoPyErr for ProduceError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Failed(error) => error.into_py_err(py),
            other => {
                let class = if other.retriable() { Class::TimedOut } else { Class::Misuse };
                let code = other.code().map(|code| code.name());
                let hint = match &other {
                    Self::RecordTooLarge { .. } => Some("send less, or raise it"),
                    Self::NoSuchPartition { .. } => Some(
                        "leave partition out to have one chosen, or grow it with Admin.create_partitions()",
                    ),
                    _ => None,
                };
                let message = hints::with_hint(&other.to_string(), hint);
                class.error(py, &message, code, other.retriable(), other.fatal())
            }
        }
    }
}

impl IntoPyErr for ConfigError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        let hint = match &self {
            Self::Unknown { key, nearest: None } if key.starts_with("bootstrap") => {
                Some("the address is the first argument, the target")
            }
            Self::Unknown { nearest: None, .. } => {
                Some("settings have Kafka's names, with dots or underscores, such as linger_ms")
            }
            _ => None,
        };
        Class::Config.error(py, &hints::with_hint(&self.to_string(), hint), None, false, false)
    }
}

impl IntoPyErr for PyErr {
    fn into_py_err(self, _: Python<'_>) -> PyErr {
        self
    }
}
