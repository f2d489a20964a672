//! Columns under construction: records are appended, a `RecordBatch` is taken.

mod binary;
mod constants;
mod headers;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow_buffer::Buffer;
use arrow_schema::ArrowError;
use headwater_record::RecordView;

use crate::requested::cast_column;
use crate::schema::Slot;
use crate::typed::{BadValue, Decoded, ValueDecoder};
use crate::{BytesLayout, Column, DecodeError, Projection};
use binary::BinaryColumn;
use constants::{Constants, Run};
use headers::HeadersColumn;

/// Where a record's bytes lie, for columns that point into them.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// Index of the buffer among those of the batch under construction.
    pub(crate) index: u32,
    /// Address of its first byte.
    pub(crate) address: usize,
}

/// The columns of one batch under construction.
pub(crate) struct Columns {
    projection: Projection,
    rows: usize,
    bytes: usize,
    key: Option<BinaryColumn>,
    value: Option<BinaryColumn>,
    typed: Option<ValueDecoder>,
    // Also collected when values are decoded, to say which of them is bad.
    offsets: Option<Vec<i64>>,
    timestamps: Option<Vec<i64>>,
    headers: Option<HeadersColumn>,
    runs: Vec<Run>,
    blocks: Vec<Buffer>,
    constants: Constants,
}

impl Columns {
    pub(crate) fn new(projection: Projection) -> Columns {
        let layout = projection.layout();
        let wanted = |column| projection.contains(column);
        let typed = projection.typed().map(ValueDecoder::new);
        Columns {
            rows: 0,
            bytes: 0,
            key: wanted(Column::Key).then(|| BinaryColumn::new(layout)),
            value: (wanted(Column::Value) || typed.is_some()).then(|| BinaryColumn::new(layout)),
            offsets: (wanted(Column::Offset) || typed.is_some()).then(Vec::new),
            typed,
            timestamps: wanted(Column::Timestamp).then(Vec::new),
            headers: wanted(Column::Headers).then(HeadersColumn::default),
            runs: Vec::new(),
            blocks: Vec::new(),
            constants: Constants::default(),
            projection,
        }
    }

