//! The face of the crate: operations in, committed answers out.
//!
//! One task, the decider, takes operations from a bounded queue. Whatever has queued up while an entry was on its way
//! to disk is decided together and leaves as the next entry. So there is one entry in flight at a time, every decision
//! sees all earlier ones, and operations that come together share their fsync.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use headwater_env::Env;
use headwater_record::Uuid;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::decide::brokers::{self, BrokerRegistration};
use crate::decide::configs::{self, AcceptAnyConfig, ConfigChange, ConfigPolicy};
use crate::decide::isr::{self, AlterPartition};
use crate::decide::topics::{self, NewPartitions, NewTopic, PARTITIONS_PER_REQUEST_MAX, TopicRef};
use crate::decide::{producer_ids, voters};
use crate::draft::{Draft, IdSource};
use crate::error::{
    BrokerError, ConfigError, OpenError, PartitionError, ProducerIdError, ProposeError, TopicError,
};
use crate::image::{MetadataImage, PartitionImage, TopicImage};
use crate::quorum::{Quorum, QuorumOptions};
use crate::records::MetadataRecord;

/// Where the metadata lives in a data directory. No topic partition has a folder of this name: there is no `-` and
/// number at its end.
pub const METADATA_DIRECTORY: &str = "__cluster_metadata";

/// Operations that wait for the decider; more wait at the door.
const QUEUED_OPERATIONS_MAX: usize = 1024;

/// The feature that says which record formats the cluster may write.
const METADATA_FEATURE: &str = "headwater.metadata.version";
const METADATA_FEATURE_LEVEL: i16 = 1;

/// How a controller is opened.
#[derive(Clone)]
pub struct ControllerOptions {
    /// The user's node id. A metadata directory belongs to one node for ever.
    pub node_id: i32,
    /// The cluster's id; `None` takes the one on disk, or a random one for a new cluster.
    pub cluster_id: Option<Uuid>,
    /// What may be configured. [`AcceptAnyConfig`] by default.
    pub config_policy: Arc<dyn ConfigPolicy>,
    /// Bytes of log after which a snapshot is taken and the log before it dropped. 8 MiB by default.
    pub snapshot_bytes: u64,
    /// Log entries after which a snapshot is taken and the log before it dropped. 10 000 by default.
    pub snapshot_entries: u64,
}

impl ControllerOptions {
    /// The defaults for node `node_id`.
    pub fn new(node_id: i32) -> ControllerOptions {
        ControllerOptions {
            node_id,
            cluster_id: None,
            config_policy: Arc::new(AcceptAnyConfig),
            snapshot_bytes: 8 << 20,
            snapshot_entries: 10_000,
        }
    }
}

/// How the metadata quorum is doing, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// This voter's raft id.
    pub raft_id: u64,
    /// The term in which it last voted: Kafka's controller epoch.
    pub term: u64,
    /// Index of the last entry of the log, in memory or on disk.
    pub last_index: u64,
    /// Index up to which the log is contained in the last snapshot and dropped.
    pub purged_index: u64,
    /// Bytes of log files on disk.
    pub log_bytes: u64,
    /// How often the log was synced since the start.
    pub syncs: u64,
}

/// The image after the entry, which then is the one that everybody sees.
type Outcome = Result<Arc<MetadataImage>, ProposeError>;
/// Decides on the draft, and leaves what is to be done when the outcome is known.
type Operation = Box<dyn FnOnce(&mut Draft) -> Parked + Send>;
type Parked = Box<dyn FnOnce(&Outcome) + Send>;

/// The cluster's metadata. Clones are the same controller.
///
/// Every operation answers after its records are committed and replayed: what it did is in [`Controller::image`] by
/// then. When the last clone is dropped without [`Controller::shutdown`], what was answered is safe all the same;
/// tasks and locks then go away soon instead of now.
pub struct Controller<E: Env> {
    inner: Arc<Inner<E>>,
}

impl<E: Env> Clone for Controller<E> {
    fn clone(&self) -> Self {
        Controller { inner: self.inner.clone() }
    }
}

struct Inner<E: Env> {
    operations: mpsc::Sender<Operation>,
    quorum: Arc<Quorum<E>>,
    stop: CancellationToken,
    decider: tokio::sync::Mutex<Option<headwater_env::TaskHandle<()>>>,
}

