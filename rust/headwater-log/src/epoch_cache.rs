//! Which leader epoch began at which offset (KIP-101, KIP-279), and `leader-epoch-checkpoint`.
//!
//! A follower asks its leader where an epoch ended and truncates to the answer; the rule that a larger epoch never
//! begins below a smaller one is kept by removing what a new entry contradicts.

use crate::checkpoint::{self, CheckpointError};
use crate::types::EpochEnd;

/// Name of the file.
pub(crate) const FILE_NAME: &str = "leader-epoch-checkpoint";

/// Sorted by epoch and by start offset at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EpochCache {
    entries: Vec<(i32, i64)>,
}

impl EpochCache {
    /// The newest epoch.
    pub(crate) fn latest(&self) -> Option<i32> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    pub(crate) fn entries(&self) -> &[(i32, i64)] {
        &self.entries
    }

    /// Notes that `epoch` begins at `start`; `true` if that was news.
    pub(crate) fn assign(&mut self, epoch: i32, start: i64) -> bool {
        if epoch < 0 || start < 0 {
            return false;
        }
        if let Some(&(latest, latest_start)) = self.entries.last()
            && latest == epoch
            && start >= latest_start
        {
            return false;
        }
        while self.entries.last().is_some_and(|(other, other_start)| *other >= epoch || *other_start >= start)
        {
            self.entries.pop();
        }
        self.entries.push((epoch, start));
        true
    }

    /// Forgets what begins at or above `end`; `true` if there was any.
    pub(crate) fn truncate_from_end(&mut self, end: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(_, start)| *start < end);
        self.entries.len() != before
    }

    /// Forgets what ends at or below `start`; the epoch that spans it begins there from now on. `true` on change.
    pub(crate) fn truncate_from_start(&mut self, start: i64) -> bool {
        let below = self.entries.partition_point(|(_, begin)| *begin <= start);
        let Some(spanning) = below.checked_sub(1) else { return false };
        let changed = spanning > 0 || self.entries[spanning].1 != start;
        self.entries[spanning].1 = start;
        self.entries.drain(..spanning);
        changed
    }

    /// Where the largest epoch not above `epoch` ends.
    pub(crate) fn end_offset_for(&self, epoch: i32, log_end: i64) -> EpochEnd {
        const UNKNOWN: EpochEnd = EpochEnd { epoch: -1, end_offset: -1 };
        if epoch < 0 {
            return UNKNOWN;
        }
        if self.latest() == Some(epoch) {
            return EpochEnd { epoch, end_offset: log_end };
        }
        let above = self.entries.partition_point(|(other, _)| *other <= epoch);
        let Some(&(_, next_start)) = self.entries.get(above) else { return UNKNOWN };
        let known = above.checked_sub(1).map_or(epoch, |floor| self.entries[floor].0);
        EpochEnd { epoch: known, end_offset: next_start }
    }

    pub(crate) fn encode(&self) -> String {
        checkpoint::encode(self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}")))
    }

    pub(crate) fn decode(text: &str) -> Result<EpochCache, CheckpointError> {
        let mut cache = EpochCache::default();
        for (number, line) in checkpoint::decode(text)? {
            let malformed = || CheckpointError { line: number, reason: "expected an epoch and an offset" };
            let (epoch, start) = line.split_once(' ').ok_or_else(malformed)?;
            let (epoch, start) =
                (epoch.parse().map_err(|_| malformed())?, start.parse().map_err(|_| malformed())?);
            let count = cache.entries.len();
            // An entry that is not news, or that contradicts those before it, leaves fewer than one more.
            if !cache.assign(epoch, start) || cache.entries.len() != count + 1 {
                return Err(CheckpointError { line: number, reason: "epochs and offsets must rise" });
            }
        }
        Ok(cache)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(i32, i64)]) -> EpochCache {
        EpochCache { entries: entries.to_vec() }
    }

    #[test]
    fn assigning_keeps_both_orders() {
        let mut epochs = cache(&[(1, 0), (3, 10), (5, 20)]);
        assert!(!epochs.assign(5, 25));
        assert!(epochs.assign(6, 10));
        assert_eq!(epochs, cache(&[(1, 0), (6, 10)]));
        assert!(epochs.assign(4, 30));
        assert_eq!(epochs, cache(&[(1, 0), (4, 30)]));
        assert!(!epochs.assign(-1, 40));
    }

    #[test]
    fn end_offsets_as_kip_279_has_them() {
        let epochs = cache(&[(2, 5), (4, 10), (6, 20)]);
        let end = |epoch| {
            let end = epochs.end_offset_for(epoch, 30);
            (end.epoch, end.end_offset)
        };
        assert_eq!(end(6), (6, 30));
        assert_eq!(end(5), (4, 20));
        assert_eq!(end(4), (4, 20));
        assert_eq!(end(3), (2, 10));
        assert_eq!(end(1), (1, 5));
        assert_eq!(end(7), (-1, -1));
        assert_eq!(end(-1), (-1, -1));
        assert_eq!(EpochCache::default().end_offset_for(3, 30), EpochEnd { epoch: -1, end_offset: -1 });
    }

    #[test]
    fn truncation() {
        let mut epochs = cache(&[(2, 5), (4, 10), (6, 20)]);
        assert!(epochs.truncate_from_end(20));
        assert!(!epochs.truncate_from_end(20));
        assert!(epochs.truncate_from_start(12));
        assert_eq!(epochs, cache(&[(4, 12)]));
        assert!(!epochs.truncate_from_start(12));
        assert!(!epochs.truncate_from_start(3));
    }

    #[test]
    fn text_round_trip() {
        let epochs = cache(&[(0, 0), (7, 123)]);
        assert_eq!(epochs.encode(), "0\n2\n0 0\n7 123\n");
        assert_eq!(EpochCache::decode(&epochs.encode()).unwrap(), epochs);
        for text in ["", "1\n0\n", "0\n1\n", "0\n1\n3\n", "0\n2\n3 5\n2 7\n", "0\n1\nx y\n"] {
            assert!(EpochCache::decode(text).is_err(), "{text:?}");
        }
    }
}
