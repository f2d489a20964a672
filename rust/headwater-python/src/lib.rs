//! The Python extension module: thin classes over the Rust crates.
//!
//! ```text
//!  Python thread ── one crossing per batch ──► headwater-client / -broker / -arrow
//!     wait.rs  releases the GIL, honours Ctrl-C, converts errors; nothing else does
//!     runtime.rs  one tokio runtime per process, made lazily, fork-aware
//! ```
//!
//! Runtime threads never touch Python: callbacks run on the thread that polls. Documentation of the classes is in the
//! stub `python/headwater/_headwater.pyi`. Deliberately absent: any logic that a Rust caller would want as well.

mod admin;
mod broker;
mod bytes_like;
mod capsule;
mod cli;
mod config;
mod consumer;
mod delivery;
mod display;
mod errors;
mod export;
mod glance;
mod hints;
mod names;
mod places;
mod producer;
mod progress;
mod record;
mod runtime;
mod scan;
mod send_arrow;
mod settings;
mod silence;
mod sources;
mod target;
mod values;
mod wait;

use pyo3::prelude::*;

/// The extension module.
#[pymodule(gil_used = true)]
mod _headwater {
    use super::*;

    #[pymodule_export]
    use super::admin::Admin;
    #[pymodule_export]
    use super::broker::Broker;
    #[pymodule_export]
    use super::cli::run_cli;
    #[pymodule_export]
    use super::consumer::Consumer;
    #[pymodule_export]
    use super::delivery::{Arrivals, Delivery, RecordMetadata};
    #[pymodule_export]
    use super::glance::{partition_bounds, read_records};
    #[pymodule_export]
    use super::producer::Producer;
    #[pymodule_export]
    use super::record::Record;
    #[pymodule_export]
    use super::scan::{ArrowBatch, Scan, infer_schema, scan};
    #[pymodule_export]
    use super::values::InferredSchema;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::runtime::watch_forks()?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        if cfg!(debug_assertions) {
            let warning = "this is a debug build of headwater: correct, but slow";
            let category = module.py().get_type::<pyo3::exceptions::PyRuntimeWarning>();
            PyErr::warn(module.py(), &category, &std::ffi::CString::new(warning)?, 1)?;
        }
        Ok(())
    }
}
