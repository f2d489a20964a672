//! Keys, values and headers as Python hands them in: bytes and their kin, text as UTF-8, or nothing.

use crate::errors::misuse;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::borrow::Cow;

/// Borrows from `bytes` and `str`; copies from other objects with the buffer of bytes (bytearray, memoryview).
pub(crate) fn bytes_like<'a>(value: &'a Bound<'_, PyAny>, what: &str) -> PyResult<Option<Cow<'a, [u8]>>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Some(Cow::Borrowed(bytes.as_bytes())));
    }
    if value.is_none() {
        return Ok(None);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Some(Cow::Borrowed(text.to_str()?.as_bytes())));
    }
    let py = value.py();
    let is_buffer = ["bytearray", "memoryview"].contains(&value.get_type().name()?.to_str()?);
    if !is_buffer {
        let kind = value.get_type().name()?;
        let hint = match what {
            "key" | "value" => {
                format!("; give the Producer a {what}_serializer, such as lambda x: json.dumps(x).encode()")
            }
            _ => String::new(),
        };
        let expected = "bytes, bytearray, memoryview, str or None";
        return Err(misuse(py, &format!("{what} expects {expected}, got {kind}{hint}")));
    }
    let copied = py.get_type::<PyBytes>().call1((value,))?;
    Ok(Some(Cow::Owned(copied.cast::<PyBytes>()?.as_bytes().to_vec())))
}

/// An error that names the serializer if it returned something that is not bytes.
pub(crate) fn check_serialized(made: &Bound<'_, PyAny>, serializer: &str) -> PyResult<()> {
    if made.is_instance_of::<PyBytes>() || bytes_like(made, "").is_ok() {
        return Ok(());
    }
    let kind = made.get_type().name()?;
    Err(misuse(
        made.py(),
        &format!("{serializer} returned {kind}, expected bytes; let it end with .encode() or the like"),
    ))
}

/// Headers of one record, owned: order and duplicates are kept.
pub(crate) type OwnedHeaders = Vec<(String, Option<Vec<u8>>)>;

/// Headers as a list of `(name, value)` pairs or as a mapping.
pub(crate) fn headers(value: Option<&Bound<'_, PyAny>>) -> PyResult<OwnedHeaders> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let py = value.py();
    let wrong = || misuse(py, "headers expects a list of (str, bytes or None) pairs, or a dict");
    let pairs = if value.hasattr("items")? { value.call_method0("items")? } else { value.clone() };
    let mut headers = OwnedHeaders::new();
    for pair in pairs.try_iter().map_err(|_| wrong())? {
        let (name, value): (String, Bound<'_, PyAny>) = pair?.extract().map_err(|_| wrong())?;
        let value = bytes_like(&value, "a header's value")?.map(Cow::into_owned);
        headers.push((name, value));
    }
    Ok(headers)
}
