//! The columns that hold a partition or a moment.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::error::RowProblem;

/// A column of partitions.
pub(super) struct PartitionColumn(Int64Array);

/// Whether it can be one.
pub(super) fn is_partition(data_type: &DataType) -> bool {
    data_type.is_integer() || *data_type == DataType::Null
}

impl PartitionColumn {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        if *array.data_type() == DataType::UInt64 {
            // What does not fit is no partition either way; a cast would make it null, which means something else.
            let values = array.as_primitive::<UInt64Type>();
            return Ok(Self(values.unary(|value| i64::try_from(value).unwrap_or(i64::MAX))));
        }
        Ok(Self(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone()))
    }

    /// Whether the topic has that many is for the sink to say.
    #[inline]
    pub(super) fn get(&self, row: usize, column: &str) -> Result<Option<i32>, RowProblem> {
        if self.0.is_null(row) {
            return Ok(None);
        }
        let value = self.0.value(row);
        match i32::try_from(value) {
            Ok(partition) if partition >= 0 => Ok(Some(partition)),
            _ => Err(RowProblem::NoPartition { column: column.into(), value }),
        }
    }
}

/// A column of moments.
pub(super) struct TimestampColumn {
    values: Int64Array,
    unit: TimeUnit,
}

/// Whether it can be one: a timestamp of any unit and zone, or milliseconds since the epoch.
pub(super) fn is_timestamp(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..) | DataType::Int64 | DataType::Null)
}

impl TimestampColumn {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        let unit = match array.data_type() {
            DataType::Timestamp(unit, _) => *unit,
            _ => TimeUnit::Millisecond,
        };
        Ok(Self { values: cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone(), unit })
    }

    /// Milliseconds since the epoch, rounded down.
    #[inline]
    pub(super) fn get(&self, row: usize, column: &str) -> Result<Option<i64>, RowProblem> {
        if self.values.is_null(row) {
            return Ok(None);
        }
        let value = self.values.value(row);
        let ms = match self.unit {
            TimeUnit::Second => value.checked_mul(1_000),
            TimeUnit::Millisecond => Some(value),
            TimeUnit::Microsecond => Some(value.div_euclid(1_000)),
            TimeUnit::Nanosecond => Some(value.div_euclid(1_000_000)),
        };
        match ms {
            Some(ms) if ms >= 0 => Ok(Some(ms)),
            _ => Err(RowProblem::BadTimestamp { column: column.into(), value, unit: self.unit }),
        }
    }
}
