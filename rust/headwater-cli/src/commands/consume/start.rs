//! `consume --from`: where reading begins.

use crate::failure::Failure;
use crate::moment;
use headwater_client::Consumer;
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, HashMap};

/// What the user said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// The first retained record.
    Beginning,
    /// After the last record.
    End,
    /// This offset, in every partition.
    Offset(i64),
    /// So many records before the end of each partition.
    BeforeEnd(i64),
    /// The first record that is not older.
    Time(i64),
}

impl From {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "beginning" | "earliest" => return Ok(Self::Beginning),
            "end" | "latest" => return Ok(Self::End),
            _ => {}
        }
        let (number, from): (&str, fn(i64) -> Self) = match text.strip_prefix('-') {
            Some(count) => (count, Self::BeforeEnd),
            None => (text, Self::Offset),
        };
        if let Some(number) = number.parse().ok().filter(|number| *number >= 0) {
            return Ok(from(number));
        }
        moment::parse(text).map(Self::Time).ok_or_else(|| {
            "expected beginning, end, an offset, -COUNT, a time like 2013-01-01T10:15:00Z, or @MILLISECONDS".to_owned()
        })
    }

    /// The first offset to be read of each partition.
    pub(super) async fn offsets(
        self,
        consumer: &Consumer,
        partitions: &[TopicPartition],
        ends: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
        let firsts = consumer.beginning_offsets(partitions).await?;
        let times = match self {
            Self::Time(ms) => {
                let asked: HashMap<_, _> =
                    partitions.iter().map(|partition| (partition.clone(), ms)).collect();
                consumer.offsets_for_times(&asked).await?
            }
            _ => BTreeMap::new(),
        };
        let mut starts = BTreeMap::new();
        for partition in partitions {
            let end = ends.get(partition).copied().unwrap_or(0);
            let first = firsts.get(partition).copied().unwrap_or(0).min(end);
            let wanted = match self {
                Self::Beginning => first,
                Self::End => end,
                Self::Offset(offset) => offset,
                Self::BeforeEnd(count) => end.saturating_sub(count).max(first),
                Self::Time(_) => times.get(partition).copied().flatten().map_or(end, |found| found.offset),
            };
            if wanted < first {
                tracing::warn!(%partition, wanted, first, "this offset is no longer retained, reading from the first");
            }
            if wanted > end {
                tracing::warn!(%partition, wanted, end, "this offset does not exist yet, reading from the end");
            }
            starts.insert(partition.clone(), wanted.clamp(first, end));
        }
        Ok(starts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_begin() {
        for (text, from) in [
            ("beginning", From::Beginning),
            ("latest", From::End),
            ("0", From::Offset(0)),
            ("9000000000", From::Offset(9_000_000_000)),
            ("-10", From::BeforeEnd(10)),
            ("@10", From::Time(10)),
            ("1970-01-02", From::Time(86_400_000)),
        ] {
            assert_eq!(From::parse(text), Ok(from), "{text}");
        }
        for bad in ["", "start", "-", "--1", "1.5", "2013-02-31"] {
            assert!(From::parse(bad).is_err(), "{bad}");
        }
    }
}
