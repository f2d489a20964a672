//! The metadata log: entries, votes and marks in one sequence of frames, written inline, synced by a task.
//!
//! Writing into the page cache is cheap and happens in the caller, so that what was appended can be read at once and
//! the order of writes is the order of calls. Syncing is handed to the flusher: whoever waits while a sync runs shares
//! the next one. Room on the disk is made ahead, by filling with zeros: a full disk is noticed before an entry is
//! proposed (`reserve`), when refusing it still costs nothing.
//!
//! After a failed write or sync nothing more is written until the directory is opened again: what such a failure has
//! left on the disk is not known.

use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use headwater_env::{DirLock, Disk, DiskFile, Env, crashsafe};
use openraft::storage::IOFlushed;
use openraft::type_config::TypeConfigExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::frame::{Frame, Framed, decode_frame, encode_frame};
use super::scan::{Content, create_segment, read_log};
use super::types::{RaftEntry, RaftLogId, RaftVote, TypeConfig};
use crate::error::OpenError;
use crate::records::Encoder;

/// Zeros are written ahead in steps of this.
const ALLOCATION_STEP: u64 = 256 << 10;
/// Room that proposals leave alone, for votes and marks.
pub(super) const ALLOCATION_RESERVE: u64 = 16 << 10;
/// A purge begins a new segment when the current one has at least this many bytes.
const ROLL_SIZE_MIN: u64 = 64 << 10;
/// Bytes of recent entries kept in memory: what is applied was nearly always just appended.
const CACHE_BYTES_MAX: usize = 1 << 20;

type File<E> = <<E as Env>::Disk as Disk>::File;
pub(super) type Flushed = IOFlushed<TypeConfig>;

/// Where an entry lies.
#[derive(Debug)]
pub(super) struct Slot<F> {
    term: u64,
    pub(super) size: usize,
    position: u64,
    file: Arc<F>,
    cached: Option<RaftEntry>,
}

impl<F> Slot<F> {
    pub(super) fn on_disk(framed: &Framed, file: Arc<F>, position: u64) -> Slot<F> {
        let term = match &framed.frame {
            Frame::Entry(entry) => entry.log_id.leader_id.term,
            _ => 0,
        };
        Slot { term, size: framed.size, position, file, cached: None }
    }
}

struct State<F> {
    content: Content<F>,
    /// `synced_sequence < next_sequence`: frames up to here are on stable storage.
    synced_sequence: u64,
    /// Called, in order, when what was written before them is synced.
    waiting: Vec<Flushed>,
    /// Index of the first entry that may be cached, and the bytes cached from there on.
    cached_from: u64,
    cached_bytes: usize,
    failed: Option<String>,
    syncs: u64,
    lock: Option<DirLock>,
}

/// The log of one metadata directory. Clones are the same log.
pub(super) struct Wal<E: Env> {
    shared: Arc<Shared<E>>,
}

impl<E: Env> Clone for Wal<E> {
    fn clone(&self) -> Self {
        Wal { shared: self.shared.clone() }
    }
}

struct Shared<E: Env> {
    env: E,
    directory: PathBuf,
    state: Mutex<State<File<E>>>,
    dirty: Notify,
}

/// Whether an error says that the disk, or somebody's share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Numbers about a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct WalStatus {
    pub(super) last: Option<RaftLogId>,
    pub(super) purged: Option<RaftLogId>,
    pub(super) term: u64,
    /// Entries that are not purged, and the bytes they take.
    pub(super) live_entries: u64,
    pub(super) live_bytes: u64,
    pub(super) file_bytes: u64,
    pub(super) syncs: u64,
}

