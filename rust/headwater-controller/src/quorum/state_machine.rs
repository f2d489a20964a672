//! The state machine: replays committed records on the image and shows the result to everybody.
//!
//! The image lives in memory. After a start it is made again from the last snapshot and the log behind it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use futures_util::{Stream, StreamExt};
use headwater_env::Env;
use openraft::OptionalSend;
use openraft::impls::EntryPayload;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use tokio::sync::watch;

use super::snapshot::{self, Meta, SnapshotBytes, SnapshotStore};
use super::types::{Applied, CommittedLeaderId, Payload, RaftLogId, StoredMembers, TypeConfig, Voter};
use crate::image::MetadataImage;
use crate::records::{RecordError, decode_batch};

type RaftSnapshot = Snapshot<CommittedLeaderId, u64, Voter, SnapshotBytes>;

/// The image as everybody sees it.
#[derive(Debug)]
pub(crate) struct Published {
    current: ArcSwap<MetadataImage>,
    watch: watch::Sender<Arc<MetadataImage>>,
    /// Why replay stopped, for whoever waits for it in vain.
    defect: Mutex<Option<RecordError>>,
}

impl Published {
    pub(super) fn new(image: MetadataImage) -> Published {
        let image = Arc::new(image);
        Published {
            current: ArcSwap::new(image.clone()),
            watch: watch::Sender::new(image),
            defect: Mutex::new(None),
        }
    }

    pub(crate) fn load(&self) -> Arc<MetadataImage> {
        self.current.load_full()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<MetadataImage>> {
        self.watch.subscribe()
    }

    fn store(&self, image: Arc<MetadataImage>) {
        self.current.store(image.clone());
        self.watch.send_replace(image);
    }

    pub(super) fn defect(&self) -> Option<RecordError> {
        self.defect.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers why a record was not replayed, in the words openraft passes on.
    fn refuse(&self, error: RecordError) -> io::Error {
        let text = error.to_string();
        self.defect.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

/// See the module.
pub(super) struct StateMachine<E: Env> {
    snapshots: SnapshotStore<E>,
    published: Arc<Published>,
    image: MetadataImage,
    applied: Option<RaftLogId>,
    members: StoredMembers,
    /// Nothing is shown while the log of earlier lives is replayed: an image that nobody shares is changed in place,
    /// one that is shown is copied by the next record.
    is_live: bool,
}

impl<E: Env> StateMachine<E> {
    pub(super) fn new(snapshots: SnapshotStore<E>, published: Arc<Published>) -> StateMachine<E> {
        let image = published.load().as_ref().clone();
        StateMachine {
            snapshots,
            published,
            image,
            applied: None,
            members: StoredMembers::default(),
            is_live: false,
        }
    }

    /// Recovery is over: shows the image from now on.
    pub(super) fn go_live(&mut self) {
        self.is_live = true;
        self.show();
    }

    fn show(&self) {
        if self.is_live {
            self.published.store(Arc::new(self.image.clone()));
        }
    }

    fn replay(&mut self, log_id: RaftLogId, payload: &Payload) -> io::Result<()> {
        self.image.index = log_id.index;
        match payload {
            EntryPayload::Blank => {}
            EntryPayload::Normal(proposal) => {
                let records = decode_batch(&proposal.0).map_err(|error| self.published.refuse(error))?;
                for record in &records {
                    self.image.replay(record, log_id.index).map_err(|error| self.published.refuse(error))?;
                }
            }
            EntryPayload::Membership(members) => {
                self.members = StoredMembers::new(Some(log_id), members.clone());
            }
        }
        self.applied = Some(log_id);
        Ok(())
    }
}

impl<E: Env> RaftStateMachine<TypeConfig> for StateMachine<E> {
    type SnapshotData = SnapshotBytes;
    type SnapshotBuilder = SnapshotBuilder<E>;

    async fn applied_state(&mut self) -> Result<(Option<RaftLogId>, StoredMembers), io::Error> {
        Ok((self.applied, self.members.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            self.replay(entry.log_id, &entry.payload)?;
            // Somebody waits: they must find what they did in the image. Without anybody, once at the end is enough.
            if let Some(responder) = responder {
                let image = Arc::new(self.image.clone());
                self.published.store(image.clone());
                responder.send(Applied(image));
            }
        }
        self.show();
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        let meta = Meta { last_log_id: self.applied, last_membership: self.members.clone() };
        SnapshotBuilder { snapshots: self.snapshots.clone(), image: self.image.clone(), meta }
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: SnapshotBytes) -> Result<(), io::Error> {
        let image = snapshot::decode(&snapshot, self.image.cluster_id, self.image.controller_id)
            .map_err(|error| self.published.refuse(error))?;
        self.snapshots.write(meta, snapshot).await?;
        self.image = image;
        self.applied = meta.last_log_id;
        self.members = meta.last_membership.clone();
        self.show();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        let current = self.snapshots.read().await?;
        Ok(current.map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// Writes the image of one moment to disk.
pub(super) struct SnapshotBuilder<E: Env> {
    snapshots: SnapshotStore<E>,
    image: MetadataImage,
    meta: Meta,
}

impl<E: Env> RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder<E> {
    type SnapshotData = SnapshotBytes;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot, io::Error> {
        let bytes = snapshot::encode(&self.image, &self.meta);
        match self.snapshots.write(&self.meta, bytes.clone()).await {
            Ok(()) => Ok(Snapshot { meta: self.meta.clone(), snapshot: bytes }),
            // openraft takes an error here for the end of the world. A snapshot that is no news is simply not used.
            Err(error) => {
                tracing::warn!(%error, "cannot write a snapshot of the metadata; the log keeps growing");
                let (meta, snapshot) = self.snapshots.read().await?.unwrap_or_default();
                Ok(Snapshot { meta, snapshot })
            }
        }
    }
}
