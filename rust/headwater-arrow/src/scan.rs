//! A whole scan as a stream of Arrow batches.

use std::vec;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};

use crate::source::PartitionSource;
use crate::{PartitionScan, ScanError, ScanPlan};

/// Reads partition after partition; a batch never mixes two of them.
///
/// Lazy: nothing is read before the first batch is asked for, which then takes the bounds of every partition, so
/// that later ones do not see more than earlier ones. Ends after the first error. Fits
/// `FFI_ArrowArrayStream::new(Box::new(scan))`.
pub struct Scan {
    plan: ScanPlan,
    state: State,
}

enum State {
    Planned(Vec<Box<dyn PartitionSource>>),
    Reading(Box<PartitionScan>, vec::IntoIter<PartitionScan>),
    Finished,
}

impl Scan {
    /// Scans `sources`, the partitions of one topic, as `plan` says.
    ///
    /// # Errors
    /// [`ScanError::UnknownPartitions`] when the plan names partitions that are not among the sources.
    pub fn new(plan: ScanPlan, sources: Vec<Box<dyn PartitionSource>>) -> Result<Scan, ScanError> {
        let chosen =
            plan.choose(sources).map_err(|partitions| ScanError::UnknownPartitions { partitions })?;
        Ok(Scan { plan, state: State::Planned(chosen) })
    }

    /// The next batch, `None` at the end. Blocking.
    ///
    /// # Errors
    /// [`ScanError`].
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, ScanError> {
        let state = std::mem::replace(&mut self.state, State::Finished);
        let (mut current, mut rest) = match state {
            State::Finished => return Ok(None),
            State::Reading(current, rest) => (*current, rest),
            State::Planned(sources) => {
                let mut begun = begin_all(&self.plan, sources)?.into_iter();
                let Some(first) = begun.next() else { return Ok(None) };
                (first, begun)
            }
        };
        loop {
            if let Some(batch) = current.next_batch()? {
                self.state = State::Reading(Box::new(current), rest);
                return Ok(Some(batch));
            }
            let Some(next) = rest.next() else { return Ok(None) };
            current = next;
        }
    }
}

/// Takes the bounds of all partitions.
pub(crate) fn begin_all(
    plan: &ScanPlan,
    mut sources: Vec<Box<dyn PartitionSource>>,
) -> Result<Vec<PartitionScan>, ScanError> {
    sources.iter_mut().for_each(|source| source.expect_bounds());
    sources
        .into_iter()
        .map(|source| {
            plan.interrupt.check()?;
            PartitionScan::begin(source, plan)
        })
        .collect()
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        self.next_batch().map_err(ArrowError::from).transpose()
    }
}

impl RecordBatchReader for Scan {
    fn schema(&self) -> SchemaRef {
        self.plan.projection.schema().clone()
    }
}
