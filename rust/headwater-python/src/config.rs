//! Keyword arguments as settings: Kafka's names with underscores, values of the types that people write.

use crate::errors::misuse;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::collections::BTreeMap;

/// Settings as pairs of text. A `None` leaves the default alone.
pub(crate) fn pairs(settings: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (key, value) in settings.into_iter().flatten() {
        let key: String =
            key.extract().map_err(|_| misuse(key.py(), &format!("a setting's name is a str, got {key}")))?;
        if !value.is_none() {
            let text = text(&key, &value)?;
            pairs.push((key, text));
        }
    }
    Ok(pairs)
}

/// One value as Kafka's settings write it.
pub(crate) fn text(key: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if value.is_instance_of::<PyBool>() {
        return Ok(if value.extract()? { "true".into() } else { "false".into() });
    }
    if value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
    {
        return Ok(value.str()?.to_string());
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let parts = value.try_iter()?.map(|part| text(key, &part?)).collect::<PyResult<Vec<_>>>()?;
        return Ok(parts.join(","));
    }
    let kind = value.get_type().name()?;
    Err(misuse(value.py(), &format!("{key} expects a str, number, bool or list of these, got {kind}")))
}

/// Settings of a topic or a broker, in Kafka's own spelling.
pub(crate) fn text_map(settings: Option<&Bound<'_, PyDict>>) -> PyResult<BTreeMap<String, String>> {
    Ok(pairs(settings)?.into_iter().collect())
}

/// Takes a setting out of the keyword arguments that is not one of Kafka's.
pub(crate) fn take<'py>(
    settings: Option<&Bound<'py, PyDict>>,
    key: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(settings) = settings else { return Ok(None) };
    let found = settings.get_item(key)?;
    if found.is_some() {
        settings.del_item(key)?;
    }
    Ok(found.filter(|value| !value.is_none()))
}

/// A serializer or deserializer: any callable of one argument.
pub(crate) fn take_callable(settings: Option<&Bound<'_, PyDict>>, key: &str) -> PyResult<Option<Py<PyAny>>> {
    let Some(found) = take(settings, key)? else { return Ok(None) };
    if !found.is_callable() {
        let kind = found.get_type().name()?.to_string();
        return Err(misuse(found.py(), &format!("{key} expects a callable of one argument, got {kind}")));
    }
    Ok(Some(found.unbind()))
}
