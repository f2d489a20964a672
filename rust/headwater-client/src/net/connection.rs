//! One connection: requests go out in order, answers come back in order.

use super::transport::{FrameReader, FrameWriter};
use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::runtime::Runtime;
use bytes::Bytes;
use headwater_env::net::Frame;
use headwater_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use headwater_protocol::{ErrorCode, Message, Request, Str, Writer, frame};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Frames that the writer takes into one write.
const FRAMES_PER_WRITE: usize = 32;

/// An open connection whose versions are known.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Outgoing>,
    versions: HashMap<i16, (i16, i16)>,
    local_name: Option<Str>,
    client_id: Str,
    next_correlation_id: AtomicI32,
}

struct Shared {
    node: String,
    pending: Mutex<VecDeque<Pending>>,
    closed: CancellationToken,
    reason: OnceLock<String>,
    /// Set when what came could not be understood.
    garbled: AtomicBool,
}

struct Outgoing {
    frame: Frame,
    pending: Option<Pending>,
    written: Option<oneshot::Sender<()>>,
}

struct Pending {
    correlation_id: i32,
    answer: oneshot::Sender<Bytes>,
}

/// A decoded answer and the version it came in.
pub(crate) struct Reply<T> {
    pub(crate) version: i16,
    pub(crate) body: T,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, VecDeque<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, reason: impl FnOnce() -> String) {
        self.reason.get_or_init(reason);
        self.closed.cancel();
        // Dropping the senders tells everyone who waits.
        self.pending().clear();
    }

    fn disconnected(&self, api: &'static str) -> ClientError {
        let reason = self.reason.get().cloned().unwrap_or_else(|| "closed".into());
        ClientError::Disconnected { node: self.node.clone(), api, reason }
    }
}

impl Connection {
    /// Starts the tasks of a fresh connection and learns which versions the broker offers.
    pub(crate) async fn open(
        runtime: &Runtime,
        config: &ClientConfig,
        node: String,
        (writer, reader): (FrameWriter, FrameReader),
        parent: &CancellationToken,
    ) -> Result<Self, ClientError> {
        let shared = Arc::new(Shared {
            node,
            pending: Mutex::default(),
            closed: parent.child_token(),
            reason: OnceLock::new(),
            garbled: AtomicBool::new(false),
        });
        let (outgoing, queue) = mpsc::channel(config.headwater_connection_queue_requests_max);
        let idle = Duration::from_millis(config.connections_max_idle_ms);
        runtime.spawn("client-connection-writer", write(Arc::clone(&shared), writer, queue, idle));
        runtime.spawn("client-connection-reader", read(Arc::clone(&shared), reader));
        let mut connection = Self {
            shared,
            outgoing,
            versions: HashMap::new(),
            local_name: None,
            client_id: Str::from(config.client_id.as_str()),
            next_correlation_id: AtomicI32::new(0),
        };
        let offer = connection.handshake(config.request_timeout()).await?;
        let keys = offer.api_keys.iter();
        connection.versions = keys.map(|key| (key.api_key, (key.min_version, key.max_version))).collect();
        connection.local_name = offer.local_name.as_ref().map(Str::detach);
        Ok(connection)
    }

