//! The column of headers: lists of (key, value), keys as text.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, ListArray, StringArray, StructArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use headwater_record::HeadersView;

use crate::schema::{header_field, header_fields};

pub(super) struct HeadersColumn {
    /// `ends[i]` is where the headers of record `i` end.
    ends: Vec<i32>,
    key_ends: Vec<i32>,
    keys: Vec<u8>,
    value_ends: Vec<i32>,
    values: Vec<u8>,
    value_nulls: NullBufferBuilder,
}

impl Default for HeadersColumn {
    fn default() -> HeadersColumn {
        HeadersColumn {
            ends: vec![0],
            key_ends: vec![0],
            keys: Vec::new(),
            value_ends: vec![0],
            values: Vec::new(),
            value_nulls: NullBufferBuilder::new(0),
        }
    }
}

/// Bytes that `headers` add at most.
///
/// Takes a copy: a reference would force the whole record into memory, in a loop that has no time for it.
pub(super) fn size_of(headers: HeadersView<'_>) -> usize {
    // Replacing odd bytes of a key can take three times their number.
    headers.iter().map(|header| 3 * header.key.len() + header.value.map_or(0, <[u8]>::len)).sum()
}

impl HeadersColumn {
    pub(super) fn append<'a>(&mut self, records: impl ExactSizeIterator<Item = &'a HeadersView<'a>> + Clone) {
        if records.clone().all(HeadersView::is_empty) {
            let end = self.key_ends.len() as i32 - 1;
            self.ends.extend(std::iter::repeat_n(end, records.len()));
            return;
        }
        for headers in records {
            self.append_all(headers);
            self.ends.push(self.key_ends.len() as i32 - 1);
        }
    }

    fn append_all(&mut self, headers: &HeadersView<'_>) {
        for header in headers.iter() {
            self.keys.extend_from_slice(String::from_utf8_lossy(header.key).as_bytes());
            self.key_ends.push(self.keys.len() as i32);
            match header.value {
                Some(_) => self.value_nulls.append_non_null(),
                None => self.value_nulls.append_null(),
            }
            self.values.extend_from_slice(header.value.unwrap_or_default());
            self.value_ends.push(self.values.len() as i32);
        }
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let HeadersColumn { ends, key_ends, keys, value_ends, values, mut value_nulls } =
            std::mem::take(self);
        let offsets = |ends: Vec<i32>| OffsetBuffer::new(ScalarBuffer::from(ends));
        let count = key_ends.len() - 1;
        let keys = StringArray::try_new(offsets(key_ends), Buffer::from_vec(keys), None)?;
        let values =
            BinaryArray::try_new(offsets(value_ends), Buffer::from_vec(values), value_nulls.finish())?;
        let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values)];
        let headers = StructArray::try_new_with_length(header_fields(), columns, None, count)?;
        Ok(Arc::new(ListArray::try_new(Arc::new(header_field()), offsets(ends), Arc::new(headers), None)?))
    }
}
