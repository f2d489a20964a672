//! Raw batches in, Arrow batches out.
//!
//! The decoder is given a range of whole Kafka batches, fills columns until they are full or the range is
//! used up, and can pause between any two records. It skips what readers of a topic must not see: records
//! outside the wanted offsets, control batches, and records of aborted transactions.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use bytes::Bytes;
use headwater_client::FetchedPartition;
use headwater_record::control::EndTransactionMarker;
use headwater_record::{
    BatchError, BatchHeader, BatchView, Compression, DecompressBuffer, RecordIter, RecordPosition,
    RecordView, compression,
};

use crate::columns::{Block, Columns};
use crate::source::{AbortedTransaction, RawBatches};
use crate::{DecodeError, Projection};

/// How large an Arrow batch may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Rows at most; at least 1.
    pub rows: usize,
    /// Bytes of keys, values and headers at most, unless one record alone is larger.
    pub bytes: usize,
    /// Bytes that one Kafka batch may take decompressed.
    pub decompressed: usize,
}

impl Default for BatchLimits {
    /// 64 Ki rows, 64 MiB, 1 GiB.
    fn default() -> BatchLimits {
        BatchLimits { rows: 65_536, bytes: 64 << 20, decompressed: 1 << 30 }
    }
}

/// Why filling stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// A limit is reached: take the batch, then go on.
    Full,
    /// The range is used up: hand in the next one, or take what is there.
    UsedUp,
}

/// Turns raw batches into Arrow batches.
pub struct Decoder {
    limits: BatchLimits,
    columns: Columns,
    buffer: DecompressBuffer,
    input: Option<Input>,
    position: i64,
}

/// The range of Kafka batches being decoded.
struct Input {
    topic: Arc<str>,
    partition: i32,
    raw: RawBatches,
    range: Range<i64>,
    at: usize,
    open: Option<OpenBatch>,
    aborted: Aborted,
    // Only within the Arrow batch under construction.
    block: Option<Block>,
}

/// A Kafka batch of which some records have been decoded.
struct OpenBatch {
    header: BatchHeader,
    records: Records,
    position: Option<RecordPosition>,
}

enum Records {
    /// In the raw bytes.
    Plain(Range<usize>),
    /// In the decoder's buffer.
    Unfolded,
    /// In a buffer of their own, because columns point into it.
    Shared(Bytes),
}

impl Decoder {
    /// A decoder into the columns of `projection`.
    pub fn new(projection: Projection, limits: BatchLimits) -> Decoder {
        let rows = limits.rows.min(projection.rows_max()).max(1);
        Decoder {
            limits: BatchLimits { rows, ..limits },
            columns: Columns::new(projection),
            buffer: DecompressBuffer::new(),
            input: None,
            position: 0,
        }
    }

    /// The columns it fills.
    pub fn projection(&self) -> &Projection {
        self.columns.projection()
    }

    /// Hands in the next range of batches, of which the records with offsets in `range` are wanted.
    /// What was left of the range before is dropped.
    pub fn begin(&mut self, topic: &Arc<str>, partition: i32, raw: RawBatches, range: Range<i64>) {
        self.position = range.start;
        self.input = Some(Input {
            topic: topic.clone(),
            partition,
            aborted: Aborted::new(&raw.aborted),
            raw,
            range,
            at: 0,
            open: None,
            block: None,
        });
    }

    /// The offset after what has been decoded or passed over: where reading goes on.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Rows collected so far.
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Decodes until a limit is reached or the range is used up. An incomplete batch at the end of the range
    /// is left alone.
    ///
    /// # Errors
    /// [`DecodeError::Corrupt`]. What was collected should be dropped: it may hold records of the damaged batch.
    pub fn fill(&mut self) -> Result<Filled, DecodeError> {
        let Some(mut input) = self.input.take() else { return Ok(Filled::UsedUp) };
        let filled = self.fill_from(&mut input);
        if matches!(filled, Ok(Filled::Full)) {
            self.input = Some(input);
        }
        filled
    }

    fn fill_from(&mut self, input: &mut Input) -> Result<Filled, DecodeError> {
        loop {
            if let Some(open) = &mut input.open {
                let before = self.columns.rows();
                let context =
                    FillContext { columns: &mut self.columns, limits: self.limits, buffer: &self.buffer };
                let filled = context.fill(&input.raw.bytes, &mut input.block, &input.range, open);
                let rows = self.columns.rows() - before;
                let timestamp_type = open.header.timestamp_type() as i32;
                self.columns.note_run(&input.topic, input.partition, timestamp_type, rows);
                match filled.map_err(|error| input.corrupt(error, self.position))? {
                    Filled::Full => return Ok(Filled::Full),
                    Filled::UsedUp => input.close_batch(&mut self.position),
                }
            }
            if !self.open_next(input)? {
                return Ok(Filled::UsedUp);
            }
        }
    }

