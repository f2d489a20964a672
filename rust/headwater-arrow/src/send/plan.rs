//! Which column plays which part; settled from the schema, before the first row.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema};
use headwater_client::RecordHeader;

use super::bytes::{BytesColumn, is_bytes, is_text};
use super::error::{PlanError, RowProblem};
use super::headers::{HeadersColumn, is_headers};
use super::json::{Json, JsonColumn, JsonRows};
use super::numbers::{PartitionColumn, TimestampColumn, is_partition, is_timestamp};

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueFormat {
    /// Bytes and text as they are, every other type as JSON.
    #[default]
    ByType,
    /// JSON whatever the type: text in quotes.
    Json,
}

/// Which columns are used for what. `None` is "there is none", except for `topic` and `value`.
#[derive(Clone, Debug, Default)]
pub struct SendColumns {
    /// The topic's name; `None`: each row names it in the column `topic`.
    pub topic: Option<String>,
    /// Bytes or text.
    pub key: Option<String>,
    /// The value; `None`: all columns without another role make up one JSON object per row.
    pub value: Option<String>,
    /// How the value is written.
    pub value_format: ValueFormat,
    /// List of structs with `key` (text) and `value` (bytes or text), or a map.
    pub headers: Option<String>,
    /// Whole numbers; null lets the key decide.
    pub partition: Option<String>,
    /// Timestamps, or 64-bit milliseconds since the epoch; null is now.
    pub timestamp: Option<String>,
}

/// A column of the data: its index and name.
#[derive(Clone)]
struct Place {
    index: usize,
    name: String,
}

enum ValuePlan {
    Bytes(Place),
    Json(Place, FieldRef),
    Object(Vec<usize>, FieldRef),
}

/// The columns of one sending.
pub(super) struct Plan {
    topic: Option<Place>,
    key: Option<Place>,
    value: ValuePlan,
    headers: Option<Place>,
    partition: Option<Place>,
    timestamp: Option<Place>,
    json: Json,
}

const BYTES: &str = "a string or binary type";

impl Plan {
    pub(super) fn new(schema: &Schema, columns: &SendColumns) -> Result<Self, PlanError> {
        let of = |role, name: &Option<String>, fits: fn(&DataType) -> bool, expected| {
            name.as_ref().map(|name| place(schema, role, name, fits, expected)).transpose()
        };
        let topic = match columns.topic {
            Some(_) => None,
            None if schema.index_of("topic").is_err() => {
                return Err(PlanError::NoTopic { present: names(schema) });
            }
            None => Some(place(schema, "topic", "topic", is_text, "a string type")?),
        };
        let key = of("key", &columns.key, is_bytes, BYTES)?;
        let headers = "list<struct<key: string, value: binary>> or map<string, binary>";
        let headers = of("headers", &columns.headers, is_headers, headers)?;
        let partition = of("partition", &columns.partition, is_partition, "an integer type")?;
        let moment = "a timestamp type, or int64 (milliseconds since the epoch)";
        let timestamp = of("timestamp", &columns.timestamp, is_timestamp, moment)?;
        let used: Vec<usize> = [&topic, &key, &headers, &partition, &timestamp]
            .into_iter()
            .flatten()
            .map(|at| at.index)
            .collect();
        let json = Json::default();
        let value = value_plan(schema, columns, &used, &json)?;
        Ok(Self { topic, key, value, headers, partition, timestamp, json })
    }

    /// The readers of one batch.
    pub(super) fn readers<'a>(&'a self, batch: &RecordBatch) -> Result<Readers<'a>, ArrowError> {
        fn of<T>(
            place: &Option<Place>,
            batch: &RecordBatch,
            new: fn(&ArrayRef) -> Result<T, ArrowError>,
        ) -> Result<Option<(T, String)>, ArrowError> {
            place.as_ref().map(|at| Ok((new(batch.column(at.index))?, at.name.clone()))).transpose()
        }
        let headers = of(&self.headers, batch, HeadersColumn::new)?;
        Ok(Readers {
            topic: of(&self.topic, batch, BytesColumn::new)?.map(|(column, _)| column),
            key: of(&self.key, batch, BytesColumn::new)?.map(|(column, _)| column),
            value: self.value_column(batch)?,
            headers: headers.and_then(|(column, name)| Some((column?, name))),
            partition: of(&self.partition, batch, PartitionColumn::new)?,
            timestamp: of(&self.timestamp, batch, TimestampColumn::new)?,
        })
    }

    fn value_column<'a>(&'a self, batch: &RecordBatch) -> Result<ValueColumn<'a>, ArrowError> {
        Ok(match &self.value {
            ValuePlan::Bytes(at) => ValueColumn::Bytes(BytesColumn::new(batch.column(at.index))?),
            ValuePlan::Json(at, field) => {
                ValueColumn::Json(self.json.column(field, Arc::clone(batch.column(at.index))))
            }
            ValuePlan::Object(indices, field) => {
                let DataType::Struct(fields) = field.data_type() else {
                    return Err(ArrowError::SchemaError("the value is no struct".into()));
                };
                let columns = indices.iter().map(|index| Arc::clone(batch.column(*index))).collect();
                let rows = StructArray::try_new_with_length(fields.clone(), columns, None, batch.num_rows())?;
                ValueColumn::Json(self.json.column(field, Arc::new(rows)))
            }
        })
    }
}

