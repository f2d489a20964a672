//! A column of nullable byte strings, copied together or pointing at where they were read.

use std::sync::Arc;

use arrow_array::builder::make_view;
use arrow_array::{ArrayRef, BinaryArray, BinaryViewArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use headwater_record::Recycler;

use super::Block;
use crate::BytesLayout;

/// Values that fit into the view itself.
const INLINE_MAX: usize = 12;
/// Bytes of buffers kept for the batches to come; readers rarely hold more than two batches.
const FREE_BYTES_MAX: usize = 32 << 20;

pub(super) struct BinaryColumn {
    content: Content,
    nulls: NullBufferBuilder,
}

enum Content {
    /// `ends[i]` is where value `i` ends in `data`, and the next begins.
    Copied {
        ends: Vec<i32>,
        data: Vec<u8>,
        recycler: Recycler,
    },
    Views(Vec<u128>),
}

impl BinaryColumn {
    pub(super) fn new(layout: BytesLayout) -> BinaryColumn {
        let content = match layout {
            BytesLayout::Binary => {
                Content::Copied { ends: vec![0], data: Vec::new(), recycler: Recycler::new(FREE_BYTES_MAX) }
            }
            BytesLayout::View => Content::Views(Vec::new()),
        };
        BinaryColumn { content, nulls: NullBufferBuilder::new(0) }
    }

    pub(super) fn reserve(&mut self, rows: usize, bytes: usize) {
        match &mut self.content {
            Content::Copied { ends, data, .. } => {
                ends.reserve(rows);
                data.reserve(bytes);
            }
            Content::Views(views) => views.reserve(rows),
        }
    }

    /// Appends `values`, which lie in `block` unless everything is copied.
    pub(super) fn append<'a>(
        &mut self,
        values: impl ExactSizeIterator<Item = Option<&'a [u8]>> + Clone,
        block: Option<Block>,
    ) {
        let count = values.len();
        match values.clone().filter(Option::is_none).count() {
            0 => self.nulls.append_n_non_nulls(count),
            absent if absent == count => self.nulls.append_n_nulls(count),
            _ => values.clone().for_each(|value| self.nulls.append(value.is_some())),
        }
        let values = values.map(Option::unwrap_or_default);
        match &mut self.content {
            Content::Copied { ends, data, .. } => {
                let mut end = data.len();
                ends.extend(values.clone().map(|value| {
                    end += value.len();
                    // A batch never holds more than its byte limit or one record, both below 2 GiB.
                    end as i32
                }));
                data.reserve(end - data.len());
                values.for_each(|value| data.extend_from_slice(value));
            }
            Content::Views(views) => views.extend(values.map(|value| match block {
                Some(block) if value.len() > INLINE_MAX => {
                    make_view(value, block.index, (value.as_ptr() as usize - block.address) as u32)
                }
                _ => make_view(value, 0, 0),
            })),
        }
    }

    pub(super) fn finish(&mut self, blocks: &Arc<[Buffer]>) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        match &mut self.content {
            Content::Copied { ends, data, recycler } => {
                let ends = std::mem::replace(ends, vec![0]);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                // The next batch is probably as large.
                let next = recycler.take(data.len());
                let data = Buffer::from(recycler.share(std::mem::replace(data, next)));
                Ok(Arc::new(BinaryArray::try_new(offsets, data, nulls)?))
            }
            Content::Views(views) => {
                let views = ScalarBuffer::from(std::mem::take(views));
                Ok(Arc::new(BinaryViewArray::try_new(views, blocks.clone(), nulls)?))
            }
        }
    }
}