    /// Opens the next batch with wanted records; false at the end.
    fn open_next(&mut self, input: &mut Input) -> Result<bool, DecodeError> {
        loop {
            let batch = match BatchView::new(&input.raw.bytes[input.at..]) {
                Ok(batch) => batch,
                Err(BatchError::Incomplete { .. }) => return Ok(false),
                Err(error) => return Err(input.corrupt(error, self.position)),
            };
            let header = *batch.header();
            if header.base_offset >= input.range.end {
                self.position = self.position.max(input.range.end);
                return Ok(false);
            }
            // Also batches before the wanted ones may hold the marker that ends an aborted transaction.
            let passed = header.last_offset() < self.position;
            if passed && input.aborted.is_settled() {
                input.at += header.size();
                continue;
            }
            if !input.raw.verified {
                batch.verify_crc().map_err(|error| input.corrupt(error, header.base_offset))?;
            }
            let skipped =
                input.aborted.skips(&batch).map_err(|error| input.corrupt(error, header.base_offset))?;
            if passed || skipped || header.is_control() {
                input.at += header.size();
                self.position = self.position.max(header.next_offset());
                continue;
            }
            let records =
                self.unfold(&batch, input.at).map_err(|error| input.corrupt(error, header.base_offset))?;
            self.reserve(&header, &records);
            input.open = Some(OpenBatch { header, records, position: None });
            return Ok(true);
        }
    }

    fn unfold(&mut self, batch: &BatchView<'_>, at: usize) -> Result<Records, BatchError> {
        let codec = batch.header().compression()?;
        if codec == Compression::None {
            let size = batch.header().size();
            return Ok(Records::Plain(at + size - batch.encoded_records().len()..at + size));
        }
        if self.columns.wants_blocks() {
            let bytes = compression::decompress(codec, batch.encoded_records(), self.limits.decompressed)?;
            return Ok(Records::Shared(Bytes::from(bytes)));
        }
        self.buffer.decompress(codec, batch.encoded_records(), self.limits.decompressed)?;
        Ok(Records::Unfolded)
    }

    /// Makes room for the batch's records, as far as the Arrow batch can take them.
    fn reserve(&mut self, header: &BatchHeader, records: &Records) {
        let size = match records {
            Records::Plain(range) => range.len(),
            Records::Unfolded => self.buffer.bytes().len(),
            Records::Shared(bytes) => bytes.len(),
        };
        // No record takes less than 7 bytes, whatever the header says.
        let count = usize::try_from(header.record_count).unwrap_or_default().min(size / 7);
        let rows = count.min(self.limits.rows - self.columns.rows().min(self.limits.rows));
        self.columns.reserve(rows, size.min(self.limits.bytes.saturating_sub(self.columns.bytes())));
    }

    /// Takes what was collected, possibly no row, as a batch.
    ///
    /// # Errors
    /// [`DecodeError::BadValue`]. [`DecodeError::Arrow`] would be a mistake of this crate.
    pub fn take(&mut self) -> Result<RecordBatch, DecodeError> {
        if let Some(input) = &mut self.input {
            input.block = None;
        }
        self.columns.take()
    }
}

impl Input {
    fn close_batch(&mut self, position: &mut i64) {
        if let Some(open) = self.open.take() {
            self.at += open.header.size();
            *position = open.header.next_offset().min(self.range.end).max(*position);
        }
    }

    fn corrupt(&self, source: BatchError, offset: i64) -> DecodeError {
        let file = self.raw.file.as_ref().map(|file| crate::FilePosition {
            path: file.path.clone(),
            position: file.position + self.at as u64,
        });
        let offset = self.open.as_ref().map_or(offset, |open| open.header.base_offset);
        DecodeError::Corrupt { topic: self.topic.clone(), partition: self.partition, offset, file, source }
    }
}

/// What the innermost loop works on.
struct FillContext<'a> {
    columns: &'a mut Columns,
    limits: BatchLimits,
    buffer: &'a DecompressBuffer,
}

impl FillContext<'_> {
    fn fill(
        self,
        raw: &Bytes,
        raw_block: &mut Option<Block>,
        range: &Range<i64>,
        open: &mut OpenBatch,
    ) -> Result<Filled, BatchError> {
        let FillContext { columns, limits, buffer } = self;
        let block = block_of(columns, raw, raw_block, &open.records);
        let bytes = match &open.records {
            Records::Plain(range) => &raw[range.clone()],
            Records::Unfolded => buffer.bytes(),
            Records::Shared(bytes) => bytes,
        };
        let mut records = match open.position {
            None => RecordIter::new(&open.header, bytes)?,
            Some(position) => RecordIter::resume(&open.header, bytes, position)?,
        };
        let mut run = Vec::with_capacity(RUN_LENGTH.min(open.header.record_count.max(0) as usize));
        loop {
            let taken = take_run(columns, limits, range, &mut records, &mut run)?;
            columns.append(&run, taken.size, block);
            match taken.stopped {
                Stopped::RunFull => {}
                Stopped::BatchEnd => return Ok(Filled::UsedUp),
                Stopped::Limit(position) => {
                    open.position = Some(position);
                    return Ok(Filled::Full);
                }
            }
        }
    }
}