    async fn handshake(&self, timeout: Duration) -> Result<ApiVersionsResponse, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: Str::from_static("headwater"),
            client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
        };
        let mut version = ApiVersionsRequest::MAX_VERSION;
        let mut frame = self.start(&request, version, timeout)?.await?;
        if api_versions_error(&frame) == Some(ErrorCode::UnsupportedVersion.code()) {
            // A broker that does not know this version answers in version 0; ask again so.
            version = 0;
            frame = self.start(&request, version, timeout)?.await?;
        }
        let answer: ApiVersionsResponse = self.decode::<ApiVersionsRequest>(frame, version)?;
        ClientError::check(answer.error_code, || format!("ApiVersions of {}", self.shared.node))?;
        Ok(answer)
    }

    /// The name of the broker's local socket, if it has offered it.
    pub(super) fn local_name(&self) -> Option<&str> {
        self.local_name.as_deref()
    }

    /// The node as messages name it.
    pub(crate) fn node(&self) -> &str {
        &self.shared.node
    }

    /// Whether it has ended because what came could not be understood.
    pub(super) fn was_garbled(&self) -> bool {
        self.shared.garbled.load(Ordering::Relaxed)
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.shared.closed.is_cancelled()
    }

    pub(crate) fn close(&self, reason: &str) {
        self.shared.close(|| reason.to_owned());
    }

    /// The newest version of `R`, at most `newest`, that both sides know.
    pub(crate) fn version_of<R: Request>(&self, newest: i16) -> Result<i16, ClientError> {
        let offered = self.versions.get(&(R::API_KEY as i16)).copied();
        let unsupported =
            |what: String| ClientError::Unsupported { node: self.shared.node.clone(), feature: what };
        let name = R::API_KEY.name();
        let (oldest_there, newest_there) = offered.ok_or_else(|| unsupported(name.to_owned()))?;
        let version = newest.min(R::MAX_VERSION).min(newest_there);
        if version < R::MIN_VERSION || version < oldest_there {
            return Err(unsupported(format!(
                "{name} in version {} to {} (it has {oldest_there} to {newest_there})",
                R::MIN_VERSION,
                newest.min(R::MAX_VERSION)
            )));
        }
        Ok(version)
    }

    /// Queues a request at once, so that calls take effect in their order; the future waits for the answer. A request that
    /// is not answered in time closes the connection, since every later answer would be late too.
    pub(crate) fn submit<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<impl Future<Output = Result<R::Response, ClientError>> + Send + 'static, ClientError> {
        let answer = self.start(request, version, timeout)?;
        let node = self.shared.node.clone();
        Ok(async move { decode::<R>(&node, answer.await?, version) })
    }

    /// Queues a request that has no answer; the future ends when it was handed to the wire.
    pub(crate) fn submit_unanswered<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<impl Future<Output = Result<(), ClientError>> + Send + 'static, ClientError> {
        let (written, done) = oneshot::channel();
        let frame = self.encode(request, version, self.correlate())?;
        self.queue::<R>(Outgoing { frame, pending: None, written: Some(written) })?;
        let shared = Arc::clone(&self.shared);
        Ok(async move { done.await.map_err(|_| shared.disconnected(R::API_KEY.name())) })
    }

    fn start<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<impl Future<Output = Result<Bytes, ClientError>> + Send + 'static, ClientError> {
        let correlation_id = self.correlate();
        let frame = self.encode(request, version, correlation_id)?;
        let (answer, answered) = oneshot::channel();
        self.queue::<R>(Outgoing {
            frame,
            pending: Some(Pending { correlation_id, answer }),
            written: None,
        })?;
        let shared = Arc::clone(&self.shared);
        let api = R::API_KEY.name();
        Ok(async move {
            match tokio::time::timeout(timeout, answered).await {
                Ok(Ok(frame)) => Ok(frame),
                Ok(Err(_)) => Err(shared.disconnected(api)),
                Err(_) => {
                    shared.close(|| format!("{api} was not answered within {timeout:?}"));
                    let doing = format!("{api} to {}", shared.node);
                    Err(ClientError::TimedOut { doing, after: timeout })
                }
            }
        })
    }

    fn correlate(&self) -> i32 {
        self.next_correlation_id.fetch_add(1, Ordering::Relaxed) & i32::MAX
    }

    fn encode<R: Request>(&self, request: &R, version: i16, id: i32) -> Result<Frame, ClientError> {
        let encoded = frame::encode_request(request, version, id, Some(self.client_id.clone()));
        encoded.map(Writer::into_chunks).map_err(|error| ClientError::Unsupported {
            node: self.shared.node.clone(),
            feature: format!("this {} in version {version}: {error}", R::API_KEY.name()),
        })
    }

    fn queue<R: Request>(&self, outgoing: Outgoing) -> Result<(), ClientError> {
        self.outgoing.try_send(outgoing).map_err(|refused| match refused {
            mpsc::error::TrySendError::Closed(_) => self.shared.disconnected(R::API_KEY.name()),
            mpsc::error::TrySendError::Full(_) => ClientError::Unreachable {
                node: self.shared.node.clone(),
                reason: "its queue is full (headwater.connection.queue.requests.max)".into(),
            },
        })
    }

    fn decode<R: Request>(&self, frame: Bytes, version: i16) -> Result<R::Response, ClientError> {
        decode::<R>(&self.shared.node, frame, version)
    }
}

