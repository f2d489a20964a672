//! What a scan is to read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::source::{Bounds, PartitionSource};
use crate::{BatchLimits, BytesLayout, Interrupt, Projection, SourceError, Uninterrupted};

/// One end of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ScanBound {
    /// Everything: from the first retained record, or up to what is visible when the scan begins.
    #[default]
    Open,
    /// This offset, in every partition.
    Offset(i64),
    /// The first record whose timestamp (in ms) is not smaller, in every partition; as Kafka looks offsets up.
    Timestamp(i64),
    /// An offset for each of these partitions; the others are open.
    Offsets(BTreeMap<i32, i64>),
}

/// A scan: which records, as which columns, in batches of which size. Cheap to clone.
#[derive(Clone)]
pub struct ScanPlan {
    /// The columns (default: all, `Binary`).
    pub projection: Projection,
    /// Where to start (default: open). An offset below the first retained one starts there.
    pub start: ScanBound,
    /// Where to end, exclusive (default: open). Never later than what is visible when the scan begins.
    pub end: ScanBound,
    /// The partitions to read, in this order (default: all that are given).
    pub partitions: Option<Vec<i32>>,
    /// Size of the Arrow batches (default: 64 Ki rows, 64 MiB).
    pub limits: BatchLimits,
    /// Bytes to read at once; 0, the default, leaves the choice to the layout: 1 MiB to be copied, 8 MiB to be
    /// pointed into.
    pub read_size: usize,
    /// Asked between batches whether to go on (default: always).
    pub interrupt: Arc<dyn Interrupt>,
}

impl Default for ScanPlan {
    fn default() -> ScanPlan {
        ScanPlan {
            projection: Projection::all(BytesLayout::Binary),
            start: ScanBound::Open,
            end: ScanBound::Open,
            partitions: None,
            limits: BatchLimits::default(),
            read_size: 0,
            interrupt: Arc::new(Uninterrupted),
        }
    }
}

impl ScanPlan {
    pub(crate) fn read_size(&self) -> usize {
        match (self.read_size, self.projection.layout()) {
            (0, BytesLayout::Binary) => 1 << 20,
            (0, BytesLayout::View) => 8 << 20,
            (size, _) => size,
        }
    }

    /// The sources the plan wants, in its order; partitions that are not among them are named in the error.
    pub(crate) fn choose(
        &self,
        mut sources: Vec<Box<dyn PartitionSource>>,
    ) -> Result<Vec<Box<dyn PartitionSource>>, Vec<i32>> {
        let Some(wanted) = &self.partitions else { return Ok(sources) };
        let mut chosen = Vec::with_capacity(wanted.len());
        let mut missing = Vec::new();
        for &partition in wanted {
            match sources.iter().position(|source| source.partition() == partition) {
                Some(index) => chosen.push(sources.swap_remove(index)),
                None => missing.push(partition),
            }
        }
        if missing.is_empty() { Ok(chosen) } else { Err(missing) }
    }

    /// The offsets to read of one partition.
    pub(crate) fn range(&self, source: &mut dyn PartitionSource) -> Result<Range<i64>, SourceError> {
        let Bounds { start, end } = source.bounds(&*self.interrupt)?;
        let first = self.offset(&self.start, source, end)?.unwrap_or(start).max(start);
        let last = self.offset(&self.end, source, end)?.unwrap_or(end).min(end);
        Ok(first..last.max(first))
    }

    /// The offset that `bound` means; `None` if it is open. A time after all records means `end`.
    fn offset(
        &self,
        bound: &ScanBound,
        source: &mut dyn PartitionSource,
        end: i64,
    ) -> Result<Option<i64>, SourceError> {
        Ok(match bound {
            ScanBound::Open => None,
            ScanBound::Offset(offset) => Some(*offset),
            ScanBound::Offsets(offsets) => offsets.get(&source.partition()).copied(),
            ScanBound::Timestamp(timestamp) => {
                Some(source.offset_for_timestamp(*timestamp, &*self.interrupt)?.unwrap_or(end))
            }
        })
    }
}
