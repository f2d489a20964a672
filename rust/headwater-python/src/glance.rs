//! A look at a topic, wherever it lies: bounds of its partitions, and a few of its records. For `headwater._topic`.
//!
//! Reads through the sources of scans, so that a broker of this process is read in place and a stopped one's directory can
//! be looked at too. No group, no position, nothing is committed.

use crate::errors::IntoPyErr;
use crate::record::{Deserializers, Record, decode};
use crate::sources::{self, ReadConfig, python_interrupt};
use crate::wait::without_gil;
use headwater_arrow::source::{PartitionSource, RawBatches};
use headwater_arrow::{BytesLayout, Interrupt};
use headwater_client::{ClientError, FetchedPartition};
use headwater_record::{BatchError, batches};
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes asked for at once: a look is short, and a whole batch comes in any case.
const READ_BYTES: usize = 64 << 10;

/// `(partition, first offset, offset after the last record)` of every partition, by number.
#[pyfunction]
pub(crate) fn partition_bounds(topic: &str, target: &Bound<'_, PyAny>) -> PyResult<Vec<(i32, i64, i64)>> {
    let py = target.py();
    let interrupt = python_interrupt();
    let sources = sources::open(target, topic, BytesLayout::Binary, &ReadConfig::default(), &interrupt)?;
    let bounds = without_gil(py, || {
        let ask = |mut source: Box<dyn PartitionSource>| {
            let bounds = source.bounds(&*interrupt)?;
            Ok((source.partition(), bounds.start, bounds.end))
        };
        sources.into_iter().map(ask).collect::<Result<Vec<_>, headwater_arrow::SourceError>>()
    });
    bounds.map_err(|error| error.into_py_err(py))
}

/// Of each partition the first `limit` records between two offsets, in order.
#[pyfunction]
pub(crate) fn read_records(
    topic: &str,
    target: &Bound<'_, PyAny>,
    ranges: BTreeMap<i32, (i64, i64)>,
    limit: usize,
) -> PyResult<BTreeMap<i32, Vec<Py<Record>>>> {
    let interrupt = python_interrupt();
    let sources = sources::open(target, topic, BytesLayout::Binary, &ReadConfig::default(), &interrupt)?;
    let mut found = BTreeMap::new();
    for mut source in sources {
        if let Some((start, end)) = ranges.get(&source.partition()) {
            let records = read(target.py(), &mut *source, *start, *end, limit, &*interrupt)?;
            found.insert(source.partition(), records);
        }
    }
    Ok(found)
}

fn read(
    py: Python<'_>,
    source: &mut dyn PartitionSource,
    start: i64,
    end: i64,
    limit: usize,
    interrupt: &dyn Interrupt,
) -> PyResult<Vec<Py<Record>>> {
    let (topic, partition) = (Arc::clone(source.topic()), source.partition());
    let name = PyString::new(py, &topic).unbind();
    let mut records = Vec::new();
    let mut next = start;
    while next < end && records.len() < limit {
        let raw = without_gil(py, || source.read(next, READ_BYTES, interrupt));
        let raw = raw.map_err(|error| error.into_py_err(py))?;
        let (whole, after) = check(&raw, next).map_err(|(offset, reason)| {
            let reason = reason.to_string();
            ClientError::CorruptBatch { topic: Arc::clone(&topic), partition, offset, reason }.into_py_err(py)
        })?;
        // As many offsets as records are wanted hold at most as many records.
        let wanted = i64::try_from(limit - records.len()).unwrap_or(i64::MAX);
        let until = after.min(end).min(next.saturating_add(wanted));
        let bytes = raw.bytes.slice(..whole);
        let fetched = FetchedPartition::from_batches(Arc::clone(&topic), partition, bytes, next, until);
        decode(py, &fetched, &name, &Deserializers::default(), &mut records)?;
        next = until;
    }
    Ok(records)
}

/// The length of the whole batches, and the offset after them; or the offset of a batch that is damaged.
fn check(raw: &RawBatches, from: i64) -> Result<(usize, i64), (i64, BatchError)> {
    let mut after = raw.end_offset.unwrap_or(from);
    let mut walk = batches(&raw.bytes);
    for view in walk.by_ref() {
        let view = view.map_err(|error| (after.max(from), error))?;
        if !raw.verified {
            view.verify_crc().map_err(|error| (view.header().base_offset, error))?;
        }
        after = after.max(view.header().last_offset() + 1);
    }
    if after > from {
        return Ok((walk.position(), after));
    }
    let available = raw.bytes.len();
    Err((from, BatchError::Incomplete { needed: available + 1, available }))
}
