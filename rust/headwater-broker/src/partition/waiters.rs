//! Who waits for a partition's high watermark, ordered by what they wait for.
//!
//! A producer with `acks=all` waits for the watermark to reach the end of its batch; a long poll waits for
//! it to pass what it has seen. Both are targets in one ordered map, so a moving watermark touches exactly
//! those it concerns.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The waiters of one partition.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next_id: u64,
    by_target: BTreeMap<(i64, u64), Arc<Notify>>,
}

/// A place among the waiters, given back on drop.
#[derive(Debug)]
pub(crate) struct Waiting {
    waiters: Arc<Waiters>,
    place: (i64, u64),
}

impl Waiters {
    /// Asks that `notify` be told once the offset `target` is reached. To be called before the offset is
    /// looked at, so that no move falls between look and wait.
    pub(crate) fn enter(self: &Arc<Self>, target: i64, notify: Arc<Notify>) -> Waiting {
        let place = {
            let mut inner = self.lock();
            let place = (target, inner.next_id);
            inner.next_id += 1;
            inner.by_target.insert(place, notify);
            place
        };
        Waiting { waiters: self.clone(), place }
    }

    /// The offset `reached` is reached: tells everyone whose target is not above it.
    pub(crate) fn reached(&self, reached: i64) {
        let due = {
            let mut inner = self.lock();
            match inner.by_target.first_key_value() {
                Some(((target, _), _)) if *target <= reached => {}
                _ => return,
            }
            let later = inner.by_target.split_off(&(reached, u64::MAX));
            std::mem::replace(&mut inner.by_target, later)
        };
        due.values().for_each(|notify| notify.notify_one());
    }

    /// Tells everyone: what they wait for will not come.
    pub(crate) fn give_up(&self) {
        let all = std::mem::take(&mut self.lock().by_target);
        all.values().for_each(|notify| notify.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each step leaves the map whole, so a panic elsewhere does not spoil it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiters.lock().by_target.remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(notify: &Notify) -> bool {
        let mut waiting = Box::pin(notify.notified());
        waiting.as_mut().enable()
    }

    #[test]
    fn only_those_whose_target_is_reached_are_told() {
        let waiters = Arc::new(Waiters::default());
        let notifies: Vec<_> = (0..3).map(|_| Arc::new(Notify::new())).collect();
        let places: Vec<_> = [5, 7, 7]
            .iter()
            .zip(&notifies)
            .map(|(target, notify)| waiters.enter(*target, notify.clone()))
            .collect();
        waiters.reached(4);
        assert!(notifies.iter().all(|notify| !told(notify)));
        waiters.reached(6);
        assert_eq!(notifies.iter().map(|notify| told(notify)).collect::<Vec<_>>(), [true, false, false]);
        waiters.give_up();
        assert!(told(&notifies[1]) && told(&notifies[2]));
        drop(places);
    }

    #[test]
    fn whoever_leaves_is_forgotten() {
        let waiters = Arc::new(Waiters::default());
        drop(waiters.enter(i64::MAX, Arc::new(Notify::new())));
        assert!(waiters.lock().by_target.is_empty());
        let _kept = waiters.enter(i64::MAX, Arc::new(Notify::new()));
        waiters.reached(i64::MAX);
        assert!(waiters.lock().by_target.is_empty(), "the largest offset is reachable too");
    }
}
