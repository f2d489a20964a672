//! A stopped broker's data directory: locked, opened without writing a byte.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_env::Env;
use headwater_log::{OpenDirError, ReadOnlyDir, ReadOnlyLog};
use headwater_record::TopicPartition;

use super::log::{SegmentReader, bounds_of};
use super::{Bounds, Isolation, PartitionSource, RawBatches};
use crate::{BytesLayout, Interrupt, SourceError};

/// The topics of a stopped broker. The directory stays locked while this, or a source made from it, lives.
pub struct ReadOnlySources<E: Env> {
    directory: Arc<ReadOnlyDir<E>>,
    path: PathBuf,
}

/// Why a stopped broker's topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoppedDirError {
    /// The directory cannot be opened; a running broker has it, perhaps.
    #[error(transparent)]
    Directory(#[from] OpenDirError),
    /// The directory holds no partition of the topic.
    #[error("no partition of topic `{topic}` in {}", directory.display())]
    UnknownTopic {
        /// The topic.
        topic: String,
        /// The data directory.
        directory: PathBuf,
    },
}

impl<E: Env> ReadOnlySources<E> {
    /// Locks and opens `directory`. Blocking.
    ///
    /// # Errors
    /// [`StoppedDirError::Directory`]; its lock error names the process that has it.
    pub fn open(env: E, directory: &Path) -> Result<ReadOnlySources<E>, StoppedDirError> {
        Ok(ReadOnlySources {
            directory: Arc::new(ReadOnlyDir::open(env, directory)?),
            path: directory.to_owned(),
        })
    }

    /// Names of the topics found, sorted.
    ///
    /// # Errors
    /// [`StoppedDirError::Directory`].
    pub fn topics(&self) -> Result<Vec<Arc<str>>, StoppedDirError> {
        let found = self.directory.partitions()?;
        let mut topics: Vec<_> = found.iter().map(|found| found.topic_partition.topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        Ok(topics)
    }

    /// The partitions of `topic`, by number. Their tails are validated when they are first read.
    ///
    /// # Errors
    /// [`StoppedDirError::UnknownTopic`].
    pub fn of_topic(
        &self,
        topic: &str,
        isolation: Isolation,
        layout: BytesLayout,
    ) -> Result<Vec<Box<dyn PartitionSource>>, StoppedDirError> {
        let found = self.directory.partitions()?;
        let mut partitions: Vec<_> = found
            .iter()
            .map(|found| found.topic_partition.clone())
            .filter(|found| &*found.topic == topic)
            .collect();
        partitions.sort_unstable();
        if partitions.is_empty() {
            return Err(StoppedDirError::UnknownTopic {
                topic: topic.to_owned(),
                directory: self.path.clone(),
            });
        }
        let source = |partition| -> Box<dyn PartitionSource> {
            Box::new(ReadOnlySource {
                directory: self.directory.clone(),
                partition,
                log: None,
                isolation,
                reader: SegmentReader::new(layout),
            })
        };
        Ok(partitions.into_iter().map(source).collect())
    }
}

struct ReadOnlySource<E: Env> {
    directory: Arc<ReadOnlyDir<E>>,
    partition: TopicPartition,
    log: Option<ReadOnlyLog<E>>,
    isolation: Isolation,
    reader: SegmentReader<E>,
}

impl<E: Env> ReadOnlySource<E> {
    fn log(&mut self) -> Result<&ReadOnlyLog<E>, SourceError> {
        if self.log.is_none() {
            self.log = Some(self.directory.open_log(&self.partition)?);
        }
        self.log.as_ref().ok_or(SourceError::Storage(headwater_log::StorageError::Closed))
    }
}

impl<E: Env> PartitionSource for ReadOnlySource<E> {
    fn topic(&self) -> &Arc<str> {
        &self.partition.topic
    }

    fn partition(&self) -> i32 {
        self.partition.partition
    }

    fn bounds(&mut self, _: &dyn Interrupt) -> Result<Bounds, SourceError> {
        let isolation = self.isolation;
        Ok(bounds_of(self.log()?.progress(), isolation))
    }

    fn offset_for_timestamp(
        &mut self,
        timestamp: i64,
        _: &dyn Interrupt,
    ) -> Result<Option<i64>, SourceError> {
        Ok(self.log()?.offset_for_timestamp(timestamp)?.map(|found| found.offset))
    }

    fn read(&mut self, offset: i64, bytes_max: usize, _: &dyn Interrupt) -> Result<RawBatches, SourceError> {
        let isolation = self.isolation.of_log();
        let slice = self.log()?.read(offset, bytes_max as u64, true, isolation)?;
        self.reader.read(slice)
    }
}
