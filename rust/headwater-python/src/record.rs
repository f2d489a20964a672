//! `Record`: a place in a batch until somebody looks at it.
//!
//! A record holds a count on its batch and four numbers; bytes objects are made when an attribute is read. The batch is a
//! copy of its own (decompressed where needed), so that one kept record keeps one batch alive and not a whole fetch.

use crate::display;
use crate::errors::IntoPyErr;
use bytes::Bytes;
use headwater_client::FetchedPartition;
use headwater_record::{BatchHeader, Compression, RecordView, TopicPartition};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};
use std::sync::Arc;

/// A field that is absent.
const NULL: (u32, u32) = (u32::MAX, 0);

/// One record, as a consumer reads it.
#[pyclass(frozen, module = "headwater")]
pub(crate) struct Record {
    batch: Arc<Batch>,
    #[pyo3(get)]
    offset: i64,
    #[pyo3(get)]
    timestamp: i64,
    key: Field,
    value: Field,
    headers: Option<Box<[Header]>>,
}

/// What the records of a batch share.
struct Batch {
    data: Bytes,
    topic: Py<PyString>,
    partition: i32,
    leader_epoch: Option<i32>,
    timestamp_type: i32,
}

/// Bytes in the batch, or what a deserializer made of them.
enum Field {
    Raw(u32, u32),
    Made(Py<PyAny>),
}

struct Header {
    name: (u32, u32),
    value: (u32, u32),
}

impl Batch {
    fn new(
        py: Python<'_>,
        partition: i32,
        topic: &Py<PyString>,
        header: &BatchHeader,
        block: &Bytes,
    ) -> Self {
        let data = match header.compression() {
            // Decompressed into memory of its own already; otherwise it is a slice of the whole fetch.
            Ok(codec) if codec != Compression::None => block.clone(),
            _ => Bytes::copy_from_slice(block),
        };
        Self {
            data,
            topic: topic.clone_ref(py),
            partition,
            leader_epoch: header.leader_epoch(),
            timestamp_type: header.timestamp_type() as i32,
        }
    }

    fn bytes<'py>(&self, py: Python<'py>, (start, length): (u32, u32)) -> Option<Bound<'py, PyBytes>> {
        self.slice((start, length)).map(|bytes| PyBytes::new(py, bytes))
    }

    fn slice(&self, (start, length): (u32, u32)) -> Option<&[u8]> {
        if start == NULL.0 { None } else { self.data.get(start as usize..start as usize + length as usize) }
    }
}

impl Field {
    fn get<'py>(&self, py: Python<'py>, batch: &Batch) -> Option<Bound<'py, PyAny>> {
        match self {
            Self::Raw(start, length) => batch.bytes(py, (*start, *length)).map(Bound::into_any),
            Self::Made(object) => Some(object.bind(py).clone()),
        }
    }
}

#[pymethods]
impl Record {
    #[getter]
    fn topic(&self, py: Python<'_>) -> Py<PyString> {
        self.batch.topic.clone_ref(py)
    }

    #[getter]
    fn partition(&self) -> i32 {
        self.batch.partition
    }

    #[getter]
    fn leader_epoch(&self) -> Option<i32> {
        self.batch.leader_epoch
    }

    #[getter]
    fn timestamp_type(&self) -> i32 {
        self.batch.timestamp_type
    }

    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.key.get(py, &self.batch)
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.value.get(py, &self.batch)
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let headers = self.headers.iter().flatten().map(|header| {
            let name = String::from_utf8_lossy(self.batch.slice(header.name).unwrap_or_default());
            (PyString::new(py, &name), self.batch.bytes(py, header.value))
        });
        PyList::new(py, headers.collect::<Vec<_>>())
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        display::html(slf.as_any(), "record")
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let show = |field: &Field| match field.get(py, &self.batch) {
            None => Ok("None".to_owned()),
            Some(object) => object.repr().map(|text| shortened(&text.to_string())),
        };
        Ok(format!(
            "Record(topic={}, partition={}, offset={}, timestamp={}, key={}, value={})",
            self.batch.topic.bind(py).repr()?,
            self.batch.partition,
            self.offset,
            self.timestamp,
            show(&self.key)?,
            show(&self.value)?
        ))
    }
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain("…".chars()).collect()
}

