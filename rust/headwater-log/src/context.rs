//! What every log of a data directory shares: the environment, the directory's health, open descriptors, counters.
//!
//! Fail stop: after a failed fsync nobody knows what is on the disk, so [`Health`] goes from well to failed once
//! and never back. It does not end the process, which may be someone's notebook.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use headwater_env::Env;
use tokio::sync::watch;

use crate::descriptors::DescriptorCache;
use crate::error::{DirectoryFailure, StorageError};
use crate::log_dir::Shared;

/// Handed to every log of a directory.
pub(crate) struct Context<E: Env> {
    pub(crate) env: E,
    pub(crate) health: Arc<Health>,
    pub(crate) descriptors: Arc<DescriptorCache<E>>,
    pub(crate) counters: Arc<Counters>,
    /// The directory; gone for a log that was opened by itself, and once the directory was dropped.
    pub(crate) directory: Weak<Shared<E>>,
    /// A stopped broker's files: nothing may be written.
    pub(crate) read_only: bool,
}

impl<E: Env> Clone for Context<E> {
    fn clone(&self) -> Self {
        Context {
            env: self.env.clone(),
            health: Arc::clone(&self.health),
            descriptors: Arc::clone(&self.descriptors),
            counters: Arc::clone(&self.counters),
            directory: Weak::clone(&self.directory),
            read_only: self.read_only,
        }
    }
}

impl<E: Env> Context<E> {
    /// A context for logs that belong to no [`LogDir`](crate::LogDir).
    pub(crate) fn standalone(env: E, directory: &Path, read_only: bool) -> Context<E> {
        Context {
            env,
            health: Arc::new(Health::new(directory)),
            descriptors: Arc::new(DescriptorCache::new(crate::descriptors::OPEN_FILES_MAX)),
            counters: Arc::new(Counters::default()),
            directory: Weak::new(),
            read_only,
        }
    }

    /// Makes recovery points, log starts and high watermarks of the directory durable; nothing for a lone log.
    pub(crate) fn persist_offsets(&self) -> Result<(), StorageError> {
        self.directory.upgrade().map_or(Ok(()), |directory| directory.write_checkpoints())
    }

    /// Syncs a directory; a failure takes the data directory offline.
    pub(crate) fn sync_dir(&self, folder: &Path) -> Result<(), StorageError> {
        use headwater_env::Disk;
        self.env.disk().sync_dir(folder).map_err(|error| self.health.fail(folder, "fsync", error))
    }

    /// What a failed write means when nothing was left half done: no room, or the directory goes offline.
    pub(crate) fn write_failed(
        &self,
        path: &Path,
        operation: &'static str,
        error: io::Error,
    ) -> StorageError {
        if is_full(&error) {
            StorageError::StorageFull { path: path.to_owned() }
        } else {
            self.health.fail(path, operation, error)
        }
    }
}

/// Whether the error says that there is no room, which passes.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A failed read, which is not fatal to the directory.
pub(crate) fn read_failed(path: &Path, error: io::Error) -> StorageError {
    StorageError::Read { path: path.to_owned(), error: Arc::new(error) }
}

/// Whether a data directory can still be trusted.
pub(crate) struct Health {
    directory: PathBuf,
    failure: OnceLock<Arc<DirectoryFailure>>,
    failed: watch::Sender<bool>,
}

impl Health {
    pub(crate) fn new(directory: &Path) -> Health {
        Health {
            directory: directory.to_owned(),
            failure: OnceLock::new(),
            failed: watch::Sender::new(false),
        }
    }

    /// An error once the directory is offline.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        match self.failure.get() {
            None => Ok(()),
            Some(failure) => Err(StorageError::Offline(Arc::clone(failure))),
        }
    }

    /// Takes the directory offline, the first failure being the one that is remembered.
    pub(crate) fn fail(&self, path: &Path, operation: &'static str, error: io::Error) -> StorageError {
        let failure = self.failure.get_or_init(|| {
            Arc::new(DirectoryFailure {
                directory: self.directory.clone(),
                path: path.to_owned(),
                operation,
                error: Arc::new(error),
            })
        });
        if !self.failed.send_replace(true) {
            tracing::error!(%failure, "log directory taken offline");
        }
        StorageError::Offline(Arc::clone(failure))
    }

    pub(crate) fn failure(&self) -> Option<Arc<DirectoryFailure>> {
        self.failure.get().cloned()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.failed.subscribe()
    }
}

/// What flushing did since the directory was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) fsyncs: AtomicU64,
    pub(crate) rounds: AtomicU64,
    pub(crate) batches: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}
