//! Finding the logs of a directory and opening them, several at once.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use headwater_env::{Disk, Env};
use headwater_record::{TopicPartition, Uuid};

use super::offsets::{self, Offsets};
use super::{LogDir, OpenDirError, background};
use crate::config::{LogConfig, LogIdentity};
use crate::context::{Context, read_failed};
use crate::error::{OpenError, StorageError};
use crate::log::{Log, read_topic_id};
use crate::types::RecoveryReport;

/// A partition's folder in a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLog {
    /// What the folder's name says.
    pub topic_partition: TopicPartition,
    /// What its `partition.metadata` says; `None` without one.
    pub topic_id: Option<Uuid>,
    /// The folder.
    pub folder: PathBuf,
}

/// What is to be done with a folder that was found.
#[derive(Clone, Debug)]
pub enum Placement {
    /// Open it as this partition.
    Open(LogIdentity, LogConfig),
    /// Nobody knows the topic: rename it to `….<uuid>-stray`.
    Stray,
    /// Leave it alone.
    Ignore,
}

/// A log that could not be opened: the partition is offline.
#[derive(Debug)]
pub struct LoadFailure {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// Why.
    pub error: OpenError,
}

/// What loading a directory found.
pub struct LoadedLogs<E: Env> {
    /// The logs that opened, with what opening them found.
    pub logs: Vec<(Log<E>, RecoveryReport)>,
    /// Those that did not.
    pub failed: Vec<LoadFailure>,
    /// Folders set aside, by their new names.
    pub stray: Vec<PathBuf>,
}

/// Names that Kafka gives to folders that are no partitions any more, or not yet.
const OTHER_SUFFIXES: [&str; 3] = ["-delete", "-stray", "-future"];

/// The partitions' folders in a directory, and the folders that wait to be deleted.
pub(super) fn find<E: Env>(
    context: &Context<E>,
    directory: &Path,
) -> Result<(Vec<FoundLog>, Vec<PathBuf>), OpenDirError> {
    let entries = context.env.disk().read_dir(directory).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => OpenDirError::Missing { directory: directory.to_owned() },
        _ => read_failed(directory, error).into(),
    })?;
    let (mut found, mut deleted) = (Vec::new(), Vec::new());
    for entry in entries.into_iter().filter(|entry| entry.is_dir) {
        let folder = directory.join(&entry.name);
        if entry.name.ends_with("-delete") {
            deleted.push(folder);
        } else if OTHER_SUFFIXES.iter().all(|suffix| !entry.name.ends_with(suffix))
            && let Some(topic_partition) = TopicPartition::from_folder_name(&entry.name)
        {
            // A damaged file is reported when the log is opened.
            let topic_id = read_topic_id(context, &folder).ok().flatten();
            found.push(FoundLog { topic_partition, topic_id, folder });
        }
    }
    Ok((found, deleted))
}

impl<E: Env> LogDir<E> {
    /// Opens the logs that `place` wants opened, several at once, and starts the directory's tasks. Once.
    ///
    /// # Errors
    /// What concerns the directory as a whole. A log that does not open is in [`LoadedLogs::failed`].
    pub async fn load(
        &self,
        place: impl Fn(&FoundLog) -> Placement + Send + 'static,
    ) -> Result<LoadedLogs<E>, OpenDirError> {
        let shared = &self.0;
        let this = self.clone();
        let (to_open, stray) = shared.env.blocking(move || this.place_folders(place)).await?;
        let context = shared.context();
        let hints = shared.checkpoints().carried.clone();
        let opened = in_parallel(&shared.env, shared.options.parallel_opens_max, to_open, move |found| {
            open_one(&context, &hints, found)
        })
        .await;
        let mut loaded = LoadedLogs { logs: Vec::new(), failed: Vec::new(), stray };
        for outcome in opened {
            match outcome {
                Ok((log, report)) => {
                    let partition = log.identity().topic_partition();
                    shared.checkpoints().carried.remove(&partition);
                    shared.logs().insert(partition, log.clone());
                    loaded.logs.push((log, report));
                }
                Err(failure) => {
                    shared.checkpoints().failed = true;
                    loaded.failed.push(failure);
                }
            }
        }
        let this = self.clone();
        shared.env.blocking(move || this.finish_loading()).await?;
        background::start(shared);
        Ok(loaded)
    }

    /// Asks what to do with each folder and does what can be done at once.
    #[expect(clippy::type_complexity, reason = "two lists, used once")]
    fn place_folders(
        &self,
        place: impl Fn(&FoundLog) -> Placement,
    ) -> Result<(Vec<(FoundLog, LogIdentity, LogConfig)>, Vec<PathBuf>), OpenDirError> {
        let context = self.0.own_context();
        let (found, deleted) = find(&context, &self.0.directory)?;
        deleted.into_iter().for_each(|folder| background::remove_folder(&self.0, folder));
        {
            // What is said about folders that are no longer there is forgotten, or a new partition of the same name
            // would inherit it.
            let there =
                |partition: &TopicPartition| found.iter().any(|found| found.topic_partition == *partition);
            self.0.checkpoints().carried.retain(|partition, _| there(partition));
        }
        let (mut to_open, mut stray) = (Vec::new(), Vec::new());
        for found in found {
            match place(&found) {
                Placement::Open(identity, config) => to_open.push((found, identity, config)),
                Placement::Stray => stray.extend(self.set_aside(&found.topic_partition)?),
                Placement::Ignore => {}
            }
        }
        Ok((to_open, stray))
    }

    /// From here on the directory is in use: the marker goes, before anything can be appended.
    fn finish_loading(&self) -> Result<(), StorageError> {
        offsets::unmark_clean(&self.0.own_context(), &self.0.directory)?;
        self.0.update_checkpoints(true)
    }
}

fn open_one<E: Env>(
    context: &Context<E>,
    hints: &Offsets,
    (found, identity, config): (FoundLog, LogIdentity, LogConfig),
) -> Result<(Log<E>, RecoveryReport), LoadFailure> {
    let hints = hints.get(&found.topic_partition).copied().unwrap_or_default();
    let opened = Log::open_in(context.clone(), &found.folder, identity, config, hints);
    match &opened {
        Ok((_, report)) => {
            if let Some(cut) = &report.cut {
                tracing::warn!(at = %cut.at, bytes = cut.bytes, segments = cut.segments, "torn tail cut");
            }
            report.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        Err(error) => tracing::error!(partition = %found.topic_partition, %error, "partition is offline"),
    }
    opened.map_err(|error| LoadFailure { topic_partition: found.topic_partition, error })
}

/// Runs `work` on every item, at most `parallel_max` at once, on the blocking pool; results in the items' order.
pub(super) async fn in_parallel<E: Env, T: Send + 'static, R: Send + 'static>(
    env: &E,
    parallel_max: usize,
    items: Vec<T>,
    work: impl Fn(T) -> R + Send + Sync + 'static,
) -> Vec<R> {
    let workers = parallel_max.clamp(1, items.len().max(1));
    let queue: Arc<Mutex<VecDeque<(usize, T)>>> =
        Arc::new(Mutex::new(items.into_iter().enumerate().collect()));
    let work = Arc::new(work);
    let started: Vec<_> = (0..workers)
        .map(|_| {
            let (queue, work) = (Arc::clone(&queue), Arc::clone(&work));
            env.blocking(move || {
                let mut results = Vec::new();
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some((index, item)) = next() {
                    results.push((index, work(item)));
                }
                results
            })
        })
        .collect();
    let mut results = Vec::new();
    for worker in started {
        results.extend(worker.await);
    }
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
