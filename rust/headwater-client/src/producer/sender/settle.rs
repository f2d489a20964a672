//! What becomes of batches once they are answered, refused, or too late.

use super::{EXPIRY_CHECK, Earliest, Event, Sender};
use crate::error::ClientError;
use crate::producer::accumulator::Batch;
use crate::producer::delivery::{BatchReport, Completion, Delivered, Fate, Token};
use crate::producer::outcome::{Verdict, judge};
use crate::producer::sealed::Sealed;
use headwater_protocol::messages::produce::{PartitionProduceResponse, ProduceResponse};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

impl Sender {
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Connected { node, outcome } => {
                self.nodes.entry(node).or_default().connecting = false;
                if let Err(error) = outcome {
                    tracing::debug!(node, %error, "no connection to a leader");
                    self.refresh_later();
                }
            }
            Event::Identified(outcome) => self.identified(outcome),
            Event::Answered { node, batches, outcome } => {
                let state = self.nodes.entry(node).or_default();
                state.in_flight = state.in_flight.saturating_sub(1);
                match outcome {
                    Ok(Some(answer)) => self.answered(batches, &answer),
                    Ok(None) => batches.into_iter().for_each(|(place, batch)| {
                        self.partitions[place].on_wire -= 1;
                        self.delivered(place, batch, Delivered { base_offset: -1, log_append_time: None });
                    }),
                    Err(error) => self.request_failed_on_wire(batches, &error),
                }
            }
        }
    }

    pub(super) fn answered(&mut self, batches: Vec<(usize, Sealed)>, answer: &ProduceResponse) {
        let mut results: HashMap<(&str, i32), &PartitionProduceResponse> =
            HashMap::with_capacity(batches.len());
        for topic in &answer.responses {
            for partition in &topic.partition_responses {
                results.insert((&topic.name, partition.index), partition);
            }
        }
        for (place, batch) in batches {
            let queue = &self.partitions[place].queue;
            let result = results.get(&(&*queue.topic, queue.partition)).copied();
            self.partitions[place].on_wire -= 1;
            self.settle(place, batch, result);
        }
    }

    pub(super) fn settle(&mut self, place: usize, batch: Sealed, result: Option<&PartitionProduceResponse>) {
        match judge(&self.partitions[place], &batch, result) {
            Verdict::Delivered(delivered) => self.delivered(place, batch, delivered),
            Verdict::Split => self.split(place, batch),
            Verdict::Retry { error, stale_metadata, bump } => {
                self.partitions[place].bump |= bump;
                if stale_metadata {
                    self.client.want_metadata();
                }
                self.retry(place, batch, &error);
            }
            Verdict::Failed { error, bump } => {
                self.partitions[place].bump |= bump && self.accumulator.config.idempotent();
                self.failed(place, batch, error);
            }
            Verdict::NewIdentity(error) => {
                self.identity = None;
                self.partitions[place].bump = false;
                self.failed(place, batch, error);
            }
        }
    }

    pub(super) fn request_failed_on_wire(&mut self, batches: Vec<(usize, Sealed)>, error: &ClientError) {
        if error.retriable() {
            self.client.want_metadata();
        }
        self.request_failed(batches, error);
    }

    pub(super) fn request_failed(&mut self, batches: Vec<(usize, Sealed)>, error: &ClientError) {
        for (place, batch) in batches {
            self.partitions[place].on_wire -= 1;
            if error.retriable() {
                self.retry(place, batch, error);
            } else {
                self.lost(place, batch, error.clone());
            }
        }
    }

    pub(super) fn retry(&mut self, place: usize, mut batch: Sealed, error: &ClientError) {
        let now = self.client.runtime().now();
        batch.attempts += 1;
        if batch.attempts > self.accumulator.config.retries {
            return self.lost(place, batch, error.clone());
        }
        if batch.created + self.delivery_timeout() <= now {
            let error = self.timed_out(&batch, Some(error));
            return self.lost(place, batch, error);
        }
        let mut backoff = self.client.backoff();
        let pauses = (1..batch.attempts.min(16)).map(|_| backoff.next(self.client.runtime())).last();
        let pause = pauses.unwrap_or_else(|| backoff.next(self.client.runtime()));
        let partition = &mut self.partitions[place];
        partition.not_before = Some(now + pause);
        partition.put_back(batch);
        self.activate(place);
    }

    pub(super) fn split(&mut self, place: usize, batch: Sealed) {
        match self.partitions[place].split(&batch, &self.accumulator) {
            Ok(parts) => {
                self.accumulator.settle(&batch.completion, batch.id, 0, Fate::Split(parts));
                self.activate(place);
            }
            Err(error) => self.failed(place, batch, error),
        }
    }

    pub(super) fn delivered(&mut self, place: usize, batch: Sealed, delivered: Delivered) {
        let partition = &mut self.partitions[place];
        partition.acknowledged(&batch);
        partition.not_before = None;
        self.report(&batch.completion, Ok(delivered), batch.tokens);
        self.accumulator.settle(&batch.completion, batch.id, batch.reserved, Fate::Delivered(delivered));
        self.activate(place);
    }

    /// The batch has failed without a word of the broker: it may be in the log or not.
    pub(super) fn lost(&mut self, place: usize, batch: Sealed, error: ClientError) {
        let partition = &mut self.partitions[place];
        partition.unresolved |= self.accumulator.config.idempotent() && !partition.bump;
        self.failed(place, batch, error);
    }

    pub(super) fn failed(&mut self, place: usize, batch: Sealed, error: ClientError) {
        self.partitions[place].outstanding.remove(&batch.ordinal);
        let claimed = (batch.tokens.len() as u64).saturating_add(u64::from(batch.handles));
        self.unclaimed.add(u64::from(batch.records).saturating_sub(claimed), &error);
        self.report(&batch.completion, Err(error.clone()), batch.tokens);
        self.accumulator.settle(&batch.completion, batch.id, batch.reserved, Fate::Failed(error));
        self.activate(place);
    }

    /// To be called before the batch is settled, so that whoever has flushed finds every report.
    pub(super) fn report(
        &self,
        completion: &Arc<Completion>,
        fate: Result<Delivered, ClientError>,
        tokens: Vec<Token>,
    ) {
        if let Some(sink) = self.sink.as_ref().filter(|_| !tokens.is_empty()) {
            sink.report(BatchReport { completion: Arc::clone(completion), fate, tokens });
        }
    }

    pub(super) fn delivery_timeout(&self) -> Duration {
        Duration::from_millis(self.accumulator.config.delivery_timeout_ms)
    }

    pub(super) fn timed_out(&self, batch: &Sealed, cause: Option<&ClientError>) -> ClientError {
        let (topic, partition) = (&batch.completion.topic, batch.completion.partition);
        let cause = cause.map(|error| format!(" (last: {error})")).unwrap_or_default();
        ClientError::TimedOut {
            doing: format!("delivering to {topic}-{partition}{cause}"),
            after: self.delivery_timeout(),
        }
    }

    /// Fails what has waited for `delivery.timeout.ms`.
    pub(super) fn expire(&mut self, now: Instant, next: &mut Earliest) {
        if self.active.is_empty() {
            self.next_expiry = None;
            return;
        }
        let pause = EXPIRY_CHECK.min(self.delivery_timeout() / 4).max(Duration::from_millis(1));
        let due = *self.next_expiry.get_or_insert(now + pause);
        if due > now {
            return next.add(Some(due));
        }
        self.next_expiry = Some(now + pause);
        next.add(self.next_expiry);
        let Some(horizon) = now.checked_sub(self.delivery_timeout()) else { return };
        for place in self.active.clone() {
            let old =
                self.partitions[place].retry.iter().take_while(|batch| batch.created <= horizon).count();
            for _ in 0..old {
                if let Some(batch) = self.partitions[place].retry.pop_front() {
                    let error = self.timed_out(&batch, None);
                    self.lost(place, batch, error);
                }
            }
            for batch in self.partitions[place].queue.take_older(horizon) {
                self.never_sent(batch, None);
            }
        }
    }

    /// Fails a batch that was never sent. `None` says that its time was up.
    pub(super) fn never_sent(&mut self, batch: Batch, error: Option<&ClientError>) {
        let (topic, partition) = (&batch.completion.topic, batch.completion.partition);
        let error = error.cloned().unwrap_or_else(|| ClientError::TimedOut {
            doing: format!("delivering to {topic}-{partition}, which had no reachable leader"),
            after: self.delivery_timeout(),
        });
        self.unclaimed.add(batch.unclaimed(), &error);
        self.report(&batch.completion, Err(error.clone()), batch.tokens);
        self.accumulator.settle(&batch.completion, batch.id, batch.reserved, Fate::Failed(error));
    }

    pub(super) fn fail_everything(&mut self, error: &ClientError) {
        self.admit();
        for place in 0..self.partitions.len() {
            while let Some(batch) = self.partitions[place].retry.pop_front() {
                self.failed(place, batch, error.clone());
            }
            for batch in self.partitions[place].queue.take_all() {
                self.never_sent(batch, Some(error));
            }
        }
        let pending = std::mem::take(&mut self.pending);
        drop(pending);
        // What was on the wire died with the futures above; whoever waits for it learns it here.
        for completion in self.accumulator.incomplete() {
            completion.settle(Fate::Failed(error.clone()));
        }
    }
}
