//! Bytes that no client should send: the offender is answered or disconnected, others never notice.

use headwater_protocol::messages::api_versions::ApiVersionsRequest;
use headwater_protocol::{ErrorCode, Reader};
use proptest::prelude::*;

use crate::client::Client;
use crate::support::*;

/// A header of version 1 with a null client id: key, version, correlation id 7.
fn header(key: i16, version: i16) -> Vec<u8> {
    [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7, 0xff, 0xff]].concat()
}

#[tokio::test]
async fn impossible_lengths_end_the_connection_and_nobody_else_notices() {
    let server = Server::start().await;
    let mut witness = server.tcp().await;
    create_topic(&mut witness, "t", 1, &[]).await;
    for prefix in [0x7fff_ffff_u32, 0x8000_0000, 0xffff_ffff, 100 * 1024 * 1024 + 1] {
        let mut offender = server.tcp().await;
        offender.send_bytes(&prefix.to_be_bytes()).await;
        assert!(offender.is_closed().await, "{prefix:x}");
        produce_ok(&mut witness, "t", 0, batch(&["still here"])).await;
    }
    assert_eq!(read_all(&mut witness, "t", 0).await.len(), 4);
}

#[tokio::test]
async fn unknown_apis_and_versions_end_the_connection_apart_from_api_versions() {
    let server = Server::start().await;
    for frame in [
        header(-1, 0),
        header(9999, 0),
        header(i16::MAX, i16::MAX),
        header(1, 3),
        header(1, 99),
        header(3, -1),
        // An API of brokers among themselves.
        header(4, 0),
        vec![0, 1],
        vec![],
    ] {
        for mut client in [server.tcp().await, server.memory().await] {
            client.send_frame(frame.clone().into()).await;
            assert!(client.is_closed().await, "{frame:?}");
        }
    }
    let mut client = server.tcp().await;
    // A version that new has a header with tagged fields.
    client.send_frame([header(18, 99), vec![0]].concat().into()).await;
    let answer = client.receive_frame().await.unwrap();
    let mut reader = Reader::new(answer);
    assert_eq!(reader.int32(), Ok(7));
    assert_eq!(reader.int16(), Ok(ErrorCode::UnsupportedVersion.code()));
    assert_eq!(
        (reader.int32(), reader.int16(), reader.int16(), reader.int16()),
        (Ok(1), Ok(18), Ok(0), Ok(4))
    );
    assert_eq!(reader.remaining(), 0);
    let response = client.call(&ApiVersionsRequest::default(), 0).await;
    assert_eq!(response.error_code, 0, "the connection is kept");
}

#[tokio::test]
async fn truncated_requests_end_the_connection() {
    let server = Server::start().await;
    let whole = {
        let request = produce_request("t", 0, batch(&["x"]), -1);
        headwater_protocol::frame::encode_request(&request, PRODUCE, 1, None).unwrap().into_bytes()
    };
    for length in (10..whole.len()).step_by(7) {
        let mut client = server.memory().await;
        client.send_frame(whole.slice(..length)).await;
        assert!(client.is_closed().await, "{length} of {}", whole.len());
    }
    // A frame that is announced and never comes is the client's own affair.
    let mut client = server.tcp().await;
    client.send_bytes(&[0, 0, 1, 0, 1, 2, 3]).await;
    drop(client);
    let mut witness = server.tcp().await;
    create_topic(&mut witness, "t", 1, &[]).await;
}

#[tokio::test]
async fn counts_that_lie_take_no_memory() {
    let server = Server::start().await;
    for (key, version) in
        [(0_i16, 3_i16), (1, 4), (3, 1), (19, 2), (20, 1), (32, 1), (44, 0), (2, 1), (21, 0)]
    {
        for count in [[0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0]] {
            let mut frame = header(key, version);
            frame.extend(std::iter::repeat_n(count, 10).flatten());
            let mut client = server.memory().await;
            client.send_frame(frame.into()).await;
            assert!(client.is_closed().await, "{key} {version}");
        }
    }
    server.memory().await.call(&ApiVersionsRequest::default(), 0).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn random_frames_never_stop_the_broker(
        frames in prop::collection::vec(
            (0_i16..80, -1_i16..20, prop::collection::vec(any::<u8>(), 0..200)),
            30,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start().await;
            for (key, version, body) in frames {
                let mut client = server.memory().await;
                let flexible_tag = [0];
                client.send_frame([&header(key, version)[..], &flexible_tag, &body].concat().into()).await;
                // An answer or the end, but soon: what waits is dropped with its connection.
                let patience = std::time::Duration::from_millis(200);
                let _ = tokio::time::timeout(patience, client.receive_frame()).await;
            }
            let mut witness: Client = server.memory().await;
            create_topic(&mut witness, "witness", 1, &[]).await;
            produce_ok(&mut witness, "witness", 0, batch(&["x"])).await;
            server.broker.stop().await.unwrap();
        });
    }
}
