//! `Admin.export`: retained segments to Parquet.

use crate::errors::{Class, IntoPyErr};
use crate::progress::Progress;
use crate::runtime::env;
use crate::sources::{self, ReadConfig, bound};
use crate::values::{self, ValueOptions};
use crate::wait::without_gil;
use headwater_arrow::{BytesLayout, ExportError, ExportOptions, ExportReport, ScanPlan, export};
use headwater_env::Env;
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
    pub(crate) progress: Option<&'a Bound<'py, PyAny>>,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) values: Option<ValueOptions>,
}

/// Exports a topic of `target`.
pub(crate) fn run<'py>(
    target: &Bound<'py, PyAny>,
    request: &Request<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = target.py();
    let directory: PathBuf = request.to.extract()?;
    let mut progress = Progress::new(py, request.progress, request.topic)?;
    let interrupt = progress.interrupt();
    let plan = ScanPlan {
        start: bound(request.start, "start")?,
        end: bound(request.end, "end")?,
        partitions: request.partitions.clone(),
        interrupt: interrupt.clone(),
        ..ScanPlan::default()
    };
    let config = ReadConfig::default();
    let sources = || sources::open(target, request.topic, BytesLayout::Binary, &config, &interrupt);
    let columns = request.columns.as_deref();
    let projection = match &request.values {
        None => values::projection(py, columns, None)?,
        Some(options) => {
            let schema = options.schema(py, request.topic, &plan, sources)?;
            values::projection(py, columns, Some((&schema, options.bad_rows)))?
        }
    };
    let plan = ScanPlan { projection, ..plan };
    let sources = sources()?;
    let options = ExportOptions { overwrite: request.overwrite, ..ExportOptions::default() };
    let env = env()?;
    let exported = without_gil(py, || {
        export(env.disk(), &plan, sources, &directory, &options, &mut |at| {
            progress.show(at.offsets_done, at.offsets_total);
        })
    });
    let exported = progress.finish(py, exported.map_err(|error| error.into_py_err(py)))?;
    report(py, exported)
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
