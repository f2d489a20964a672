//! Columns in the types that their reader asks for, where these cost next to nothing.
//!
//! A requested schema is a wish: types that cannot be given are passed over, as the PyCapsule interface allows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, TimestampMillisecondType};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, FieldRef, Schema, SchemaRef, TimeUnit};

/// `schema` with those types of `requested`, by name, that are cheap to make of its own: microseconds of
/// milliseconds, and the large and view forms of strings and bytes.
pub fn as_requested(schema: &Schema, requested: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| {
        let wished = requested.field_with_name(field.name()).ok();
        match wished.and_then(|wished| cheap(field.data_type(), wished.data_type())) {
            Some(data_type) => Arc::new(field.as_ref().clone().with_data_type(data_type)),
            None => field.clone(),
        }
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn cheap(from: &DataType, to: &DataType) -> Option<DataType> {
    match (from, to) {
        (DataType::Timestamp(TimeUnit::Millisecond, zone), DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            Some(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        (DataType::Utf8, DataType::LargeUtf8 | DataType::Utf8View)
        | (DataType::Binary, DataType::LargeBinary | DataType::BinaryView) => Some(to.clone()),
        _ => None,
    }
}

/// The batch with the types of `schema`, which [`as_requested`] made.
///
/// # Errors
/// What Arrow says, which would be a mistake of this crate.
pub fn cast_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast_column(column.clone(), field.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns.collect::<Result<_, _>>()?, &options)
}

pub(crate) fn cast_column(column: ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match (column.data_type(), to) {
        (from, to) if from == to => Ok(column),
        (DataType::Timestamp(TimeUnit::Millisecond, _), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            // A time beyond what microseconds can say, 290,000 years from now, becomes the last that they can: the
            // cast of Arrow would make it null in a column that has no nulls.
            let millis = column.as_primitive::<TimestampMillisecondType>();
            let micros = millis.unary::<_, TimestampMicrosecondType>(|time| time.saturating_mul(1000));
            Ok(Arc::new(micros.with_timezone_opt(zone.clone())))
        }
        _ => arrow_cast::cast(&column, to),
    }
}
