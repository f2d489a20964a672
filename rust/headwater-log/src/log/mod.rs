//! [`Log`]: one partition's segments, offsets and producer state behind one short lock.
//!
//! ```text
//!   append ──► state lock ──► check, roll?, write, index ──► published ──► listener, flusher
//!   read   ──► segments (a list behind Arc) + published (a copy) ──► index ──► byte range
//!   flush  ──► flush lock ──► sealed and unsynced, then active ──► published
//! ```
//!
//! Locks are taken in this order and never the other way: flush lock, state, indexes of a segment, published.
//! Readers take neither of the first two. Blocking calls (everything but append, read and the accessors) belong on
//! the environment's blocking pool.

mod append;
mod flush;
mod load;
mod read;
mod recover;
mod repair;
mod retain;
mod search;
mod truncate;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use headwater_env::Env;
use tokio::sync::watch;

use crate::config::{LogConfig, LogIdentity, OpenHints};
use crate::context::Context;
use crate::epoch_cache::EpochCache;
use crate::error::{OpenError, StorageError};
use crate::flusher::FlushState;
use crate::producer_state::{Draft, Producers};
use crate::segment::Segment;
use crate::types::{EpochEnd, LogListener, ProducerView, Progress, RecoveryReport};

pub(crate) use append::marker_of;
pub(crate) use load::{LoadedLog, SNAPSHOT_SIZE_MAX, load, parse_name};
pub(crate) use repair::{METADATA_FILE, read_topic_id};

/// One partition's log. Clones are the same log.
pub struct Log<E: Env>(pub(crate) Arc<Inner<E>>);

impl<E: Env> Clone for Log<E> {
    fn clone(&self) -> Self {
        Log(Arc::clone(&self.0))
    }
}

pub(crate) struct Inner<E: Env> {
    pub(crate) context: Context<E>,
    pub(crate) identity: LogIdentity,
    /// Where it was opened; a deleted log's folder has another name by then.
    pub(crate) folder: Arc<Path>,
    config: ArcSwap<LogConfig>,
    state: Mutex<State<E>>,
    segments: ArcSwap<Vec<Arc<Segment<E>>>>,
    published: Mutex<Published>,
    /// One flush, truncation, checkpoint or close at a time.
    flushing: Mutex<()>,
    watch: watch::Sender<Progress>,
    listener: OnceLock<Arc<dyn LogListener>>,
    pub(crate) flush_state: FlushState,
    /// Set once, by close or deletion.
    closed: AtomicBool,
    /// Batches appended since the last flush, for the flusher's counter.
    unflushed_batches: AtomicU64,
    bounds: Mutex<[Option<read::BoundPosition>; 2]>,
}

/// What an append changes, under the log's lock.
struct State<E: Env> {
    active: Arc<Segment<E>>,
    producers: Producers,
    draft: Draft,
    epochs: EpochCache,
    /// Whether `leader-epoch-checkpoint` lacks an epoch.
    epochs_dirty: bool,
    /// Sealed, but not yet on stable storage; oldest first.
    unsynced: Vec<Arc<Segment<E>>>,
    /// Producers as of the borders of unsynced segments: offset and content of the snapshots to write.
    unsynced_snapshots: Vec<(i64, Arc<[u8]>)>,
    /// Counts files created or removed; `names_synced` is its value at the last sync of the folder.
    names: u64,
    names_synced: u64,
    /// Offset of the newest snapshot, and where in the active segment it was taken.
    snapshot_offset: i64,
    snapshot_position: u64,
}

/// What readers see, changed in one step. `log_start <= high_watermark <= log_end`, `flushed <= log_end`.
#[derive(Clone, Copy, Debug)]
struct Published {
    log_start: i64,
    log_end: i64,
    flushed: i64,
    high_watermark: i64,
    first_unstable: Option<i64>,
    active_base: i64,
    active_size: u64,
    /// Changes whenever bytes were cut, so that remembered positions are not used for others.
    generation: u64,
}

impl Published {
    fn progress(&self) -> Progress {
        let last_stable =
            self.first_unstable.map_or(self.high_watermark, |first| first.min(self.high_watermark));
        Progress {
            log_start: self.log_start,
            log_end: self.log_end,
            flushed: self.flushed,
            high_watermark: self.high_watermark,
            last_stable: last_stable.max(self.log_start),
        }
    }
}

/// Which offset moved, for the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    LogEnd,
    Flushed,
}

