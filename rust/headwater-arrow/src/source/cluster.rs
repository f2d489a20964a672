//! A topic of any cluster, through the native consumer: partitions are read one after the other over one set
//! of connections, from the consumer's fetch buffers.
//!
//! ```text
//!  announced   p0  p1  p2  p3  …      in the order of reading
//!              ▲   ▲
//!         read ┘   └ fetched ahead, handed out when its turn comes
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use headwater_client::{ClientError, Consumer, FetchedPartition, PollLimits};
use headwater_record::TopicPartition;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::{Bounds, PartitionSource, RawBatches};
use crate::{Interrupt, SourceError};

/// How long a wait for the cluster lasts before the interrupt is asked again.
const WAIT_SLICE: Duration = Duration::from_millis(100);
/// Partitions that the consumer fetches at a time: the one that is read and those that come next.
const FETCHED_AT_ONCE: usize = 2;

/// Settings of a consumer that only scans, where its user says nothing else: what is fetched ahead is little enough to
/// stay in the caches, and its buffers go round.
pub const SCAN_SETTINGS: [(&str, &str); 4] = [
    ("allow.auto.create.topics", "false"),
    // The fetcher reads ahead; at a partition's end the broker must not hold that back, or the next one waits.
    ("fetch.max.wait.ms", "10"),
    ("max.partition.fetch.bytes", "2097152"),
    ("headwater.queued.bytes.max", "4194304"),
];

/// Makes sources of a topic's partitions that share one consumer.
///
/// The consumer must be used for nothing else, have no group, and its `isolation.level` decides which records
/// are seen. Sources block: call them from threads that are not the runtime's.
#[derive(Clone)]
pub struct ClusterSources {
    shared: Arc<Shared>,
}

struct Shared {
    consumer: Consumer,
    runtime: Handle,
    reading: Mutex<Option<Reading>>,
    bounds: std::sync::Mutex<BoundsLookup>,
    // What will be read, in this order; what has been read is still in it.
    announced: std::sync::Mutex<Vec<(TopicPartition, Range<i64>)>>,
}

/// Partitions whose bounds will be asked for, and the bounds of those that were looked up together with another one.
#[derive(Default)]
struct BoundsLookup {
    expected: BTreeSet<TopicPartition>,
    found: BTreeMap<TopicPartition, Bounds>,
}

/// What the consumer is reading.
struct Reading {
    partition: TopicPartition,
    // The offset that is handed out next.
    next: i64,
    // Polled and not handed out yet: one poll may bring several pieces of a partition, in order.
    pieces: VecDeque<FetchedPartition>,
    // Where the consumer stands after the last poll.
    position: i64,
}

impl ClusterSources {
    /// Reads through `consumer`, whose tasks run on `runtime`.
    pub fn new(consumer: Consumer, runtime: Handle) -> ClusterSources {
        let (reading, bounds, announced) = Default::default();
        ClusterSources { shared: Arc::new(Shared { consumer, runtime, reading, bounds, announced }) }
    }

    /// The partitions of `topic`, by number; `None` if the cluster has no such topic. Blocking.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn of_topic(
        &self,
        topic: &str,
        interrupt: &dyn Interrupt,
    ) -> Result<Option<Vec<Box<dyn PartitionSource>>>, SourceError> {
        let found = self.shared.wait(interrupt, self.shared.consumer.partitions_for(topic))?;
        let Some(found) = found else { return Ok(None) };
        let mut numbers: Vec<i32> = found.iter().map(|partition| partition.partition).collect();
        numbers.sort_unstable();
        let topic: Arc<str> = topic.into();
        let source = |number| -> Box<dyn PartitionSource> {
            let partition = TopicPartition::new(topic.clone(), number);
            Box::new(ClusterSource { shared: self.shared.clone(), partition })
        };
        Ok(Some(numbers.into_iter().map(source).collect()))
    }
}

