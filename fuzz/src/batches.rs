//! Record batches and the codecs in them.

use headwater_record::compression::{compress, decompress};
use headwater_record::control::EndTransactionMarker;
use headwater_record::{
    BatchView, Compression, DecompressBuffer, ProduceRules, TimestampType, batches, validate_for_produce,
};

use crate::{Feed, mend};

/// What records may unfold to, in bytes.
const DECOMPRESSED_MAX: usize = 1 << 20;
const NOW_MS: i64 = 1_700_000_000_000;

/// Flags, then batches as a fetch returns them: walked, unfolded, read, and checked as a producer's.
pub fn record_batch(input: &[u8]) {
    let mut feed = Feed::new(input);
    let flags = feed.u8();
    let mut bytes = feed.rest().to_vec();
    if flags & 1 != 0 {
        mend::batches(&mut bytes);
    }
    let rules = ProduceRules {
        batch_size_max: DECOMPRESSED_MAX,
        decompressed_size_max: DECOMPRESSED_MAX,
        compacted: flags & 2 != 0,
        timestamp_type: if flags & 4 != 0 { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
        timestamp_before_ms_max: if flags & 8 != 0 { 1000 } else { i64::MAX },
        timestamp_after_ms_max: if flags & 16 != 0 { 1000 } else { i64::MAX },
        from_client: flags & 32 != 0,
    };
    let mut buffer = DecompressBuffer::new();
    let mut walk = batches(&bytes);
    for batch in walk.by_ref() {
        let Ok(batch) = batch else { break };
        // A broken checksum does not stop a reader that was told not to look.
        let is_sound = batch.verify_crc().is_ok();
        let read = read(&batch, &mut buffer);
        assert!(buffer.capacity() <= 4 * DECOMPRESSED_MAX, "{} bytes held", buffer.capacity());
        if let Ok(valid) = validate_for_produce(batch.bytes(), &rules, NOW_MS) {
            assert!(is_sound, "a batch with a wrong checksum was accepted");
            assert_eq!(read, Some(batch.header().record_count), "an accepted batch cannot be read");
            let mut stored = batch.bytes().to_vec();
            valid.apply(&mut stored);
            let stored = BatchView::new(&stored).expect("a batch");
            stored.verify_crc().expect("the checksum follows");
            assert_eq!(stored.header().max_timestamp, valid.max_timestamp);
        }
    }
    assert!(walk.position() <= bytes.len());
}

/// Reads every record; how many there were, if all of them could be read.
fn read(batch: &BatchView<'_>, buffer: &mut DecompressBuffer) -> Option<i32> {
    let mut records = batch.records(buffer, DECOMPRESSED_MAX).ok()?;
    let mut count = 0;
    while let Some(record) = records.next_record() {
        count += 1;
        let headers: usize = record.headers.iter().map(|header| header.key.len()).sum();
        std::hint::black_box((record.key, record.value, headers));
        let _ = EndTransactionMarker::decode(&record);
        let mark = records.mark();
        std::hint::black_box(mark);
    }
    records.finish().ok().map(|()| count)
}

/// A codec, then bytes: taken for data of that codec, and sent through it both ways.
pub fn compression(input: &[u8]) {
    const LIMIT: usize = 64 << 10;
    const CODECS: [Compression; 4] =
        [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut feed = Feed::new(input);
    let codec = CODECS[usize::from(feed.u8()) % CODECS.len()];
    let bytes = feed.rest();
    if let Ok(unfolded) = decompress(codec, bytes, LIMIT) {
        assert!(unfolded.len() <= LIMIT, "{codec:?} gave {} bytes", unfolded.len());
    }
    let folded = compress(codec, None, bytes).expect("anything can be compressed");
    assert_eq!(decompress(codec, &folded, bytes.len()).as_deref(), Ok(bytes), "{codec:?}");
}
