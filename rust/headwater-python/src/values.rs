//! `value_format`, `value_schema`, `bad_rows` and `sample`: how values become typed columns.

use crate::capsule;
use crate::errors::{Class, IntoPyErr, misuse};
use crate::wait::without_gil;
use headwater_arrow::source::PartitionSource;
use headwater_arrow::{
    BadRows, BytesLayout, InferError, Inferred, Projection, ProjectionError, ScanPlan, ValueSchema,
    ValueSchemaError, infer_values,
};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyString};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// How values are to be decoded.
#[derive(Clone, Debug)]
pub(crate) struct ValueOptions {
    /// `None`: to be inferred.
    pub(crate) schema: Option<ValueSchema>,
    pub(crate) bad_rows: BadRows,
    pub(crate) sample: usize,
}

impl ValueOptions {
    /// Reads the four arguments; `None` without a format, when values stay bytes.
    pub(crate) fn read(
        py: Python<'_>,
        format: Option<&str>,
        schema: Option<&Bound<'_, PyAny>>,
        bad_rows: &str,
        sample: usize,
    ) -> PyResult<Option<ValueOptions>> {
        let bad_rows = match bad_rows {
            "fail" => BadRows::Fail,
            "column" => BadRows::Column,
            other => {
                let message = format!("bad_rows expects \"fail\" or \"column\", got {other:?}");
                return Err(misuse(py, &message));
            }
        };
        if sample == 0 {
            return Err(misuse(py, "sample expects a number of records ≥ 1, got 0"));
        }
        match format {
            None if schema.is_some() => Err(misuse(py, "value_schema needs value_format=\"json\"")),
            None if bad_rows == BadRows::Column => Err(misuse(py, "bad_rows needs value_format=\"json\"")),
            None => Ok(None),
            Some("json") => {
                let schema = schema.map(value_schema).transpose()?;
                Ok(Some(ValueOptions { schema, bad_rows, sample }))
            }
            Some(other) => Err(misuse(py, &format!("value_format expects \"json\" or None, got {other:?}"))),
        }
    }

    /// The schema that was given, or what the first records of `plan` show, said once on stderr.
    pub(crate) fn schema(
        &self,
        py: Python<'_>,
        topic: &str,
        plan: &ScanPlan,
        sources: impl FnOnce() -> PyResult<Vec<Box<dyn PartitionSource>>>,
    ) -> PyResult<ValueSchema> {
        if let Some(schema) = &self.schema {
            return Ok(schema.clone());
        }
        let inferred = infer(py, plan, sources()?, self.sample)?;
        say(py, topic, &inferred)?;
        Ok(inferred.schema)
    }
}

/// The columns of these names, values typed if `typed` gives their schema.
pub(crate) fn projection(
    py: Python<'_>,
    columns: Option<&[String]>,
    typed: Option<(&ValueSchema, BadRows)>,
) -> PyResult<Projection> {
    let layout = BytesLayout::Binary;
    let names: Option<Vec<&str>> = columns.map(|columns| columns.iter().map(String::as_str).collect());
    let chosen = match (typed, names) {
        (None, None) => Ok(Projection::all(layout)),
        (None, Some(names)) => Projection::from_names(names, layout),
        (Some((schema, bad_rows)), names) => {
            Projection::with_values(names.as_deref(), schema, bad_rows, layout)
        }
    };
    chosen.map_err(|error| error.into_py_err(py))
}

/// Looks at the first records.
pub(crate) fn infer(
    py: Python<'_>,
    plan: &ScanPlan,
    sources: Vec<Box<dyn PartitionSource>>,
    sample: usize,
) -> PyResult<Inferred> {
    without_gil(py, || infer_values(plan, sources, sample)).map_err(|error| error.into_py_err(py))
}

/// Says what was inferred.
pub(crate) fn say(py: Python<'_>, topic: &str, inferred: &Inferred) -> PyResult<()> {
    let Inferred { schema, records, bad } = inferred;
    let bad = if *bad == 0 { String::new() } else { format!(", {bad} of them bad") };
    let line = format!("headwater: value schema of {topic}, from {records} records{bad}: {schema}\n");
    // Python's stderr, which a notebook shows, not the process's.
    let stderr = py.import("sys")?.getattr("stderr")?;
    if !stderr.is_none() {
        stderr.call_method1("write", (line,))?;
    }
    Ok(())
}

