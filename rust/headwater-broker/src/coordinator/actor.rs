//! The task of one coordinator partition: the only one that touches its shard and appends to its log.
//!
//! ```text
//!   handlers ──▶ queue ──▶ handle ──▶ replay ──▶ open batch ──▶ append ──▶ in flight ──(HW)──▶ replies leave,
//!                             ▲                                                                shard settles
//!                  timers ────┘
//! ```
//!
//! A task and not a lock: requests that queue up while an append is under way become one batch, timers and the high
//! watermark need somebody to wait for them anyway, and a decision never sees another one half done. At rest it sleeps
//! until the shard's next deadline.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use headwater_coordinator::{Decision, Record, RecordPosition, Refusal, ReplyToken, Shard};
use headwater_env::Env;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RuntimeSettings;
use super::batch::{After, OpenBatch, Write, record_bytes};
use super::clock::Clock;
use super::log::{CoordinatorLog, LogGone};
use super::metrics::{CoordinatorMetrics, Share};
use super::rewrite::{PIECE_BYTES, Rewrite};

/// Requests handled before the batch is appended.
const REQUESTS_PER_TURN: usize = 256;
/// Writes that wait for the high watermark; while there are more, requests stay in their queue.
const WRITES_IN_FLIGHT_MAX: usize = 4_096;
/// Requests that wait inside the shard (joins, syncs); more are refused.
const REQUESTS_WAITING_MAX: usize = 65_536;

/// Where an answer goes.
pub(super) type ReplyTo<S> = oneshot::Sender<Result<<S as Shard>::Reply, Refusal>>;

/// A request and where its answer goes.
pub(super) struct Message<S: Shard> {
    pub(super) request: S::Request,
    pub(super) reply: ReplyTo<S>,
}

/// All that can wake the task.
enum Event<S: Shard> {
    /// The broker stops, or leadership is lost.
    Stop,
    /// The high watermark has passed the oldest write.
    Committed,
    /// The log will never commit it.
    LogGone,
    /// A timer of the shard, or a write that takes too long.
    Time,
    /// Requests.
    Request(Message<S>),
}

/// The state of the task.
pub(super) struct Actor<E: Env, S: Shard, L> {
    env: E,
    shard: S,
    log: L,
    settings: Arc<RuntimeSettings>,
    clock: Clock<E>,
    now_ms: i64,
    requests: mpsc::Receiver<Message<S>>,
    stop: CancellationToken,
    waiting: HashMap<ReplyToken, ReplyTo<S>>,
    next_token: u64,
    batch: OpenBatch<S>,
    /// Appended, oldest first: `end` never falls.
    in_flight: VecDeque<Write<S>>,
    /// Decisions that others led to, to be taken before the next event.
    follow_up: VecDeque<Decision<S>>,
    rewrite: Rewrite,
    live: Share,
    pending_appends: Share,
    /// The shard cannot be trusted any more; a bug, told in the log.
    is_broken: bool,
}

impl<E: Env, S: Shard, L: CoordinatorLog> Actor<E, S, L> {
    pub(super) fn new(
        env: E,
        shard: S,
        log: L,
        settings: Arc<RuntimeSettings>,
        metrics: &CoordinatorMetrics,
        requests: mpsc::Receiver<Message<S>>,
        stop: CancellationToken,
    ) -> Self {
        let mut clock = Clock::new(env.clone());
        let now_ms = clock.read().now_ms;
        Actor {
            env,
            shard,
            log,
            settings,
            clock,
            now_ms,
            requests,
            stop,
            waiting: HashMap::new(),
            next_token: 0,
            batch: OpenBatch::new(),
            in_flight: VecDeque::new(),
            follow_up: VecDeque::new(),
            rewrite: Rewrite::NotBefore(0),
            live: Share::of(&metrics.live),
            pending_appends: Share::of(&metrics.pending_appends),
            is_broken: false,
        }
    }

    /// Runs until leadership is lost or the broker stops. Whoever still waits is told to look elsewhere.
    pub(super) async fn run(mut self) {
        let first = self.shard.loaded(self.now_ms);
        self.follow_up.push_back(first);
        loop {
            self.look_at_clock();
            self.run_timers();
            self.write_out();
            self.start_rewrite_if_due();
            self.live.set(self.shard.live());
            self.pending_appends.set(self.in_flight.len());
            if self.is_broken {
                break;
            }
            match self.next_event().await {
                Event::Stop | Event::LogGone => break,
                Event::Committed => self.settle_committed().await,
                Event::Time => self.give_up_late_writes(),
                Event::Request(first) => self.take_requests(first),
            }
        }
        // Dropping the senders tells everybody who waits.
        let inside = self.shard.unload();
        tracing::debug!(waiting = self.waiting.len(), inside = inside.len(), "a coordinator is unloaded");
    }

