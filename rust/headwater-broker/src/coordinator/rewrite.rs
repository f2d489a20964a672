//! Keeping the log short: a minimal compaction.
//!
//! When the log holds many more records than there are live keys, the coordinator writes the live state again at the
//! tail, piece by piece between requests, and then moves the log start up to the oldest record that is still needed.
//! A restart so replays a bounded multiple of the live state, whatever was ever committed.
//!
//! Nothing can be lost by it:
//!
//! * A rewritten record says what its key says already, so a rewrite that stops anywhere (a crash, a refused append)
//!   has changed nothing.
//! * A piece is made from the state of its moment and appended at once by the only writer. A commit before it is in it;
//!   one after it is later in the log. Neither can be undone by a rewritten record.
//! * The new start is not where the rewrite began but [`Shard::oldest_needed`]: the lowest position of any record that
//!   makes up the present state. Keys that the rewrite left out (an open transaction has touched them) hold it down by
//!   themselves.
//! * The log is cut only when everything replayed at that moment is committed. So no failover can take back a rewritten
//!   record, or a deletion, after the records it stands for are gone. What is replayed later only raises positions.

use headwater_coordinator::Shard;

/// No rewrite below this many records: replaying them takes a fraction of a second.
const RECORDS_MIN: i64 = 50_000;
/// Records per live key, beyond [`RECORDS_MIN`], that start a rewrite. Each rewrite so pays for itself with at least
/// three times as many commits.
const RECORDS_PER_KEY: i64 = 4;
/// About how many bytes one piece has: enough to be worth an fsync, little enough to delay nobody.
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// When to rewrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// Not before the log has this end.
    NotBefore(i64),
    /// One is under way.
    Running,
}

impl Rewrite {
    /// Whether the log has grown enough to start one.
    pub(super) fn is_due<S: Shard>(self, shard: &S, start: i64, end: i64) -> bool {
        let Rewrite::NotBefore(not_before) = self else { return false };
        // Cheap questions first: this is asked after every append.
        end >= not_before && end - start > RECORDS_MIN && end - start > records_max(shard)
    }

    /// After one has ended, well or not.
    pub(super) fn rest(end: i64) -> Rewrite {
        // When something holds the start down, trying again at once would write the same again.
        Rewrite::NotBefore(end.saturating_add(RECORDS_MIN))
    }
}

fn records_max<S: Shard>(shard: &S) -> i64 {
    let live = i64::try_from(shard.live_records()).unwrap_or(i64::MAX);
    live.saturating_mul(RECORDS_PER_KEY).saturating_add(RECORDS_MIN)
}
