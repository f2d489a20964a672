//! A column of bytes or text, whatever its layout, read as bytes.

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, FixedSizeBinaryArray, LargeBinaryArray, new_null_array,
};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};

/// The column's values, borrowed from the batch. Text is its UTF-8.
pub(super) enum BytesColumn {
    Binary(BinaryArray),
    Large(LargeBinaryArray),
    View(BinaryViewArray),
    Fixed(FixedSizeBinaryArray),
}

/// Whether [`BytesColumn`] reads a column of this type; a column that is nothing but nulls has any type.
pub(super) fn is_bytes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            true
        }
        DataType::Dictionary(_, values) => is_bytes(values),
        DataType::RunEndEncoded(_, values) => is_bytes(values.data_type()),
        _ => is_text(data_type),
    }
}

/// Whether it is text.
pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        DataType::RunEndEncoded(_, values) => is_text(values.data_type()),
        _ => false,
    }
}

impl BytesColumn {
    /// Zero-copy, except that dictionaries and runs are written out.
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::Binary => Self::Binary(array.as_binary::<i32>().clone()),
            DataType::LargeBinary => Self::Large(array.as_binary::<i64>().clone()),
            DataType::BinaryView => Self::View(array.as_binary_view().clone()),
            DataType::FixedSizeBinary(_) => Self::Fixed(array.as_fixed_size_binary().clone()),
            DataType::Utf8 => Self::Binary(array.as_string::<i32>().clone().into()),
            DataType::LargeUtf8 => Self::Large(array.as_string::<i64>().clone().into()),
            DataType::Utf8View => Self::View(array.as_string_view().clone().to_binary_view()),
            DataType::Null => Self::new(&new_null_array(&DataType::Binary, array.len()))?,
            DataType::Dictionary(_, values) => Self::new(&cast(array, values)?)?,
            DataType::RunEndEncoded(_, values) => Self::new(&cast(array, values.data_type())?)?,
            other => return Err(ArrowError::SchemaError(format!("{other} is neither bytes nor text"))),
        })
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::Binary(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Large(array) => array.is_valid(row).then(|| array.value(row)),
            Self::View(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Fixed(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}
