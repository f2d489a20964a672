//! Records as plain owned values, and how to make and read them.

use bytes::Bytes;
use headwater_record::{BatchBuilder, BatchError, BatchView, Compression, DecompressBuffer, RecordHeader};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) const LIMIT: usize = 64 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

pub(crate) fn bytes_strategy() -> impl Strategy<Value = Vec<u8>> {
    // Repetitive as well as random, so that codecs find something to do.
    prop_oneof![
        vec(any::<u8>(), 0..80),
        (any::<u8>(), 0usize..300).prop_map(|(byte, count)| vec![byte; count])
    ]
}

pub(crate) fn record_strategy() -> impl Strategy<Value = Record> {
    let header = ("[a-c]{0,3}|ключ", option::of(bytes_strategy()));
    (0i64..4_000_000_000_000, option::of(bytes_strategy()), option::of(bytes_strategy()), vec(header, 0..4))
        .prop_map(|(timestamp, key, value, headers)| Record { timestamp, key, value, headers })
}

pub(crate) fn records_strategy() -> impl Strategy<Value = Vec<Record>> {
    vec(record_strategy(), 1..30)
}

pub(crate) fn codec_strategy() -> impl Strategy<Value = Compression> {
    proptest::sample::select(Compression::ALL.to_vec())
}

pub(crate) fn append(builder: &mut BatchBuilder, records: &[Record]) {
    for record in records {
        let headers: Vec<_> =
            record.headers.iter().map(|(key, value)| RecordHeader { key, value: value.as_deref() }).collect();
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers).unwrap();
    }
}

pub(crate) fn build(codec: Compression, records: &[Record]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    append(&mut builder, records);
    builder.finish().unwrap()
}

/// Offsets and records of the batch.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<(i64, Record)>, BatchError> {
    let batch = BatchView::new(bytes)?;
    batch.verify_crc()?;
    let mut buffer = DecompressBuffer::new();
    batch
        .records(&mut buffer, LIMIT)?
        .map(|record| {
            let record = record?;
            let headers = record
                .headers
                .iter()
                .map(|header| (header.key_str().unwrap().to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect();
            let owned = Record {
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers,
            };
            Ok((record.offset, owned))
        })
        .collect()
}

/// Writes the CRC that fits the bytes, so that what lies behind it is reached.
pub(crate) fn mend_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
