//! The codecs beyond what the batches show: framing, limits, cut-off data.

use headwater_record::compression::{compress, compress_into, decompress};
use headwater_record::*;
use proptest::prelude::*;

use crate::model::*;

const COMPRESSED: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn round_trip(chunk in bytes_strategy(), repeat in 0usize..2000, codec in codec_strategy()) {
        let source = chunk.repeat(repeat);
        let mut target = b"before".to_vec();
        compress_into(codec, None, &source, &mut target).unwrap();
        prop_assert_eq!(&target[..6], b"before");
        prop_assert_eq!(decompress(codec, &target[6..], source.len()).unwrap(), source);
    }
}

#[test]
fn nothing_is_compressed_like_anything_else() {
    // Twice, and after something: contexts are used again.
    for source in [&b""[..], b"something", b"", b""] {
        for codec in COMPRESSED {
            let folded = compress(codec, None, source).unwrap();
            assert_eq!(decompress(codec, &folded, source.len()).as_deref(), Ok(source), "{codec}");
        }
    }
}

#[test]
fn levels() {
    // Words in an order that repeats late and never exactly.
    let source: Vec<u8> = (0u32..50_000)
        .flat_map(|number| format!("{} ", number.wrapping_mul(2_654_435_761) >> 20).into_bytes())
        .collect();
    for codec in [Compression::Gzip, Compression::Zstd] {
        let fast = compress(codec, Some(1), &source).unwrap();
        let best = compress(codec, Some(9), &source).unwrap();
        assert!(best.len() < fast.len(), "{codec}: {} {}", best.len(), fast.len());
        assert_eq!(decompress(codec, &best, source.len()).unwrap(), source);
        assert_eq!(compress(codec, Some(1), &source).unwrap(), fast, "a level does not stick");
    }
}

#[test]
fn the_limit_is_exact() {
    let source = vec![7u8; 1_000_000];
    for codec in Compression::ALL {
        let data = compress(codec, None, &source).unwrap();
        assert!(decompress(codec, &data, source.len()).is_ok(), "{codec}");
        let limit = source.len() - 1;
        assert_eq!(decompress(codec, &data, limit), Err(DecompressError::TooLarge { codec, limit }));
    }
}

#[test]
fn cut_off_data_is_an_error() {
    let source: Vec<u8> = (0u32..100_000).flat_map(u32::to_le_bytes).collect();
    for codec in COMPRESSED {
        let data = compress(codec, None, &source).unwrap();
        for length in [1, data.len() / 2, data.len() - 1] {
            let result = decompress(codec, &data[..length], LIMIT);
            // The lz4 reader does without a whole end mark; no data may be missing then.
            let complete = codec == Compression::Lz4 && length == data.len() - 1;
            assert!(result.is_err() || complete && result.unwrap() == source, "{codec} cut to {length}");
        }
    }
}

#[test]
fn snappy_is_framed_as_java_does_and_read_raw_too() {
    let source = vec![b'x'; 40_000];
    let framed = compress(Compression::Snappy, None, &source).unwrap();
    assert_eq!(&framed[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let raw = snap_raw(&source);
    assert_eq!(decompress(Compression::Snappy, &raw, source.len()).unwrap(), source);
    // Joined outputs repeat the header.
    let joined = [&framed[..], &framed[..]].concat();
    assert_eq!(decompress(Compression::Snappy, &joined, LIMIT).unwrap().len(), 80_000);
    let mut lie = raw;
    lie[..3].copy_from_slice(&[0xff, 0xff, 0x7f]);
    assert!(matches!(decompress(Compression::Snappy, &lie, LIMIT), Err(DecompressError::Invalid { .. })));
}

/// The framing taken off again: two blocks would need joining, so the data must fit one.
fn snap_raw(source: &[u8]) -> Vec<u8> {
    // A raw block of one repeated byte: length, one literal, then copies of up to 64 bytes at distance 1.
    let mut raw = Vec::new();
    let mut length = source.len();
    while length >= 0x80 {
        raw.push(length as u8 | 0x80);
        length >>= 7;
    }
    raw.push(length as u8);
    raw.extend_from_slice(&[0, source[0]]);
    let mut left = source.len() - 1;
    while left > 0 {
        let step = left.min(64);
        raw.extend_from_slice(&[((step as u8 - 1) << 2) | 2, 1, 0]);
        left -= step;
    }
    raw
}

#[test]
fn lz4_frames_look_like_javas() {
    let data = compress(Compression::Lz4, None, &[1; 100]).unwrap();
    // Magic; version 1, independent blocks, no checksums; blocks of 64 KiB.
    assert_eq!(&data[..6], &[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40]);
}

#[test]
fn a_buffer_forgets_the_batch_before() {
    let mut buffer = DecompressBuffer::new();
    for source in [&b"a long first batch that leaves its traces"[..], b"short"] {
        for codec in Compression::ALL {
            let data = compress(codec, None, source).unwrap();
            assert_eq!(buffer.decompress(codec, &data, LIMIT).unwrap(), source, "{codec}");
        }
    }
    assert!(buffer.decompress(Compression::Zstd, b"nonsense", LIMIT).is_err());
    let data = compress(Compression::Zstd, None, b"after an error").unwrap();
    assert_eq!(buffer.decompress(Compression::Zstd, &data, LIMIT).unwrap(), b"after an error");
}
