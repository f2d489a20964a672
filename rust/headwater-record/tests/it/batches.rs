//! Builder and view against each other: what goes in comes out, in every codec.

use headwater_record::control::{ControlType, EndTransactionMarker};
use headwater_record::*;
use proptest::prelude::*;

use crate::model::*;

fn one(value: &str) -> Record {
    Record { timestamp: 5, key: None, value: Some(value.into()), headers: vec![] }
}

proptest! {
    #[test]
    fn round_trip(records in records_strategy(), codec in codec_strategy(), base_offset in 0i64..1 << 60) {
        let mut builder = BatchBuilder::new(codec);
        builder.set_base_offset(base_offset);
        builder.set_producer(7, 3, 11);
        builder.set_transactional(true);
        append(&mut builder, &records);
        let exact = builder.estimated_size();
        let bytes = builder.finish().unwrap();
        if codec == Compression::None {
            prop_assert_eq!(exact, bytes.len());
        }

        let batch = BatchView::new(&bytes).unwrap();
        let header = batch.header();
        let last = records.len() as i64 - 1;
        prop_assert_eq!(header.size(), bytes.len());
        prop_assert_eq!(header.last_offset(), base_offset + last);
        prop_assert_eq!(header.next_offset(), base_offset + last + 1);
        prop_assert_eq!(header.max_timestamp, records.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!(header.compression(), Ok(codec));
        prop_assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 3, 11));
        prop_assert!(header.is_transactional() && !header.is_control());
        prop_assert_eq!(header.to_bytes().to_vec(), bytes[..BATCH_OVERHEAD].to_vec());

        let read = read(&bytes).unwrap();
        for (index, (offset, record)) in read.iter().enumerate() {
            prop_assert_eq!(*offset, base_offset + index as i64);
            prop_assert_eq!(record, &records[index]);
        }
        prop_assert_eq!(read.len(), records.len());
    }

    #[test]
    fn a_copied_view_is_the_same_record(records in records_strategy()) {
        let bytes = build(Compression::None, &records);
        let mut copy = BatchBuilder::new(Compression::None);
        let mut buffer = DecompressBuffer::new();
        for record in BatchView::new(&bytes).unwrap().records(&mut buffer, LIMIT).unwrap() {
            copy.append_view(&record.unwrap()).unwrap();
        }
        prop_assert_eq!(copy.finish().unwrap(), bytes);
    }

    #[test]
    fn size_bound_holds(records in records_strategy()) {
        let mut builder = BatchBuilder::new(Compression::None);
        for record in &records {
            let before = builder.uncompressed_size();
            append(&mut builder, std::slice::from_ref(record));
            let headers: Vec<_> =
                record.headers.iter().map(|(key, value)| RecordHeader { key, value: value.as_deref() }).collect();
            let bound =
                BatchBuilder::record_size_max(record.key.as_deref(), record.value.as_deref(), &headers);
            prop_assert!(builder.uncompressed_size() - before <= bound);
        }
    }
}

#[test]
fn a_builder_is_reusable() {
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::with_capacity(codec, 1000);
        append(&mut builder, &[one("first"), one("second")]);
        let first = builder.finish().unwrap();
        assert!(builder.is_empty());
        assert_eq!(builder.finish(), Err(BuildError::Empty));
        append(&mut builder, &[one("third")]);
        let second = builder.finish().unwrap();
        assert_eq!(second, build(codec, &[one("third")]), "{codec}");
        assert_eq!(read(&first).unwrap().len(), 2);
    }
}

#[test]
fn the_walk_ends_silently_in_a_cut_batch_and_loudly_in_a_damaged_one() {
    let batch = build(Compression::None, &[one("a"), one("b")]);
    let mut buffer = [&batch[..], &batch[..]].concat();
    let length = buffer.len();
    buffer.extend_from_slice(&batch[..batch.len() - 1]);
    let mut walk = batches(&buffer);
    assert_eq!(walk.by_ref().filter(Result::is_ok).count(), 2);
    assert_eq!((walk.position(), walk.remaining().len()), (length, batch.len() - 1));

    buffer.truncate(length);
    buffer[batch.len() + 16] = 1;
    let mut walk = batches(&buffer);
    assert!(walk.next().unwrap().is_ok());
    assert_eq!(walk.next().unwrap().unwrap_err(), BatchError::UnsupportedMagic { magic: 1 });
    assert!(walk.next().is_none());
    assert_eq!(walk.position(), batch.len());
}

