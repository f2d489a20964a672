//! The producer id: asked for when first needed, its epoch raised when a sequence has a hole.

use super::{Earliest, Event, Sender};
use crate::client::{Client, Destination};
use crate::error::ClientError;
use crate::net::Lane;
use crate::producer::sealed::Identity;
use headwater_protocol::messages::init_producer_id::InitProducerIdRequest;
use std::time::Duration;
use tokio::time::Instant;

impl Sender {
    // Idempotence (KIP-98, KIP-360).

    pub(super) fn current_identity(&mut self, now: Instant, next: &mut Earliest) -> Option<Identity> {
        if self.identity.is_some() {
            return self.identity;
        }
        if let Some(at) = self.identify_not_before.filter(|at| *at > now) {
            next.add(Some(at));
            return None;
        }
        if !self.identifying {
            self.identifying = true;
            let client = self.client.clone();
            self.pending.push(Box::pin(async move { Event::Identified(identify(&client).await) }));
        }
        None
    }

    pub(super) fn identified(&mut self, outcome: Result<Identity, ClientError>) {
        self.identifying = false;
        match outcome {
            Ok(identity) => {
                self.identity = Some(identity);
                self.identify_not_before = None;
            }
            Err(error) if error.retriable() => {
                tracing::debug!(%error, "no producer id yet");
                let pause = self.client.backoff().next(self.client.runtime());
                self.identify_not_before = Some(self.client.runtime().now() + pause);
            }
            Err(error) => {
                for place in self.active.clone() {
                    for batch in self.partitions[place].queue.take_all() {
                        self.never_sent(batch, Some(&error));
                    }
                }
                let pause = Duration::from_millis(self.client.config().retry_backoff_max_ms);
                self.identify_not_before = Some(self.client.runtime().now() + pause);
            }
        }
    }

    /// Starts a partition's sequence anew under the next epoch; other partitions follow when they have nothing outstanding.
    pub(super) fn bump(&mut self, place: usize) {
        let Some(identity) = self.identity else { return };
        let Some(epoch) = identity.epoch.checked_add(1) else {
            // The epochs of this id are used up; the partition goes on under a fresh id.
            self.identity = None;
            return;
        };
        let identity = Identity { epoch, ..identity };
        self.identity = Some(identity);
        self.partitions[place].restart_under(identity);
    }
}

async fn identify(client: &Client) -> Result<Identity, ClientError> {
    let request = |_| InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..Default::default()
    };
    let timeout = client.config().request_timeout();
    let answer = client.call(&Destination::Any, Lane::General, 5, timeout, request).await?.body;
    ClientError::check(answer.error_code, || "producer id".to_owned())?;
    Ok(Identity { id: answer.producer_id, epoch: answer.producer_epoch })
}
