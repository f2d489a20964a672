//! The rules for produce, one by one, uncompressed and compressed.

use headwater_record::*;
use proptest::prelude::*;

use crate::model::*;

const NOW: i64 = 1_000_000_000_000;

fn record(timestamp: i64) -> Record {
    Record { timestamp, key: Some(b"k".to_vec()), value: Some(vec![b'v'; 50]), headers: vec![] }
}

fn validate(bytes: &[u8]) -> Result<ValidBatch, ProduceError> {
    validate_for_produce(bytes, &ProduceRules::default(), NOW)
}

/// The batch with bytes from `at` replaced, its CRC mended.
fn with(bytes: &[u8], at: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + value.len()].copy_from_slice(value);
    mend_crc(&mut bytes);
    bytes
}

fn batch_defect(bytes: &[u8]) -> BatchDefect {
    match validate(bytes).unwrap_err() {
        ProduceError::InvalidBatch(defect) => defect,
        other => panic!("{other:?}"),
    }
}

fn record_errors(error: ProduceError) -> Vec<RecordError> {
    match error {
        ProduceError::InvalidRecords(errors) | ProduceError::InvalidTimestamps(errors) => errors.errors,
        other => panic!("{other:?}"),
    }
}

#[test]
fn good_batches_pass() {
    for codec in Compression::ALL {
        let bytes = build(codec, &[record(NOW - 5), record(NOW), record(NOW - 9)]);
        let valid = validate(&bytes).unwrap();
        assert_eq!((valid.max_timestamp, valid.header.record_count, valid.log_append_time()), (NOW, 3, None));
        let mut applied = bytes.to_vec();
        valid.apply(&mut applied);
        assert_eq!(applied, bytes, "nothing to write into a correct batch");
    }
}

#[test]
fn size_crc_and_format() {
    let bytes = build(Compression::None, &[record(NOW)]);
    let rules = ProduceRules { batch_size_max: bytes.len() - 1, ..ProduceRules::default() };
    let error = validate_for_produce(&bytes, &rules, NOW).unwrap_err();
    assert_eq!(error, ProduceError::TooLarge { size: bytes.len(), limit: bytes.len() - 1 });

    let mut damaged = bytes.to_vec();
    damaged[70] ^= 1;
    assert!(matches!(validate(&damaged), Err(ProduceError::Corrupt(BatchError::Crc { .. }))));
    assert_eq!(validate(&with(&bytes, 16, &[1])).unwrap_err(), ProduceError::UnsupportedMagic { magic: 1 });
    let negative = with(&bytes, 8, &(-5i32).to_be_bytes());
    assert!(matches!(validate(&negative), Err(ProduceError::Corrupt(BatchError::BatchLength { .. }))));
}

#[test]
fn exactly_one_batch() {
    let bytes = build(Compression::None, &[record(NOW)]);
    for given in
        [&[][..], &bytes[..bytes.len() - 1], &[&bytes[..], &bytes[..]].concat(), &[&bytes[..], &[0]].concat()]
    {
        assert_eq!(batch_defect(given), BatchDefect::NotOneBatch { available: given.len() });
    }
}

#[test]
fn header_rules() {
    let bytes = build(Compression::None, &[record(NOW), record(NOW)]);
    assert_eq!(
        batch_defect(&with(&bytes, 0, &7i64.to_be_bytes())),
        BatchDefect::BaseOffset { base_offset: 7 }
    );
    for (count, delta) in [(0, -1), (2, 2), (3, 1), (-1, -2), (i32::MIN, i32::MAX)] {
        let wrong = with(&with(&bytes, 57, &i32::to_be_bytes(count)), 23, &i32::to_be_bytes(delta));
        assert_eq!(
            batch_defect(&wrong),
            BatchDefect::OffsetRange { record_count: count, last_offset_delta: delta }
        );
    }
    assert_eq!(batch_defect(&with(&bytes, 21, &0x20i16.to_be_bytes())), BatchDefect::Control);
    assert_eq!(batch_defect(&with(&bytes, 21, &0x10i16.to_be_bytes())), BatchDefect::Transaction);
    assert_eq!(
        batch_defect(&with(&bytes, 43, &9i64.to_be_bytes())),
        BatchDefect::Sequence { producer_id: 9, base_sequence: -1 }
    );
    let unknown = batch_defect(&with(&bytes, 21, &5i16.to_be_bytes()));
    assert_eq!(unknown, BatchDefect::Records(BatchError::UnknownCodec { codec: 5 }));
    // A coordinator may write markers and knows its offsets.
    let rules = ProduceRules { from_client: false, ..ProduceRules::default() };
    let control = with(&with(&bytes, 21, &0x20i16.to_be_bytes()), 0, &7i64.to_be_bytes());
    assert!(validate_for_produce(&control, &rules, NOW).is_ok());
}

#[test]
fn compacted_topics_need_keys() {
    let rules = ProduceRules { compacted: true, ..ProduceRules::default() };
    let keyless = Record { key: None, ..record(NOW) };
    for codec in Compression::ALL {
        let bytes = build(codec, &[record(NOW), keyless.clone(), record(NOW), keyless.clone()]);
        assert!(validate(&bytes).is_ok());
        let error = validate_for_produce(&bytes, &rules, NOW).unwrap_err();
        assert!(matches!(error, ProduceError::InvalidRecords(_)));
        let reason = RecordErrorReason::MissingKey;
        assert_eq!(
            record_errors(error),
            [RecordError { index: 1, reason }, RecordError { index: 3, reason }]
        );
    }
}

