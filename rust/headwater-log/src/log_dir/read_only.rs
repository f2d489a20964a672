//! [`ReadOnlyDir`] and [`ReadOnlyLog`]: a stopped broker's files, read without writing a byte.
//!
//! The lock is taken, so that no broker starts meanwhile. What an open would mend on disk is mended in memory only: a
//! torn tail ends the log where it is valid, missing indexes are built anew.

use std::path::{Path, PathBuf};

use headwater_env::{DirLock, Disk, Env};
use headwater_record::{TopicPartition, Uuid};

use super::load::{FoundLog, find};
use super::metadata::Metadata;
use super::offsets::{self, Offsets};
use super::{LOCK_FILE, OpenDirError};
use crate::config::{LogConfig, LogIdentity, OpenHints};
use crate::context::{Context, read_failed};
use crate::error::{OpenError, ReadError};
use crate::log::{Log, load};
use crate::types::{Isolation, Progress, RecoveryReport, Slice, TimestampOffset};

/// A stopped broker's data directory.
pub struct ReadOnlyDir<E: Env> {
    context: Context<E>,
    directory: PathBuf,
    metadata: Option<Metadata>,
    offsets: Offsets,
    clean_shutdown: bool,
    _lock: DirLock,
}

impl<E: Env> ReadOnlyDir<E> {
    /// Takes the lock and reads the checkpoints. Blocking.
    ///
    /// # Errors
    /// [`OpenDirError::Lock`] while a broker runs; [`OpenDirError::Missing`].
    pub fn open(env: E, directory: &Path) -> Result<ReadOnlyDir<E>, OpenDirError> {
        if !env.disk().exists(directory).map_err(|error| read_failed(directory, error))? {
            return Err(OpenDirError::Missing { directory: directory.to_owned() });
        }
        let lock = env.disk().lock(&directory.join(LOCK_FILE))?;
        let metadata = Metadata::read(env.disk(), directory)?;
        let (offsets, clean_shutdown) = offsets::read(env.disk(), directory)?;
        let context = Context::standalone(env, directory, true);
        Ok(ReadOnlyDir {
            context,
            directory: directory.to_owned(),
            metadata,
            offsets,
            clean_shutdown,
            _lock: lock,
        })
    }

    /// `directory.id`, if there is a `meta.properties`.
    pub fn directory_id(&self) -> Option<Uuid> {
        self.metadata.as_ref().map(|metadata| metadata.directory_id)
    }

    /// Whether the broker stopped cleanly.
    pub fn clean_shutdown(&self) -> bool {
        self.clean_shutdown
    }

    /// The partitions that are there, by topic and partition.
    ///
    /// # Errors
    /// [`OpenDirError::Storage`].
    pub fn partitions(&self) -> Result<Vec<FoundLog>, OpenDirError> {
        let (mut found, _) = find(&self.context, &self.directory)?;
        found.sort_by(|one, other| one.topic_partition.cmp(&other.topic_partition));
        Ok(found)
    }

    /// Opens one partition. Blocking.
    ///
    /// # Errors
    /// [`OpenError::Missing`]; damage below the recovery point.
    pub fn open_log(&self, partition: &TopicPartition) -> Result<ReadOnlyLog<E>, OpenError> {
        let hints = OpenHints {
            clean_shutdown: self.clean_shutdown,
            ..self.offsets.get(partition).copied().unwrap_or_default()
        };
        let folder = self.directory.join(partition.to_string());
        let identity = LogIdentity::new(partition.topic.as_ref(), Uuid::ZERO, partition.partition);
        ReadOnlyLog::open_in(self.context.clone(), &folder, identity, hints)
    }
}

/// A stopped broker's partition. Everything up to its valid end counts as committed: there was one replica, and this
/// is it.
pub struct ReadOnlyLog<E: Env> {
    log: Log<E>,
    report: RecoveryReport,
}

impl<E: Env> ReadOnlyLog<E> {
    /// Opens a folder by itself, without a lock. Blocking.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        env: E,
        folder: &Path,
        identity: LogIdentity,
        hints: OpenHints,
    ) -> Result<ReadOnlyLog<E>, OpenError> {
        let directory = headwater_env::crashsafe::parent(folder).to_owned();
        ReadOnlyLog::open_in(Context::standalone(env, &directory, true), folder, identity, hints)
    }

    fn open_in(
        context: Context<E>,
        folder: &Path,
        identity: LogIdentity,
        hints: OpenHints,
    ) -> Result<ReadOnlyLog<E>, OpenError> {
        let config = LogConfig::default();
        let mut loaded = load(&context, folder, &config, hints)?;
        let report = std::mem::take(&mut loaded.report);
        let hints = OpenHints { high_watermark: loaded.log_end, ..hints };
        let log = Log::from_loaded(context, identity, config, hints, loaded);
        Ok(ReadOnlyLog { log, report })
    }

    /// Which partition this is; the topic id is not known.
    pub fn identity(&self) -> &LogIdentity {
        self.log.identity()
    }

    /// What opening it found; nothing of it was mended on disk.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Its offsets.
    pub fn progress(&self) -> Progress {
        self.log.progress()
    }

    /// Bytes in all segments, as far as they are valid.
    pub fn size(&self) -> u64 {
        self.log.size()
    }

    /// As [`Log::read`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        at_least_one: bool,
        isolation: Isolation,
    ) -> Result<Slice<E>, ReadError> {
        self.log.read(offset, max_bytes, at_least_one, isolation)
    }

    /// As [`Log::offset_for_timestamp`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<TimestampOffset>, ReadError> {
        self.log.offset_for_timestamp(timestamp)
    }
}
