//! Compression, at Kafka's default levels unless told otherwise.

use std::cell::RefCell;
use std::io::Write;

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::snappy;
use crate::Compression;

/// Kafka's default for `compression.zstd.level`.
const ZSTD_LEVEL: i32 = 3;
/// Kafka's default for `compression.gzip.level` (-1: zlib's own).
const GZIP_LEVEL: u32 = 6;

thread_local! {
    static ZSTD: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
    static LZ4: RefCell<FrameEncoder<Vec<u8>>> = RefCell::new(FrameEncoder::with_frame_info(lz4_frame(), Vec::new()));
}

/// What Kafka's Java client writes: independent blocks of 64 KiB, no checksums but the header's.
fn lz4_frame() -> FrameInfo {
    FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent)
}

/// The codec refused its input or could not get its memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{codec} cannot compress: {reason}")]
pub struct CompressError {
    /// The codec.
    pub codec: Compression,
    /// What it says.
    pub reason: String,
}

/// Compresses `source` into a new vector. `level` is the codec's own scale, `None` Kafka's default;
/// it means nothing to snappy and, with this library, to lz4.
///
/// # Errors
/// [`CompressError`], in practice only for want of memory.
pub fn compress(codec: Compression, level: Option<i32>, source: &[u8]) -> Result<Vec<u8>, CompressError> {
    let mut target = Vec::new();
    compress_into(codec, level, source, &mut target)?;
    Ok(target)
}

/// Appends `source`, compressed, to `target`; else as [`compress`].
///
/// # Errors
/// As [`compress`]; what `target` holds beyond its former end is then undefined.
pub fn compress_into(
    codec: Compression,
    level: Option<i32>,
    source: &[u8],
    target: &mut Vec<u8>,
) -> Result<(), CompressError> {
    let done = match codec {
        Compression::None => {
            target.extend_from_slice(source);
            Ok(())
        }
        Compression::Gzip => gzip(level, source, target).map_err(|error| error.to_string()),
        Compression::Snappy => snappy::compress(source, target).map_err(|error| error.to_string()),
        Compression::Lz4 => lz4(source, target).map_err(|error| error.to_string()),
        Compression::Zstd => zstd(level, source, target).map_err(|error| error.to_string()),
    };
    done.map_err(|reason| CompressError { codec, reason })
}

fn gzip(level: Option<i32>, source: &[u8], target: &mut Vec<u8>) -> std::io::Result<()> {
    let level = level.and_then(|level| u32::try_from(level).ok()).unwrap_or(GZIP_LEVEL).min(9);
    let mut encoder = flate2::write::GzEncoder::new(target, flate2::Compression::new(level));
    encoder.write_all(source)?;
    encoder.try_finish()
}

fn lz4(source: &[u8], target: &mut Vec<u8>) -> std::io::Result<()> {
    LZ4.with_borrow_mut(|encoder| {
        if source.is_empty() {
            // A used encoder begins its next frame with the first byte, and there is none: only a new one writes the
            // head of an empty frame.
            *encoder = FrameEncoder::with_frame_info(lz4_frame(), Vec::new());
        }
        // The encoder keeps its hash table and block buffers; only the output changes hands.
        std::mem::swap(encoder.get_mut(), target);
        let done =
            encoder.write_all(source).and_then(|()| encoder.try_finish().map_err(std::io::Error::from));
        std::mem::swap(encoder.get_mut(), target);
        if done.is_err() {
            *encoder = FrameEncoder::with_frame_info(lz4_frame(), Vec::new());
        }
        done
    })
}

fn zstd(level: Option<i32>, source: &[u8], target: &mut Vec<u8>) -> std::io::Result<()> {
    let level = level.unwrap_or(ZSTD_LEVEL);
    ZSTD.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some((current, compressor)) => {
                if *current != level {
                    compressor.set_compression_level(level)?;
                    *current = level;
                }
                compressor
            }
            None => &mut slot.insert((level, zstd::bulk::Compressor::new(level)?)).1,
        };
        let start = target.len();
        target.resize(start + zstd::zstd_safe::compress_bound(source.len()), 0);
        let length = compressor.compress_to_buffer(source, &mut target[start..])?;
        target.truncate(start + length);
        Ok(())
    })
}