impl Record {
    /// Partition and offset.
    pub(crate) fn place(&self, py: Python<'_>) -> (TopicPartition, i64) {
        let topic = self.batch.topic.bind(py).to_string_lossy().into_owned();
        (TopicPartition { topic: topic.into(), partition: self.batch.partition }, self.offset)
    }
}

/// What turns bytes into objects; none leaves them bytes.
#[derive(Default)]
pub(crate) struct Deserializers {
    pub(crate) key: Option<Py<PyAny>>,
    pub(crate) value: Option<Py<PyAny>>,
}

impl Deserializers {
    fn field(
        &self,
        py: Python<'_>,
        with: Option<&Py<PyAny>>,
        batch: &Batch,
        at: (u32, u32),
        what: (&str, i64),
    ) -> PyResult<Field> {
        match (with, batch.bytes(py, at)) {
            (Some(with), Some(bytes)) => match with.bind(py).call1((bytes,)) {
                Ok(made) => Ok(Field::Made(made.unbind())),
                Err(error) => Err(noted(py, error, batch, what)),
            },
            _ => Ok(Field::Raw(at.0, at.1)),
        }
    }
}

/// The exception of a deserializer, with a note (where Python has them, from 3.11 on) that names the record.
fn noted(py: Python<'_>, error: PyErr, batch: &Batch, (part, offset): (&str, i64)) -> PyErr {
    let place = format!("{}-{}", batch.topic.bind(py), batch.partition);
    let next = offset + 1;
    let note = format!(
        "the {part}_deserializer failed on the record at offset {offset} of {place}; seek to {next} to pass it, or read \
         without the deserializer"
    );
    // Before 3.11 there are no notes; the exception itself is what matters.
    error.value(py).call_method1("add_note", (note,)).ok();
    error
}

/// Makes the records of what was fetched from one partition.
pub(crate) fn decode(
    py: Python<'_>,
    fetched: &FetchedPartition,
    topic: &Py<PyString>,
    with: &Deserializers,
    into: &mut Vec<Py<Record>>,
) -> PyResult<()> {
    let mut current: Option<(i64, Arc<Batch>)> = None;
    let mut cursor = fetched.records();
    loop {
        let Some(found) = cursor.next_record().map_err(|error| error.into_py_err(py))?.map(Found::new) else {
            return Ok(());
        };
        let Some((header, block)) = cursor.batch_header().zip(cursor.block()) else { return Ok(()) };
        let batch = match &current {
            Some((base_offset, batch)) if *base_offset == header.base_offset => Arc::clone(batch),
            _ => {
                let batch = Arc::new(Batch::new(py, fetched.partition, topic, header, block));
                current = Some((header.base_offset, Arc::clone(&batch)));
                batch
            }
        };
        into.push(Py::new(py, found.record(py, batch, block.as_ptr() as usize, with)?)?);
    }
}

/// Where a field lies in memory: address and length.
type Address = Option<(usize, usize)>;

/// A record while the cursor is about to move on: numbers only.
struct Found {
    offset: i64,
    timestamp: i64,
    key: Address,
    value: Address,
    headers: Vec<(Address, Address)>,
}

impl Found {
    fn new(record: RecordView<'_>) -> Self {
        let address = |part: Option<&[u8]>| part.map(|part| (part.as_ptr() as usize, part.len()));
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            key: address(record.key),
            value: address(record.value),
            headers: record
                .headers
                .iter()
                .map(|header| (address(Some(header.key)), address(header.value)))
                .collect(),
        }
    }

    /// The record, its fields as places in `batch`, whose bytes are those at `block`.
    fn record(
        self,
        py: Python<'_>,
        batch: Arc<Batch>,
        block: usize,
        with: &Deserializers,
    ) -> PyResult<Record> {
        let place = |at: Address| at.map_or(NULL, |(start, length)| ((start - block) as u32, length as u32));
        let header = |(name, value): (Address, Address)| Header { name: place(name), value: place(value) };
        Ok(Record {
            offset: self.offset,
            timestamp: self.timestamp,
            key: with.field(py, with.key.as_ref(), &batch, place(self.key), ("key", self.offset))?,
            value: with.field(py, with.value.as_ref(), &batch, place(self.value), ("value", self.offset))?,
            headers: (!self.headers.is_empty()).then(|| self.headers.into_iter().map(header).collect()),
            batch,
        })
    }
}
