//! [`LogDir`]: one data directory with all its logs.
//!
//! ```text
//!   open ──► lock, meta.properties          task `log-flusher`      syncs dirty logs
//!   load ──► checkpoints, every log,        task `log-housekeeping` checkpoints, retention
//!            marker removed, tasks started  task `log-delete`       empties a deleted folder, then ends
//!   close ─► tasks end, logs close, checkpoints, marker, lock given back
//! ```
//!
//! A log that cannot be opened is reported and left alone; the others are not affected. Which topics exist is not
//! known here: the caller says what to do with each folder that is found.

mod background;
mod load;
mod metadata;
mod offsets;
mod read_only;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use headwater_env::{DirLock, Disk, Env, LockError, TaskHandle, crashsafe};
use headwater_record::{TopicPartition, Uuid};
use tokio::sync::{Notify, watch};

pub use load::{FoundLog, LoadFailure, LoadedLogs, Placement};
pub use read_only::{ReadOnlyDir, ReadOnlyLog};

use crate::config::{LogConfig, LogIdentity, OpenHints};
use crate::context::{Context, Counters, Health};
use crate::descriptors::{DescriptorCache, OPEN_FILES_MAX};
use crate::error::{DirectoryFailure, OpenError, StorageError};
use crate::flusher::Flusher;
use crate::log::Log;
pub(crate) use metadata::Metadata;
pub(crate) use offsets::CLEAN_MARKER;
use offsets::{Offsets, Written};

/// Name of the lock file.
pub(crate) const LOCK_FILE: &str = ".lock";
/// Longest name of a file, which the name of a deleted folder is cut to.
const NAME_LENGTH_MAX: usize = 255;

/// How a data directory is opened.
#[derive(Clone, Debug)]
pub struct LogDirOptions {
    /// `node.id`; compared with `meta.properties`.
    pub node_id: i32,
    /// The cluster; `None`: whatever `meta.properties` says, or a new one.
    pub cluster_id: Option<Uuid>,
    /// `log.retention.check.interval.ms`. Default 5 minutes.
    pub retention_check_interval: Duration,
    /// `log.flush.offset.checkpoint.interval.ms` and the like: how often checkpoints are written. Default 1 minute.
    pub checkpoint_interval: Duration,
    /// Sealed files kept open. Default 512.
    pub open_files_max: usize,
    /// Logs opened and closed at once. Default 8.
    pub parallel_opens_max: usize,
}

impl LogDirOptions {
    /// The defaults for this node.
    pub fn new(node_id: i32) -> LogDirOptions {
        LogDirOptions {
            node_id,
            cluster_id: None,
            retention_check_interval: Duration::from_secs(5 * 60),
            checkpoint_interval: Duration::from_secs(60),
            open_files_max: OPEN_FILES_MAX,
            parallel_opens_max: 8,
        }
    }
}

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenDirError {
    /// Another process, or this one, uses it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It belongs to somebody else.
    #[error("{} belongs to {what} {found}, not {expected}", directory.display())]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// `node.id` or `cluster.id`.
        what: &'static str,
        /// What `meta.properties` says.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// A file of the directory cannot be understood.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such directory.
    #[error("{} does not exist", directory.display())]
    Missing {
        /// The directory.
        directory: PathBuf,
    },
    /// The disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What flushing did since the directory was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushCounters {
    /// fsyncs of log, index and snapshot files.
    pub fsyncs: u64,
    /// Times the flusher took dirty logs from its queue.
    pub rounds: u64,
    /// Batches that became durable; many per fsync when producers share them.
    pub batches: u64,
}

/// One data directory. Clones are the same directory. Dropping the last without [`LogDir::close`] is an unclean stop.
pub struct LogDir<E: Env>(Arc<Shared<E>>);

impl<E: Env> Clone for LogDir<E> {
    fn clone(&self) -> Self {
        LogDir(Arc::clone(&self.0))
    }
}

/// What the logs of a directory reach through their context.
pub(crate) struct Shared<E: Env> {
    env: E,
    directory: PathBuf,
    options: LogDirOptions,
    metadata: Metadata,
    cluster_id: Uuid,
    health: Arc<Health>,
    descriptors: Arc<DescriptorCache<E>>,
    counters: Arc<Counters>,
    pub(crate) flusher: Arc<Flusher<E>>,
    logs: Mutex<BTreeMap<TopicPartition, Log<E>>>,
    checkpoints: Mutex<Checkpoints>,
    lock: Mutex<Option<DirLock>>,
    tasks: Mutex<Vec<TaskHandle<()>>>,
    stop: Arc<Notify>,
}

/// The checkpoint files as this process knows them.
struct Checkpoints {
    written: Written,
    /// Values of partitions that are not open: read at the start, carried over.
    carried: Offsets,
    /// Partitions whose folder could not be opened: the directory cannot be marked clean for them.
    failed: bool,
}

