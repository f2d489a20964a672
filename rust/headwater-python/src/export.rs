//! `Admin.export`: retained segments to Parquet.

use crate::errors::{Class, IntoPyErr};
use crate::runtime::env;
use crate::sources::{self, bound, python_interrupt};
use crate::wait::without_gil;
use headwater_arrow::{BytesLayout, ExportError, ExportOptions, ExportReport, ScanPlan, export};
use headwater_env::Env;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pyo3::prelude::*;
use std::path::PathBuf;

/// The arguments of one export.
pub(crate) struct Request<'a, 'py> {
    pub(crate) topic: &'a str,
    pub(crate) to: &'a Bound<'py, PyAny>,
    pub(crate) overwrite: bool,
    pub(crate) partitions: Option<Vec<i32>>,
    pub(crate) start: Option<&'a Bound<'py, PyAny>>,
    pub(crate) end: Option<&'a Bound<'py, PyAny>>,
    pub(crate) progress: bool,
}

/// Exports a topic of `target`.
pub(crate) fn run<'py>(
    target: &Bound<'py, PyAny>,
    request: &Request<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = target.py();
    let directory: PathBuf = request.to.extract()?;
    let interrupt = python_interrupt();
    let plan = ScanPlan {
        start: bound(request.start, "start")?,
        end: bound(request.end, "end")?,
        partitions: request.partitions.clone(),
        interrupt: interrupt.clone(),
        ..ScanPlan::default()
    };
    let sources = sources::open(target, request.topic, BytesLayout::Binary, &interrupt)?;
    let options = ExportOptions { overwrite: request.overwrite, ..ExportOptions::default() };
    let bar = bar(request.progress, request.topic);
    let env = env()?;
    let exported = without_gil(py, || {
        export(env.disk(), &plan, sources, &directory, &options, &mut |at| {
            bar.set_length(at.offsets_total);
            bar.set_position(at.offsets_done);
        })
    });
    bar.finish_and_clear();
    report(py, exported.map_err(|error| error.into_py_err(py))?)
}

/// A bar on stderr, hidden where stderr is not a terminal.
fn bar(wanted: bool, topic: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(
        Some(0),
        if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
    );
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_prefix(topic.to_owned())
}

fn report(py: Python<'_>, report: ExportReport) -> PyResult<Bound<'_, PyAny>> {
    let files: Vec<String> = report
        .partitions
        .iter()
        .map(|partition| report.target.join(&partition.file).to_string_lossy().into_owned())
        .collect();
    let fields = (report.rows(), report.bytes_read(), report.bytes_written(), files);
    py.import("headwater._types")?.getattr("ExportReport")?.call1(fields)
}

impl IntoPyErr for ExportError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        let message = self.to_string();
        match self {
            Self::Scan(error) => error.into_py_err(py),
            Self::Exists { .. } => {
                let hint = format!("{message}; pass overwrite=True to replace it");
                pyo3::exceptions::PyFileExistsError::new_err(hint)
            }
            Self::BadLevel { .. } | Self::BadTarget { .. } => crate::errors::misuse(py, &message),
            _ => Class::Storage.error(py, &message, None, false, false),
        }
    }
}