    async fn next_event(&mut self) -> Event<S> {
        let oldest = self.in_flight.front().map(|write| write.end);
        let wake_at = self.wake_at();
        let has_room = self.in_flight.len() < WRITES_IN_FLIGHT_MAX;
        let log = &self.log;
        let committed = async {
            match oldest {
                Some(end) => log.committed(end).await,
                None => std::future::pending().await,
            }
        };
        let time = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { biased;
            () = self.stop.cancelled() => Event::Stop,
            outcome = committed => match outcome {
                Ok(()) => Event::Committed,
                Err(LogGone) => Event::LogGone,
            },
            () = time => Event::Time,
            request = self.requests.recv(), if has_room => request.map_or(Event::Stop, Event::Request),
        }
    }

    /// The next timer of the shard or the first write to be late.
    fn wake_at(&self) -> Option<Instant> {
        let timer = self.shard.next_deadline().map(|deadline_ms| {
            let delay_ms = u64::try_from(deadline_ms.saturating_sub(self.now_ms)).unwrap_or(0);
            // A deadline out of reach is no deadline; the clock is looked at again on the way.
            self.env.now() + Duration::from_millis(delay_ms.min(86_400_000))
        });
        let late = self.in_flight.iter().find_map(|write| write.deadline);
        timer.into_iter().chain(late).min()
    }

    fn look_at_clock(&mut self) {
        let reading = self.clock.read();
        self.now_ms = reading.now_ms;
        if reading.jump_ms != 0 {
            tracing::info!(jump_ms = reading.jump_ms, "the wall clock jumped; deadlines move along");
            self.shard.clock_moved(reading.jump_ms);
        }
    }

    fn run_timers(&mut self) {
        while self.shard.next_deadline().is_some_and(|deadline_ms| deadline_ms <= self.now_ms) {
            let decision = self.shard.on_time(self.now_ms);
            self.take(decision);
        }
    }

    fn take_requests(&mut self, first: Message<S>) {
        self.look_at_clock();
        self.handle(first);
        for _ in 1..REQUESTS_PER_TURN {
            let Ok(next) = self.requests.try_recv() else { break };
            self.handle(next);
        }
    }

    fn handle(&mut self, message: Message<S>) {
        if self.waiting.len() >= REQUESTS_WAITING_MAX {
            // Whoever sent it may be gone; then nobody needs to know.
            let _ = message.reply.send(Err(Refusal::NotAvailable));
            return;
        }
        let token = ReplyToken(self.next_token);
        self.next_token += 1;
        self.waiting.insert(token, message.reply);
        let decision = self.shard.handle(self.now_ms, token, message.request);
        self.take(decision);
    }

    fn answer(&mut self, token: ReplyToken, outcome: Result<S::Reply, Refusal>) {
        if let Some(reply) = self.waiting.remove(&token) {
            // A client that went away needs no answer.
            let _ = reply.send(outcome);
        }
    }

    /// Carries out a decision as far as the open batch.
    fn take(&mut self, decision: Decision<S>) {
        for (token, reply) in decision.replies {
            self.answer(token, Ok(reply));
        }
        let after = decision.then.map_or(After::Nothing, After::Settle);
        if decision.records.is_empty() && decision.parked.is_empty() && matches!(after, After::Nothing) {
            return;
        }
        let staged = self.stage(&decision.records);
        let deadline = Some(self.env.now() + self.settings.commit_timeout);
        let end = self.batch.next_offset(self.log.end());
        let write = Write { end, deadline, parked: decision.parked, after };
        match staged {
            Ok(()) => self.batch.writes.push_back(write),
            Err(refusal) => self.refuse(write, refusal),
        }
    }

    /// Gives the records their offsets, replays them and puts them into the open batch. What does not fit into one
    /// batch goes into several.
    fn stage(&mut self, records: &[Record]) -> Result<(), Refusal> {
        let bytes_max = self.log.batch_bytes_max();
        let alone_max = bytes_max.saturating_sub(headwater_record::BATCH_OVERHEAD);
        if records.iter().any(|record| record_bytes(record) > alone_max) {
            return Err(Refusal::TooLarge);
        }
        for record in records {
            if !self.batch.has_room_for(record, bytes_max) {
                self.append_batch()?;
            }
            let log_end = self.log.end();
            let position = RecordPosition::plain(self.batch.next_offset(log_end));
            if let Err(error) = self.shard.replay(position, &record.key, record.value.as_deref()) {
                return Err(self.broken(&error));
            }
            if let Err(error) = self.batch.push(record, self.now_ms, log_end) {
                return Err(self.broken(&error));
            }
        }
        Ok(())
    }

    fn broken(&mut self, error: &dyn std::error::Error) -> Refusal {
        tracing::error!(%error, "a coordinator cannot use its own record and stops");
        self.is_broken = true;
        Refusal::NotCoordinator
    }

    /// Appends the open batch. When the log refuses it, what was replayed from it is taken back, and everything that
    /// was decided since is refused.
    fn append_batch(&mut self) -> Result<(), Refusal> {
        let base = self.batch.base();
        let outcome = if self.batch.has_records() { self.append(base) } else { Ok(()) };
        if outcome.is_err() {
            self.shard.revert(base);
        }
        for write in std::mem::take(&mut self.batch.writes) {
            match outcome {
                Err(refusal) if write.end > base => self.refuse(write, refusal),
                _ => self.in_flight.push_back(write),
            }
        }
        outcome
    }

