//! What a poll hands out: whole batches of one partition as bytes, and a cursor over their records.
//!
//! ```text
//!  bytes:   | batch 10..19 | batch 20..29 | control 30 | batch 31..40 |
//!  meant:         start_offset = 15 ──────────────────────▶ end_offset = 36
//! ```
//!
//! The bounds cut batches in the middle, so that a poll of 500 records costs no copy. Decompressed records are kept with
//! the answer they came in, so that the next poll goes on where this one stopped.

use crate::error::ClientError;
use bytes::Bytes;
use headwater_record::control::ControlType;
use headwater_record::varint::read_varint;
use headwater_record::{
    BatchError, BatchHeader, BatchView, Compression, DecompressBuffer, RecordIter, RecordView, batches,
};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The most that the records of one batch may take when decompressed.
pub const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;

/// An aborted transaction that overlaps fetched bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// The producer whose records are to be skipped until its abort marker.
    pub producer_id: i64,
    /// From this offset on.
    pub first_offset: i64,
}

/// Consecutive whole batches of one partition, of which the records in `start_offset..end_offset` are meant.
#[derive(Debug, Clone)]
pub struct FetchedPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Whole batches.
    pub bytes: Bytes,
    /// Whether their checksums are still to be verified. False if that was done, and if `check.crcs` is off.
    pub checksums_due: bool,
    /// Records below this offset are to be skipped.
    pub start_offset: i64,
    /// Records from this offset on are to be left; the position after this poll.
    pub end_offset: i64,
    /// Aborted transactions to be skipped, by first offset; empty unless `read_committed`.
    pub aborted: Vec<AbortedTransaction>,
    /// The high watermark when this was fetched.
    pub high_watermark: i64,
    /// The last stable offset when this was fetched, -1 if unknown.
    pub last_stable_offset: i64,
    /// The first offset still retained when this was fetched, -1 if unknown.
    pub log_start_offset: i64,
    pub(super) decoded: Arc<Decoded>,
}

/// Where reading stopped inside a batch, with its decompressed records.
#[derive(Debug, Default)]
pub(super) struct Decoded(Mutex<Option<Block>>);

#[derive(Debug, Clone)]
struct Block {
    header: BatchHeader,
    /// All records of the batch, decompressed.
    records: Bytes,
    /// The next record begins here, after `done` others.
    position: usize,
    done: i32,
    /// No record before `position` has this offset or a later one.
    next_offset: i64,
}

impl Decoded {
    fn take(&self, base_offset: i64, from: i64) -> Option<Block> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let block = kept.take_if(|block| block.header.base_offset == base_offset)?;
        Some(if block.next_offset > from {
            Block { position: 0, done: 0, next_offset: base_offset, ..block }
        } else {
            block
        })
    }

    fn keep(&self, block: Option<Block>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = block;
    }
}

/// Follows a partition's batches and tells which belong to aborted transactions.
#[derive(Debug, Clone, Default)]
pub(super) struct AbortFilter {
    /// By first offset, the next one last.
    ahead: Vec<AbortedTransaction>,
    open: HashSet<i64>,
}

impl AbortFilter {
    pub(super) fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead: aborted, open: HashSet::new() }
    }

    /// What a reader that begins at `offset` has to know.
    pub(super) fn seen_from(&self, offset: i64) -> Vec<AbortedTransaction> {
        let mut open: Vec<i64> = self.open.iter().copied().collect();
        open.sort_unstable();
        let open =
            open.into_iter().map(|producer_id| AbortedTransaction { producer_id, first_offset: offset });
        open.chain(self.ahead.iter().rev().copied()).collect()
    }

    /// Passes a batch; true if its records are not to be seen.
    pub(super) fn hides(&mut self, view: &BatchView<'_>) -> bool {
        let header = view.header();
        if self.ahead.is_empty() && self.open.is_empty() {
            return header.is_control();
        }
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= header.last_offset()) {
            self.open.insert(next.producer_id);
        }
        if header.is_control() {
            if is_abort_marker(view) {
                self.open.remove(&header.producer_id);
            }
            return true;
        }
        header.is_transactional() && self.open.contains(&header.producer_id)
    }
}

