//! Where a client connects: a [`Broker`] of this process, or `"host:port,…"`.

use crate::broker::Broker;
use crate::errors::{Class, misuse};
use headwater_client::Bootstrap;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Reads a `target` argument.
pub(crate) fn bootstrap(target: &Bound<'_, PyAny>) -> PyResult<Bootstrap> {
    let py = target.py();
    if let Ok(broker) = target.cast::<Broker>() {
        return broker.get().bootstrap(py);
    }
    if let Ok(servers) = target.cast::<PyString>() {
        return parse(py, servers.to_str()?);
    }
    if let Ok(servers) = target.extract::<Vec<String>>() {
        return parse(py, &servers.join(","));
    }
    let kind = target.get_type().name()?;
    Err(misuse(
        py,
        &format!("target expects a Broker, \"host:port,…\" or a list of \"host:port\", got {kind}"),
    ))
}

fn parse(py: Python<'_>, servers: &str) -> PyResult<Bootstrap> {
    let hint = if servers.contains("://") {
        "leave the scheme out"
    } else if servers.contains(['/', '\\']) {
        "a data directory is opened with headwater.Broker(directory), or given to scan and Topic as a pathlib.Path"
    } else {
        "write host and port, such as \"localhost:9092\""
    };
    let refused = || {
        let message = format!("target expects a Broker or \"host:port,…\", got {servers:?}; {hint}");
        Class::Config.error(py, &message, None, false, false)
    };
    if servers.contains('/') {
        return Err(refused());
    }
    Bootstrap::parse(servers).map_err(|_| refused())
}
