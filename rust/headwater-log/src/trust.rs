//! Which bytes of a segment have had their CRC checked by this process.
//!
//! What this process appended is trusted; what it found on disk is not, until it is read for the first time. So bit
//! rot below the recovery point, which no recovery looks at, is refused by the first reader instead of being served.

/// Separate ranges remembered per segment; more are forgotten, smallest first, and cost another check.
const RANGES_MAX: usize = 64;

/// Ranges `from..to` of checked bytes, sorted, apart, each beginning and ending at a batch.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// Bytes from here on were appended by this process.
    own_from: u64,
    checked: Vec<(u64, u64)>,
}

impl Trust {
    /// Nothing below `own_from` was checked yet.
    pub(crate) fn new(own_from: u64) -> Trust {
        Trust { own_from, checked: Vec::new() }
    }

    /// Where the checked bytes that hold `position` end; `None` if it needs checking.
    pub(crate) fn checked_until(&self, position: u64) -> Option<u64> {
        if position >= self.own_from {
            return Some(u64::MAX);
        }
        let above = self.checked.partition_point(|(from, _)| *from <= position);
        let (_, to) = self.checked.get(above.checked_sub(1)?)?;
        (*to > position).then_some(*to)
    }

    /// The bytes `from..to` are good.
    pub(crate) fn add(&mut self, mut from: u64, mut to: u64) {
        if from >= to {
            return;
        }
        self.checked.retain(|&(start, end)| {
            let touches = start <= to && end >= from;
            if touches {
                (from, to) = (from.min(start), to.max(end));
            }
            !touches
        });
        let at = self.checked.partition_point(|(start, _)| *start < from);
        self.checked.insert(at, (from, to));
        if self.checked.len() > RANGES_MAX
            && let Some(smallest) =
                (0..self.checked.len()).min_by_key(|&index| self.checked[index].1 - self.checked[index].0)
        {
            self.checked.remove(smallest);
        }
    }

    /// The file was cut to `size`: what comes behind is this process's own.
    pub(crate) fn truncate(&mut self, size: u64) {
        self.own_from = self.own_from.min(size);
        self.checked.retain_mut(|(from, to)| {
            *to = (*to).min(size);
            *from < *to
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_and_are_cut() {
        let mut trust = Trust::new(1000);
        assert_eq!(trust.checked_until(0), None);
        trust.add(100, 200);
        trust.add(300, 400);
        assert_eq!(trust.checked_until(150), Some(200));
        assert_eq!(trust.checked_until(200), None);
        trust.add(200, 300);
        assert_eq!(trust.checked_until(100), Some(400));
        assert_eq!(trust.checked_until(1000), Some(u64::MAX));
        trust.truncate(350);
        assert_eq!(trust.checked_until(349), Some(350));
        assert_eq!(trust.checked_until(350), Some(u64::MAX));
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let mut trust = Trust::new(u64::MAX);
        for index in 0..1000 {
            trust.add(index * 10, index * 10 + 5);
        }
        assert_eq!(trust.checked.len(), RANGES_MAX);
    }
}