fn is_abort_marker(view: &BatchView<'_>) -> bool {
    let mut buffer = DecompressBuffer::new();
    let Ok(mut records) = view.records(&mut buffer, 64 * 1024) else { return false };
    let Some(Ok(record)) = records.next() else { return false };
    record.key.and_then(|key| ControlType::from_key(key).ok()) == Some(ControlType::Abort)
}

impl FetchedPartition {
    /// Whole batches that were read in another way than by a fetch, with checksums verified.
    pub fn from_batches(
        topic: Arc<str>,
        partition: i32,
        bytes: Bytes,
        start_offset: i64,
        end_offset: i64,
    ) -> Self {
        Self {
            topic,
            partition,
            bytes,
            checksums_due: false,
            start_offset,
            end_offset,
            aborted: Vec::new(),
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            decoded: Arc::default(),
        }
    }

    /// A cursor over the records.
    pub fn records(&self) -> RecordCursor<'_> {
        RecordCursor {
            fetched: self,
            filter: AbortFilter::new(self.aborted.clone()),
            position: 0,
            block: None,
        }
    }

    /// How many records there are at most: exact but for gaps that compaction left, and hidden batches.
    pub fn records_max(&self) -> usize {
        let counts = batches(&self.bytes).map_while(Result::ok).filter(|view| !view.header().is_control());
        counts.map(|view| count_between(view.header(), self.start_offset, self.end_offset)).sum()
    }

    fn corrupt(&self, offset: i64, error: &dyn std::fmt::Display) -> ClientError {
        ClientError::CorruptBatch {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            offset,
            reason: error.to_string(),
        }
    }
}

/// How many records of a batch have offsets in `from..to`, at most.
pub(super) fn count_between(header: &BatchHeader, from: i64, to: i64) -> usize {
    let range = header.next_offset().min(to).saturating_sub(header.base_offset.max(from)).max(0);
    usize::try_from(range.min(i64::from(header.record_count.max(0)))).unwrap_or_default()
}

/// Walks the records of a [`FetchedPartition`]; skips what is outside of the bounds, control batches, and aborted records.
///
/// ```no_run
/// # fn show(fetched: &headwater_client::FetchedPartition) -> Result<(), headwater_client::ClientError> {
/// let mut cursor = fetched.records();
/// while let Some(record) = cursor.next_record()? {
///     println!("{} {:?}", record.offset, record.value);
/// }
/// # Ok(())
/// # }
/// ```
pub struct RecordCursor<'a> {
    fetched: &'a FetchedPartition,
    filter: AbortFilter,
    position: usize,
    block: Option<Block>,
}

