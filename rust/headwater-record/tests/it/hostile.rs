//! Damaged and forged bytes: never a panic, never more memory than asked for.

use headwater_record::compression::decompress;
use headwater_record::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::allocation::largest_during;
use crate::model::*;

const SMALL_LIMIT: usize = 256 * 1024;
/// What codecs hold for themselves (zstd windows, lz4 blocks of up to 4 MiB with their neighbours) on top of the limit.
const ALLOCATION_MAX: usize = 9 * 1024 * 1024 + SMALL_LIMIT;

/// Reads everything that can be read of `bytes`.
fn read_all(bytes: &[u8]) {
    let mut buffer = DecompressBuffer::new();
    let rules = ProduceRules { decompressed_size_max: SMALL_LIMIT, ..ProduceRules::default() };
    let _ = validate_for_produce(bytes, &rules, 0);
    for batch in batches(bytes) {
        let Ok(batch) = batch else { return };
        let _ = batch.verify_crc();
        let header = batch.header();
        let _ =
            (header.last_offset(), header.next_offset(), header.last_sequence(), header.delete_horizon_ms());
        let _ = validate_for_produce(batch.bytes(), &rules, 0);
        let Ok(records) = batch.records(&mut buffer, SMALL_LIMIT) else { continue };
        for record in records.flatten() {
            assert_eq!(record.headers.iter().count(), record.headers.len());
            let _ = control::EndTransactionMarker::decode(&record);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn mutations(
        records in records_strategy(),
        codec in codec_strategy(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in any::<Index>(),
        cut_it: bool,
        mend: bool,
    ) {
        let mut bytes = build(codec, &records).to_vec();
        for (place, value) in changes {
            // The length stays, so that the damage is reached; cutting covers the rest.
            let place = place.index(bytes.len());
            if !(8..12).contains(&place) {
                bytes[place] = value;
            }
        }
        if cut_it {
            bytes.truncate(cut.index(bytes.len()));
        } else if mend {
            mend_crc(&mut bytes);
        }
        let largest = largest_during(|| read_all(&bytes));
        prop_assert!(largest <= ALLOCATION_MAX, "{largest}");
    }

    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..300)) {
        let largest = largest_during(|| read_all(&bytes));
        prop_assert!(largest <= ALLOCATION_MAX, "{largest}");
        for codec in Compression::ALL {
            let _ = decompress(codec, &bytes, SMALL_LIMIT);
        }
    }
}

#[test]
fn bombs_stay_small() {
    // 1 GiB of zeros would come out of each of these.
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd, Compression::Snappy] {
        let bomb = headwater_record::compression::compress(codec, None, &vec![0u8; 64 << 20]).unwrap();
        let largest = largest_during(|| {
            let refused = decompress(codec, &bomb, SMALL_LIMIT);
            assert_eq!(refused, Err(DecompressError::TooLarge { codec, limit: SMALL_LIMIT }));
        });
        assert!(largest <= ALLOCATION_MAX, "{codec} {largest}");
    }
}

#[test]
fn a_forged_count_allocates_nothing() {
    let record = Record { timestamp: 0, key: None, value: None, headers: vec![] };
    let mut bytes = build(Compression::None, &[record]).to_vec();
    bytes[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    bytes[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
    mend_crc(&mut bytes);
    let largest = largest_during(|| read_all(&bytes));
    assert!(largest < 100_000, "{largest}");
}
