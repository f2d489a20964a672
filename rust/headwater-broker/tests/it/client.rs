//! A raw client: frames out, frames in, nothing in between.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use headwater_broker::BrokerHandle;
use headwater_env::Env;
use headwater_env::net::{MemoryConnection, TcpStream, connect};
use headwater_protocol::{Request, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Frames that a test broker would never send.
const FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;

enum Wire {
    Tcp { stream: TcpStream, received: BytesMut },
    Memory(MemoryConnection),
}

pub(crate) struct Client {
    wire: Wire,
    next_id: i32,
}

impl Client {
    pub(crate) async fn tcp(address: SocketAddr) -> Client {
        let stream = connect(&address.ip().to_string(), address.port()).await.unwrap();
        Client { wire: Wire::Tcp { stream, received: BytesMut::new() }, next_id: 0 }
    }

    pub(crate) async fn memory<E: Env>(broker: &BrokerHandle<E>) -> Client {
        let network = broker.memory_network().unwrap();
        let connection = network.connect(broker.node_id()).await.unwrap();
        Client { wire: Wire::Memory(connection), next_id: 0 }
    }

    /// Sends a request and returns its correlation id.
    pub(crate) async fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        self.next_id += 1;
        let encoded = frame::encode_request(request, version, self.next_id, Some("test".into())).unwrap();
        self.send_frame(encoded.into_bytes()).await;
        self.next_id
    }

    /// Sends a frame, whatever it is.
    pub(crate) async fn send_frame(&mut self, bytes: Bytes) {
        match &mut self.wire {
            Wire::Tcp { stream, .. } => {
                let prefix = frame::length_prefix(bytes.len()).unwrap();
                stream.write_all(&[&prefix[..], &bytes].concat()).await.unwrap();
            }
            Wire::Memory(connection) => connection.send(vec![bytes]).await.unwrap(),
        }
    }

    /// Sends bytes without a length; TCP only.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let Wire::Tcp { stream, .. } = &mut self.wire else { panic!("memory has frames") };
        // The broker may have closed already.
        let _ = stream.write_all(bytes).await;
    }

    /// The next frame; `None` once the broker has closed the connection.
    pub(crate) async fn receive_frame(&mut self) -> Option<Bytes> {
        match &mut self.wire {
            Wire::Tcp { stream, received } => loop {
                if let Some(frame) = frame::split_frame(received, FRAME_BYTES_MAX).unwrap() {
                    return Some(frame);
                }
                match stream.read_buf(received).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            },
            Wire::Memory(connection) => connection.recv().await.unwrap().map(|chunks| chunks.concat().into()),
        }
    }

    /// The next answer, which must be that of `R` in `version`, with its correlation id.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let frame = self.receive_frame().await.expect("the broker closed the connection");
        frame::decode_response::<R>(frame, version).unwrap()
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let id = self.send(request, version).await;
        let (answered, response) = self.receive::<R>(version).await;
        assert_eq!(answered, id);
        response
    }

    /// Like [`call`](Self::call), but `None` when the broker is gone before the answer.
    pub(crate) async fn try_call<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        let Wire::Memory(connection) = &mut self.wire else { panic!("for brokers that only memory reaches") };
        let encoded = frame::encode_request(request, version, 0, None).unwrap();
        connection.send(encoded.into_chunks()).await.ok()?;
        let frame = self.receive_frame().await?;
        Some(frame::decode_response::<R>(frame, version).unwrap().1)
    }

    /// Whether the broker has closed the connection; anything else it sends is an error.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.receive_frame().await.is_none()
    }
}