    fn append(&mut self, base: i64) -> Result<(), Refusal> {
        let batch = match self.batch.finish() {
            Ok(batch) => batch,
            Err(error) => return Err(self.broken(&error)),
        };
        let first = self.log.append(batch, self.now_ms)?;
        if first != base {
            // Somebody else has written: positions in the shard are wrong from here on.
            tracing::error!(first, base, "a coordinator is not alone on its log and stops");
            self.is_broken = true;
            return Err(Refusal::NotCoordinator);
        }
        Ok(())
    }

    /// Tells everybody that a write will not be.
    fn refuse(&mut self, write: Write<S>, refusal: Refusal) {
        for (token, _) in write.parked {
            self.answer(token, Err(refusal));
        }
        match write.after {
            After::Settle(then) => {
                let decision = self.shard.settle(self.now_ms, then, Err(refusal));
                self.follow_up.push_back(decision);
            }
            After::RewriteGoesOn(_) | After::Trim(_) => {
                tracing::warn!(%refusal, "a rewrite of a coordinator's log was given up");
                self.rewrite = Rewrite::rest(self.log.end());
            }
            After::Nothing => {}
        }
    }

    /// Appends what is decided, and what that leads to.
    fn write_out(&mut self) {
        loop {
            while let Some(decision) = self.follow_up.pop_front() {
                self.take(decision);
            }
            // Whoever it concerns was told where it failed.
            let _ = self.append_batch();
            if self.follow_up.is_empty() || self.is_broken {
                return;
            }
        }
    }

    async fn settle_committed(&mut self) {
        self.look_at_clock();
        let high_watermark = self.log.high_watermark();
        self.shard.committed(high_watermark);
        while self.in_flight.front().is_some_and(|write| write.end <= high_watermark) {
            let Some(write) = self.in_flight.pop_front() else { break };
            for (token, reply) in write.parked {
                self.answer(token, Ok(reply));
            }
            match write.after {
                After::Nothing => {}
                After::Settle(then) => {
                    let decision = self.shard.settle(self.now_ms, then, Ok(()));
                    self.follow_up.push_back(decision);
                }
                After::RewriteGoesOn(Some(cursor)) => self.rewrite_piece(Some(cursor)),
                After::RewriteGoesOn(None) => self.prepare_trim(),
                After::Trim(start) => self.trim(start).await,
            }
        }
    }

    /// Writes that are appended and not committed in time: those who wait are told, the records stay.
    fn give_up_late_writes(&mut self) {
        self.look_at_clock();
        let now = self.env.now();
        let mut late = Vec::new();
        for write in &mut self.in_flight {
            if write.deadline.is_some_and(|deadline| deadline <= now) {
                write.deadline = None;
                let after = match &write.after {
                    After::Settle(_) => std::mem::replace(&mut write.after, After::Nothing),
                    _ => After::Nothing,
                };
                let parked = std::mem::take(&mut write.parked);
                late.push(Write { end: write.end, deadline: None, parked, after });
            }
        }
        for write in late {
            self.refuse(write, Refusal::TimedOut);
        }
    }

    fn start_rewrite_if_due(&mut self) {
        let (start, end) = (self.log.start(), self.log.end());
        if self.rewrite.is_due(&self.shard, start, end) {
            tracing::debug!(start, end, live = self.shard.live_records(), "a coordinator's log is rewritten");
            self.rewrite = Rewrite::Running;
            self.rewrite_piece(None);
            self.write_out();
        }
    }

    fn rewrite_piece(&mut self, after: Option<S::Cursor>) {
        let bytes_max = PIECE_BYTES.min(self.log.batch_bytes_max() / 2);
        let piece = self.shard.snapshot(after, bytes_max);
        let staged = self.stage(&piece.records);
        let end = self.batch.next_offset(self.log.end());
        let after = After::RewriteGoesOn(piece.next);
        let write = Write { end, deadline: None, parked: Vec::new(), after };
        match staged {
            Ok(()) => self.batch.writes.push_back(write),
            Err(refusal) => self.refuse(write, refusal),
        }
    }

    /// The state is written again. Where the log may begin is decided now and done when all of now is committed.
    fn prepare_trim(&mut self) {
        let end = self.batch.next_offset(self.log.end());
        let start = self.shard.oldest_needed().unwrap_or(end);
        let write = Write { end, deadline: None, parked: Vec::new(), after: After::Trim(start) };
        self.batch.writes.push_back(write);
    }

    async fn trim(&mut self, start: i64) {
        let log = self.log.clone();
        if let Err(error) = self.env.blocking(move || log.delete_before(start)).await {
            tracing::warn!(%error, start, "a rewritten coordinator log keeps its old records");
        }
        self.rewrite = Rewrite::rest(self.log.end());
    }
}