/// Reads the log in `directory`, beginning one if there is none. Waits for the disk.
pub(super) fn open<E: Env>(env: &E, directory: PathBuf, lock: DirLock) -> Result<Wal<E>, OpenError> {
    let disk = env.disk();
    let mut content = read_log(disk, &directory)?;
    if content.segments.is_empty() {
        let segment = create_segment(disk, &directory, 1, &[], 1)
            .map_err(|source| super::scan::io_error("create the log in", &directory, source))?;
        content.segments.push_back(segment);
        content.next_sequence = 1;
    }
    let state = State {
        synced_sequence: content.next_sequence - 1,
        cached_from: content.first_index + content.slots.len() as u64,
        content,
        waiting: Vec::new(),
        cached_bytes: 0,
        failed: None,
        syncs: 0,
        lock: Some(lock),
    };
    let shared = Shared { env: env.clone(), directory, state: Mutex::new(state), dirty: Notify::new() };
    Ok(Wal { shared: Arc::new(shared) })
}

impl<E: Env> Wal<E> {
    /// Starts the flusher. It ends, and closes the log, when told to stop.
    pub(super) fn start(&self, stop: CancellationToken) {
        let wal = self.clone();
        self.shared.env.spawn("metadata-flusher", async move {
            wal.flush_until(stop).await;
            wal.close().await;
        });
    }

    fn state(&self) -> MutexGuard<'_, State<File<E>>> {
        // Nothing between lock and unlock leaves the state half-changed: a panic elsewhere does not spoil it.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends frames. `flushed` is called when they are on stable storage, or cannot get there.
    pub(super) fn write(&self, frames: Vec<Frame>, flushed: Flushed) -> io::Result<()> {
        {
            let mut state = self.state();
            state.write(frames)?;
            state.waiting.push(flushed);
        }
        self.shared.dirty.notify_one();
        Ok(())
    }

    /// Appends a frame and waits until it is on stable storage.
    pub(super) async fn write_durably(&self, frame: Frame) -> io::Result<()> {
        let (sender, receiver) = TypeConfig::oneshot();
        self.write(vec![frame], IOFlushed::signal(sender))?;
        receiver.await.map_err(|_| io::Error::other("the metadata log is closed"))?
    }

    /// Appends a frame that need not be durable before the next one that must.
    pub(super) fn write_lazily(&self, frame: Frame) -> io::Result<()> {
        self.state().write(vec![frame])
    }

    /// Makes sure that there is room on the disk for an entry of `size` bytes.
    pub(super) fn reserve(&self, size: usize) -> io::Result<()> {
        let mut state = self.state();
        state.check()?;
        state.allocate(size as u64 + ALLOCATION_RESERVE)
    }

    /// The entries in `range` that are there.
    pub(super) fn read(&self, range: impl RangeBounds<u64>) -> io::Result<Vec<RaftEntry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let places: Vec<Place<File<E>>> = self.state().places(start, end);
        places.into_iter().map(Place::read).collect()
    }

    pub(super) fn vote(&self) -> Option<RaftVote> {
        self.state().content.vote
    }

    pub(super) fn committed(&self) -> Option<RaftLogId> {
        self.state().content.committed
    }

    pub(super) fn status(&self) -> WalStatus {
        let state = self.state();
        let content = &state.content;
        let last = content.slots.back().map(|slot| {
            super::types::log_id(slot.term, content.first_index + content.slots.len() as u64 - 1)
        });
        WalStatus {
            last: last.or(content.purged),
            purged: content.purged,
            term: content.vote.map_or(0, |vote| vote.leader_id.term),
            live_entries: content.slots.len() as u64,
            live_bytes: content.live_bytes,
            file_bytes: content.segments.iter().map(|segment| segment.allocated).sum(),
            syncs: state.syncs,
        }
    }

    /// Drops the entries up to `upto` and the files that hold nothing else.
    pub(super) async fn purge(&self, upto: RaftLogId) -> io::Result<()> {
        self.write_durably(Frame::Purged(upto)).await?;
        let wal = self.clone();
        // Rare, and a few milliseconds: appends may wait for it.
        self.shared
            .env
            .blocking(move || wal.state().recycle(wal.shared.env.disk(), &wal.shared.directory))
            .await
    }

    /// Syncs what is left and gives the directory free. Later writes fail.
    pub(super) async fn close(&self) {
        let wal = self.clone();
        self.shared
            .env
            .blocking(move || {
                let mut state = wal.state();
                if state.failed.is_none() {
                    // Only marks can be left unsynced, and they can be told again from the entries.
                    if let Some(segment) = state.content.segments.back() {
                        let _ = segment.file.sync();
                    }
                    state.failed = Some("it is closed".into());
                }
                state.waiting.clear();
                state.lock = None;
            })
            .await;
    }

    async fn flush_until(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.shared.dirty.notified() => {}
            }
            self.flush().await;
        }
    }

    /// Syncs once and tells everybody who waited when it began.
    async fn flush(&self) {
        let (file, upto, waiting) = {
            let mut state = self.state();
            let waiting = std::mem::take(&mut state.waiting);
            if waiting.is_empty() {
                return;
            }
            let Some(segment) = state.content.segments.back() else { return };
            (segment.file.clone(), state.content.next_sequence - 1, waiting)
        };
        let result = self.shared.env.blocking(move || file.sync()).await;
        {
            let mut state = self.state();
            match &result {
                Ok(()) => {
                    state.synced_sequence = state.synced_sequence.max(upto);
                    state.syncs += 1;
                }
                Err(error) => {
                    state.failed.get_or_insert_with(|| format!("a sync failed: {error}"));
                }
            }
        }
        for flushed in waiting {
            flushed.io_completed(match &result {
                Ok(()) => Ok(()),
                Err(error) => {
                    Err(io::Error::new(error.kind(), format!("cannot sync the metadata log: {error}")))
                }
            });
        }
    }
}