impl RecordCursor<'_> {
    /// The next record, `None` at the end. It borrows from the cursor; see [`block`](Self::block) to keep it.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<RecordView<'_>>, ClientError> {
        loop {
            if self.block.is_none() && !self.next_block()? {
                return Ok(None);
            }
            let Some((offset, start, done)) = self.step()? else { continue };
            if offset < self.fetched.start_offset {
                continue;
            }
            if offset >= self.fetched.end_offset {
                // Left for the next poll, with what was decompressed for it.
                if let Some(mut block) = self.block.take() {
                    (block.position, block.done, block.next_offset) = (start, done, offset);
                    self.fetched.decoded.keep(Some(block));
                }
                self.position = self.fetched.bytes.len();
                return Ok(None);
            }
            return self.view(start, done).map(Some);
        }
    }

    /// The decompressed records of the batch that the last record came from: its key and value are slices of this.
    pub fn block(&self) -> Option<&Bytes> {
        self.block.as_ref().map(|block| &block.records)
    }

    /// The header of the batch that the last record came from.
    pub fn batch_header(&self) -> Option<&BatchHeader> {
        self.block.as_ref().map(|block| &block.header)
    }

    /// Passes one record; its offset, where it begins, and how many came before. `None` at the end of the block.
    #[inline]
    fn step(&mut self) -> Result<Option<(i64, usize, i32)>, ClientError> {
        let Some(block) = self.block.as_mut() else { return Ok(None) };
        let rest = block.records.get(block.position..).unwrap_or_default();
        if block.done >= block.header.record_count {
            let base = block.header.base_offset;
            let trailing = rest.len();
            self.block = None;
            return match trailing {
                0 => Ok(None),
                _ => Err(self.fetched.corrupt(base, &format!("{trailing} bytes after the last record"))),
            };
        }
        let base = block.header.base_offset;
        let (offset, size) =
            record_offset(rest, base).ok_or_else(|| self.fetched.corrupt(base, &"a record is cut off"))?;
        let passed = (offset, block.position, block.done);
        block.position += size;
        block.done += 1;
        block.next_offset = offset.saturating_add(1);
        Ok(Some(passed))
    }

    #[inline]
    fn view(&self, start: usize, done: i32) -> Result<RecordView<'_>, ClientError> {
        let missing = || self.fetched.corrupt(self.fetched.start_offset, &"a record is missing");
        let block = self.block.as_ref().ok_or_else(missing)?;
        let header = BatchHeader { record_count: block.header.record_count - done, ..block.header };
        let corrupt = |error: BatchError| self.fetched.corrupt(block.header.base_offset, &error);
        let mut records = RecordIter::new(&header, &block.records[start..]).map_err(corrupt)?;
        records.next().ok_or_else(missing)?.map_err(corrupt)
    }

    /// Moves to the next batch with records to be seen; false at the end.
    fn next_block(&mut self) -> Result<bool, ClientError> {
        while let Some(rest) = self.fetched.bytes.get(self.position..).filter(|rest| !rest.is_empty()) {
            let view = BatchView::new(rest)
                .map_err(|error| self.fetched.corrupt(self.fetched.start_offset, &error))?;
            let header = *view.header();
            let start = self.position;
            self.position += header.size();
            let hidden = self.filter.hides(&view);
            if hidden || count_between(&header, self.fetched.start_offset, self.fetched.end_offset) == 0 {
                continue;
            }
            let block = match self.fetched.decoded.take(header.base_offset, self.fetched.start_offset) {
                Some(block) => block,
                None => Block {
                    header,
                    records: self.decompress(&view, start)?,
                    position: 0,
                    done: 0,
                    next_offset: header.base_offset,
                },
            };
            self.block = Some(block);
            return Ok(true);
        }
        Ok(false)
    }

    fn decompress(&self, view: &BatchView<'_>, start: usize) -> Result<Bytes, ClientError> {
        let corrupt = |error: &dyn std::fmt::Display| self.fetched.corrupt(view.header().base_offset, error);
        let encoded = view.encoded_records();
        match view.header().compression().map_err(|error| corrupt(&error))? {
            Compression::None => {
                let end = start + view.bytes().len();
                Ok(self.fetched.bytes.slice(end - encoded.len()..end))
            }
            codec => {
                let mut buffer = DecompressBuffer::new();
                buffer.decompress(codec, encoded, DECOMPRESSED_BYTES_MAX).map_err(|error| corrupt(&error))?;
                Ok(Bytes::from(buffer.into_vec()))
            }
        }
    }
}

/// Offset and encoded size of the record at the start of `bytes`.
#[inline]
fn record_offset(bytes: &[u8], base_offset: i64) -> Option<(i64, usize)> {
    let mut rest = bytes;
    let length = usize::try_from(read_varint(&mut rest).ok()?).ok()?;
    let prefix = bytes.len() - rest.len();
    // Attributes, time stamp delta, offset delta.
    let mut body = rest.get(1..length)?;
    headwater_record::varint::read_varlong(&mut body).ok()?;
    let delta = read_varint(&mut body).ok()?;
    Some((base_offset.wrapping_add(i64::from(delta)), prefix + length))
}