#[test]
fn record_errors_are_bounded_but_counted() {
    let rules = ProduceRules { compacted: true, ..ProduceRules::default() };
    let keyless = Record { key: None, ..record(NOW) };
    let bytes = build(Compression::Zstd, &vec![keyless; 3 * RECORD_ERRORS_MAX]);
    let Err(ProduceError::InvalidRecords(errors)) = validate_for_produce(&bytes, &rules, NOW) else {
        panic!()
    };
    assert_eq!((errors.errors.len(), errors.total as usize), (RECORD_ERRORS_MAX, 3 * RECORD_ERRORS_MAX));
}

#[test]
fn timestamps_in_range() {
    let rules =
        ProduceRules { timestamp_before_ms_max: 100, timestamp_after_ms_max: 10, ..ProduceRules::default() };
    for codec in Compression::ALL {
        let edges = build(codec, &[record(NOW - 100), record(NOW + 10), record(-1)]);
        assert!(validate_for_produce(&edges, &rules, NOW).is_ok());
        let beyond = build(codec, &[record(NOW), record(NOW + 11), record(NOW - 101)]);
        let error = validate_for_produce(&beyond, &rules, NOW).unwrap_err();
        assert!(matches!(error, ProduceError::InvalidTimestamps(_)));
        let found: Vec<_> = record_errors(error).iter().map(|error| error.index).collect();
        assert_eq!(found, [1, 2]);
        // With append times the producer's do not matter.
        let append = ProduceRules { timestamp_type: TimestampType::LogAppendTime, ..rules.clone() };
        let valid = validate_for_produce(&beyond, &append, NOW).unwrap();
        assert_eq!(valid.log_append_time(), Some(NOW));
        let mut applied = beyond.to_vec();
        valid.apply(&mut applied);
        assert!(read(&applied).unwrap().iter().all(|(_, record)| record.timestamp == NOW));
    }
}

#[test]
fn producers_do_not_set_append_times() {
    let mut bytes = build(Compression::None, &[record(NOW)]).to_vec();
    patch::set_log_append_time(&mut bytes, NOW);
    for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
        let rules = ProduceRules { timestamp_type, ..ProduceRules::default() };
        let error = validate_for_produce(&bytes, &rules, NOW).unwrap_err();
        assert_eq!(record_errors(error)[0].reason, RecordErrorReason::TimestampType);
    }
}

#[test]
fn a_wrong_largest_timestamp_is_mended_as_kafka_does() {
    let bytes = build(Compression::Lz4, &[record(NOW - 3), record(NOW - 1)]);
    let mut wrong = with(&bytes, 35, &(NOW + 55).to_be_bytes());
    let valid = validate(&wrong).unwrap();
    assert_eq!(valid.max_timestamp, NOW - 1);
    valid.apply(&mut wrong);
    assert_eq!(wrong, bytes);
}

#[test]
fn offset_deltas_count_from_zero() {
    // The offset delta of a record of less than 64 bytes is its fourth byte: zigzag of the index.
    let bytes = build(Compression::None, &[Record { value: None, ..record(NOW) }]);
    let wrong = with(&bytes, 64, &[2]);
    let reason = RecordErrorReason::OffsetDelta { expected: 0, found: 1 };
    assert_eq!(record_errors(validate(&wrong).unwrap_err()), [RecordError { index: 0, reason }]);
}

#[test]
fn unfolding_beyond_the_limit() {
    let large = Record { value: Some(vec![0; 1 << 20]), ..record(NOW) };
    let rules = ProduceRules { decompressed_size_max: 1 << 20, ..ProduceRules::default() };
    for codec in Compression::ALL.into_iter().skip(1) {
        let bytes = build(codec, std::slice::from_ref(&large));
        assert!(validate(&bytes).is_ok(), "{codec}");
        assert!(
            validate_for_produce(&bytes, &rules, NOW).unwrap_err().is_decompressed_too_large(),
            "{codec}"
        );
    }
}

proptest! {
    /// The streaming check of compressed records finds exactly what the check in place finds.
    #[test]
    fn both_checks_agree(
        records in records_strategy(),
        codec in codec_strategy(),
        place in any::<proptest::sample::Index>(),
        value: u8,
    ) {
        let mut plain = build(Compression::None, &records).to_vec();
        let place = 61 + place.index(plain.len() - 61);
        plain[place] = value;
        mend_crc(&mut plain);
        let packed = headwater_record::compression::compress(codec, None, &plain[61..]).unwrap();
        let mut compressed = plain[..61].to_vec();
        compressed.extend_from_slice(&packed);
        let length = compressed.len() as i32 - 12;
        compressed[8..12].copy_from_slice(&length.to_be_bytes());
        compressed[22] |= codec as u8;
        mend_crc(&mut compressed);

        let rules = ProduceRules { compacted: value % 2 == 0, timestamp_after_ms_max: 0, ..ProduceRules::default() };
        let in_place = validate_for_produce(&plain, &rules, NOW);
        let streamed = validate_for_produce(&compressed, &rules, NOW);
        match (in_place, streamed) {
            (Ok(plain), Ok(streamed)) => prop_assert_eq!(plain.max_timestamp, streamed.max_timestamp),
            (Err(ProduceError::InvalidBatch(BatchDefect::Records(BatchError::Record { index: plain, .. }))),
             Err(ProduceError::InvalidBatch(BatchDefect::Records(BatchError::Record { index: streamed, .. })))) => {
                prop_assert_eq!(plain, streamed);
            }
            (Err(plain), Err(streamed)) => prop_assert_eq!(plain, streamed),
            (plain, streamed) => prop_assert!(false, "{plain:?} against {streamed:?}"),
        }
    }
}