impl<E: Env> Controller<E> {
    /// Opens the metadata in `directory`, creating a new cluster if there is none, and waits until this node leads
    /// its group of one and has replayed everything.
    ///
    /// # Errors
    /// See [`OpenError`]; a directory that cannot be opened is not changed.
    pub async fn open(
        env: E,
        directory: PathBuf,
        options: ControllerOptions,
    ) -> Result<Controller<E>, OpenError> {
        let quorum_options = QuorumOptions {
            node_id: options.node_id,
            cluster_id: options.cluster_id,
            snapshot_bytes: options.snapshot_bytes,
            snapshot_entries: options.snapshot_entries,
        };
        let quorum = Arc::new(Quorum::open(env.clone(), directory, quorum_options).await?);
        if let Err(error) = bootstrap(&quorum).await {
            quorum.shutdown().await;
            return Err(error.into());
        }
        let (operations, queue) = mpsc::channel(QUEUED_OPERATIONS_MAX);
        let stop = CancellationToken::new();
        let new_id: IdSource = {
            let env = env.clone();
            Arc::new(move || crate::quorum::random_uuid(&env))
        };
        let decider = env.spawn(
            "metadata-decider",
            decide_all(queue, quorum.clone(), stop.clone(), options.config_policy, new_id),
        );
        let inner = Inner { operations, quorum, stop, decider: Some(decider).into() };
        Ok(Controller { inner: Arc::new(inner) })
    }

    /// The metadata as of now, without waiting for anybody.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.inner.quorum.published().load()
    }

    /// Tells of every new image; intermediate ones may be skipped.
    pub fn watch(&self) -> watch::Receiver<Arc<MetadataImage>> {
        self.inner.quorum.published().subscribe()
    }

    /// How the quorum is doing.
    pub fn status(&self) -> Status {
        self.inner.quorum.status()
    }

    /// Stops. Operations that wait are answered with [`ProposeError::Stopped`]. Safe to call more than once.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        let mut decider = self.inner.decider.lock().await;
        if let Some(decider) = decider.take() {
            // A decider that panicked has nothing left to stop.
            let _ = decider.await;
            self.inner.quorum.shutdown().await;
        }
    }

    /// Registers a broker and gives its epoch. The partitions that it can lead and nobody leads, it leads from then
    /// on; those it led before it restarted, it leads in a new leader epoch.
    pub async fn register_broker(&self, request: BrokerRegistration) -> Result<i64, BrokerError> {
        let node_id = request.node_id;
        let (decided, committed) = self
            .run(move |draft| brokers::register(draft.image(), &request).map(|records| draft.take(records)))
            .await?;
        decided?;
        committed?.brokers.get(node_id).map(|broker| broker.epoch).ok_or(BrokerError::NotRegistered(node_id))
    }

    /// Fences a broker (its partitions get other leaders) or lets it in.
    pub async fn set_broker_fenced(
        &self,
        node_id: i32,
        broker_epoch: i64,
        fenced: bool,
    ) -> Result<(), BrokerError> {
        let (decided, committed) = self
            .run(move |draft| {
                brokers::set_fenced(draft.image(), node_id, broker_epoch, fenced)
                    .map(|records| draft.take(records))
            })
            .await?;
        decided?;
        committed?;
        Ok(())
    }

    /// Takes a broker out of the cluster; its replicas stay assigned to it.
    pub async fn unregister_broker(&self, node_id: i32) -> Result<(), BrokerError> {
        let (decided, committed) = self
            .run(move |draft| brokers::unregister(draft.image(), node_id).map(|records| draft.take(records)))
            .await?;
        decided?;
        committed?;
        Ok(())
    }

    /// Creates topics, each for itself: one that cannot be created does not keep the others from it. All of them are
    /// one raft entry. With `validate_only` the answers are the same and nothing is created.
    pub async fn create_topics(
        &self,
        requests: Vec<NewTopic>,
        validate_only: bool,
    ) -> Vec<Result<Arc<TopicImage>, TopicError>> {
        let partitions = requests.iter().map(NewTopic::partition_count).fold(0, usize::saturating_add);
        if partitions > PARTITIONS_PER_REQUEST_MAX {
            return requests.iter().map(|_| Err(topics::too_many(partitions))).collect();
        }
        self.each(requests, validate_only, |draft, request| {
            let records = topics::create(draft.image(), draft.policy(), &request, draft.new_id())?;
            draft.take(records);
            topic_of(draft, &request.name)
        })
        .await
    }

    /// Deletes topics and their configurations, each for itself, and gives what was deleted.
    pub async fn delete_topics(&self, requests: Vec<TopicRef>) -> Vec<Result<Arc<TopicImage>, TopicError>> {
        self.each(requests, false, |draft, request| {
            let (records, topic) = topics::delete(draft.image(), &request)?;
            draft.take(records);
            Ok(topic)
        })
        .await
    }

    /// Adds partitions to topics, each for itself, and gives the topics as they are then.
    pub async fn create_partitions(
        &self,
        requests: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Vec<Result<Arc<TopicImage>, TopicError>> {
        self.each(requests, validate_only, |draft, request| {
            draft.take(topics::add_partitions(draft.image(), &request)?);
            topic_of(draft, &request.topic)
        })
        .await
    }

    /// Changes configurations incrementally, each resource for itself.
    pub async fn alter_configs(
        &self,
        requests: Vec<ConfigChange>,
        validate_only: bool,
    ) -> Vec<Result<(), ConfigError>> {
        self.each(requests, validate_only, |draft, request| {
            let records = configs::alter(draft.image(), draft.policy(), &request)?;
            draft.take(records);
            Ok(())
        })
        .await
    }

    /// Gives a block of producer ids to a broker: ids that nobody was ever given.
    pub async fn allocate_producer_ids(
        &self,
        node_id: i32,
        broker_epoch: i64,
    ) -> Result<Range<i64>, ProducerIdError> {
        let (decided, committed) = self
            .run(move |draft| {
                let (record, block) = producer_ids::allocate(draft.image(), node_id, broker_epoch)?;
                draft.take(vec![record]);
                Ok::<_, ProducerIdError>(block)
            })
            .await?;
        let block = decided?;
        committed?;
        Ok(block)
    }

    /// Changes the ISR of partitions, each for itself, and gives the partitions as they are then.
    pub async fn alter_partitions(
        &self,
        requests: Vec<AlterPartition>,
    ) -> Vec<Result<PartitionImage, PartitionError>> {
        self.each(requests, false, |draft, request| {
            draft.take(isr::alter(draft.image(), &request)?.into_iter().collect());
            let topic = draft.image().topics.by_id(request.topic_id);
            topic.and_then(|topic| topic.partition(request.partition)).cloned().ok_or(
                PartitionError::UnknownPartition { topic_id: request.topic_id, partition: request.partition },
            )
        })
        .await
    }

    /// Decides `requests` one after the other and answers each when all are committed.
    async fn each<I, T, X>(
        &self,
        requests: Vec<I>,
        validate_only: bool,
        mut decide: impl FnMut(&mut Draft, I) -> Result<T, X> + Send + 'static,
    ) -> Vec<Result<T, X>>
    where
        I: Send + 'static,
        T: Send + 'static,
        X: From<ProposeError> + Send + 'static,
    {
        let count = requests.len();
        let run = self.run(move |draft| {
            let mut aside = validate_only.then(|| draft.aside());
            let draft = aside.as_mut().unwrap_or(draft);
            requests.into_iter().map(|request| decide(draft, request)).collect::<Vec<_>>()
        });
        match run.await {
            Err(error) => (0..count).map(|_| Err(error.clone().into())).collect(),
            Ok((decided, Ok(_))) => decided,
            Ok((decided, Err(error))) => {
                decided.into_iter().map(|result| result.and_then(|_| Err(error.clone().into()))).collect()
            }
        }
    }

    /// Has `decide` run by the decider and waits for the entry that it became part of.
    ///
    /// # Errors
    /// The outer error means that nothing was decided.
    async fn run<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Draft) -> T + Send + 'static,
    ) -> Result<(T, Outcome), ProposeError> {
        let (reply, answer) = oneshot::channel();
        let operation: Operation = Box::new(move |draft| {
            let decided = decide(draft);
            Box::new(move |outcome| {
                // Whoever asked may have gone away: the decision stands.
                let _ = reply.send((decided, outcome.clone()));
            })
        });
        self.inner.operations.send(operation).await.map_err(|_| ProposeError::Stopped)?;
        answer.await.map_err(|_| ProposeError::Stopped)
    }
}

