//! Decompression as a stream, for what must not, or need not, be in memory at once.

use std::cell::RefCell;
use std::io::{self, Read};

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::{DecompressError, snappy};
use crate::Compression;

thread_local! {
    static ZSTD: RefCell<Option<Decoder<'static>>> = const { RefCell::new(None) };
}

/// Lets `work` read the decompressed `source`.
///
/// Counting against `limit` is the reader's business, since it sees the bytes go by; only Snappy needs it
/// here, whose blocks are decoded whole. Must not be called from within `work`: contexts are one per thread.
pub(crate) fn with_stream<T>(
    codec: Compression,
    source: &[u8],
    limit: usize,
    work: impl FnOnce(&mut dyn Read) -> Result<T, DecompressError>,
) -> Result<T, DecompressError> {
    let invalid = |error: io::Error| DecompressError::from_io(codec, error);
    match codec {
        Compression::None => work(&mut &source[..]),
        Compression::Gzip => work(&mut flate2::bufread::MultiGzDecoder::new(source)),
        Compression::Snappy => work(&mut snappy::BlockReader::new(source, limit)?),
        Compression::Lz4 => work(&mut lz4_flex::frame::FrameDecoder::new(source)),
        Compression::Zstd => ZSTD.with_borrow_mut(|slot| {
            let decoder = match slot {
                Some(decoder) => decoder,
                None => slot.insert(Decoder::new().map_err(invalid)?),
            };
            decoder.reinit().map_err(invalid)?;
            work(&mut ZstdReader { decoder, source, in_frame: false })
        }),
    }
}

struct ZstdReader<'a> {
    decoder: &'a mut Decoder<'static>,
    source: &'a [u8],
    in_frame: bool,
}

impl Read for ZstdReader<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.source.is_empty() && !self.in_frame || target.is_empty() {
                return Ok(0);
            }
            let mut input = InBuffer::around(self.source);
            let mut output = OutBuffer::around(&mut *target);
            let hint = self.decoder.run(&mut input, &mut output)?;
            let (consumed, written) = (input.pos(), output.pos());
            self.source = &self.source[consumed..];
            // A hint of zero is the end of a frame; another may follow.
            self.in_frame = hint != 0;
            if written > 0 {
                return Ok(written);
            }
            if consumed == 0 && self.in_frame {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the frame is cut off"));
            }
        }
    }
}
