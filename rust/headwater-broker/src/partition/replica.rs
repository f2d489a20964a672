//! The state of a partition's replicas at its leader, as a pure state machine: events in, a new high
//! watermark out.
//!
//! ```text
//!   Local (appended, flushed) ─┐
//!                              ├──▶ durable offset of each in-sync replica ──▶ HW = the lowest, never going back
//!   DurabilityChanged ─────────┘
//! ```
//!
//! A record is committed once it is durable on every in-sync replica. What "durable" means is the topic's
//! choice (`headwater.flush`): on stable storage, or in the page cache as in Kafka. Nobody else computes a
//! high watermark. Deliberately absent: deciding who is in sync, which is the controller's; followers, whose
//! fetches will be events beside [`Event::Local`] and enter `ReplicaState::durable`.

/// When a replica's record counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Once it is flushed.
    Fsync,
    /// Once it is appended.
    PageCache,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The leader's own log now ends here, and is flushed up to there.
    Local {
        /// Offset after the last record.
        log_end: i64,
        /// Everything below is on stable storage.
        flushed: i64,
    },
    /// The topic's durability was changed.
    DurabilityChanged(Durability),
}

/// The leader's view of its partition. Always `high_watermark <= durable offset of the ISR <= log_end` and
/// `flushed <= log_end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplicaState {
    durability: Durability,
    log_end: i64,
    flushed: i64,
    high_watermark: i64,
}

impl ReplicaState {
    /// The state of a leader that has just opened its log.
    pub(crate) fn new(
        durability: Durability,
        log_end: i64,
        flushed: i64,
        high_watermark: i64,
    ) -> ReplicaState {
        let state = ReplicaState { durability, log_end, flushed, high_watermark };
        state.validate();
        state
    }

    /// Takes an event; the high watermark if it has moved.
    pub(crate) fn apply(&mut self, event: Event) -> Option<i64> {
        match event {
            // Reports may overtake each other, and a log only grows while it leads.
            Event::Local { log_end, flushed } => {
                self.log_end = self.log_end.max(log_end);
                self.flushed = self.flushed.max(flushed);
            }
            Event::DurabilityChanged(durability) => self.durability = durability,
        }
        let committed = self.durable();
        let moved = committed > self.high_watermark;
        if moved {
            self.high_watermark = committed;
        }
        self.validate();
        moved.then_some(self.high_watermark)
    }

    /// The lowest durable offset over the in-sync replicas: of one, its own.
    fn durable(&self) -> i64 {
        match self.durability {
            Durability::Fsync => self.flushed,
            Durability::PageCache => self.log_end,
        }
    }

    fn validate(&self) {
        debug_assert!(self.high_watermark <= self.log_end, "{self:?}");
        debug_assert!(self.flushed <= self.log_end, "{self:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn with_fsync_only_what_is_flushed_is_committed() {
        let mut state = ReplicaState::new(Durability::Fsync, 0, 0, 0);
        assert_eq!(state.apply(Event::Local { log_end: 10, flushed: 0 }), None);
        assert_eq!(state.apply(Event::Local { log_end: 12, flushed: 10 }), Some(10));
        assert_eq!(state.apply(Event::DurabilityChanged(Durability::PageCache)), Some(12));
        assert_eq!(state.apply(Event::DurabilityChanged(Durability::Fsync)), None, "it never goes back");
        assert_eq!(state.high_watermark, 12);
    }

    #[test]
    fn with_the_page_cache_an_append_commits() {
        let mut state = ReplicaState::new(Durability::PageCache, 3, 0, 3);
        assert_eq!(state.apply(Event::Local { log_end: 5, flushed: 0 }), Some(5));
    }

    proptest! {
        #[test]
        fn reports_in_any_order_give_the_same_end(
            mut reports in prop::collection::vec((0..1000_i64, 0..1000_i64), 1..50),
            swap in any::<prop::sample::Index>(),
        ) {
            for (log_end, flushed) in &mut reports {
                *flushed = (*flushed).min(*log_end);
            }
            let run = |reports: &[(i64, i64)]| {
                let mut state = ReplicaState::new(Durability::Fsync, 0, 0, 0);
                let mut last = 0;
                for (log_end, flushed) in reports {
                    if let Some(moved) = state.apply(Event::Local { log_end: *log_end, flushed: *flushed }) {
                        assert!(moved > last);
                        last = moved;
                    }
                }
                state
            };
            let straight = run(&reports);
            let middle = swap.index(reports.len());
            reports.rotate_left(middle);
            prop_assert_eq!(run(&reports), straight);
        }
    }
}
