//! What a notebook shows of an object: `headwater._html` writes it.

use pyo3::prelude::*;

/// The HTML that `function` of the module makes of an object.
pub(crate) fn html<'py>(object: &Bound<'py, PyAny>, function: &str) -> PyResult<Bound<'py, PyAny>> {
    object.py().import("headwater._html")?.call_method1(function, (object,))
}