/// An entry, or where to find it.
enum Place<F> {
    Cached(RaftEntry),
    OnDisk { file: Arc<F>, position: u64, size: usize },
}

impl<F: DiskFile> Place<F> {
    fn read(self) -> io::Result<RaftEntry> {
        let (file, position, size) = match self {
            Place::Cached(entry) => return Ok(entry),
            Place::OnDisk { file, position, size } => (file, position, size),
        };
        let mut bytes = vec![0; size];
        file.read_exact_at(&mut bytes, position)?;
        match decode_frame(&bytes).map(|framed| framed.frame) {
            Ok(Frame::Entry(entry)) => Ok(entry),
            other => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the metadata log has changed at byte {position}: {other:?}"),
            )),
        }
    }
}

impl<F: DiskFile> State<F> {
    fn check(&self) -> io::Result<()> {
        match &self.failed {
            None => Ok(()),
            Some(reason) => Err(io::Error::other(format!("the metadata log takes no more: {reason}"))),
        }
    }

    fn write(&mut self, frames: Vec<Frame>) -> io::Result<()> {
        self.check()?;
        let mut encoder = Encoder::new();
        let mut ends = Vec::with_capacity(frames.len());
        for (frame, sequence) in frames.iter().zip(self.content.next_sequence..) {
            encode_frame(&mut encoder, frame, sequence, self.synced_sequence);
            ends.push(encoder.len());
        }
        let bytes = encoder.into_bytes();
        let written = self.allocate(bytes.len() as u64).and_then(|()| {
            let Some(segment) = self.content.segments.back() else {
                return Err(io::Error::other("the metadata log has no file"));
            };
            segment.file.write_all_at(&bytes, segment.end).map(|()| (segment.file.clone(), segment.end))
        });
        let (file, start) = written.inspect_err(|error| {
            self.failed = Some(format!("a write failed: {error}"));
        })?;
        let mut from = 0;
        for (frame, to) in frames.into_iter().zip(ends) {
            self.take(frame, &file, start + from as u64, to - from)?;
            from = to;
        }
        if let Some(segment) = self.content.segments.back_mut() {
            segment.end += bytes.len() as u64;
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame, file: &Arc<F>, position: u64, size: usize) -> io::Result<()> {
        let file = file.clone();
        let slot = || match &frame {
            Frame::Entry(entry) => {
                Slot { term: entry.log_id.leader_id.term, size, position, file, cached: Some(entry.clone()) }
            }
            _ => Slot { term: 0, size, position, file, cached: None },
        };
        self.content.replay(&frame, slot).map_err(|reason| {
            self.failed = Some(reason.clone());
            io::Error::new(io::ErrorKind::InvalidInput, reason)
        })?;
        self.content.next_sequence += 1;
        if let Frame::Entry(entry) = &frame {
            if let Some(segment) = self.content.segments.back_mut() {
                segment.last_index = segment.last_index.max(Some(entry.log_id.index));
            }
            self.cached_bytes += size;
        }
        self.trim_cache();
        Ok(())
    }

    /// Forgets the oldest cached entries. Bytes of entries that were truncated or purged meanwhile count until the
    /// next call comes by, which errs on the side of less memory.
    fn trim_cache(&mut self) {
        let end = self.content.first_index + self.content.slots.len() as u64;
        self.cached_from = self.cached_from.max(self.content.first_index).min(end);
        while self.cached_bytes > CACHE_BYTES_MAX && self.cached_from < end {
            let slot = &mut self.content.slots[(self.cached_from - self.content.first_index) as usize];
            if slot.cached.take().is_some() {
                self.cached_bytes = self.cached_bytes.saturating_sub(slot.size);
            }
            self.cached_from += 1;
        }
        if self.cached_from == end {
            self.cached_bytes = 0;
        }
    }

    /// Fills the file with zeros so that `size` more bytes have room.
    fn allocate(&mut self, size: u64) -> io::Result<()> {
        let Some(segment) = self.content.segments.back_mut() else { return Ok(()) };
        let needed = segment.end + size;
        if needed <= segment.allocated {
            return Ok(());
        }
        let target = needed.next_multiple_of(ALLOCATION_STEP);
        let zeros = vec![0; (target - segment.allocated) as usize];
        segment.file.write_all_at(&zeros, segment.allocated)?;
        segment.allocated = target;
        Ok(())
    }

    fn places(&self, start: u64, end: u64) -> Vec<Place<F>> {
        let first = self.content.first_index;
        let count = self.content.slots.len() as u64;
        let from = start.clamp(first, first + count) - first;
        let to = end.clamp(first + from, first + count) - first;
        self.content
            .slots
            .range(from as usize..to as usize)
            .map(|slot| match &slot.cached {
                Some(entry) => Place::Cached(entry.clone()),
                None => Place::OnDisk { file: slot.file.clone(), position: slot.position, size: slot.size },
            })
            .collect()
    }

    /// Begins a new segment if the current one is long, and removes those that hold no live entry.
    fn recycle<D: Disk<File = F>>(&mut self, disk: &D, directory: &std::path::Path) -> io::Result<()> {
        self.check()?;
        let Some(current) = self.content.segments.back_mut() else { return Ok(()) };
        if current.end < ROLL_SIZE_MIN {
            return Ok(());
        }
        // The old segment is synced whole before the new one exists: the new one's start then vouches for all of it.
        current.file.sync()?;
        self.synced_sequence = self.content.next_sequence - 1;
        let number = current.number + 1;
        let marks: Vec<Frame> = [
            self.content.vote.map(Frame::Vote),
            self.content.purged.map(Frame::Purged),
            Some(Frame::Committed(self.content.committed)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let created = create_segment(disk, directory, number, &marks, self.content.next_sequence);
        let segment = match created {
            Ok(segment) => segment,
            // The current one goes on, and the next purge tries again: no reason to give up the log.
            Err(error) if is_full(&error) => {
                tracing::warn!(%error, "no room for a new segment of the metadata log");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.content.segments.push_back(segment);
        self.content.next_sequence += marks.len() as u64;
        self.synced_sequence = self.content.next_sequence - 1;
        let purged = self.content.purged.map(|purged| purged.index);
        while let Some(oldest) = self.content.segments.front()
            && oldest.number != number
            && oldest.last_index <= purged
        {
            crashsafe::remove_file_durably(disk, &oldest.path)?;
            self.content.segments.pop_front();
        }
        Ok(())
    }
}