/// Records that are handed to the columns at once: as many as stay in the first-level cache with the bytes of 100 B each.
const RUN_LENGTH: usize = 64;

struct Taken {
    size: usize,
    stopped: Stopped,
}

enum Stopped {
    RunFull,
    BatchEnd,
    /// The record at this position must wait for the next Arrow batch.
    Limit(RecordPosition),
}

/// Replaces `run` by the next wanted records.
fn take_run<'a>(
    columns: &Columns,
    limits: BatchLimits,
    range: &Range<i64>,
    records: &mut RecordIter<'a>,
    run: &mut Vec<RecordView<'a>>,
) -> Result<Taken, BatchError> {
    run.clear();
    let (rows, bytes) = (columns.rows(), columns.bytes());
    let mut size = 0;
    while run.len() < RUN_LENGTH {
        let before = records.mark();
        let Some(record) = records.next_record() else {
            records.finish()?;
            return Ok(Taken { size, stopped: Stopped::BatchEnd });
        };
        if record.offset < range.start || record.offset >= range.end {
            continue;
        }
        let grown = size + columns.size_of(&record);
        let row = rows + run.len();
        if row >= limits.rows || (row > 0 && bytes + grown > limits.bytes) {
            return Ok(Taken { size, stopped: Stopped::Limit(before) });
        }
        size = grown;
        run.push(record);
    }
    Ok(Taken { size, stopped: Stopped::RunFull })
}

/// The block that views of these records point into.
fn block_of(
    columns: &mut Columns,
    raw: &Bytes,
    raw_block: &mut Option<Block>,
    records: &Records,
) -> Option<Block> {
    if !columns.wants_blocks() {
        return None;
    }
    match records {
        Records::Shared(bytes) => Some(columns.add_block(Buffer::from(bytes.clone()))),
        _ => Some(*raw_block.get_or_insert_with(|| columns.add_block(Buffer::from(raw.clone())))),
    }
}

/// Which producers' records are aborted at the point that has been reached.
struct Aborted {
    // By first offset, the next one last.
    coming: Vec<AbortedTransaction>,
    producers: HashSet<i64>,
    buffer: DecompressBuffer,
}

impl Aborted {
    fn new(list: &[AbortedTransaction]) -> Aborted {
        let mut coming = list.to_vec();
        coming.sort_unstable_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Aborted { coming, producers: HashSet::new(), buffer: DecompressBuffer::new() }
    }

    /// Whether no transaction is, or will be, aborted.
    fn is_settled(&self) -> bool {
        self.coming.is_empty() && self.producers.is_empty()
    }

    /// Whether the batch's records are aborted. To be asked for every batch in order.
    fn skips(&mut self, batch: &BatchView<'_>) -> Result<bool, BatchError> {
        if self.is_settled() {
            return Ok(false);
        }
        let header = batch.header();
        while self.coming.last().is_some_and(|next| next.first_offset <= header.last_offset()) {
            self.producers.extend(self.coming.pop().map(|next| next.producer_id));
        }
        if !header.is_control() {
            return Ok(header.is_transactional() && self.producers.contains(&header.producer_id));
        }
        // A marker is one small record, never compressed.
        if let Some(record) = batch.records(&mut self.buffer, 64 * 1024)?.next()
            && let Ok(Some(EndTransactionMarker { commit: false, .. })) =
                EndTransactionMarker::decode(&record?)
        {
            self.producers.remove(&header.producer_id);
        }
        Ok(true)
    }
}

/// A range of batches with where it comes from: what a consumer's poll returns for one partition.
#[derive(Clone, Debug)]
pub struct RawRange {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The batches.
    pub raw: RawBatches,
    /// The offsets that are wanted of them.
    pub range: Range<i64>,
}

impl From<FetchedPartition> for RawRange {
    fn from(fetched: FetchedPartition) -> RawRange {
        RawRange {
            topic: fetched.topic.clone(),
            partition: fetched.partition,
            range: fetched.start_offset..fetched.end_offset,
            raw: RawBatches::fetched(fetched),
        }
    }
}

/// Decodes what a consumer's poll returned, each partition's records in order. Usually one Arrow batch comes out;
/// partitions may share one.
///
/// # Errors
/// [`DecodeError`] of the first damaged batch.
pub fn decode_fetched(
    projection: &Projection,
    limits: BatchLimits,
    fetched: impl IntoIterator<Item: Into<RawRange>>,
) -> Result<Vec<RecordBatch>, DecodeError> {
    let mut decoder = Decoder::new(projection.clone(), limits);
    let mut batches = Vec::new();
    for fetched in fetched {
        let RawRange { topic, partition, raw, range } = fetched.into();
        decoder.begin(&topic, partition, raw, range);
        while decoder.fill()? == Filled::Full {
            batches.push(decoder.take()?);
        }
    }
    if decoder.rows() > 0 {
        batches.push(decoder.take()?);
    }
    Ok(batches)
}
