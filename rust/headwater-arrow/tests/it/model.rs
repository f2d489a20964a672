//! Partitions as plain rows, as bytes, and as what came out of Arrow.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use headwater_arrow::source::{MemorySource, PartitionSource};
use headwater_record::{BatchBuilder, Compression, RecordHeader, patch};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) type Header = (String, Option<Vec<u8>>);

/// One row, as far as it was projected.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
    pub(crate) offset: Option<i64>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) timestamp_type: Option<i32>,
    pub(crate) key: Option<Option<Vec<u8>>>,
    pub(crate) value: Option<Option<Vec<u8>>>,
    pub(crate) headers: Option<Vec<Header>>,
}

/// Timestamp, key, value, headers.
pub(crate) type Record = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<Header>);

/// One Kafka batch.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) codec: Compression,
    pub(crate) append_time: Option<i64>,
    pub(crate) gap: i64,
    pub(crate) records: Vec<Record>,
}

pub(crate) fn batch_strategy() -> impl Strategy<Value = Batch> {
    // Around the 12 bytes that fit into a view.
    let bytes = || option::of(vec(any::<u8>(), 0..30));
    let record = (0i64..1_000_000, bytes(), bytes(), vec(("[a-b]{0,2}", bytes()), 0..3));
    let codec = proptest::sample::select(Compression::ALL.to_vec());
    (codec, option::of(0i64..1_000_000), 0i64..3, vec(record, 1..12))
        .prop_map(|(codec, append_time, gap, records)| Batch { codec, append_time, gap, records })
}

/// The bytes of a partition that begins at `first_offset`, and its rows.
pub(crate) fn partition(topic: &str, number: i32, first_offset: i64, batches: &[Batch]) -> (Bytes, Vec<Row>) {
    let (mut bytes, mut rows, mut offset) = (Vec::new(), Vec::new(), first_offset);
    for batch in batches {
        offset += batch.gap;
        let mut builder = BatchBuilder::new(batch.codec);
        builder.set_base_offset(offset);
        for (timestamp, key, value, headers) in &batch.records {
            let written: Vec<_> =
                headers.iter().map(|(key, value)| RecordHeader { key, value: value.as_deref() }).collect();
            builder.append(*timestamp, key.as_deref(), value.as_deref(), &written).unwrap();
            rows.push(Row {
                topic: Some(topic.to_owned()),
                partition: Some(number),
                offset: Some(offset),
                timestamp: Some(batch.append_time.unwrap_or(*timestamp)),
                timestamp_type: Some(batch.append_time.is_some() as i32),
                key: Some(key.clone()),
                value: Some(value.clone()),
                headers: Some(headers.clone()),
            });
            offset += 1;
        }
        let mut built = builder.finish().unwrap().to_vec();
        if let Some(time) = batch.append_time {
            patch::set_log_append_time(&mut built, time);
        }
        bytes.extend_from_slice(&built);
    }
    (Bytes::from(bytes), rows)
}

/// A simple batch: values `prefix0`, `prefix1`, …, timestamps from `timestamp` on.
pub(crate) fn simple(prefix: &str, count: usize, timestamp: i64, codec: Compression) -> Batch {
    let record = |index: usize| {
        let value = format!("{prefix}{index}").into_bytes();
        (timestamp + index as i64, Some(format!("k{}", index % 3).into_bytes()), Some(value), vec![])
    };
    Batch { codec, append_time: None, gap: 0, records: (0..count).map(record).collect() }
}

pub(crate) fn source(topic: &str, number: i32, bytes: &Bytes) -> Box<dyn PartitionSource> {
    Box::new(MemorySource::new(topic, number, bytes.clone()))
}

fn binary(array: &dyn Array, row: usize) -> Option<Vec<u8>> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.as_binary_opt::<i32>() {
        Some(array) => array.value(row).to_vec(),
        None => array.as_binary_view().value(row).to_vec(),
    })
}

/// The rows of a batch.
pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| batch.column_by_name(name);
    let headers = |row: usize| {
        let list = column("headers")?.as_list::<i32>().value(row);
        let (keys, values) = (list.as_struct().column(0).as_string::<i32>(), list.as_struct().column(1));
        Some((0..list.len()).map(|at| (keys.value(at).to_owned(), binary(values, at))).collect())
    };
    let row = |row: usize| Row {
        topic: column("topic").map(|array| array.as_string::<i32>().value(row).to_owned()),
        partition: column("partition").map(|array| array.as_primitive::<Int32Type>().value(row)),
        offset: column("offset").map(|array| array.as_primitive::<Int64Type>().value(row)),
        timestamp: column("timestamp")
            .map(|array| array.as_primitive::<TimestampMillisecondType>().value(row)),
        timestamp_type: column("timestamp_type").map(|array| array.as_primitive::<Int32Type>().value(row)),
        key: column("key").map(|array| binary(array, row)),
        value: column("value").map(|array| binary(array, row)),
        headers: headers(row),
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The row with only the columns of these names.
pub(crate) fn project(row: &Row, names: &[&str]) -> Row {
    let has = |name| names.contains(&name);
    Row {
        topic: row.topic.clone().filter(|_| has("topic")),
        partition: row.partition.filter(|_| has("partition")),
        offset: row.offset.filter(|_| has("offset")),
        timestamp: row.timestamp.filter(|_| has("timestamp")),
        timestamp_type: row.timestamp_type.filter(|_| has("timestamp_type")),
        key: row.key.clone().filter(|_| has("key")),
        value: row.value.clone().filter(|_| has("value")),
        headers: row.headers.clone().filter(|_| has("headers")),
    }
}