impl<E: Env> LogDir<E> {
    /// Takes the directory's lock, creates or compares `meta.properties`, reads the checkpoints. Blocking.
    ///
    /// # Errors
    /// [`OpenDirError`]; [`OpenDirError::Lock`] names the process that has it.
    pub fn open(env: E, directory: &Path, options: LogDirOptions) -> Result<LogDir<E>, OpenDirError> {
        let health = Arc::new(Health::new(directory));
        let counters = Arc::new(Counters::default());
        let descriptors = Arc::new(DescriptorCache::new(options.open_files_max));
        let mut context = Context::standalone(env.clone(), directory, false);
        context.health = Arc::clone(&health);
        crashsafe::create_dir_all(env.disk(), directory)
            .map_err(|error| context.write_failed(directory, "create", error))?;
        let lock = env.disk().lock(&directory.join(LOCK_FILE))?;
        let metadata = Metadata::open(&context, directory, options.node_id, options.cluster_id)?;
        let cluster_id = metadata.cluster_id.parse().map_err(|_| OpenDirError::Malformed {
            path: directory.join(metadata::FILE_NAME),
            reason: format!("cluster.id `{}` is not an id", metadata.cluster_id),
        })?;
        let (carried, _) = offsets::read(env.disk(), directory)?;
        Ok(LogDir(Arc::new(Shared {
            env,
            directory: directory.to_owned(),
            options,
            metadata,
            cluster_id,
            health,
            descriptors,
            flusher: Arc::new(Flusher::new(Arc::clone(&counters))),
            counters,
            logs: Mutex::new(BTreeMap::new()),
            checkpoints: Mutex::new(Checkpoints { written: Written::default(), carried, failed: false }),
            lock: Mutex::new(Some(lock)),
            tasks: Mutex::new(Vec::new()),
            stop: Arc::new(Notify::new()),
        })))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0.directory
    }

    /// `cluster.id`.
    pub fn cluster_id(&self) -> Uuid {
        self.0.cluster_id
    }

    /// `node.id`.
    pub fn node_id(&self) -> i32 {
        self.0.metadata.node_id
    }

    /// `directory.id`.
    pub fn directory_id(&self) -> Uuid {
        self.0.metadata.directory_id
    }

    /// Why the directory is offline, if it is.
    pub fn failure(&self) -> Option<Arc<DirectoryFailure>> {
        self.0.health.failure()
    }

    /// Becomes true when the directory goes offline.
    pub fn watch_failure(&self) -> watch::Receiver<bool> {
        self.0.health.watch()
    }

    /// What flushing did so far.
    pub fn flush_counters(&self) -> FlushCounters {
        let counters = &self.0.counters;
        FlushCounters {
            fsyncs: counters.fsyncs.load(Ordering::Relaxed),
            rounds: counters.rounds.load(Ordering::Relaxed),
            batches: counters.batches.load(Ordering::Relaxed),
        }
    }

    /// The open log of a partition.
    pub fn log(&self, partition: &TopicPartition) -> Option<Log<E>> {
        self.0.logs().get(partition).cloned()
    }

    /// Every open log, by partition.
    pub fn logs(&self) -> Vec<Log<E>> {
        self.0.logs().values().cloned().collect()
    }

    /// Creates the log of a new partition, durably. Blocking.
    ///
    /// # Errors
    /// [`OpenError::Exists`] when its folder is there, open or not.
    pub fn create_log(&self, identity: LogIdentity, config: LogConfig) -> Result<Log<E>, OpenError> {
        let shared = &self.0;
        shared.health.check()?;
        let partition = identity.topic_partition();
        let folder = shared.directory.join(partition.to_string());
        if shared.env.disk().exists(&folder).map_err(|error| crate::context::read_failed(&folder, error))? {
            return Err(OpenError::Exists { folder });
        }
        // A former partition of this name has left nothing that could be taken for the new one's.
        shared.forget_offsets(&partition)?;
        let (log, _) = Log::open_in(shared.context(), &folder, identity, config, OpenHints::default())?;
        shared.logs().insert(partition, log.clone());
        Ok(log)
    }

    /// Closes a log and takes its folder out of the way, durably; the files go in the background. A partition without
    /// a folder is no error. Blocking.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn delete_log(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        if let Some(deleted) = self.0.move_folder(partition, "delete")? {
            background::remove_folder(&self.0, deleted);
        }
        Ok(())
    }

    /// Closes a log, if it is open, and renames its folder to `….<uuid>-stray`: nobody knows the topic, but somebody
    /// may miss the records. Blocking.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn set_aside(&self, partition: &TopicPartition) -> Result<Option<PathBuf>, StorageError> {
        self.0.move_folder(partition, "stray")
    }

    /// Writes all checkpoints, with what makes the next unclean open cheap. Blocking; runs by itself as well.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        self.0.checkpoint_logs();
        self.0.update_checkpoints(true)
    }

    /// Applies retention to every log. Blocking; runs by itself as well.
    pub fn apply_retention(&self, now_ms: i64) {
        self.0.apply_retention(now_ms);
    }

    /// Ends the tasks, closes every log, leaves the clean-shutdown marker and gives the lock back.
    ///
    /// # Errors
    /// What kept a log from being closed whole; the directory is not marked clean then, but the lock is free.
    pub async fn close(&self) -> Result<(), StorageError> {
        let shared = &self.0;
        shared.stop.notify_one();
        shared.flusher.stop();
        let tasks = std::mem::take(&mut *shared.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::warn!(%error, "log directory task");
            }
        }
        let closing = Arc::clone(shared);
        let outcome =
            load::in_parallel(&shared.env, shared.options.parallel_opens_max, self.logs(), |log| log.close())
                .await
                .into_iter()
                .collect::<Result<Vec<()>, StorageError>>();
        shared.env.blocking(move || closing.finish_closing(outcome.map(|_| ()))).await
    }
}