impl<E: Env> Log<E> {
    /// Opens the log in `folder`, or creates one there, outside any [`LogDir`](crate::LogDir).
    ///
    /// Such a log has no flusher (call [`Log::flush`]) and nobody who keeps its checkpoints: what
    /// [`Log::delete_records_before`] and [`Log::truncate_to`] promise about durability then rests on the caller
    /// giving the right `hints` next time. Blocking.
    ///
    /// # Errors
    /// [`OpenError`]; damage below the recovery point is one.
    pub fn open(
        env: E,
        folder: &Path,
        identity: LogIdentity,
        config: LogConfig,
        hints: OpenHints,
    ) -> Result<(Log<E>, RecoveryReport), OpenError> {
        let directory = headwater_env::crashsafe::parent(folder).to_owned();
        Log::open_in(Context::standalone(env, &directory, false), folder, identity, config, hints)
    }

    pub(crate) fn open_in(
        context: Context<E>,
        folder: &Path,
        identity: LogIdentity,
        config: LogConfig,
        hints: OpenHints,
    ) -> Result<(Log<E>, RecoveryReport), OpenError> {
        repair::prepare_folder(&context, folder, &identity)?;
        let mut loaded = load(&context, folder, &config, hints)?;
        repair::apply(&context, &mut loaded)?;
        let report = std::mem::take(&mut loaded.report);
        let log = Log::from_loaded(context, identity, config, hints, loaded);
        Ok((log, report))
    }

    /// Puts together what was loaded; the list of segments is not empty.
    pub(crate) fn from_loaded(
        context: Context<E>,
        identity: LogIdentity,
        config: LogConfig,
        hints: OpenHints,
        mut loaded: LoadedLog<E>,
    ) -> Log<E> {
        let high_watermark =
            hints.high_watermark.clamp(loaded.log_start, loaded.log_end.max(loaded.log_start));
        loaded.producers.on_high_watermark(high_watermark);
        let active = Arc::clone(&loaded.active);
        let published = Published {
            log_start: loaded.log_start,
            log_end: loaded.log_end,
            flushed: loaded.log_end,
            high_watermark,
            first_unstable: loaded.producers.first_unstable(),
            active_base: active.base_offset(),
            active_size: active.size(),
            generation: 0,
        };
        let snapshot_position = if loaded.snapshot_offset == loaded.log_end { active.size() } else { 0 };
        let state = State {
            active,
            producers: loaded.producers,
            draft: Draft::default(),
            epochs: loaded.epochs,
            epochs_dirty: false,
            unsynced: Vec::new(),
            unsynced_snapshots: Vec::new(),
            names: 0,
            names_synced: 0,
            snapshot_offset: loaded.snapshot_offset,
            snapshot_position,
        };
        Log(Arc::new(Inner {
            context,
            identity,
            folder: loaded.folder,
            config: ArcSwap::from_pointee(config),
            state: Mutex::new(state),
            segments: ArcSwap::from_pointee(loaded.segments),
            published: Mutex::new(published),
            flushing: Mutex::new(()),
            watch: watch::Sender::new(published.progress()),
            listener: OnceLock::new(),
            flush_state: FlushState::default(),
            closed: AtomicBool::new(false),
            unflushed_batches: AtomicU64::new(0),
            bounds: Mutex::new([None; 2]),
        }))
    }

    /// Which partition this is.
    pub fn identity(&self) -> &LogIdentity {
        &self.0.identity
    }

