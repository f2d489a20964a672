//! The command-line tool inside the wheel.

use crate::wait::without_gil;
use pyo3::prelude::*;
use std::ffi::OsString;

/// Runs the `headwater` command with these arguments (without the program's name); returns its exit code.
#[pyfunction]
pub(crate) fn run_cli(py: Python<'_>, arguments: Vec<OsString>) -> i32 {
    // The tool has its own runtime and signal handlers, so Ctrl-C works although Python's handler cannot run.
    without_gil(py, || headwater_cli::run(arguments))
}