impl<E: Env> Shared<E> {
    fn logs(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Log<E>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checkpoints(&self) -> MutexGuard<'_, Checkpoints> {
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn context(self: &Arc<Self>) -> Context<E> {
        Context {
            env: self.env.clone(),
            health: Arc::clone(&self.health),
            descriptors: Arc::clone(&self.descriptors),
            counters: Arc::clone(&self.counters),
            directory: Arc::downgrade(self),
            read_only: false,
        }
    }

    /// The same without the way back, for work on the directory's own files.
    fn own_context(&self) -> Context<E> {
        Context {
            env: self.env.clone(),
            health: Arc::clone(&self.health),
            descriptors: Arc::clone(&self.descriptors),
            counters: Arc::clone(&self.counters),
            directory: std::sync::Weak::new(),
            read_only: false,
        }
    }

    /// Makes recovery points and log starts durable, as they are now. Takes no lock of a log but its published offsets.
    pub(crate) fn write_checkpoints(&self) -> Result<(), StorageError> {
        self.update_checkpoints(false)
    }

    fn update_checkpoints(&self, with_high_watermarks: bool) -> Result<(), StorageError> {
        self.health.check()?;
        let mut checkpoints = self.checkpoints();
        let mut offsets = checkpoints.carried.clone();
        for (partition, log) in self.logs().iter() {
            let progress = log.progress();
            offsets.insert(
                partition.clone(),
                OpenHints {
                    recovery_point: progress.flushed,
                    log_start: progress.log_start,
                    high_watermark: progress.high_watermark,
                    clean_shutdown: false,
                },
            );
        }
        checkpoints.written.update(&self.own_context(), &self.directory, &offsets, with_high_watermarks)
    }

    fn forget_offsets(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        if self.checkpoints().carried.remove(partition).is_some() { self.write_checkpoints() } else { Ok(()) }
    }

    /// Takes a log out of the map, refuses further work on it and renames its folder durably.
    fn move_folder(
        self: &Arc<Self>,
        partition: &TopicPartition,
        why: &str,
    ) -> Result<Option<PathBuf>, StorageError> {
        self.health.check()?;
        let log = self.logs().remove(partition);
        if let Some(log) = log {
            log.abandon();
        }
        let folder = self.directory.join(partition.to_string());
        let disk = self.env.disk();
        if !disk.exists(&folder).map_err(|error| crate::context::read_failed(&folder, error))? {
            return Ok(None);
        }
        let moved = self.directory.join(name_of_moved(partition, &metadata::random_uuid(&self.env), why));
        let context = self.own_context();
        crashsafe::rename(disk, &folder, &moved)
            .map_err(|error| context.write_failed(&folder, "rename", error))?;
        self.checkpoints().carried.remove(partition);
        self.write_checkpoints()?;
        Ok(Some(moved))
    }

    fn finish_closing(&self, closed: Result<(), StorageError>) -> Result<(), StorageError> {
        let context = self.own_context();
        let outcome = closed.and_then(|()| self.update_checkpoints(true)).and_then(|()| {
            // A partition that could not be opened was not closed cleanly, and the marker speaks for all.
            if self.checkpoints().failed { Ok(()) } else { offsets::mark_clean(&context, &self.directory) }
        });
        self.logs().clear();
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
        outcome
    }
}

impl<E: Env> Drop for Shared<E> {
    fn drop(&mut self) {
        // Only reached without `close`: the tasks hold the flusher and a weak reference, no more.
        self.flusher.stop();
        for task in self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

/// `<topic>-<partition>.<uuid in hex>-delete`, cut to what a file name may have.
fn name_of_moved(partition: &TopicPartition, id: &Uuid, why: &str) -> String {
    use std::fmt::Write;
    let mut suffix = String::from(".");
    for byte in id.as_bytes() {
        // Writing into a String cannot fail.
        write!(suffix, "{byte:02x}").ok();
    }
    suffix.push('-');
    suffix.push_str(why);
    let mut name = partition.to_string();
    let mut length = name.len().min(NAME_LENGTH_MAX - suffix.len());
    while !name.is_char_boundary(length) {
        length -= 1;
    }
    name.truncate(length);
    name + &suffix
}