/// A schema as people give it: DDL, a mapping of names to types, or anything with an Arrow schema.
fn value_schema(given: &Bound<'_, PyAny>) -> PyResult<ValueSchema> {
    let py = given.py();
    let schema = if let Ok(text) = given.cast::<PyString>() {
        ValueSchema::parse(text.to_str()?)
    } else if given.hasattr("__arrow_c_schema__")? {
        ValueSchema::new(&capsule::schema_of(given)?.fields)
    } else if given.hasattr("items")? {
        let mut fields = Vec::new();
        for item in given.call_method0("items")?.try_iter()? {
            let (name, data_type): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
            let Ok(name) = name.extract::<String>() else {
                return Err(misuse(py, &format!("value_schema expects names as str, got {name}")));
            };
            let data_type = type_of(&name, &data_type)?;
            fields.push(arrow_schema::Field::new(name, data_type, true));
        }
        ValueSchema::new(&fields.into())
    } else {
        let kind = given.get_type().name()?;
        let expected =
            "expects a str (\"carrier string, delay long\"), a mapping of names to types, or an Arrow schema";
        return Err(misuse(py, &format!("value_schema {expected}, got {kind}")));
    };
    schema.map_err(|error| error.into_py_err(py))
}

fn type_of(name: &str, given: &Bound<'_, PyAny>) -> PyResult<arrow_schema::DataType> {
    let py = given.py();
    if let Ok(text) = given.cast::<PyString>() {
        let read = ValueSchema::parse_type(text.to_str()?);
        return read.map_err(|error| misuse(py, &format!("value_schema, field {name:?}: {error}")));
    }
    if given.hasattr("__arrow_c_schema__")? {
        return capsule::data_type_of(given);
    }
    let kind = given.get_type().name()?;
    Err(misuse(py, &format!("value_schema, field {name:?}: expects the name of a type as str, got {kind}")))
}

/// What `infer_schema` found: give it as `value_schema`, or to anything that reads Arrow schemas.
#[pyclass(frozen, module = "headwater", eq)]
#[derive(PartialEq)]
pub(crate) struct InferredSchema {
    schema: ValueSchema,
    records: usize,
    bad_records: usize,
}

impl From<Inferred> for InferredSchema {
    fn from(inferred: Inferred) -> Self {
        Self { schema: inferred.schema, records: inferred.records, bad_records: inferred.bad }
    }
}

#[pymethods]
impl InferredSchema {
    /// How many records were looked at.
    #[getter]
    fn records(&self) -> usize {
        self.records
    }

    /// How many of them had a value that is not one JSON object.
    #[getter]
    fn bad_records(&self) -> usize {
        self.bad_records
    }

    /// Names of the fields.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, &self.schema.to_arrow())
    }

    fn __str__(&self) -> String {
        self.schema.to_string()
    }

    fn __repr__(&self) -> String {
        format!("InferredSchema({:?})", self.schema.to_string())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.schema.to_string().hash(&mut hasher);
        hasher.finish()
    }

    fn _repr_html_(&self) -> String {
        let rows: String = self
            .schema
            .type_names()
            .map(|(name, data_type)| {
                format!("<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(&data_type))
            })
            .collect();
        let header = "<tr><th>field</th><th>type</th></tr>";
        format!("<table><thead>{header}</thead><tbody>{rows}</tbody></table>")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl IntoPyErr for ProjectionError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        misuse(py, &self.to_string())
    }
}

impl IntoPyErr for ValueSchemaError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        misuse(py, &self.to_string())
    }
}

impl IntoPyErr for InferError {
    fn into_py_err(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Scan(error) => error.into_py_err(py),
            error @ (Self::Nothing { .. } | Self::TooMany) => {
                Class::CorruptRecord.error(py, &error.to_string(), None, false, false)
            }
            Self::Schema(error) => error.into_py_err(py),
        }
    }
}