    pub(crate) fn projection(&self) -> &Projection {
        &self.projection
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of keys, values and headers so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether keys or values point into the bytes they came from.
    pub(crate) fn wants_blocks(&self) -> bool {
        self.projection.layout() == BytesLayout::View && (self.key.is_some() || self.value.is_some())
    }

    /// Takes `buffer` among those that the columns point into.
    pub(crate) fn add_block(&mut self, buffer: Buffer) -> Block {
        let block = Block { index: self.blocks.len() as u32, address: buffer.as_ptr() as usize };
        self.blocks.push(buffer);
        block
    }

    /// Makes room for `rows` more records that take at most `bytes`.
    pub(crate) fn reserve(&mut self, rows: usize, bytes: usize) {
        if let Some(key) = &mut self.key {
            // Keys are usually short; reserving all the bytes for them, too, would double the memory.
            key.reserve(rows, 0);
        }
        if let Some(value) = &mut self.value {
            value.reserve(rows, bytes);
        }
        if let Some(offsets) = &mut self.offsets {
            offsets.reserve(rows);
        }
        if let Some(timestamps) = &mut self.timestamps {
            timestamps.reserve(rows);
        }
    }

    /// Bytes that `record` adds.
    #[inline(always)]
    pub(crate) fn size_of(&self, record: &RecordView<'_>) -> usize {
        let mut size = 0;
        if self.key.is_some() {
            size += record.key.map_or(0, <[u8]>::len);
        }
        if self.value.is_some() {
            size += record.value.map_or(0, <[u8]>::len);
        }
        if self.headers.is_some() && !record.headers.is_empty() {
            size += headers::size_of(record.headers);
        }
        size
    }

    /// Appends `records`, which [`Columns::size_of`] found to be of `size` together.
    ///
    /// Column after column: each of these loops is short and stays in the registers, where one loop over all
    /// columns took three times as long.
    pub(crate) fn append(&mut self, records: &[RecordView<'_>], size: usize, block: Option<Block>) {
        if let Some(key) = &mut self.key {
            key.append(records.iter().map(|record| record.key), block);
        }
        if let Some(value) = &mut self.value {
            value.append(records.iter().map(|record| record.value), block);
        }
        if let Some(offsets) = &mut self.offsets {
            offsets.extend(records.iter().map(|record| record.offset));
        }
        if let Some(timestamps) = &mut self.timestamps {
            timestamps.extend(records.iter().map(|record| record.timestamp));
        }
        if let Some(headers) = &mut self.headers {
            headers.append(records.iter().map(|record| &record.headers));
        }
        self.rows += records.len();
        self.bytes += size;
    }

    /// Says what the last `rows` records have in common.
    pub(crate) fn note_run(&mut self, topic: &Arc<str>, partition: i32, timestamp_type: i32, rows: usize) {
        if rows == 0 {
            return;
        }
        match self.runs.last_mut() {
            Some(run)
                if run.partition == partition
                    && run.timestamp_type == timestamp_type
                    && run.topic == *topic =>
            {
                run.rows += rows;
            }
            _ => self.runs.push(Run { topic: topic.clone(), partition, timestamp_type, rows }),
        }
    }

    /// Takes what was appended as a batch; the columns are empty then.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, DecodeError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let runs = std::mem::take(&mut self.runs);
        let blocks: Arc<[Buffer]> = std::mem::take(&mut self.blocks).into();
        let offsets = Int64Array::from(take_numbers(&mut self.offsets));
        let decoded = self.decode_values(&blocks, &runs, &offsets)?;
        let slots: Arc<[Slot]> = self.projection.slots().into();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(slots.len());
        for slot in &*slots {
            arrays.push(match slot {
                Slot::Record(Column::Key) => finish_binary(&mut self.key, &blocks)?,
                Slot::Record(Column::Value) => finish_binary(&mut self.value, &blocks)?,
                Slot::Record(Column::Topic) => self.constants.topics(&runs, rows),
                Slot::Record(Column::Partition) => self.constants.partitions(&runs, rows),
                Slot::Record(Column::TimestampType) => self.constants.timestamp_types(&runs, rows),
                Slot::Record(Column::Offset) => Arc::new(offsets.clone()),
                Slot::Record(Column::Timestamp) => Arc::new(
                    TimestampMillisecondArray::from(take_numbers(&mut self.timestamps)).with_timezone("UTC"),
                ),
                Slot::Record(Column::Headers) => {
                    self.headers.as_mut().map(HeadersColumn::finish).transpose()?.ok_or_else(absent)?
                }
                Slot::Field(index) => {
                    let column = decoded.as_ref().and_then(|decoded| decoded.columns.get(*index));
                    column.cloned().ok_or_else(absent)?
                }
                Slot::ValueError => {
                    decoded.as_ref().map(|decoded| decoded.errors.clone()).ok_or_else(absent)?
                }
            });
        }
        for (array, field) in arrays.iter_mut().zip(self.projection.schema().fields()) {
            *array = cast_column(array.clone(), field.data_type())?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.projection.schema().clone(), arrays, &options)?)
    }

    /// The typed columns, if any is asked for.
    fn decode_values(
        &mut self,
        blocks: &Arc<[Buffer]>,
        runs: &[Run],
        offsets: &Int64Array,
    ) -> Result<Option<Decoded>, DecodeError> {
        let Some(typed) = &mut self.typed else { return Ok(None) };
        let values = finish_binary(&mut self.value, blocks)?;
        let decoded = match values.as_binary_opt::<i32>() {
            Some(values) => typed.decode(values),
            None => typed.decode(values.as_binary_view()),
        };
        decoded.map(Some).map_err(|BadValue { row, reason }| {
            let (topic, partition) = place_of(runs, row);
            let offset = offsets.values().get(row).copied().unwrap_or(-1);
            DecodeError::BadValue { topic, partition, offset, reason }
        })
    }
}

/// The partition that the row came from.
fn place_of(runs: &[Run], row: usize) -> (Arc<str>, i32) {
    let mut end = 0;
    for run in runs {
        end += run.rows;
        if row < end {
            return (run.topic.clone(), run.partition);
        }
    }
    ("".into(), -1)
}

fn finish_binary(column: &mut Option<BinaryColumn>, blocks: &Arc<[Buffer]>) -> Result<ArrayRef, ArrowError> {
    column.as_mut().ok_or_else(absent)?.finish(blocks)
}

/// The numbers so far; the next batch probably has as many.
fn take_numbers(numbers: &mut Option<Vec<i64>>) -> Vec<i64> {
    let Some(numbers) = numbers else { return Vec::new() };
    let next = Vec::with_capacity(numbers.len());
    std::mem::replace(numbers, next)
}

fn absent() -> ArrowError {
    ArrowError::InvalidArgumentError("a projected column was not collected".to_owned())
}
