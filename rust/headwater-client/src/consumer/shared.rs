//! What the polling thread and the tasks of one consumer share, and commits of positions, which any of them makes.

use super::state::{State, Subscription};
use crate::client::Client;
use crate::config::ConsumerConfig;
use crate::error::ClientError;
use crate::offsets::{self, Committer, OffsetAndMetadata};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// What the tasks of one consumer share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) config: ConsumerConfig,
    pub(super) state: Mutex<State>,
    pub(super) membership: Mutex<Option<Committer>>,
    /// Something happened that a waiting call may look for.
    pub(super) changed: Notify,
    pub(super) wake_fetcher: Notify,
    pub(super) wake_member: Notify,
    /// Leave in order: commit, say goodbye.
    pub(super) leaving: CancellationToken,
    pub(super) left: CancellationToken,
    pub(super) closing: CancellationToken,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn membership(&self) -> Option<Committer> {
        self.membership.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_membership(&self, membership: Option<Committer>) {
        *self.membership.lock().unwrap_or_else(PoisonError::into_inner) = membership;
        self.changed.notify_waiters();
    }

    pub(super) fn revoke(&self, partitions: &BTreeSet<TopicPartition>) -> oneshot::Receiver<()> {
        let dealt_with = self.state().revoke(partitions);
        self.changed.notify_waiters();
        dealt_with
    }

    pub(super) fn api_timeout(&self) -> Duration {
        Duration::from_millis(self.config.default_api_timeout_ms)
    }

    pub(super) fn auto_commit_interval(&self) -> Duration {
        Duration::from_millis(self.config.auto_commit_interval_ms.max(1))
    }

    pub(super) fn group(&self) -> Result<&str, ClientError> {
        self.config.group_id.as_deref().ok_or_else(|| ClientError::Misuse("commits need a group.id".into()))
    }

    /// Brings the topics of a pattern up to date. True if they changed.
    pub(super) fn match_pattern(&self) -> bool {
        let image = self.client.metadata();
        let mut state = self.state();
        let Subscription::Pattern(pattern) = &mut state.subscription else { return false };
        let usable = image.topics.iter().filter_map(|(name, topic)| Some((name, topic.as_ref().ok()?)));
        let matching: BTreeSet<Arc<str>> = usable
            .filter(|(name, topic)| {
                !(topic.internal && self.config.exclude_internal_topics) && pattern.regex.is_match(name)
            })
            .map(|(name, _)| Arc::clone(name))
            .collect();
        let changed = matching != pattern.matching;
        pattern.matching = matching;
        changed
    }

    /// Commits positions of the assigned partitions and gives them back.
    pub(super) async fn commit_positions(
        &self,
        all: bool,
        limit: Duration,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, ClientError> {
        let offsets = self.state().reached(|partition| match all {
            true => partition.reached(),
            false => partition.committable,
        });
        self.commit(&offsets, limit).await?;
        Ok(offsets)
    }

    pub(super) async fn commit(
        &self,
        offsets: &BTreeMap<TopicPartition, OffsetAndMetadata>,
        limit: Duration,
    ) -> Result<(), ClientError> {
        let committer = self.membership().unwrap_or_else(Committer::nobody);
        offsets::commit(&self.client, self.group()?, &committer, offsets, limit).await
    }
}
