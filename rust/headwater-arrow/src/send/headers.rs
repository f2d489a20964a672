//! The column of headers: a list of pairs per row, or a map.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field};
use headwater_client::RecordHeader;

use super::bytes::{BytesColumn, is_bytes, is_text};
use super::error::RowProblem;

/// Headers of all rows: row `r` has the pairs `offsets[r]..offsets[r + 1]`.
pub(super) struct HeadersColumn {
    offsets: OffsetBuffer<i64>,
    nulls: Option<NullBuffer>,
    /// Nulls of the pairs themselves.
    absent: Option<NullBuffer>,
    keys: BytesColumn,
    values: BytesColumn,
}

/// Whether a column can be one: a list of structs with `key` and `value`, or a map; keys are text.
pub(super) fn is_headers(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(pair) | DataType::LargeList(pair) | DataType::FixedSizeList(pair, _) => is_pair(pair),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                is_text(fields[0].data_type()) && is_bytes(fields[1].data_type())
            }
            _ => false,
        },
        DataType::Null => true,
        _ => false,
    }
}

fn is_pair(pair: &Field) -> bool {
    let DataType::Struct(fields) = pair.data_type() else { return false };
    let of = |name: &str| fields.iter().find(|field| field.name() == name).map(|field| field.data_type());
    of("key").is_some_and(is_text) && of("value").is_some_and(is_bytes)
}

impl HeadersColumn {
    /// `None` if no row has any.
    pub(super) fn new(array: &ArrayRef) -> Result<Option<Self>, ArrowError> {
        let nulls = array.nulls().cloned();
        Ok(match array.data_type() {
            DataType::Map(..) => {
                let map = array.as_map();
                Some(Self::of(widened(map.offsets()), nulls, map.entries(), map.keys(), map.values())?)
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Some(Self::of_pairs(widened(list.offsets()), nulls, list.values())?)
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                Some(Self::of_pairs(list.offsets().clone(), nulls, list.values())?)
            }
            DataType::FixedSizeList(pair, _) => Self::new(&cast(array, &DataType::LargeList(pair.clone()))?)?,
            _ => None,
        })
    }

    fn of_pairs(
        offsets: OffsetBuffer<i64>,
        nulls: Option<NullBuffer>,
        pairs: &ArrayRef,
    ) -> Result<Self, ArrowError> {
        let pairs = pairs.as_struct();
        let of = |name: &str| {
            pairs
                .column_by_name(name)
                .ok_or_else(|| ArrowError::SchemaError(format!("a header has no `{name}`")))
        };
        Self::of(offsets, nulls, pairs, of("key")?, of("value")?)
    }

    fn of(
        offsets: OffsetBuffer<i64>,
        nulls: Option<NullBuffer>,
        pairs: &StructArray,
        keys: &ArrayRef,
        values: &ArrayRef,
    ) -> Result<Self, ArrowError> {
        let (keys, values) = (BytesColumn::new(keys)?, BytesColumn::new(values)?);
        Ok(Self { offsets, nulls, absent: pairs.nulls().cloned(), keys, values })
    }

    /// Puts a row's headers into `into`, which is cleared first. No headers where the list is null.
    #[inline]
    pub(super) fn fill<'a>(
        &'a self,
        row: usize,
        column: &str,
        into: &mut Vec<RecordHeader<'a>>,
    ) -> Result<(), RowProblem> {
        into.clear();
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(());
        }
        for pair in self.offsets[row] as usize..self.offsets[row + 1] as usize {
            let present = self.absent.as_ref().is_none_or(|absent| absent.is_valid(pair));
            let key = if present { self.keys.get(pair) } else { None };
            let key = key.and_then(|key| std::str::from_utf8(key).ok());
            let key = key.ok_or_else(|| RowProblem::HeaderWithoutKey { column: column.into() })?;
            into.push(RecordHeader { key, value: self.values.get(pair) });
        }
        Ok(())
    }
}

fn widened(offsets: &OffsetBuffer<i32>) -> OffsetBuffer<i64> {
    OffsetBuffer::new(offsets.iter().map(|offset| i64::from(*offset)).collect())
}
