//! The metadata log as openraft wants to see it.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;

use headwater_env::Env;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{OptionalSend, RaftTypeConfig};

use super::frame::Frame;
use super::types::{RaftEntry, RaftLogId, RaftVote, TypeConfig};
use super::wal::Wal;

/// Most entries in one answer to a follower that is behind.
const READ_ENTRIES_MAX: u64 = 1024;

/// Writes and reads the log for openraft.
pub(super) struct LogStore<E: Env> {
    wal: Wal<E>,
}

impl<E: Env> LogStore<E> {
    pub(super) fn new(wal: Wal<E>) -> LogStore<E> {
        LogStore { wal }
    }
}

impl<E: Env> Clone for LogStore<E> {
    fn clone(&self) -> Self {
        LogStore { wal: self.wal.clone() }
    }
}

impl<E: Env> RaftLogReader<TypeConfig> for LogStore<E> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        self.wal.read(range)
    }

    async fn read_vote(&mut self) -> Result<Option<RaftVote>, io::Error> {
        Ok(self.wal.vote())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<RaftEntry>, io::Error> {
        self.wal.read(start..end.min(start.saturating_add(READ_ENTRIES_MAX)))
    }
}

impl<E: Env> RaftLogStorage<TypeConfig> for LogStore<E> {
    type LogReader = LogStore<E>;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let status = self.wal.status();
        Ok(LogState { last_purged_log_id: status.purged, last_log_id: status.last })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> Result<(), io::Error> {
        self.wal.write_durably(Frame::Vote(*vote)).await
    }

    /// Rides on the next sync. Until then a power cut takes it back, and the next leader finds out again what is
    /// committed before anything is served.
    async fn save_committed(&mut self, committed: Option<RaftLogId>) -> Result<(), io::Error> {
        self.wal.write_lazily(Frame::Committed(committed))
    }

    async fn read_committed(&mut self) -> Result<Option<RaftLogId>, io::Error> {
        Ok(self.wal.committed())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = <TypeConfig as RaftTypeConfig>::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.wal.write(entries.into_iter().map(Frame::Entry).collect(), callback)
    }

    async fn truncate_after(&mut self, last_log_id: Option<RaftLogId>) -> Result<(), io::Error> {
        self.wal.write_durably(Frame::TruncateAfter(last_log_id)).await
    }

    async fn purge(&mut self, log_id: RaftLogId) -> Result<(), io::Error> {
        self.wal.purge(log_id).await
    }
}