fn decode<R: Request>(node: &str, frame: Bytes, version: i16) -> Result<R::Response, ClientError> {
    match frame::decode_response::<R>(frame, version) {
        Ok((_, answer)) => Ok(answer),
        Err(error) => Err(ClientError::Malformed {
            node: node.to_owned(),
            api: R::API_KEY.name(),
            reason: error.to_string(),
        }),
    }
}

/// The correlation id of an answer.
fn correlation_id(frame: &Bytes) -> Option<i32> {
    frame.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes))
}

/// The error code that follows the header of an ApiVersions answer, at the same place in all its versions.
fn api_versions_error(frame: &Bytes) -> Option<i16> {
    frame.get(4..6)?.try_into().ok().map(i16::from_be_bytes)
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close("closed by this side");
    }
}

async fn write(
    shared: Arc<Shared>,
    mut wire: FrameWriter,
    mut queue: mpsc::Receiver<Outgoing>,
    idle: Duration,
) {
    let reason = tokio::select! {
        biased;
        () = shared.closed.cancelled() => "closed by this side".to_owned(),
        reason = write_all(&shared, &mut wire, &mut queue, idle) => reason,
    };
    shared.close(|| reason);
}

async fn write_all(
    shared: &Shared,
    wire: &mut FrameWriter,
    queue: &mut mpsc::Receiver<Outgoing>,
    idle: Duration,
) -> String {
    let mut batch = Vec::with_capacity(FRAMES_PER_WRITE);
    let mut frames = Vec::with_capacity(FRAMES_PER_WRITE);
    loop {
        match tokio::time::timeout(idle, queue.recv_many(&mut batch, FRAMES_PER_WRITE)).await {
            Ok(0) => return "closed by this side".into(),
            Ok(_) => {}
            Err(_) if shared.pending().is_empty() => return "idle for connections.max.idle.ms".into(),
            Err(_) => continue,
        }
        let mut written = Vec::new();
        {
            let mut pending = shared.pending();
            for outgoing in batch.drain(..) {
                frames.push(outgoing.frame);
                pending.extend(outgoing.pending);
                written.extend(outgoing.written);
            }
        }
        if let Err(error) = wire.send(&mut frames).await {
            return error.to_string();
        }
        for done in written {
            // Whoever asked may have gone; the request went out all the same.
            done.send(()).ok();
        }
    }
}

async fn read(shared: Arc<Shared>, mut wire: FrameReader) {
    let reason = tokio::select! {
        biased;
        () = shared.closed.cancelled() => "closed by this side".to_owned(),
        outcome = read_all(&shared, &mut wire) => match outcome {
            Ok(()) => "closed by the broker".to_owned(),
            Err(error) => {
                shared.garbled.store(error.kind() == io::ErrorKind::InvalidData, Ordering::Relaxed);
                error.to_string()
            }
        },
    };
    shared.close(|| reason);
}

async fn read_all(shared: &Shared, wire: &mut FrameReader) -> io::Result<()> {
    let broken = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidData, text));
    while let Some(frame) = wire.recv().await? {
        let Some(correlation_id) = correlation_id(&frame) else {
            return broken("an answer without a header");
        };
        let Some(pending) = shared.pending().pop_front() else {
            return broken("an answer that nobody asked for");
        };
        if pending.correlation_id != correlation_id {
            return broken("an answer to another request than the oldest");
        }
        // Whoever asked may have given up; the answer is then of no use.
        pending.answer.send(frame).ok();
    }
    Ok(())
}
