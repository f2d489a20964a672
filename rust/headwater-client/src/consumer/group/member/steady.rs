//! A member between rebalances: heartbeats, and what ends the peace.

use super::{Change, Member};
use crate::client::Destination;
use crate::error::ClientError;
use crate::net::Lane;
use headwater_protocol::messages::heartbeat::HeartbeatRequest;
use headwater_protocol::{ErrorCode, Str};
use std::sync::Arc;
use std::time::Duration;

impl Member {
    /// Heartbeats until something changes.
    pub(super) async fn steady(&mut self) -> Change {
        let shared = Arc::clone(&self.shared);
        // What was said while the group was rebalancing has woken nobody here.
        if shared.state().subscription_version != self.subscription_version {
            return Change::Rejoin;
        }
        let mut metadata = shared.client.metadata_changes();
        // A change may have come while the group was rebalancing.
        metadata.mark_changed();
        let mut next_heartbeat = self.now() + self.heartbeat_interval();
        loop {
            let late = self.poll_deadline();
            let mut next = late.map_or(next_heartbeat, |late| late.min(next_heartbeat));
            if shared.config.auto_commit() {
                next = next.min(self.next_commit);
            }
            tokio::select! {
                biased;
                () = shared.leaving.cancelled() => return Change::Leave,
                () = shared.wake_member.notified() => {
                    if shared.state().subscription_version != self.subscription_version {
                        return Change::Rejoin;
                    }
                }
                changed = metadata.changed() => {
                    if changed.is_ok() && self.topics_changed() {
                        return Change::Rejoin;
                    }
                }
                () = tokio::time::sleep_until(next) => {}
            }
            let now = self.now();
            if self.poll_deadline().is_some_and(|late| late <= now) {
                return Change::PolledTooLate;
            }
            self.commit_if_due();
            if next_heartbeat <= now {
                match self.heartbeat().await {
                    Ok(()) => next_heartbeat = now + self.heartbeat_interval(),
                    Err(error) => match self.heartbeat_failed(error) {
                        Some(change) => return change,
                        None => next_heartbeat = now + shared.client.backoff().next(shared.client.runtime()),
                    },
                }
            }
        }
    }

    /// Whether the leader must assign anew, or the pattern matches other topics.
    pub(super) fn topics_changed(&self) -> bool {
        if self.shared.match_pattern() {
            return true;
        }
        let image = self.shared.client.metadata();
        self.watched
            .iter()
            .any(|(topic, count)| image.topic(topic).is_some_and(|now| now.partitions.len() != *count))
    }

    pub(super) async fn heartbeat(&mut self) -> Result<(), ClientError> {
        let request = HeartbeatRequest {
            group_id: Str::from(&self.group),
            generation_id: self.generation,
            member_id: Str::from(&self.member_id),
            group_instance_id: self.shared.config.group_instance_id.as_deref().map(Str::from),
        };
        let to = Destination::Group(self.group.clone());
        let timeout = Duration::from_millis(self.shared.config.session_timeout_ms);
        let call = self.shared.client.call(&to, Lane::Group, i16::MAX, timeout, |_| request);
        let answer = tokio::select! {
            biased;
            () = self.shared.leaving.cancelled() => return Ok(()),
            answer = call => answer?.body,
        };
        ClientError::check(answer.error_code, || format!("heartbeat to group {}", self.group))?;
        self.last_heartbeat = self.now();
        Ok(())
    }

    /// What a failed heartbeat means; `None` to try again.
    pub(super) fn heartbeat_failed(&mut self, error: ClientError) -> Option<Change> {
        tracing::debug!(group = self.group, %error, "heartbeat failed");
        match error.code() {
            Some(ErrorCode::RebalanceInProgress) => Some(Change::Rejoin),
            Some(ErrorCode::UnknownMemberId) => {
                self.member_id.clear();
                Some(Change::Lost)
            }
            Some(ErrorCode::IllegalGeneration) => Some(Change::Lost),
            _ if error.retriable() => {
                self.shared.client.coordinator_failed(&self.group, &error);
                let session = Duration::from_millis(self.shared.config.session_timeout_ms);
                (self.now() >= self.last_heartbeat + session).then_some(Change::Lost)
            }
            _ => Some(self.fatal(error)),
        }
    }
}
