//! One partition, read from offset to offset.

use std::ops::Range;

use arrow_array::RecordBatch;
use headwater_record::BatchError;

use crate::source::PartitionSource;
use crate::{DecodeError, Decoder, FilePosition, Filled, ScanError, ScanPlan, SourceError};

/// Reads one partition batch by batch.
pub struct PartitionScan {
    source: Box<dyn PartitionSource>,
    range: Range<i64>,
    next: i64,
    plan: ScanPlan,
    decoder: Decoder,
    bytes: u64,
    // What was read last, while the decoder is at it.
    reading: bool,
    read_length: usize,
    file: Option<FilePosition>,
    finished: bool,
}

impl PartitionScan {
    /// Takes the partition's bounds and decides what to read.
    ///
    /// # Errors
    /// [`ScanError`] when the bounds or the offset of a timestamp cannot be had.
    pub fn begin(mut source: Box<dyn PartitionSource>, plan: &ScanPlan) -> Result<PartitionScan, ScanError> {
        let (topic, partition) = (source.topic().clone(), source.partition());
        let range = plan.range(&mut *source).map_err(|error| ScanError::source(&topic, partition, error))?;
        if !range.is_empty() {
            source.announce(range.clone());
        }
        let decoder = Decoder::new(plan.projection.clone(), plan.limits);
        Ok(PartitionScan {
            source,
            next: range.start,
            range,
            plan: plan.clone(),
            decoder,
            bytes: 0,
            reading: false,
            read_length: 0,
            file: None,
            finished: false,
        })
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.source.partition()
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.source.topic()
    }

    /// The offsets to be read.
    pub fn range(&self) -> Range<i64> {
        self.range.clone()
    }

    /// Offset that has been reached.
    pub fn position(&self) -> i64 {
        self.next
    }

    /// Bytes of the log that have been read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next batch, `None` at the end and after an error. Blocking.
    ///
    /// # Errors
    /// [`ScanError`].
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, ScanError> {
        if self.finished {
            return Ok(None);
        }
        let next = self.advance();
        self.finished = !matches!(next, Ok(Some(_)));
        next
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>, ScanError> {
        self.plan.interrupt.check()?;
        loop {
            if self.decoder.fill()? == Filled::Full {
                return Ok(Some(self.decoder.take()?));
            }
            if self.reading {
                self.note_progress()?;
            }
            if self.next >= self.range.end {
                let last = self.decoder.rows() > 0;
                return if last { Ok(Some(self.decoder.take()?)) } else { Ok(None) };
            }
            self.read()?;
        }
    }

    /// Moves on after what was read. A source must give at least one whole batch that leads further.
    fn note_progress(&mut self) -> Result<(), DecodeError> {
        self.reading = false;
        if self.decoder.position() > self.next {
            self.next = self.decoder.position();
            return Ok(());
        }
        let available = self.read_length;
        Err(DecodeError::Corrupt {
            topic: self.source.topic().clone(),
            partition: self.source.partition(),
            offset: self.next,
            file: self.file.take(),
            source: BatchError::Incomplete { needed: available + 1, available },
        })
    }

    fn read(&mut self) -> Result<(), ScanError> {
        self.plan.interrupt.check()?;
        let (topic, partition) = (self.source.topic().clone(), self.source.partition());
        let failed = |error| ScanError::source(&topic, partition, error);
        let raw =
            self.source.read(self.next, self.plan.read_size(), &*self.plan.interrupt).map_err(failed)?;
        if raw.bytes.is_empty() {
            let missing = SourceError::Missing { offset: self.next, end: self.range.end };
            self.next = raw.end_offset.filter(|end| *end > self.next).ok_or_else(|| failed(missing))?;
            return Ok(());
        }
        self.bytes += raw.bytes.len() as u64;
        self.reading = true;
        self.read_length = raw.bytes.len();
        self.file.clone_from(&raw.file);
        self.decoder.begin(&topic, partition, raw, self.next..self.range.end);
        Ok(())
    }
}
