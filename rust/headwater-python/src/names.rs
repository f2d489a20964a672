//! The small tuples of `headwater._types`, made and read.

use crate::errors::misuse;
use crate::record::Record;
use headwater_client::{OffsetAndMetadata, OffsetAndTimestamp};
use headwater_record::TopicPartition;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyType};
use std::collections::BTreeMap;

static TOPIC_PARTITION: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static OFFSET_AND_METADATA: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static OFFSET_AND_TIMESTAMP: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static MEMBERSHIP: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static RECORDS: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `TopicPartition(topic, partition)`.
pub(crate) fn topic_partition<'py>(py: Python<'py>, of: &TopicPartition) -> PyResult<Bound<'py, PyAny>> {
    TOPIC_PARTITION.import(py, "headwater._types", "TopicPartition")?.call1((&*of.topic, of.partition))
}

/// `OffsetAndMetadata(offset, metadata, leader_epoch)`.
pub(crate) fn offset_and_metadata<'py>(
    py: Python<'py>,
    of: &OffsetAndMetadata,
) -> PyResult<Bound<'py, PyAny>> {
    let class = OFFSET_AND_METADATA.import(py, "headwater._types", "OffsetAndMetadata")?;
    class.call1((of.offset, &of.metadata, of.leader_epoch))
}

/// `OffsetAndTimestamp(offset, timestamp, leader_epoch)`.
pub(crate) fn offset_and_timestamp<'py>(
    py: Python<'py>,
    of: &OffsetAndTimestamp,
) -> PyResult<Bound<'py, PyAny>> {
    OFFSET_AND_TIMESTAMP.import(py, "headwater._types", "OffsetAndTimestamp")?.call1((
        of.offset,
        of.timestamp,
        of.leader_epoch,
    ))
}

/// `GroupMembership(member_id, generation)`.
pub(crate) fn membership(py: Python<'_>, of: (String, i32)) -> PyResult<Bound<'_, PyAny>> {
    MEMBERSHIP.import(py, "headwater._types", "GroupMembership")?.call1(of)
}

/// `Records`, the list that a notebook shows as a table.
pub(crate) fn records(py: Python<'_>, records: Vec<Py<Record>>) -> PyResult<Bound<'_, PyAny>> {
    RECORDS.import(py, "headwater._types", "Records")?.call1((PyList::new(py, records)?,))
}

/// A tuple of `headwater._types` by the name of its class; for answers that come one at a time.
pub(crate) fn make<'py>(
    py: Python<'py>,
    class: &str,
    fields: impl pyo3::call::PyCallArgs<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    py.import("headwater._types")?.getattr(class)?.call1(fields)
}

/// One `(topic, partition)`.
pub(crate) fn read_partition(value: &Bound<'_, PyAny>) -> PyResult<TopicPartition> {
    let (topic, partition): (String, i32) = value.extract().map_err(|_| {
        misuse(value.py(), &format!("expected a TopicPartition or (topic, partition), got {value}"))
    })?;
    Ok(TopicPartition { topic: topic.into(), partition })
}

/// Several of them.
pub(crate) fn read_partitions(values: &Bound<'_, PyAny>) -> PyResult<Vec<TopicPartition>> {
    values.try_iter()?.map(|value| read_partition(&value?)).collect()
}

/// `{partition: offset or OffsetAndMetadata}`.
pub(crate) fn read_offsets(
    values: &Bound<'_, PyDict>,
) -> PyResult<BTreeMap<TopicPartition, OffsetAndMetadata>> {
    values.iter().map(|(key, value)| Ok((read_partition(&key)?, read_offset(&value)?))).collect()
}

fn read_offset(value: &Bound<'_, PyAny>) -> PyResult<OffsetAndMetadata> {
    if let Ok(offset) = value.extract::<i64>() {
        return Ok(OffsetAndMetadata { offset, leader_epoch: None, metadata: String::new() });
    }
    let (offset, metadata, leader_epoch) = value.extract().map_err(|_| {
        misuse(value.py(), &format!("expected an offset (int) or an OffsetAndMetadata, got {value}"))
    })?;
    Ok(OffsetAndMetadata { offset, leader_epoch, metadata })
}

/// A dict by partition.
pub(crate) fn by_partition<'py, V>(
    py: Python<'py>,
    items: impl IntoIterator<Item = (TopicPartition, V)>,
    make: impl Fn(V) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (partition, value) in items {
        dict.set_item(topic_partition(py, &partition)?, make(value)?)?;
    }
    Ok(dict)
}
