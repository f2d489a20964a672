//! Against the crates `kafka-protocol` (records, both directions, every codec) and `crc32c`.
//!
//! `kafka-protocol` keeps headers in a map, so duplicates are dropped before the comparison; that ours are
//! kept is shown where ours reads ours.

use bytes::{Bytes, BytesMut};
use headwater_record::*;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as theirs;
use proptest::prelude::*;

use crate::model::*;

fn their_codec(codec: Compression) -> theirs::Compression {
    match codec {
        Compression::None => theirs::Compression::None,
        Compression::Gzip => theirs::Compression::Gzip,
        Compression::Snappy => theirs::Compression::Snappy,
        Compression::Lz4 => theirs::Compression::Lz4,
        Compression::Zstd => theirs::Compression::Zstd,
    }
}

fn their_record(offset: i64, record: &Record) -> theirs::Record {
    theirs::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 4,
        producer_id: 21,
        producer_epoch: 2,
        timestamp_type: theirs::TimestampType::Creation,
        offset,
        sequence: 100 + offset as i32,
        timestamp: record.timestamp,
        key: record.key.clone().map(Bytes::from),
        value: record.value.clone().map(Bytes::from),
        headers: record
            .headers
            .iter()
            .map(|(key, value)| (StrBytes::from_string(key.clone()), value.clone().map(Bytes::from)))
            .collect(),
    }
}

fn without_duplicates(mut record: Record) -> Record {
    let mut kept: Vec<(String, Option<Vec<u8>>)> = Vec::new();
    for (key, value) in record.headers {
        match kept.iter_mut().find(|(other, _)| *other == key) {
            Some((_, last)) => *last = value,
            None => kept.push((key, value)),
        }
    }
    record.headers = kept;
    record
}

proptest! {
    #[test]
    fn they_read_ours(records in records_strategy(), codec in codec_strategy()) {
        let mut builder = BatchBuilder::new(codec);
        builder.set_producer(21, 2, 100);
        builder.set_leader_epoch(4);
        append(&mut builder, &records);
        let mut bytes = builder.finish().unwrap();
        let decoded = theirs::RecordBatchDecoder::decode(&mut bytes).unwrap();
        let expected: Vec<_> =
            records.iter().enumerate().map(|(index, record)| their_record(index as i64, record)).collect();
        prop_assert_eq!(decoded.records, expected);
    }

    #[test]
    fn we_read_theirs(records in records_strategy(), codec in codec_strategy()) {
        let records: Vec<_> = records.into_iter().map(without_duplicates).collect();
        let foreign: Vec<_> =
            records.iter().enumerate().map(|(index, record)| their_record(index as i64, record)).collect();
        let mut bytes = BytesMut::new();
        let options = theirs::RecordEncodeOptions { version: 2, compression: their_codec(codec) };
        theirs::RecordBatchEncoder::encode(&mut bytes, &foreign, &options).unwrap();
        let ours = read(&bytes).unwrap();
        let header = BatchHeader::parse(&bytes).unwrap();
        prop_assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (21, 2, 100));
        prop_assert_eq!(header.size(), bytes.len());
        prop_assert_eq!(ours.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), records);
    }

    #[test]
    fn crc(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(crc32c(&bytes), ::crc32c::crc32c(&bytes));
    }
}
