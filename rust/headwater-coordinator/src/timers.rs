//! Deadlines by key: at most one per key, the earliest first.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// A set of deadlines, at most one per key. Times are milliseconds since the Unix epoch.
///
/// `by_time` and `by_key` always hold the same pairs.
#[derive(Debug, Clone)]
pub struct TimerQueue<K> {
    by_time: BTreeSet<(i64, K)>,
    by_key: HashMap<K, i64>,
}

impl<K> Default for TimerQueue<K> {
    fn default() -> Self {
        TimerQueue { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash> TimerQueue<K> {
    /// Sets the deadline of `key`, replacing an earlier one.
    pub fn schedule(&mut self, key: K, deadline_ms: i64) {
        if let Some(previous) = self.by_key.insert(key.clone(), deadline_ms) {
            self.by_time.remove(&(previous, key.clone()));
        }
        self.by_time.insert((deadline_ms, key));
    }

    /// Forgets the deadline of `key`. Returns whether there was one.
    pub fn cancel(&mut self, key: &K) -> bool {
        match self.by_key.remove(key) {
            Some(deadline) => self.by_time.remove(&(deadline, key.clone())),
            None => false,
        }
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<i64> {
        self.by_time.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out the earliest timer if its deadline is not after `now_ms`.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<K> {
        if self.next_deadline()? > now_ms {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// The deadline of `key`.
    pub fn deadline(&self, key: &K) -> Option<i64> {
        self.by_key.get(key).copied()
    }

    /// Moves every deadline by `by_ms`.
    pub fn shift(&mut self, by_ms: i64) {
        let moved = |deadline: i64| deadline.saturating_add(by_ms);
        let by_time = std::mem::take(&mut self.by_time);
        self.by_time = by_time.into_iter().map(|(deadline, key)| (moved(deadline), key)).collect();
        self.by_key.values_mut().for_each(|deadline| *deadline = moved(*deadline));
    }

    /// How many timers are set.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.by_key.keys()
    }

    /// Forgets every timer.
    pub fn clear(&mut self) {
        self.by_time.clear();
        self.by_key.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_deadline_of_a_key_counts() {
        let mut timers = TimerQueue::default();
        timers.schedule("a", 10);
        timers.schedule("b", 20);
        timers.schedule("a", 30);
        assert_eq!(timers.len(), 2);
        assert_eq!(timers.pop_due(19), None);
        assert_eq!(timers.pop_due(20), Some("b"));
        assert_eq!(timers.pop_due(29), None);
        assert_eq!(timers.next_deadline(), Some(30));
        timers.shift(-5);
        assert_eq!((timers.next_deadline(), timers.deadline(&"a")), (Some(25), Some(25)));
        assert!(timers.cancel(&"a"));
        assert!(!timers.cancel(&"a"));
        assert!(timers.is_empty());
        assert_eq!(timers.next_deadline(), None);
    }
}