    /// The partition's folder.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<LogConfig> {
        self.0.config.load_full()
    }

    /// Puts other settings in force, from the next append, roll or pass on.
    pub fn set_config(&self, config: LogConfig) {
        self.0.config.store(Arc::new(config));
        if self.0.config.load().flush && self.flushed() < self.log_end() {
            self.0.wake_flusher(self);
        }
    }

    /// All offsets at one moment.
    pub fn progress(&self) -> Progress {
        self.0.published().progress()
    }

    /// First offset that can be read.
    pub fn log_start(&self) -> i64 {
        self.0.published().log_start
    }

    /// Offset after the last record.
    pub fn log_end(&self) -> i64 {
        self.0.published().log_end
    }

    /// Everything below is committed; only moved by [`Log::set_high_watermark`], truncation and deletion.
    pub fn high_watermark(&self) -> i64 {
        self.0.published().high_watermark
    }

    /// Everything below is committed and belongs to no open transaction.
    pub fn last_stable(&self) -> i64 {
        self.progress().last_stable
    }

    /// Everything below is on stable storage; also the recovery point.
    pub fn flushed(&self) -> i64 {
        self.0.published().flushed
    }

    /// Bytes in all segments.
    pub fn size(&self) -> u64 {
        self.0.segments.load().iter().map(|segment| segment.size()).sum()
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.0.segments.load().len()
    }

    /// Newest leader epoch in the log.
    pub fn leader_epoch(&self) -> Option<i32> {
        self.0.state().epochs.latest()
    }

    /// Every leader epoch with its start offset, oldest first.
    pub fn leader_epochs(&self) -> Vec<(i32, i64)> {
        self.0.state().epochs.entries().to_vec()
    }

    /// Where the largest epoch not above `epoch` ends (KIP-101, KIP-279).
    pub fn end_offset_for_epoch(&self, epoch: i32) -> EpochEnd {
        let state = self.0.state();
        state.epochs.end_offset_for(epoch, self.log_end())
    }

    /// Notes that the leader of `epoch` begins at `start_offset`. Durable with the next flush.
    pub fn assign_leader_epoch(&self, epoch: i32, start_offset: i64) {
        let mut state = self.0.state();
        if state.epochs.assign(epoch, start_offset) {
            state.epochs_dirty = true;
        }
    }

    /// The producers the log remembers, by producer id.
    pub fn producers(&self) -> Vec<ProducerView> {
        self.0.state().producers.views().collect()
    }

    /// Moves the high watermark, clamped to what is there; returns where it is now.
    ///
    /// It never moves back by this: only truncation takes it back.
    pub fn set_high_watermark(&self, offset: i64) -> i64 {
        let unstable = self.0.published().first_unstable.is_some();
        // Settling transactions needs their state; logs without any do not take the append lock for this.
        let mut state = unstable.then(|| self.0.state());
        let mut published = self.0.published_mut();
        let target = offset.clamp(published.log_start, published.log_end).max(published.high_watermark);
        if target == published.high_watermark {
            return target;
        }
        published.high_watermark = target;
        if let Some(state) = &mut state {
            state.producers.on_high_watermark(target);
            published.first_unstable = state.producers.first_unstable();
        }
        drop(published);
        drop(state);
        self.0.send_progress();
        target
    }

    /// Follows the offsets. The value is the newest one; intermediate ones may be skipped.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        let receiver = self.0.watch.subscribe();
        // While nobody listens the value is not kept up to date.
        self.0.send_progress();
        receiver
    }

    /// Sets who is told when offsets move. Only the first call has an effect.
    pub fn set_listener(&self, listener: Arc<dyn LogListener>) {
        self.0.listener.set(listener).ok();
    }

    pub(crate) fn notify_failed(&self) {
        if let Some(listener) = self.0.listener.get() {
            listener.failed();
        }
    }

    /// For checks in tests and laws: producer state as a snapshot would hold it.
    #[doc(hidden)]
    pub fn producer_snapshot(&self) -> Vec<u8> {
        self.0.state().producers.to_snapshot()
    }
}

impl<E: Env> Inner<E> {
    fn state(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn published(&self) -> Published {
        *self.published_mut()
    }

    fn published_mut(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_flushing(&self) -> MutexGuard<'_, ()> {
        self.flushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error once the log is closed or its directory offline.
    fn check_open(&self) -> Result<(), StorageError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        self.context.health.check()
    }

    fn send_progress(&self) {
        if self.watch.receiver_count() > 0 {
            // Read inside the watch's own lock: two threads can come here in any order, the value is the newest.
            self.watch.send_modify(|value| *value = self.published().progress());
        }
    }

    /// Tells everyone who waits; no lock is held.
    fn notify(&self, moved: Moved) {
        self.send_progress();
        if let Some(listener) = self.listener.get() {
            match moved {
                Moved::LogEnd => listener.log_end_changed(),
                Moved::Flushed => listener.flushed_changed(),
            }
        }
    }

    /// Has the directory's flusher sync this log; nothing for a lone log.
    fn wake_flusher(&self, log: &Log<E>) {
        if let Some(directory) = self.context.directory.upgrade() {
            directory.flusher.mark(log);
        }
    }

    /// Index in `segments` of the one that holds `offset`: the last whose base is not above it.
    fn floor(segments: &[Arc<Segment<E>>], offset: i64) -> Option<usize> {
        segments.partition_point(|segment| segment.base_offset() <= offset).checked_sub(1)
    }
}