impl Shared {
    /// Waits for `work`, asking `interrupt` meanwhile.
    fn wait<T>(
        &self,
        interrupt: &dyn Interrupt,
        work: impl Future<Output = Result<T, impl Into<SourceError>>>,
    ) -> Result<T, SourceError> {
        self.runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                interrupt.check()?;
                if let Ok(done) = tokio::time::timeout(WAIT_SLICE, &mut work).await {
                    return done.map_err(Into::into);
                }
            }
        })
    }

    /// The bounds of partitions, with one request of each kind to every broker that leads some of them.
    async fn look_up(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Bounds>, ClientError> {
        let (starts, ends) = tokio::try_join!(
            self.consumer.beginning_offsets(partitions),
            self.consumer.end_offsets(partitions)
        )?;
        let bounds = starts.into_iter().filter_map(|(partition, start)| {
            let end = *ends.get(&partition)?;
            Some((partition, Bounds { start, end: end.max(start) }))
        });
        Ok(bounds.collect())
    }

    fn bounds(&self) -> MutexGuard<'_, BoundsLookup> {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the consumer read `partition` from `offset`, and fetch ahead what comes after it.
    async fn aim(&self, partition: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        let mut reading = self.reading.lock().await;
        match &*reading {
            Some(current) if current.partition == *partition && current.next == offset => return Ok(()),
            Some(current) if current.partition == *partition => self.consumer.seek(partition, offset)?,
            _ => self.turn_to(partition, offset)?,
        }
        let pieces = VecDeque::new();
        *reading = Some(Reading { partition: partition.clone(), next: offset, pieces, position: offset });
        Ok(())
    }

    /// Gives the consumer the partition and its successors; those it has fetched from already keep what they have.
    fn turn_to(&self, partition: &TopicPartition, offset: i64) -> Result<(), ClientError> {
        let wanted = self.from(partition, offset);
        let names: Vec<TopicPartition> = wanted.iter().map(|(name, _)| name.clone()).collect();
        self.consumer.assign(&names)?;
        for (name, range) in wanted {
            if self.consumer.known_position(&name) != Some(range.start) {
                self.consumer.seek_within(&name, range)?;
            }
        }
        Ok(())
    }

    /// The partition, from `offset` on, and those announced after it.
    fn from(&self, partition: &TopicPartition, offset: i64) -> Vec<(TopicPartition, Range<i64>)> {
        let announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        let place = announced.iter().position(|(name, range)| name == partition && range.contains(&offset));
        let Some(place) = place else { return vec![(partition.clone(), offset..i64::MAX)] };
        let mut wanted: Vec<_> = announced[place..].iter().take(FETCHED_AT_ONCE).cloned().collect();
        wanted[0].1.start = offset;
        wanted
    }

    /// Polls once and keeps what came.
    async fn fetch(&self, bytes_max: usize) -> Result<(), ClientError> {
        let limits = PollLimits { records: usize::MAX, bytes: bytes_max };
        let mut reading = self.reading.lock().await;
        if let Some(reading) = &mut *reading {
            let polled = self.consumer.poll_partition(&reading.partition, limits, WAIT_SLICE).await?;
            reading.pieces.extend(polled.partitions);
            reading.position = self.consumer.position(&reading.partition).await?;
        }
        Ok(())
    }

    /// The next piece, which must be the one at `offset`; `None` if there is none yet.
    async fn hand_out(&self, offset: i64) -> Result<Option<RawBatches>, SourceError> {
        let mut reading = self.reading.lock().await;
        let Some(reading) = &mut *reading else { return Ok(None) };
        match reading.pieces.pop_front() {
            Some(piece) => {
                // The consumer went on at the first record that retention left.
                if piece.log_start_offset > offset {
                    let (start, end) = (piece.log_start_offset, piece.high_watermark);
                    return Err(SourceError::OffsetOutOfRange { offset, start, end });
                }
                reading.next = piece.end_offset;
                Ok(Some(RawBatches::fetched(piece)))
            }
            // Batches without visible records, markers for example, move the position only.
            None if reading.position > offset => {
                reading.next = reading.position;
                Ok(Some(RawBatches { end_offset: Some(reading.next), ..RawBatches::default() }))
            }
            None => Ok(None),
        }
    }
}

struct ClusterSource {
    shared: Arc<Shared>,
    partition: TopicPartition,
}

impl PartitionSource for ClusterSource {
    fn topic(&self) -> &Arc<str> {
        &self.partition.topic
    }

    fn partition(&self) -> i32 {
        self.partition.partition
    }

    fn expect_bounds(&mut self) {
        let mut bounds = self.shared.bounds();
        bounds.found.remove(&self.partition);
        bounds.expected.insert(self.partition.clone());
    }

    fn bounds(&mut self, interrupt: &dyn Interrupt) -> Result<Bounds, SourceError> {
        let shared = &self.shared;
        let expected = {
            let mut bounds = shared.bounds();
            if let Some(known) = bounds.found.remove(&self.partition) {
                return Ok(known);
            }
            std::mem::take(&mut bounds.expected)
        };
        // An error may be another partition's; each then has its own look-up, and this one its own error.
        let together: Vec<TopicPartition> = expected.into_iter().collect();
        if together.len() > 1
            && let Ok(mut found) = shared.wait(interrupt, shared.look_up(&together))
            && let Some(own) = found.remove(&self.partition)
        {
            shared.bounds().found = found;
            return Ok(own);
        }
        let alone = std::slice::from_ref(&self.partition);
        shared.wait(interrupt, async {
            match shared.look_up(alone).await?.remove(&self.partition) {
                Some(bounds) => Ok(bounds),
                // The client answers for every partition it was asked about; ask it for its own error otherwise.
                None => {
                    shared.consumer.position(&self.partition).await.map(|at| Bounds { start: at, end: at })
                }
            }
        })
    }

    fn offset_for_timestamp(
        &mut self,
        timestamp: i64,
        interrupt: &dyn Interrupt,
    ) -> Result<Option<i64>, SourceError> {
        let wanted = HashMap::from([(self.partition.clone(), timestamp)]);
        let mut found = self.shared.wait(interrupt, self.shared.consumer.offsets_for_times(&wanted))?;
        Ok(found.remove(&self.partition).flatten().map(|found| found.offset))
    }

    fn announce(&mut self, range: Range<i64>) {
        let mut announced = self.shared.announced.lock().unwrap_or_else(PoisonError::into_inner);
        announced.push((self.partition.clone(), range));
    }

    fn read(
        &mut self,
        offset: i64,
        bytes_max: usize,
        interrupt: &dyn Interrupt,
    ) -> Result<RawBatches, SourceError> {
        let shared = &self.shared;
        shared.wait(interrupt, async {
            shared.aim(&self.partition, offset).await?;
            loop {
                if let Some(raw) = shared.hand_out(offset).await? {
                    return Ok::<_, SourceError>(raw);
                }
                shared.fetch(bytes_max).await?;
            }
        })
    }
}
