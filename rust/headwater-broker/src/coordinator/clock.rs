//! Wall-clock time for coordinators, with its jumps noticed.
//!
//! Commit times and expiry are wall-clock time, since they outlive the process. Sessions are not: a clock that is set,
//! or a laptop that slept, must not end the sessions of clients that were never silent. So every look at the clock is
//! compared with monotonic time, and a jump moves the deadlines instead of reaching them.

use headwater_env::Env;
use tokio::time::Instant;

/// Differences up to this many milliseconds are the slow correction of a clock, not a jump.
const DRIFT_MS_MAX: i64 = 1_000;

/// A wall clock that notices jumps.
pub(super) struct Clock<E: Env> {
    env: E,
    seen_ms: i64,
    seen_at: Instant,
}

/// What the clock shows.
pub(super) struct Reading {
    /// Milliseconds since the Unix epoch.
    pub(super) now_ms: i64,
    /// By how much the clock jumped since the last reading, in milliseconds; 0 almost always.
    pub(super) jump_ms: i64,
}

impl<E: Env> Clock<E> {
    pub(super) fn new(env: E) -> Self {
        let (seen_ms, seen_at) = (env.wall_ms(), env.now());
        Clock { env, seen_ms, seen_at }
    }

    pub(super) fn read(&mut self) -> Reading {
        let (now_ms, now) = (self.env.wall_ms(), self.env.now());
        let passed = now.saturating_duration_since(self.seen_at).as_millis();
        let expected_ms = self.seen_ms.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX));
        let jump_ms = now_ms.saturating_sub(expected_ms);
        (self.seen_ms, self.seen_at) = (now_ms, now);
        Reading { now_ms, jump_ms: if jump_ms.abs() > DRIFT_MS_MAX { jump_ms } else { 0 } }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headwater_env::sim;

    use super::*;

    #[test]
    fn jumps_are_told_and_passing_time_is_not() {
        sim::run(1, |env| async move {
            let mut clock = Clock::new(env.clone());
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            assert_eq!(clock.read().jump_ms, 0);
            env.set_wall_skew_ms(600);
            assert_eq!(clock.read().jump_ms, 0, "a correction");
            env.set_wall_skew_ms(-100_000);
            assert_eq!(clock.read().jump_ms, -100_600);
            assert_eq!(clock.read().jump_ms, 0, "told once");
        });
    }
}
