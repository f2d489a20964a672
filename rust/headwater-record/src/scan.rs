//! Walks records as they come out of a decompressor, so that checking a batch never holds more of it than
//! a window, however far it unfolds.

use std::cell::RefCell;
use std::io::Read;

use crate::compression::with_stream;
use crate::record::RecordDefect;
use crate::varint::{VARINT_SIZE_MAX, VARLONG_SIZE_MAX, VarintError, unzigzag};
use crate::{Compression, DecompressError};

const WINDOW_SIZE: usize = 64 * 1024;

thread_local! {
    static WINDOW: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What validation wants to know of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScannedRecord {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) has_key: bool,
}

/// Why a scan ended early.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScanError {
    Record { index: u32, defect: RecordDefect },
    Decompress(DecompressError),
}

/// Hands the `count` records in the compressed `source` to `each`; there must be that many and nothing else.
pub(crate) fn scan_compressed(
    codec: Compression,
    source: &[u8],
    limit: usize,
    count: u32,
    mut each: impl FnMut(u32, ScannedRecord),
) -> Result<(), ScanError> {
    let result = WINDOW.with_borrow_mut(|window| {
        window.resize(WINDOW_SIZE, 0);
        with_stream(codec, source, limit, |reader| {
            let mut stream = Stream { reader, window, position: 0, filled: 0, total: 0, limit, codec };
            // The stream's own errors go out through `with_stream`, the records' as a value.
            match scan(&mut stream, count, &mut each) {
                Err(ScanError::Decompress(error)) => Err(error),
                other => Ok(other),
            }
        })
    });
    result.map_err(ScanError::Decompress)?
}

fn scan(
    stream: &mut Stream<'_>,
    count: u32,
    each: &mut impl FnMut(u32, ScannedRecord),
) -> Result<(), ScanError> {
    for index in 0..count {
        let at = |fault| match fault {
            Fault::Defect(defect) => ScanError::Record { index, defect },
            Fault::Decompress(error) => ScanError::Decompress(error),
        };
        if stream.at_end().map_err(at)? {
            return Err(ScanError::Record { index, defect: RecordDefect::Missing });
        }
        let record = scan_record(stream).map_err(at)?;
        each(index, record);
    }
    match stream.at_end() {
        Ok(true) => Ok(()),
        Ok(false) => Err(ScanError::Record { index: count, defect: RecordDefect::TrailingBytes }),
        Err(Fault::Defect(defect)) => Err(ScanError::Record { index: count, defect }),
        Err(Fault::Decompress(error)) => Err(ScanError::Decompress(error)),
    }
}

enum Fault {
    Defect(RecordDefect),
    Decompress(DecompressError),
}

impl From<RecordDefect> for Fault {
    fn from(defect: RecordDefect) -> Fault {
        Fault::Defect(defect)
    }
}

fn scan_record(stream: &mut Stream<'_>) -> Result<ScannedRecord, Fault> {
    let mut whole = Body { left: usize::MAX, stream };
    let length = usize::try_from(whole.varint()?).map_err(|_| RecordDefect::Length)?;
    let mut body = Body { left: length, stream: whole.stream };
    body.skip(1)?;
    let timestamp_delta = unzigzag(body.unsigned::<VARLONG_SIZE_MAX, 64>()?);
    let offset_delta = body.varint()?;
    let has_key = body.field()?;
    body.field()?;
    for _ in 0..u32::try_from(body.varint()?).map_err(|_| RecordDefect::HeaderCount)? {
        if !body.field()? {
            return Err(RecordDefect::HeaderKey.into());
        }
        body.field()?;
    }
    if body.left != 0 {
        return Err(RecordDefect::Length.into());
    }
    Ok(ScannedRecord { timestamp_delta, offset_delta, has_key })
}

/// A record within the stream: nothing is read beyond its length.
struct Body<'s, 'r> {
    left: usize,
    stream: &'s mut Stream<'r>,
}

impl Body<'_, '_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, Fault> {
        self.left = self.left.checked_sub(1).ok_or(RecordDefect::Varint(VarintError::Truncated))?;
        self.stream.byte()
    }

    fn skip(&mut self, length: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(length).ok_or(RecordDefect::Length)?;
        self.stream.skip(length)
    }

    #[inline]
    fn varint(&mut self) -> Result<i32, Fault> {
        Ok(unzigzag(self.unsigned::<VARINT_SIZE_MAX, 32>()?) as i32)
    }

    #[inline]
    fn unsigned<const SIZE_MAX: usize, const BITS: u32>(&mut self) -> Result<u64, Fault> {
        let mut value = 0;
        for index in 0..SIZE_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shift = 7 * index as u32;
            if index == SIZE_MAX - 1 && (byte >= 0x80 || bits >> (BITS - shift) != 0) {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(RecordDefect::Varint(VarintError::Overflow).into())
    }

    /// Passes a field and tells whether it is there.
    fn field(&mut self) -> Result<bool, Fault> {
        match self.varint()? {
            -1 => Ok(false),
            length => {
                self.skip(usize::try_from(length).map_err(|_| RecordDefect::Length)?)?;
                Ok(true)
            }
        }
    }
}

struct Stream<'r> {
    reader: &'r mut dyn Read,
    window: &'r mut [u8],
    position: usize,
    filled: usize,
    total: usize,
    limit: usize,
    codec: Compression,
}

impl Stream<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, Fault> {
        if self.position == self.filled && !self.fill()? {
            return Err(RecordDefect::Varint(VarintError::Truncated).into());
        }
        let byte = self.window[self.position];
        self.position += 1;
        Ok(byte)
    }

    fn skip(&mut self, mut length: usize) -> Result<(), Fault> {
        loop {
            let step = length.min(self.filled - self.position);
            self.position += step;
            length -= step;
            if length == 0 {
                return Ok(());
            }
            if !self.fill()? {
                return Err(RecordDefect::Length.into());
            }
        }
    }

    fn at_end(&mut self) -> Result<bool, Fault> {
        Ok(self.position == self.filled && !self.fill()?)
    }

    /// Replaces the window, which has been read to its end; false at the end of the data.
    fn fill(&mut self) -> Result<bool, Fault> {
        let codec = self.codec;
        self.position = 0;
        self.filled = self
            .reader
            .read(self.window)
            .map_err(|error| Fault::Decompress(DecompressError::from_io(codec, error)))?;
        self.total += self.filled;
        if self.total > self.limit {
            return Err(Fault::Decompress(DecompressError::TooLarge { codec, limit: self.limit }));
        }
        Ok(self.filled > 0)
    }
}
