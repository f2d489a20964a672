//! `scan`: a topic as a lazy Arrow stream, and the batches of `Consumer.poll_arrow`.

use crate::capsule;
use crate::consumer::{Consumer, starts};
use crate::errors::{Class, IntoPyErr, misuse};
use crate::runtime::Birthplace;
use crate::sources::{self, ReadConfig, bound, python_interrupt};
use crate::values::{self, InferredSchema, ValueOptions};
use crate::wait::{seconds, without_gil};
use arrow_array::{RecordBatch, RecordBatchIterator};
use arrow_schema::SchemaRef;
use headwater_arrow::source::PartitionSource;
use headwater_arrow::{
    BatchLimits, BytesLayout, Column, Interrupt, Projection, ScanBound, ScanPlan, as_requested, cast_batch,
    decode_fetched, infer_fetched,
};
use headwater_client::{FetchedPartition, PollLimits};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};
use std::sync::{Arc, OnceLock};

/// Rows of an Arrow batch where the caller does not say.
const ROWS: usize = 65_536;
/// Bytes of an Arrow batch of a scan at the most, unless one record alone is larger: such a batch is still in the caches
/// when whoever reads it gets it. With 64 MiB, records of 1 KB took a third more CPU on their way into Spark.
const BATCH_BYTES: usize = 8 << 20;
/// Bytes of batches that one `poll_arrow` takes from the fetch buffers at the most.
const POLL_BYTES: usize = 32 << 20;

/// A scan that has not begun; every consumer of its stream reads from the start.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct Scan {
    topic: String,
    target: Py<PyAny>,
    start: ScanBound,
    end: ScanBound,
    partitions: Option<Vec<i32>>,
    columns: Option<Vec<String>>,
    values: Option<ValueOptions>,
    batch_size: usize,
    config: ReadConfig,
    // Known at once, unless the values' schema is to be inferred: then when it is first needed.
    projection: OnceLock<Projection>,
    born: Birthplace,
}

/// A topic, or a part of it, as Arrow.
#[pyfunction]
#[pyo3(signature = (
    topic, target, *, start=None, end=None, partitions=None, columns=None, batch_size=65_536,
    value_format=None, value_schema=None, bad_rows="fail", sample=1000, config=None
))]
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
    value_format: Option<&str>,
    value_schema: Option<&Bound<'_, PyAny>>,
    bad_rows: &str,
    sample: usize,
    config: Option<&Bound<'_, PyAny>>,
) -> PyResult<Scan> {
    if batch_size == 0 || batch_size > ROWS {
        return Err(misuse(py, &format!("batch_size expects a number from 1 to {ROWS}, got {batch_size}")));
    }
    let values = ValueOptions::read(py, value_format, value_schema, bad_rows, sample)?;
    let scan = Scan {
        topic,
        target,
        start: bound(start, "start")?,
        end: bound(end, "end")?,
        partitions,
        columns,
        values,
        batch_size,
        config: ReadConfig::read(config)?,
        projection: OnceLock::new(),
        born: Birthplace::here(),
    };
    if scan.values.as_ref().is_none_or(|values| values.schema.is_some()) {
        scan.projection(py)?;
    }
    Ok(scan)
}

/// The schema that a scan with `value_format` and no `value_schema` would find.
#[pyfunction]
#[pyo3(signature = (
    topic, target, *, value_format="json", sample=1000, start=None, partitions=None, config=None
))]
#[expect(clippy::too_many_arguments, reason = "the options of a scan")]
pub(crate) fn infer_schema(
    py: Python<'_>,
    topic: &str,
    target: &Bound<'_, PyAny>,
    value_format: &str,
    sample: usize,
    start: Option<&Bound<'_, PyAny>>,
    partitions: Option<Vec<i32>>,
    config: Option<&Bound<'_, PyAny>>,
) -> PyResult<InferredSchema> {
    ValueOptions::read(py, Some(value_format), None, "fail", sample)?;
    let config = ReadConfig::read(config)?;
    let interrupt = python_interrupt();
    let sources = sources::open(target, topic, BytesLayout::Binary, &config, &interrupt)?;
    let plan = ScanPlan { start: bound(start, "start")?, partitions, interrupt, ..ScanPlan::default() };
    Ok(values::infer(py, &plan, sources, sample)?.into())
}

impl Scan {
    fn projection(&self, py: Python<'_>) -> PyResult<&Projection> {
        if let Some(known) = self.projection.get() {
            return Ok(known);
        }
        let made = match &self.values {
            None => values::projection(py, self.columns.as_deref(), None)?,
            Some(options) => {
                let plan = self.plan(Projection::all(BytesLayout::Binary), python_interrupt());
                let sources = || self.sources(py, BytesLayout::Binary, &plan.interrupt);
                let schema = options.schema(py, &self.topic, &plan, sources)?;
                values::projection(py, self.columns.as_deref(), Some((&schema, options.bad_rows)))?
            }
        };
        Ok(self.projection.get_or_init(|| made))
    }

