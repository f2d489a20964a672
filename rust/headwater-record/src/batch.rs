//! Batches in a buffer: one after the other, each as a view that borrows.

use std::iter::FusedIterator;

use crate::header::{ATTRIBUTES_AT, BATCH_OVERHEAD, BatchError, BatchHeader};
use crate::{Compression, DecompressBuffer, RecordIter};

/// One whole batch, its size checked, its CRC not yet.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// The batch at the start of `bytes`; what follows it is ignored.
    ///
    /// # Errors
    /// Those of [`BatchHeader::parse`], and [`BatchError::Incomplete`] when the batch goes on after `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<BatchView<'a>, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        match bytes.get(..header.size()) {
            Some(bytes) => Ok(BatchView { header, bytes }),
            None => Err(BatchError::Incomplete { needed: header.size(), available: bytes.len() }),
        }
    }

    /// The header.
    #[inline]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header included.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records as they stand, compressed or not.
    #[inline]
    pub fn encoded_records(&self) -> &'a [u8] {
        &self.bytes[BATCH_OVERHEAD..]
    }

    /// Compares the CRC with the bytes.
    ///
    /// # Errors
    /// [`BatchError::Crc`] with both values.
    #[inline]
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crate::crc32c(&self.bytes[ATTRIBUTES_AT..]);
        if computed == self.header.crc {
            return Ok(());
        }
        Err(BatchError::Crc { stored: self.header.crc, computed })
    }

    /// The records, decompressed into `buffer` where needed.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`], [`BatchError::Decompress`] (also when they take more than `limit` bytes
    /// decompressed), [`BatchError::RecordCount`].
    pub fn records<'b>(
        &self,
        buffer: &'b mut DecompressBuffer,
        limit: usize,
    ) -> Result<RecordIter<'b>, BatchError>
    where
        'a: 'b,
    {
        let bytes = match self.header.compression()? {
            Compression::None => self.encoded_records(),
            codec => buffer.decompress(codec, self.encoded_records(), limit)?,
        };
        RecordIter::new(&self.header, bytes)
    }
}

/// Walks the batches in `buffer`, as a fetch returns them.
///
/// A batch that goes on after the buffer ends the walk silently: a fetch may cut its last one.
/// [`BatchIter::position`] tells where the walk stands.
pub fn batches(buffer: &[u8]) -> BatchIter<'_> {
    BatchIter { buffer, position: 0, failed: false }
}

/// Iterates over the batches of a buffer; ends after the first error.
#[derive(Clone, Debug)]
pub struct BatchIter<'a> {
    buffer: &'a [u8],
    position: usize,
    failed: bool,
}

impl<'a> BatchIter<'a> {
    /// Bytes passed so far: the start of the next batch, or of what could not be read.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// What has not been passed: at the end, the incomplete last batch.
    #[inline]
    pub fn remaining(&self) -> &'a [u8] {
        &self.buffer[self.position..]
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = Result<BatchView<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Result<BatchView<'a>, BatchError>> {
        if self.failed {
            return None;
        }
        match BatchView::new(self.remaining()) {
            Ok(batch) => {
                self.position += batch.bytes.len();
                Some(Ok(batch))
            }
            Err(BatchError::Incomplete { .. }) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

impl FusedIterator for BatchIter<'_> {}