fn topic_of(draft: &Draft, name: &str) -> Result<Arc<TopicImage>, TopicError> {
    draft.image().topics.by_name(name).cloned().ok_or_else(|| TopicError::UnknownName(name.to_owned()))
}

/// Says the first things about a new cluster.
async fn bootstrap<E: Env>(quorum: &Quorum<E>) -> Result<(), ProposeError> {
    let image = quorum.published().load();
    let mut records = Vec::new();
    if image.features.level(METADATA_FEATURE).is_none() {
        records.push(MetadataRecord::FeatureLevel {
            name: METADATA_FEATURE.into(),
            level: METADATA_FEATURE_LEVEL,
        });
    }
    let identity = quorum.identity();
    records.extend(voters::allocate(&image, identity.node_id, identity.directory).1);
    if !records.is_empty() {
        quorum.propose(&records).await?;
    }
    Ok(())
}

async fn decide_all<E: Env>(
    mut queue: mpsc::Receiver<Operation>,
    quorum: Arc<Quorum<E>>,
    stop: CancellationToken,
    policy: Arc<dyn ConfigPolicy>,
    new_id: IdSource,
) {
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            first = queue.recv() => match first {
                Some(first) => first,
                None => return,
            },
        };
        let base = quorum.published().load();
        let mut draft = Draft::new(&base, policy.clone(), new_id.clone());
        let mut parked = vec![first(&mut draft)];
        while draft.has_room() {
            let Ok(operation) = queue.try_recv() else { break };
            parked.push(operation(&mut draft));
        }
        let outcome = match draft.finish() {
            Ok(records) if records.is_empty() => Ok(base),
            Ok(records) => quorum.propose(&records).await,
            Err(defect) => Err(defect),
        };
        for reply in parked {
            reply(&outcome);
        }
    }
}
