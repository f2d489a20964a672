//! Arrow's PyCapsule interface: streams, arrays and schemas cross without pyarrow.

use crate::errors::misuse;
use arrow_array::cast::AsArray;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{Array, RecordBatch, RecordBatchIterator, RecordBatchReader, StructArray, make_array};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

const STREAM: &std::ffi::CStr = c"arrow_array_stream";
const ARRAY: &std::ffi::CStr = c"arrow_array";
const SCHEMA: &std::ffi::CStr = c"arrow_schema";

pub(crate) fn arrow_error(error: &ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A schema as a capsule.
pub(crate) fn schema<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let ffi = FFI_ArrowSchema::try_from(schema).map_err(|error| arrow_error(&error))?;
    PyCapsule::new_with_value(py, ffi, SCHEMA)
}

/// The schema that a consumer of a capsule asks for.
pub(crate) fn requested(capsule: Option<&Bound<'_, PyCapsule>>) -> PyResult<Option<Schema>> {
    capsule.map(|capsule| read_schema(capsule, |ffi| Schema::try_from(ffi))).transpose()
}

/// The schema of anything with `__arrow_c_schema__`.
pub(crate) fn schema_of(given: &Bound<'_, PyAny>) -> PyResult<Schema> {
    read_schema(&given_capsule(given)?, |ffi| Schema::try_from(ffi))
}

/// The type of anything with `__arrow_c_schema__`.
pub(crate) fn data_type_of(given: &Bound<'_, PyAny>) -> PyResult<DataType> {
    read_schema(&given_capsule(given)?, |ffi| DataType::try_from(ffi))
}

fn given_capsule<'py>(given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyCapsule>> {
    Ok(given.call_method0("__arrow_c_schema__")?.cast_into()?)
}

fn read_schema<T>(
    capsule: &Bound<'_, PyCapsule>,
    read: impl FnOnce(&FFI_ArrowSchema) -> Result<T, ArrowError>,
) -> PyResult<T> {
    let pointer = capsule.pointer_checked(Some(SCHEMA))?;
    // SAFETY: a capsule of this name holds an ArrowSchema that stays alive as long as the capsule.
    let ffi: &FFI_ArrowSchema = unsafe { pointer.cast().as_ref() };
    read(ffi).map_err(|error| arrow_error(&error))
}

/// A reader as a capsule. Its `next` runs with the GIL released, whether or not the caller holds it.
pub(crate) fn stream<'py>(
    py: Python<'py>,
    reader: impl RecordBatchReader + Send + 'static,
) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(WithoutGil(reader))), STREAM)
}

/// One record batch as a pair of capsules.
pub(crate) fn array<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyTuple>> {
    let data = StructArray::from(batch.clone()).into_data();
    let schema = schema(py, &batch.schema())?;
    let array = PyCapsule::new_with_value(py, FFI_ArrowArray::new(&data), ARRAY)?;
    PyTuple::new(py, [schema, array])
}

/// A table that Python hands in: anything with `__arrow_c_stream__` or `__arrow_c_array__`. Reading it may need the GIL,
/// so whoever does must not hold it.
pub(crate) fn reader(data: &Bound<'_, PyAny>) -> PyResult<Box<dyn RecordBatchReader + Send>> {
    let py = data.py();
    if data.hasattr("__arrow_c_stream__")? {
        let capsule = data.call_method0("__arrow_c_stream__")?;
        let pointer = capsule.cast::<PyCapsule>()?.pointer_checked(Some(STREAM))?;
        // SAFETY: a capsule of this name holds an ArrowArrayStream; it is moved out, and a released one stays behind.
        let reader = unsafe { RecordBatchStreamReader::from_raw(pointer.cast().as_ptr()) };
        let kind = data.get_type().name()?;
        let no_rows = |error| no_table(py, &format!("{kind} is no stream of rows with columns ({error})"));
        return Ok(Box::new(reader.map_err(no_rows)?));
    }
    if data.hasattr("__arrow_c_array__")? {
        let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) =
            data.call_method0("__arrow_c_array__")?.extract()?;
        let schema = schema.pointer_checked(Some(SCHEMA))?;
        let array = array.pointer_checked(Some(ARRAY))?;
        // SAFETY: capsules of these names hold an ArrowSchema, which is borrowed, and an ArrowArray, which is moved
        // out, as from_raw leaves a released one behind; they describe the same data, as the interface demands.
        let imported = unsafe {
            from_ffi(
                FFI_ArrowArray::from_raw(array.cast().as_ptr()),
                schema.cast::<FFI_ArrowSchema>().as_ref(),
            )
        };
        let array = make_array(imported.map_err(|error| no_table(py, &error.to_string()))?);
        let Some(rows) = array.as_struct_opt().filter(|rows| rows.null_count() == 0) else {
            return Err(no_table(py, &format!("an array of {} is none", array.data_type())));
        };
        let batch = RecordBatch::from(rows.clone());
        let schema = batch.schema();
        return Ok(Box::new(RecordBatchIterator::new([Ok(batch)], schema)));
    }
    Err(no_table(py, &format!("{} has neither method", data.get_type().name()?)))
}

fn no_table(py: Python<'_>, reason: &str) -> PyErr {
    let expected =
        "data expects a table with __arrow_c_stream__ or __arrow_c_array__ (of pyarrow, Polars, pandas, …)";
    misuse(py, &format!("{expected}: {reason}"))
}

struct WithoutGil<R>(R);

impl<R: RecordBatchReader + Send> Iterator for WithoutGil<R> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Attaching first makes both kinds of callers alike: a caller that holds the GIL gives it up for the wait.
        let next = Python::try_attach(|py| py.detach(|| self.0.next()));
        next.unwrap_or_else(|| {
            Some(Err(ArrowError::IoError(
                "the interpreter is shutting down".into(),
                std::io::Error::from(std::io::ErrorKind::Interrupted),
            )))
        })
    }
}

impl<R: RecordBatchReader + Send> RecordBatchReader for WithoutGil<R> {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
}
