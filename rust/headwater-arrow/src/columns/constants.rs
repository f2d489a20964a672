//! Columns that are the same for whole batches: topic, partition, timestamp type.
//!
//! Records only add to the length of a run. When a batch is one run, which it nearly always is, its columns
//! are slices of arrays that were built once.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, StringArray};

/// Consecutive rows that agree.
pub(super) struct Run {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) timestamp_type: i32,
    pub(super) rows: usize,
}

/// The arrays that were built before.
#[derive(Default)]
pub(super) struct Constants {
    topic: Option<(Arc<str>, ArrayRef)>,
    partition: Option<(i32, ArrayRef)>,
    timestamp_type: Option<(i32, ArrayRef)>,
}

impl Constants {
    pub(super) fn topics(&mut self, runs: &[Run], rows: usize) -> ArrayRef {
        let build = |runs: &[Run]| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(
                runs.iter().flat_map(|run| std::iter::repeat_n(&*run.topic, run.rows)),
            ))
        };
        cached(&mut self.topic, runs, rows, |run| run.topic.clone(), build)
    }

    pub(super) fn partitions(&mut self, runs: &[Run], rows: usize) -> ArrayRef {
        numbers(&mut self.partition, runs, rows, |run| run.partition)
    }

    pub(super) fn timestamp_types(&mut self, runs: &[Run], rows: usize) -> ArrayRef {
        numbers(&mut self.timestamp_type, runs, rows, |run| run.timestamp_type)
    }
}

fn numbers(
    cache: &mut Option<(i32, ArrayRef)>,
    runs: &[Run],
    rows: usize,
    value: impl Fn(&Run) -> i32 + Copy,
) -> ArrayRef {
    let build = |runs: &[Run]| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(
            runs.iter().flat_map(|run| std::iter::repeat_n(value(run), run.rows)),
        ))
    };
    cached(cache, runs, rows, value, build)
}

fn cached<T: PartialEq>(
    cache: &mut Option<(T, ArrayRef)>,
    runs: &[Run],
    rows: usize,
    value: impl Fn(&Run) -> T,
    build: impl Fn(&[Run]) -> ArrayRef,
) -> ArrayRef {
    let Some((first, rest)) = runs.split_first() else { return build(runs) };
    let wanted = value(first);
    if rest.iter().any(|run| value(run) != wanted) {
        return build(runs);
    }
    if let Some((known, array)) = cache
        && *known == wanted
        && array.len() >= rows
    {
        return array.slice(0, rows);
    }
    let (topic, partition, timestamp_type) = (first.topic.clone(), first.partition, first.timestamp_type);
    let array = build(&[Run { topic, partition, timestamp_type, rows }]);
    *cache = Some((wanted, array.clone()));
    array
}
