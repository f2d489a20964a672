//! `scan`: a topic as a lazy Arrow stream, and the batches of `Consumer.poll_arrow`.

use crate::capsule;
use crate::consumer::{Consumer, starts};
use crate::errors::{Class, IntoPyErr, misuse};
use crate::runtime::Birthplace;
use crate::sources::{self, bound, python_interrupt};
use crate::wait::{seconds, without_gil};
use arrow_array::{RecordBatch, RecordBatchIterator};
use arrow_schema::SchemaRef;
use headwater_arrow::{BatchLimits, BytesLayout, Projection, ScanBound, ScanPlan, decode_fetched};
use headwater_client::PollLimits;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

/// Rows of an Arrow batch where the caller does not say.
const ROWS: usize = 65_536;
/// Bytes of batches that one `poll_arrow` takes from the fetch buffers at the most.
const POLL_BYTES: usize = 32 << 20;

/// A scan that has not begun; every consumer of its stream reads from the start.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct Scan {
    topic: String,
    target: Py<PyAny>,
    projection: Projection,
    start: ScanBound,
    end: ScanBound,
    partitions: Option<Vec<i32>>,
    batch_size: usize,
    born: Birthplace,
}

/// A topic, or a part of it, as Arrow.
#[pyfunction]
#[pyo3(signature = (topic, target, *, start=None, end=None, partitions=None, columns=None, batch_size=65_536))]
#[expect(clippy::too_many_arguments, reason = "the options of a scan")]
pub(crate) fn scan(
    py: Python<'_>,
    topic: String,
    target: Py<PyAny>,
    start: Option<&Bound<'_, PyAny>>,
    end: Option<&Bound<'_, PyAny>>,
    partitions: Option<Vec<i32>>,
    columns: Option<Vec<String>>,
    batch_size: usize,
) -> PyResult<Scan> {
    if batch_size == 0 || batch_size > ROWS {
        return Err(misuse(py, &format!("batch_size expects a number from 1 to {ROWS}, got {batch_size}")));
    }
    Ok(Scan {
        topic,
        target,
        projection: projection(py, columns)?,
        start: bound(start, "start")?,
        end: bound(end, "end")?,
        partitions,
        batch_size,
        born: Birthplace::here(),
    })
}

fn projection(py: Python<'_>, columns: Option<Vec<String>>) -> PyResult<Projection> {
    let Some(columns) = columns else { return Ok(Projection::all(BytesLayout::Binary)) };
    Projection::from_names(columns.iter().map(String::as_str), BytesLayout::Binary)
        .map_err(|error| misuse(py, &error.to_string()))
}

#[pymethods]
impl Scan {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        self.born.check("Scan")?;
        let projection = match capsule::requested(requested_schema)? {
            Some(requested) => self.projection.with_requested(&requested),
            None => self.projection.clone(),
        };
        let interrupt = python_interrupt();
        let sources = sources::open(self.target.bind(py), &self.topic, projection.layout(), &interrupt)?;
        let plan = ScanPlan {
            projection,
            start: self.start.clone(),
            end: self.end.clone(),
            partitions: self.partitions.clone(),
            limits: BatchLimits { rows: self.batch_size, ..BatchLimits::default() },
            interrupt,
            ..ScanPlan::default()
        };
        let scan = headwater_arrow::Scan::new(plan, sources).map_err(|error| error.into_py_err(py))?;
        capsule::stream(py, scan)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, self.projection.schema())
    }

    #[getter]
    fn columns(&self) -> Vec<&'static str> {
        self.projection.columns().iter().map(|column| column.name()).collect()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Scan({:?}, {})", self.topic, self.target.bind(py).repr()?))
    }
}

impl IntoPyErr for headwater_arrow::ScanError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        use headwater_arrow::ScanError;
        match self {
            ScanError::Source { source, .. } => source.into_py_err(py),
            ScanError::Interrupted(_) => pyo3::exceptions::PyKeyboardInterrupt::new_err(()),
            error @ ScanError::Decode(_) => {
                Class::CorruptRecord.error(py, &error.to_string(), Some("CORRUPT_MESSAGE"), false, false)
            }
            error => Class::Misuse.error(py, &error.to_string(), None, false, false),
        }
    }
}

/// Records as Arrow batches of the scan's columns.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct ArrowBatch {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

#[pymethods]
impl ArrowBatch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn __len__(&self) -> usize {
        self.num_rows()
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // A request is a wish; these columns are made already.
        let _ = requested_schema;
        let batches = self.batches.clone().into_iter().map(Ok);
        capsule::stream(py, RecordBatchIterator::new(batches, self.schema.clone()))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let _ = requested_schema;
        match self.batches.as_slice() {
            [] => capsule::array(py, &RecordBatch::new_empty(self.schema.clone())),
            [batch] => capsule::array(py, batch),
            more => {
                let message = format!("{} batches do not fit one array; read the stream", more.len());
                Err(misuse(py, &message))
            }
        }
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, &self.schema)
    }

    fn __repr__(&self) -> String {
        format!("ArrowBatch({} rows)", self.num_rows())
    }
}

/// `Consumer.poll_arrow`.
pub(crate) fn poll_arrow(
    consumer: &Consumer,
    py: Python<'_>,
    max_records: Option<usize>,
    timeout: Option<f64>,
    columns: Option<Vec<String>>,
) -> PyResult<ArrowBatch> {
    let max_records = max_records.unwrap_or(ROWS);
    if max_records == 0 || max_records > ROWS {
        return Err(misuse(py, &format!("max_records expects a number from 1 to {ROWS}, got {max_records}")));
    }
    let projection = projection(py, columns)?;
    consumer.give_back(py)?;
    let limits = PollLimits { records: max_records, bytes: POLL_BYTES };
    let fetched = consumer.poll_fetched(py, limits, seconds(py, timeout)?)?;
    let limits = BatchLimits { rows: max_records, ..BatchLimits::default() };
    let starts = starts(&fetched);
    let decoded = without_gil(py, || decode_fetched(&projection, limits, fetched));
    if decoded.is_err() {
        consumer.rewind(py, &starts)?;
    }
    let batches = decoded.map_err(|error| headwater_arrow::ScanError::from(error).into_py_err(py))?;
    Ok(ArrowBatch { schema: projection.schema().clone(), batches })
}