    fn plan(&self, projection: Projection, interrupt: Arc<dyn Interrupt>) -> ScanPlan {
        ScanPlan {
            projection,
            start: self.start.clone(),
            end: self.end.clone(),
            partitions: self.partitions.clone(),
            limits: BatchLimits { rows: self.batch_size, bytes: BATCH_BYTES, ..BatchLimits::default() },
            interrupt,
            ..ScanPlan::default()
        }
    }

    fn sources(
        &self,
        py: Python<'_>,
        layout: BytesLayout,
        interrupt: &Arc<dyn Interrupt>,
    ) -> PyResult<Vec<Box<dyn PartitionSource>>> {
        sources::open(self.target.bind(py), &self.topic, layout, &self.config, interrupt)
    }
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
            Some(requested) => self.projection(py)?.with_requested(&requested),
            None => self.projection(py)?.clone(),
        };
        let interrupt = python_interrupt();
        let sources = self.sources(py, projection.layout(), &interrupt)?;
        let plan = self.plan(projection, interrupt);
        let scan = headwater_arrow::Scan::new(plan, sources).map_err(|error| error.into_py_err(py))?;
        capsule::stream(py, scan)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        self.born.check("Scan")?;
        capsule::schema(py, self.projection(py)?.schema())
    }

    #[getter]
    fn columns(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.born.check("Scan")?;
        Ok(self.projection(py)?.names().map(str::to_owned).collect())
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
        let wished = self.wished(requested_schema)?;
        let batches = wished.batches.into_iter().map(Ok);
        capsule::stream(py, RecordBatchIterator::new(batches, wished.schema))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let wished = self.wished(requested_schema)?;
        match wished.batches.as_slice() {
            [] => capsule::array(py, &RecordBatch::new_empty(wished.schema)),
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

impl ArrowBatch {
    /// The batches in the types that were asked for, as far as these are cheap.
    fn wished(&self, requested: Option<&Bound<'_, PyCapsule>>) -> PyResult<ArrowBatch> {
        let schema = match capsule::requested(requested)? {
            Some(requested) => as_requested(&self.schema, &requested),
            None => self.schema.clone(),
        };
        let batches = self.batches.iter().map(|batch| cast_batch(batch, &schema)).collect::<Result<_, _>>();
        let batches = batches.map_err(|error| capsule::arrow_error(&error))?;
        Ok(ArrowBatch { schema, batches })
    }
}

/// `Consumer.poll_arrow`.
pub(crate) fn poll_arrow(
    consumer: &Consumer,
    py: Python<'_>,
    max_records: Option<usize>,
    timeout: Option<f64>,
    columns: Option<&[String]>,
    values: Option<ValueOptions>,
) -> PyResult<ArrowBatch> {
    let max_records = max_records.unwrap_or(ROWS);
    if max_records == 0 || max_records > ROWS {
        return Err(misuse(py, &format!("max_records expects a number from 1 to {ROWS}, got {max_records}")));
    }
    // What can be known is known before anything is polled, so that a wrong column costs no record.
    let known = match &values {
        None => Some(values::projection(py, columns, None)?),
        Some(options) => match options.schema.clone().or_else(|| consumer.value_schema()) {
            Some(schema) => Some(values::projection(py, columns, Some((&schema, options.bad_rows)))?),
            None => None,
        },
    };
    consumer.give_back(py)?;
    let limits = PollLimits { records: max_records, bytes: POLL_BYTES };
    let fetched = consumer.poll_fetched(py, limits, seconds(py, timeout)?)?;
    let starts = starts(&fetched);
    let made = || -> PyResult<ArrowBatch> {
        let projection = match (known, &values) {
            (Some(known), _) => known,
            (None, Some(options)) => inferred(py, consumer, &fetched, columns, options)?,
            (None, None) => Projection::all(BytesLayout::Binary),
        };
        let limits = BatchLimits { rows: max_records, ..BatchLimits::default() };
        let decoded = without_gil(py, || decode_fetched(&projection, limits, fetched));
        let batches = decoded.map_err(|error| headwater_arrow::ScanError::from(error).into_py_err(py))?;
        Ok(ArrowBatch { schema: projection.schema().clone(), batches })
    }();
    if made.is_err() {
        consumer.rewind(py, &starts)?;
    }
    made
}

/// The columns by the schema that this poll's values show, which later polls go on with. A poll that brought nothing
/// shows none.
fn inferred(
    py: Python<'_>,
    consumer: &Consumer,
    fetched: &[FetchedPartition],
    columns: Option<&[String]>,
    options: &ValueOptions,
) -> PyResult<Projection> {
    let Some(first) = fetched.first() else {
        let without_value = Column::ALL.into_iter().filter(|column| *column != Column::Value);
        let names: Vec<String> = without_value.map(|column| column.name().to_owned()).collect();
        return values::projection(py, Some(&names), None);
    };
    let found = without_gil(py, || infer_fetched(fetched.iter().cloned(), options.sample));
    let found = found.map_err(|error| error.into_py_err(py))?;
    let projection = values::projection(py, columns, Some((&found.schema, options.bad_rows)))?;
    values::say(py, &first.topic, &found)?;
    consumer.keep_value_schema(&found.schema);
    Ok(projection)
}
