//! Arrow data as records of topics: the way back of a scan.
//!
//! ```text
//!  RecordBatchReader ──> Plan: which column is the key, the value, … ──> one set of column readers per batch
//!                                                                            └─ row by row, borrowed ─> RecordSink
//! ```
//!
//! Nothing is allocated per row: keys, values and headers are borrowed from the batch, JSON is written into one
//! buffer that every row uses again. The plan is checked before the first row; what only a row can show (a null
//! topic, a negative timestamp, a partition that does not exist) ends the sending with an error that names the row,
//! and the rows before it stay sent.
//!
//! Deliberately absent: waiting, delivery reports and partitioners (the [`RecordSink`] has them), and casts of keys
//! and values: bytes that a program did not write itself would surprise whoever reads the topic.

mod bytes;
mod error;
mod headers;
mod json;
mod numbers;
mod plan;
mod topics;

#[cfg(test)]
mod tests;

pub use error::{PlanError, RowProblem, SendError, rows_before};
pub use plan::{SendColumns, ValueFormat};

use arrow_array::{RecordBatch, RecordBatchReader};
use headwater_client::{ProduceRecord, RecordHeader};

use plan::Plan;
use topics::Topics;

/// After so many rows at the latest the sink is asked whether to go on.
const ROWS_BETWEEN_CHECKS: usize = 4_096;

/// Takes the records, in order.
pub trait RecordSink {
    /// A topic, looked up once per name.
    type Topic;
    /// Why a record was not taken.
    type Error;

    /// Looks a topic up.
    ///
    /// # Errors
    /// The sink's own: the name is not one of a topic.
    fn topic(&mut self, name: &str) -> Result<Self::Topic, Self::Error>;

    /// Takes one record, waiting for room if there is none.
    ///
    /// # Errors
    /// The sink's own; sending ends, and this record counts as not sent.
    fn send(&mut self, topic: &Self::Topic, record: &ProduceRecord<'_>) -> Result<(), Self::Error>;

    /// Called every few thousand rows.
    ///
    /// # Errors
    /// The sink's own reason to stop.
    fn check(&mut self) -> Result<(), Self::Error>;
}

/// Sends every row of `data` as one record; returns how many.
///
/// # Errors
/// [`SendError::Plan`] before anything is sent. Every other error names its row, the first being 0; the rows before it
/// were handed to the sink, that row and those after it were not.
pub fn send<S: RecordSink>(
    data: impl RecordBatchReader,
    columns: &SendColumns,
    sink: &mut S,
) -> Result<u64, SendError<S::Error>> {
    let plan = Plan::new(&data.schema(), columns)?;
    let mut topics = match &columns.topic {
        Some(name) => Topics::One(sink.topic(name).map_err(|source| SendError::Sink { row: 0, source })?),
        None => Topics::named_by_rows(),
    };
    let mut sent = 0;
    for batch in data {
        let batch = batch.map_err(|source| SendError::Data { row: sent, source })?;
        send_batch(&plan, &batch, &mut topics, sink, &mut sent)?;
        sink.check().map_err(|source| SendError::Sink { row: sent, source })?;
    }
    Ok(sent)
}

fn send_batch<S: RecordSink>(
    plan: &Plan,
    batch: &RecordBatch,
    topics: &mut Topics<S::Topic>,
    sink: &mut S,
    sent: &mut u64,
) -> Result<(), SendError<S::Error>> {
    let readers = plan.readers(batch).map_err(|source| SendError::Data { row: *sent, source })?;
    let mut value = readers.value().map_err(|source| SendError::Data { row: *sent, source })?;
    let mut headers: Vec<RecordHeader<'_>> = Vec::new();
    for row in 0..batch.num_rows() {
        if row % ROWS_BETWEEN_CHECKS == ROWS_BETWEEN_CHECKS - 1 {
            sink.check().map_err(|source| SendError::Sink { row: *sent, source })?;
        }
        let wrong = |problem| SendError::Row { row: *sent, problem };
        let topic = topics.of(readers.topic(row), sink).map_err(|error| error.at(*sent))?;
        readers.headers(row, &mut headers).map_err(wrong)?;
        let record = ProduceRecord {
            partition: readers.partition(row).map_err(wrong)?,
            timestamp: readers.timestamp(row).map_err(wrong)?,
            key: readers.key(row),
            value: value.of(row).map_err(wrong)?,
            headers: &headers,
            token: None,
        };
        sink.send(topic, &record).map_err(|source| SendError::Sink { row: *sent, source })?;
        *sent += 1;
    }
    Ok(())
}
