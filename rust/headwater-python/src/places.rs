//! Places in a partition whose offsets are looked up: an end, a time, the largest time stamp.

use crate::errors::misuse;
use headwater_client::IsolationLevel;
use headwater_client::admin::OffsetSpec;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

/// A place by its name, or a time: a datetime with a time zone, or milliseconds.
pub(crate) fn read_place(what: &str, given: &Bound<'_, PyAny>) -> PyResult<OffsetSpec> {
    let unexpected = |got: String| {
        let named = r#""earliest", "latest", "max_timestamp", "earliest_local", "latest_tiered""#;
        let message = format!("{what} expects {named}, a datetime or milliseconds ≥ 0 (int), got {got}");
        misuse(given.py(), &message)
    };
    if let Ok(name) = given.cast::<PyString>() {
        return match name.to_str()? {
            "earliest" => Ok(OffsetSpec::Earliest),
            "latest" => Ok(OffsetSpec::Latest),
            "max_timestamp" => Ok(OffsetSpec::MaxTimestamp),
            "earliest_local" => Ok(OffsetSpec::EarliestLocal),
            "latest_tiered" => Ok(OffsetSpec::LatestTiered),
            other => Err(unexpected(format!("{other:?}"))),
        };
    }
    if let Some(time_ms) = read_time(what, given)? {
        return Ok(OffsetSpec::AtTime(time_ms));
    }
    match given.extract::<i64>() {
        Ok(time_ms) if time_ms >= 0 && !given.is_instance_of::<PyBool>() => Ok(OffsetSpec::AtTime(time_ms)),
        _ => Err(unexpected(given.repr()?.to_string())),
    }
}

/// Milliseconds since the epoch of a datetime with a time zone; `None` if it is none.
pub(crate) fn read_time(what: &str, given: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if !given.hasattr("timestamp")? {
        return Ok(None);
    }
    if given.getattr("tzinfo")?.is_none() {
        return Err(misuse(given.py(), &format!("{what} expects a datetime with a time zone, such as UTC")));
    }
    let seconds: f64 = given.call_method0("timestamp")?.extract()?;
    Ok(Some((seconds * 1000.0).round() as i64))
}

/// Which records of transactions count.
pub(crate) fn read_isolation(py: Python<'_>, given: &str) -> PyResult<IsolationLevel> {
    match given {
        "read_uncommitted" => Ok(IsolationLevel::ReadUncommitted),
        "read_committed" => Ok(IsolationLevel::ReadCommitted),
        other => {
            let expected = "isolation_level expects \"read_uncommitted\" or \"read_committed\"";
            Err(misuse(py, &format!("{expected}, got {other:?}")))
        }
    }
}
