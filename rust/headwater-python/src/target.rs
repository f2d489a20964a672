//! Where a client connects: a [`Broker`] of this process, or `"host:port,…"`.

use crate::broker::Broker;
use crate::errors::{IntoPyErr, misuse};
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
        return Bootstrap::parse(servers.to_str()?).map_err(|error| error.into_py_err(py));
    }
    if let Ok(servers) = target.extract::<Vec<String>>() {
        return Bootstrap::parse(&servers.join(",")).map_err(|error| error.into_py_err(py));
    }
    let kind = target.get_type().name()?;
    Err(misuse(
        py,
        &format!("target expects a Broker, \"host:port,…\" or a list of \"host:port\", got {kind}"),
    ))
}
