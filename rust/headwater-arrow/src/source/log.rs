//! A partition's log in this process, read in place.
//!
//! A slice pins its segment file, so retention may unlink it meanwhile. Sealed segments are mapped when columns
//! are to point into them; everything else is read with `pread` into a buffer that is used again once nobody
//! holds it, since a failing disk then gives an error where a map would end the process.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headwater_env::{DiskFile, Env, FileMap};
use headwater_log::{DiskFileOf, Isolation as LogIsolation, Log, ReadError, Slice, StorageError};

use super::{Bounds, Isolation, PartitionSource, RawBatches};
use crate::{BytesLayout, FilePosition, Interrupt, SourceError};

impl From<ReadError> for SourceError {
    fn from(error: ReadError) -> SourceError {
        match error {
            ReadError::OffsetOutOfRange { offset, log_start, log_end } => {
                SourceError::OffsetOutOfRange { offset, start: log_start, end: log_end }
            }
            ReadError::Storage(error) => SourceError::Storage(error),
        }
    }
}

impl Isolation {
    pub(super) fn of_log(self) -> LogIsolation {
        match self {
            Isolation::ReadUncommitted => LogIsolation::HighWatermark,
            Isolation::ReadCommitted => LogIsolation::LastStable,
        }
    }
}

/// Turns slices of a log into bytes.
pub struct SegmentReader<E: Env> {
    layout: BytesLayout,
    mapped: Option<(Arc<DiskFileOf<E>>, Bytes)>,
    spare: Bytes,
}

impl<E: Env> SegmentReader<E> {
    /// For columns laid out as `layout`.
    pub fn new(layout: BytesLayout) -> SegmentReader<E> {
        SegmentReader { layout, mapped: None, spare: Bytes::new() }
    }

    /// The bytes of `slice`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(&mut self, slice: Slice<E>) -> Result<RawBatches, SourceError> {
        let failed = |error: std::io::Error| {
            SourceError::Storage(StorageError::Read { path: slice.path.clone(), error: Arc::new(error) })
        };
        let bytes = if slice.sealed && self.layout == BytesLayout::View {
            let map = self.map(&slice.file).map_err(failed)?;
            let start = usize::try_from(slice.position).unwrap_or(usize::MAX).min(map.len());
            let length = usize::try_from(slice.length).unwrap_or(usize::MAX).min(map.len() - start);
            map.slice(start..start + length)
        } else {
            self.copy(&slice).map_err(failed)?
        };
        let file = Some(FilePosition { path: slice.path, position: slice.position });
        Ok(RawBatches { aborted: slice.aborted, file, ..RawBatches::new(bytes) })
    }

    /// The whole file, mapped once for consecutive slices of it.
    fn map(&mut self, file: &Arc<DiskFileOf<E>>) -> std::io::Result<Bytes> {
        if let Some((known, bytes)) = &self.mapped
            && Arc::ptr_eq(known, file)
        {
            return Ok(bytes.clone());
        }
        let map: FileMap = file.map()?;
        let bytes = Bytes::from_owner(map);
        self.mapped = Some((file.clone(), bytes.clone()));
        Ok(bytes)
    }

    fn copy(&mut self, slice: &Slice<E>) -> std::io::Result<Bytes> {
        // Only the log's own segment sizes bound this, not anything read from the file.
        let length = usize::try_from(slice.length).map_err(std::io::Error::other)?;
        let mut buffer = std::mem::take(&mut self.spare).try_into_mut().unwrap_or_else(|_| BytesMut::new());
        buffer.resize(length, 0);
        slice.file.read_exact_at(&mut buffer, slice.position)?;
        let bytes = buffer.freeze();
        self.spare = bytes.clone();
        Ok(bytes)
    }
}

/// A log of this process as a source.
pub struct LogSource<E: Env> {
    topic: Arc<str>,
    partition: i32,
    log: Log<E>,
    isolation: Isolation,
    reader: SegmentReader<E>,
}

impl<E: Env> LogSource<E> {
    /// Reads `log`, of the named partition, for columns laid out as `layout`.
    pub fn new(
        topic: impl Into<Arc<str>>,
        partition: i32,
        log: Log<E>,
        isolation: Isolation,
        layout: BytesLayout,
    ) -> LogSource<E> {
        LogSource { topic: topic.into(), partition, log, isolation, reader: SegmentReader::new(layout) }
    }
}

impl<E: Env> PartitionSource for LogSource<E> {
    fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn bounds(&mut self, _: &dyn Interrupt) -> Result<Bounds, SourceError> {
        Ok(bounds_of(self.log.progress(), self.isolation))
    }

    fn offset_for_timestamp(
        &mut self,
        timestamp: i64,
        _: &dyn Interrupt,
    ) -> Result<Option<i64>, SourceError> {
        Ok(self.log.offset_for_timestamp(timestamp)?.map(|found| found.offset))
    }

    fn read(&mut self, offset: i64, bytes_max: usize, _: &dyn Interrupt) -> Result<RawBatches, SourceError> {
        let slice = self.log.read(offset, bytes_max as u64, true, self.isolation.of_log())?;
        self.reader.read(slice)
    }
}

pub(super) fn bounds_of(progress: headwater_log::Progress, isolation: Isolation) -> Bounds {
    let end = match isolation {
        Isolation::ReadUncommitted => progress.high_watermark,
        Isolation::ReadCommitted => progress.last_stable,
    };
    Bounds { start: progress.log_start, end: end.max(progress.log_start) }
}