fn value_plan(
    schema: &Schema,
    columns: &SendColumns,
    used: &[usize],
    json: &Json,
) -> Result<ValuePlan, PlanError> {
    let check = |field: &FieldRef| {
        json.check(field).map_err(|reason| PlanError::NoJson { column: field.name().clone(), reason })
    };
    if let Some(name) = &columns.value {
        let at = place(schema, "value", name, |_| true, "")?;
        let field = &schema.fields()[at.index];
        if columns.value_format == ValueFormat::ByType && is_bytes(field.data_type()) {
            return Ok(ValuePlan::Bytes(at));
        }
        check(field)?;
        return Ok(ValuePlan::Json(at, Arc::clone(field)));
    }
    let indices: Vec<usize> = (0..schema.fields().len()).filter(|index| !used.contains(index)).collect();
    if indices.is_empty() {
        return Err(PlanError::NoValue { present: names(schema) });
    }
    let fields: Vec<FieldRef> = indices.iter().map(|index| Arc::clone(&schema.fields()[*index])).collect();
    for field in &fields {
        place(schema, "value", field.name(), |_| true, "")?;
        check(field)?;
    }
    Ok(ValuePlan::Object(indices, Arc::new(Field::new_struct("", fields, false))))
}

fn place(
    schema: &Schema,
    role: &'static str,
    name: &str,
    fits: fn(&DataType) -> bool,
    expected: &'static str,
) -> Result<Place, PlanError> {
    let mut found = schema.fields().iter().enumerate().filter(|(_, field)| field.name() == name);
    let Some((index, field)) = found.next() else {
        return Err(PlanError::NoColumn { role, column: name.into(), present: names(schema) });
    };
    if found.next().is_some() {
        return Err(PlanError::Ambiguous { role, column: name.into() });
    }
    if !fits(field.data_type()) {
        let found = field.data_type().clone();
        return Err(PlanError::WrongType { role, column: name.into(), found, expected });
    }
    Ok(Place { index, name: name.into() })
}

fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

enum ValueColumn<'a> {
    Bytes(BytesColumn),
    Json(JsonColumn<'a>),
}

/// The columns of one batch, ready to be read row by row.
pub(super) struct Readers<'a> {
    topic: Option<BytesColumn>,
    key: Option<BytesColumn>,
    value: ValueColumn<'a>,
    headers: Option<(HeadersColumn, String)>,
    partition: Option<(PartitionColumn, String)>,
    timestamp: Option<(TimestampColumn, String)>,
}

impl Readers<'_> {
    #[inline]
    pub(super) fn topic(&self, row: usize) -> Option<&[u8]> {
        self.topic.as_ref()?.get(row)
    }

    #[inline]
    pub(super) fn key(&self, row: usize) -> Option<&[u8]> {
        self.key.as_ref()?.get(row)
    }

    #[inline]
    pub(super) fn partition(&self, row: usize) -> Result<Option<i32>, RowProblem> {
        self.partition.as_ref().map_or(Ok(None), |(column, name)| column.get(row, name))
    }

    #[inline]
    pub(super) fn timestamp(&self, row: usize) -> Result<Option<i64>, RowProblem> {
        self.timestamp.as_ref().map_or(Ok(None), |(column, name)| column.get(row, name))
    }

    #[inline]
    pub(super) fn headers<'a>(
        &'a self,
        row: usize,
        into: &mut Vec<RecordHeader<'a>>,
    ) -> Result<(), RowProblem> {
        self.headers.as_ref().map_or(Ok(()), |(column, name)| column.fill(row, name, into))
    }

    /// The reader of the values; apart from the others, because JSON is written into a buffer of its own.
    pub(super) fn value(&self) -> Result<ValueRows<'_>, ArrowError> {
        Ok(match &self.value {
            ValueColumn::Bytes(column) => ValueRows::Bytes(column),
            ValueColumn::Json(column) => ValueRows::Json(column.rows()?),
        })
    }
}

/// Values row by row.
pub(super) enum ValueRows<'a> {
    Bytes(&'a BytesColumn),
    Json(JsonRows<'a>),
}

impl ValueRows<'_> {
    /// A row's value; null is a tombstone.
    #[inline]
    pub(super) fn of(&mut self, row: usize) -> Result<Option<&[u8]>, RowProblem> {
        match self {
            Self::Bytes(column) => Ok(column.get(row)),
            Self::Json(rows) => rows.of(row),
        }
    }
}