#[test]
fn old_formats_are_named_even_when_shorter_than_a_header() {
    for magic in [0u8, 1, 3] {
        let mut message = [0u8; 30];
        message[16] = magic;
        assert_eq!(BatchHeader::parse(&message), Err(BatchError::UnsupportedMagic { magic: magic as i8 }));
    }
    assert_eq!(BatchHeader::parse(&[0; 16]), Err(BatchError::Incomplete { needed: 61, available: 16 }));
}

#[test]
fn patches_keep_the_crc_right() {
    let records = [one("a"), Record { timestamp: 9, ..one("b") }];
    let mut batch = build(Compression::Lz4, &records).to_vec();
    patch::set_base_offset(&mut batch, 1000);
    patch::set_leader_epoch(&mut batch, 6);
    let view = BatchView::new(&batch).unwrap();
    view.verify_crc().unwrap();
    assert_eq!((view.header().base_offset, view.header().partition_leader_epoch), (1000, 6));

    patch::set_producer(&mut batch, 1, 2, i32::MAX);
    patch::set_log_append_time(&mut batch, 777);
    let timestamps: Vec<_> = read(&batch).unwrap().iter().map(|(_, record)| record.timestamp).collect();
    assert_eq!(timestamps, [777, 777]);
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!((header.base_sequence, header.last_sequence()), (i32::MAX, 0));

    patch::set_delete_horizon(&mut batch, 4242);
    assert_eq!(BatchView::new(&batch).unwrap().header().delete_horizon_ms(), Some(4242));
    BatchView::new(&batch).unwrap().verify_crc().unwrap();
}

#[test]
fn markers() {
    for commit in [true, false] {
        let marker = EndTransactionMarker { commit, coordinator_epoch: 12 };
        let bytes = marker.to_batch(99, 5, 1).unwrap();
        let batch = BatchView::new(&bytes).unwrap();
        assert!(batch.header().is_control() && batch.header().is_transactional());
        let mut buffer = DecompressBuffer::new();
        let record = batch.records(&mut buffer, LIMIT).unwrap().next().unwrap().unwrap();
        assert_eq!(EndTransactionMarker::decode(&record), Ok(Some(marker)));
        let short = RecordView { value: Some(&[0, 0]), ..record };
        assert!(EndTransactionMarker::decode(&short).is_err());
        let other = RecordView { key: Some(&[0, 0, 0, 2]), ..record };
        assert_eq!(EndTransactionMarker::decode(&other), Ok(None));
    }
    assert_eq!(ControlType::from_key(&[0, 0, 0, 77]), Ok(ControlType::Unknown(77)));
    assert!(ControlType::from_key(&[0xff, 0xff, 0, 0]).is_err());
}

#[test]
fn counts_that_do_not_fit_the_bytes() {
    let batch = build(Compression::None, &[one("a"), one("b")]);
    let with_count = |count: i32| {
        let mut bytes = batch.to_vec();
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        mend_crc(&mut bytes);
        read(&bytes).unwrap_err()
    };
    assert_eq!(with_count(i32::MAX), BatchError::RecordCount { record_count: i32::MAX });
    assert_eq!(with_count(-1), BatchError::RecordCount { record_count: -1 });
    assert!(matches!(with_count(1), BatchError::Record { index: 1, defect: RecordDefect::TrailingBytes }));
    let mut bytes = batch.to_vec();
    bytes[60] = 2;
    bytes[20] ^= 1;
    assert!(matches!(read(&bytes), Err(BatchError::Crc { .. })));
}

#[test]
fn iteration_can_pause_anywhere() {
    let bytes = build(Compression::None, &[one("a"), one("bb"), one("ccc")]);
    let batch = BatchView::new(&bytes).unwrap();
    let whole: Vec<_> = RecordIter::new(batch.header(), batch.encoded_records()).unwrap().collect();
    for pause in 0..=whole.len() {
        let mut first = RecordIter::new(batch.header(), batch.encoded_records()).unwrap();
        let mut parts: Vec<_> = first.by_ref().take(pause).collect();
        let position = first.mark();
        parts.extend(RecordIter::resume(batch.header(), batch.encoded_records(), position).unwrap());
        assert_eq!(parts, whole);
    }
}
