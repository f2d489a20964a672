//! The loop of one connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, Ready, ready};
use futures_util::stream::{FuturesOrdered, StreamExt};
use headwater_env::Env;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dispatch::{self, Outcome};
use super::limits::Limits;
use super::{ConnectionError, Frame, Transport};
use crate::context::{ConnectionContext, Order};
use crate::node::Node;
use crate::reply::{Chunk, Reply};

/// Replies that are gathered into one write at most.
const REPLIES_PER_WRITE: usize = 128;

/// A request that was answered, with what it had in flight.
pub(super) struct Answered<E: Env> {
    outcome: Outcome<E>,
    bytes: usize,
    _memory: OwnedSemaphorePermit,
}

type Waiting<E> = Pin<Box<dyn Future<Output = Answered<E>> + Send>>;

/// One connection.
pub(super) struct Connection<E: Env, T: Transport<E>> {
    node: Arc<Node<E>>,
    context: Arc<ConnectionContext>,
    transport: T,
    limits: Limits,
    stop: CancellationToken,
    /// Unanswered requests, in arrival order.
    pending: FuturesOrdered<Either<Ready<Answered<E>>, Waiting<E>>>,
    /// What the pending requests and their ready replies take, in bytes.
    bytes_in_flight: usize,
    /// Replies that can leave, in order.
    outbox: Vec<Vec<Chunk<E>>>,
    /// No request is read before this moment (KIP-219).
    muted_until: Option<Instant>,
}

/// What the loop waited for.
enum Wake<E: Env> {
    Stop,
    Answered(Answered<E>),
    Frame(Option<Frame>),
    Unmuted,
    Idle,
}

impl<E: Env, T: Transport<E>> Connection<E, T> {
    pub(super) fn new(
        node: Arc<Node<E>>,
        context: Arc<ConnectionContext>,
        transport: T,
        stop: CancellationToken,
    ) -> Connection<E, T> {
        let limits = node.limits.clone();
        Connection {
            node,
            context,
            transport,
            limits,
            stop,
            pending: FuturesOrdered::new(),
            bytes_in_flight: 0,
            outbox: Vec::new(),
            muted_until: None,
        }
    }

    /// Serves the connection until it ends; what it waits for then is dropped with it.
    pub(super) async fn run(mut self) -> Result<(), ConnectionError> {
        loop {
            self.start_buffered().await?;
            self.collect_answered()?;
            if !self.outbox.is_empty() {
                let replies = std::mem::take(&mut self.outbox);
                tokio::select! { biased;
                    // A client that does not read must not hold up the broker's end.
                    () = self.stop.cancelled() => return Ok(()),
                    sent = self.transport.send(replies) => sent?,
                }
                continue;
            }
            match self.wait().await? {
                Wake::Stop | Wake::Idle | Wake::Frame(None) => return Ok(()),
                Wake::Answered(answered) => self.settle(answered)?,
                Wake::Frame(Some(frame)) => self.start(frame).await?,
                Wake::Unmuted => self.muted_until = None,
            }
        }
    }

    /// Whether another request may be read.
    fn has_room(&self) -> bool {
        self.muted_until.is_none()
            && self.pending.len() < self.limits.connection_requests_max
            && self.bytes_in_flight < self.limits.connection_bytes_max
    }

    async fn start_buffered(&mut self) -> Result<(), ConnectionError> {
        while self.outbox.len() < REPLIES_PER_WRITE && self.has_room() {
            match self.transport.buffered()? {
                Some(frame) => self.start(frame).await?,
                None => break,
            }
        }
        Ok(())
    }

    /// Runs a request to its first wait, or as long as it holds back the next one.
    async fn start(&mut self, frame: Frame) -> Result<(), ConnectionError> {
        let Frame { bytes, memory } = frame;
        let size = bytes.len();
        let order = Order::default();
        let mut handler = dispatch::begin(&self.node, &self.context, bytes, order.clone());
        let first = poll_fn(|context| match handler.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if order.is_held() => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        });
        match first.await {
            Some(outcome) if self.pending.is_empty() => self.post(outcome)?,
            Some(outcome) => {
                let bytes = size + outcome.as_ref().map_or(0, bytes_in_memory);
                self.bytes_in_flight += bytes;
                let answered = Answered { outcome, bytes, _memory: memory };
                self.pending.push_back(Either::Left(ready(answered)));
            }
            None => {
                self.bytes_in_flight += size;
                let answered = handler.map(move |outcome| Answered { outcome, bytes: size, _memory: memory });
                self.pending.push_back(Either::Right(Box::pin(answered)));
            }
        }
        Ok(())
    }

    /// Moves what has become ready at the head of the queue into the outbox.
    fn collect_answered(&mut self) -> Result<(), ConnectionError> {
        while self.outbox.len() < REPLIES_PER_WRITE && !self.pending.is_empty() {
            match self.pending.next().now_or_never() {
                Some(Some(answered)) => self.settle(answered)?,
                Some(None) | None => break,
            }
        }
        Ok(())
    }

    fn settle(&mut self, answered: Answered<E>) -> Result<(), ConnectionError> {
        self.bytes_in_flight = self.bytes_in_flight.saturating_sub(answered.bytes);
        self.post(answered.outcome)
    }

    fn post(&mut self, outcome: Outcome<E>) -> Result<(), ConnectionError> {
        let reply = outcome?;
        if let Ok(hold @ 1..) = u64::try_from(reply.throttle_ms) {
            self.muted_until = Some(self.node.env.now() + Duration::from_millis(hold));
        }
        self.outbox.extend(reply.chunks);
        Ok(())
    }

    async fn wait(&mut self) -> Result<Wake<E>, ConnectionError> {
        let has_room = self.has_room();
        if !has_room {
            self.node.metrics.connection_limit_waits.inc();
        }
        // A connection that waits for an answer of ours is not idle.
        let idle = self.limits.idle_max.filter(|_| self.pending.is_empty() && has_room);
        let muted_until = self.muted_until;
        tokio::select! { biased;
            () = self.stop.cancelled() => Ok(Wake::Stop),
            Some(answered) = self.pending.next(), if !self.pending.is_empty() => Ok(Wake::Answered(answered)),
            frame = self.transport.receive(), if has_room => Ok(Wake::Frame(frame?)),
            () = sleep_until(muted_until) , if muted_until.is_some() => Ok(Wake::Unmuted),
            () = sleep(idle), if idle.is_some() => Ok(Wake::Idle),
        }
    }
}

async fn sleep(duration: Option<Duration>) {
    if let Some(duration) = duration {
        tokio::time::sleep(duration).await;
    }
}

async fn sleep_until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        tokio::time::sleep_until(moment).await;
    }
}

/// What a reply holds in memory; file ranges take none.
fn bytes_in_memory<E: Env>(reply: &Reply<E>) -> usize {
    let in_memory = |chunk: &Chunk<E>| match chunk {
        Chunk::Bytes(bytes) => bytes.len(),
        Chunk::File(_) => 0,
    };
    reply.chunks.iter().flatten().map(in_memory).sum()
}
