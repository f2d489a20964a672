//! Produce: what is accepted, what is refused and how, and how fsyncs are shared.

use bytes::{Bytes, BytesMut};
use headwater_protocol::messages::init_producer_id::InitProducerIdRequest;
use headwater_protocol::messages::produce::{PartitionProduceData, ProduceRequest};
use headwater_protocol::{ErrorCode, Str, Uuid};
use headwater_record::{BatchBuilder, Compression, RecordHeader};

use crate::client::Client;
use crate::support::*;

fn code_of(response: &headwater_protocol::messages::produce::PartitionProduceResponse) -> ErrorCode {
    ErrorCode::from_wire(response.error_code)
}

#[tokio::test]
async fn records_come_back_as_they_went_over_tcp_and_memory() {
    let server = Server::start().await;
    for mut client in [server.tcp().await, server.memory().await] {
        if server.broker.topics().is_empty() {
            create_topic(&mut client, "t", 2, &[]).await;
        }
        let base = produce_ok(&mut client, "t", 1, batch(&["a", "b"])).await;
        let response = client.call(&fetch_request("t", 1, base), FETCH).await;
        assert_eq!(values_of(&response), ["a", "b"]);
        assert_eq!(response.responses[0].partitions[0].high_watermark, base + 2);
    }
    server.broker.stop().await.unwrap();
}

#[tokio::test]
async fn every_codec_with_headers_is_stored_byte_for_byte() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    for codec in
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let mut builder = BatchBuilder::new(codec);
        let headers = [RecordHeader { key: "h", value: Some(b"1") }, RecordHeader { key: "h", value: None }];
        for n in 0..100 {
            builder.append(-1, Some(b"k"), Some(format!("value {n}").as_bytes()), &headers).unwrap();
        }
        let sent = builder.finish().unwrap();
        let base = produce_ok(&mut client, "t", 0, sent.clone()).await;
        let response = client.call(&fetch_request("t", 0, base), FETCH).await;
        let got = response.responses[0].partitions[0].records.clone().unwrap();
        // Base offset and leader epoch are the broker's, everything after them is the producer's.
        assert_eq!(got[17..], sent[17..], "{codec:?}");
        assert_eq!(values_of(&response).len(), 100);
    }
}

#[tokio::test]
async fn large_compressed_batches_keep_the_order_of_the_connection() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        })
        .collect();
    let mut builder = BatchBuilder::new(Compression::Lz4);
    builder.append(-1, None, Some(&noise), &[]).unwrap();
    let large = builder.finish().unwrap();
    assert!(large.len() > 64 * 1024, "the test is about batches that are unfolded elsewhere");
    for _ in 0..5 {
        client.send(&produce_request("t", 0, large.clone(), -1), PRODUCE).await;
        client.send(&produce_request("t", 0, batch(&["small"]), -1), PRODUCE).await;
    }
    let mut offsets = Vec::new();
    for _ in 0..10 {
        let (_, response) = client.receive::<ProduceRequest>(PRODUCE).await;
        offsets.push(response.responses[0].partition_responses[0].base_offset);
    }
    assert_eq!(offsets, (0..10).collect::<Vec<i64>>());
}

#[tokio::test]
async fn acks_0_has_no_answer_and_acks_1_has_one() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    client.send(&produce_request("t", 0, batch(&["silent"]), 0), PRODUCE).await;
    let response = client.call(&produce_request("t", 0, batch(&["spoken"]), 1), PRODUCE).await;
    assert_eq!(response.responses[0].partition_responses[0].base_offset, 1);
    // Nobody waited for these, and yet they become visible.
    let mut request = fetch_request("t", 0, 0);
    request.max_wait_ms = 5000;
    request.min_bytes = 100;
    let values = values_of(&client.call(&request, FETCH).await);
    assert_eq!(values, ["silent", "spoken"]);
    client.send(&produce_request("missing", 0, batch(&["x"]), 0), PRODUCE).await;
    assert!(client.is_closed().await, "an error of acks=0 ends the connection");
}

#[tokio::test]
async fn what_is_wrong_is_said_for_each_partition() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[("max.message.bytes", "1000")]).await;
    create_topic(&mut client, "compacted", 1, &[("cleanup.policy", "compact")]).await;
    create_topic(&mut client, "__consumer_offsets", 1, &[]).await;

    let mut damaged = BytesMut::from(&batch(&["x"])[..]);
    *damaged.last_mut().unwrap() ^= 1;
    let two = [batch(&["x"]), batch(&["y"])].concat();
    let large = batch(&["x".repeat(2000).as_str()]);
    let mut late = BatchBuilder::new(Compression::None);
    late.append(i64::MAX / 2, None, Some(b"future"), &[]).unwrap();
    let mut transactional = BatchBuilder::new(Compression::None);
    transactional.set_producer(1, 0, 0);
    transactional.set_transactional(true);
    transactional.append(-1, None, Some(b"x"), &[]).unwrap();
    let mut control = BatchBuilder::new(Compression::None);
    control.set_control(true);
    control.append(-1, Some(b"x"), None, &[]).unwrap();
    let cases: Vec<(&str, i32, Bytes, ErrorCode)> = vec![
        ("missing", 0, batch(&["x"]), ErrorCode::UnknownTopicOrPartition),
        ("t", 7, batch(&["x"]), ErrorCode::UnknownTopicOrPartition),
        ("t", -1, batch(&["x"]), ErrorCode::UnknownTopicOrPartition),
        ("t", 0, damaged.freeze(), ErrorCode::CorruptMessage),
        ("t", 0, two.into(), ErrorCode::InvalidRecord),
        ("t", 0, Bytes::new(), ErrorCode::InvalidRecord),
        ("t", 0, Bytes::from_static(b"not a batch"), ErrorCode::InvalidRecord),
        ("t", 0, large, ErrorCode::MessageTooLarge),
        ("t", 0, late.finish().unwrap(), ErrorCode::InvalidTimestamp),
        ("t", 0, transactional.finish().unwrap(), ErrorCode::InvalidTxnState),
        ("t", 0, control.finish().unwrap(), ErrorCode::InvalidRecord),
        ("compacted", 0, batch(&["no key"]), ErrorCode::InvalidRecord),
        ("__consumer_offsets", 0, batch(&["x"]), ErrorCode::InvalidTopicException),
    ];
    for (topic, partition, records, expected) in cases {
        let response = produce(&mut client, topic, partition, records).await;
        assert_eq!(code_of(&response), expected, "{topic}-{partition}: {:?}", response.error_message);
        assert_eq!(response.base_offset, -1);
    }
    let keyless = produce(&mut client, "compacted", 0, batch(&["a", "b"])).await;
    assert_eq!(keyless.record_errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [0, 1]);
    let wrong_acks = client.call(&produce_request("t", 0, batch(&["x"]), 3), PRODUCE).await;
    assert_eq!(code_of(&wrong_acks.responses[0].partition_responses[0]), ErrorCode::InvalidRequiredAcks);
    // One good partition beside bad ones.
    let mut mixed = produce_request("t", 0, batch(&["good"]), -1);
    mixed.topic_data[0]
        .partition_data
        .push(PartitionProduceData { index: 9, records: Some(batch(&["bad"])) });
    let answers = client.call(&mixed, PRODUCE).await.responses.remove(0).partition_responses;
    assert_eq!(
        answers.iter().map(code_of).collect::<Vec<_>>(),
        [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]
    );
}

#[tokio::test]
async fn a_batch_that_unfolds_without_end_is_refused() {
    let server = Server::with(&[("headwater.decompressed.bytes.max", "1048576")]).await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    let mut bomb = BatchBuilder::new(Compression::Gzip);
    bomb.append(-1, None, Some(&vec![0; 8 << 20]), &[]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(code_of(&produce(&mut client, "t", 0, bomb).await), ErrorCode::MessageTooLarge);
    let mut garbage = BytesMut::from(&batch(&["x".repeat(100).as_str()])[..]);
    headwater_record::patch::set_base_offset(&mut garbage, 0);
    garbage[22] = Compression::Zstd as u8;
    let crc = headwater_record::crc32c(&garbage[21..]);
    garbage[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(code_of(&produce(&mut client, "t", 0, garbage.freeze()).await), ErrorCode::InvalidRecord);
    produce_ok(&mut client, "t", 0, batch(&["fine"])).await;
}

#[tokio::test]
async fn append_time_replaces_the_producers_time() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let response = produce(&mut client, "t", 0, batch_at(5, &["x"])).await;
    assert!(response.log_append_time_ms > 1_600_000_000_000, "{}", response.log_append_time_ms);
    let fetched = client.call(&fetch_request("t", 0, 0), FETCH).await;
    let bytes = fetched.responses[0].partitions[0].records.clone().unwrap();
    let header = headwater_record::BatchHeader::parse(&bytes).unwrap();
    assert_eq!(header.max_timestamp, response.log_append_time_ms);
}

#[tokio::test]
async fn topics_by_id_and_the_refused_old_versions() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    let metadata = client.call(&all_topics(), 12).await;
    let mut request = produce_request("", 0, batch(&["by id"]), -1);
    request.topic_data[0].topic_id = metadata.topics[0].topic_id;
    let response = client.call(&request, 13).await;
    assert_eq!(code_of(&response.responses[0].partition_responses[0]), ErrorCode::None);
    request.topic_data[0].topic_id = Uuid::from_bytes([9; 16]);
    let response = client.call(&request, 13).await;
    assert_eq!(code_of(&response.responses[0].partition_responses[0]), ErrorCode::UnknownTopicId);

    // Version 0, by hand: acks, timeout, one topic, one partition, a message set of three bytes.
    let header = [0, 0, 0, 0, 0, 0, 0, 77, 0xff, 0xff];
    let body =
        [&[0, 1][..], &[0, 0, 0, 100, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 3, 1, 2, 3]]
            .concat();
    client.send_frame([&header[..], &body].concat().into()).await;
    let answer = client.receive_frame().await.unwrap();
    let expected =
        [&[0, 0, 0, 77, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 5, 0, 35][..], &[0xff; 8]].concat();
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn idempotent_producers_are_deduplicated_and_kept_in_sequence() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    let request = init_producer();
    let first = client.call(&request, 4).await;
    let second = client.call(&request, 4).await;
    assert_eq!((first.error_code, first.producer_epoch), (0, 0));
    assert_ne!(first.producer_id, second.producer_id);
    let id = first.producer_id;
    assert_eq!(produce_ok(&mut client, "t", 0, sequenced(id, 0, &["a", "b"])).await, 0);
    assert_eq!(produce_ok(&mut client, "t", 0, sequenced(id, 2, &["c"])).await, 2);
    assert_eq!(
        produce_ok(&mut client, "t", 0, sequenced(id, 0, &["a", "b"])).await,
        0,
        "the original offset"
    );
    let gap = produce(&mut client, "t", 0, sequenced(id, 9, &["d"])).await;
    assert_eq!(code_of(&gap), ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(read_all(&mut client, "t", 0).await.len(), 3);
    let with_transactions = InitProducerIdRequest { transactional_id: Some(Str::from("tx")), ..request };
    let refused = client.call(&with_transactions, 4).await;
    assert_eq!(ErrorCode::from_wire(refused.error_code), ErrorCode::UnsupportedVersion);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_append_in_order() {
    let server = Server::start().await;
    for mut client in [server.tcp().await, server.memory().await] {
        if server.broker.topics().is_empty() {
            create_topic(&mut client, "t", 1, &[]).await;
        }
        let mut ids = Vec::new();
        for n in 0..200 {
            ids.push(
                client
                    .send(&produce_request("t", 0, batch(&[&n.to_string()]), [1, -1][n % 2]), PRODUCE)
                    .await,
            );
        }
        let mut last = -1;
        for id in ids {
            let (answered, response) = client.receive::<ProduceRequest>(PRODUCE).await;
            assert_eq!(answered, id);
            let offset = response.responses[0].partition_responses[0].base_offset;
            assert!(offset > last);
            last = offset;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_producers_share_fsyncs() {
    const PRODUCERS: usize = 50;
    const REQUESTS: usize = 20;
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[]).await;
    let before = server.broker.metrics().fsyncs();
    let address = server.broker.local_address().unwrap();
    let producers = (0..PRODUCERS).map(|producer| async move {
        let mut client = Client::tcp(address).await;
        for n in 0..REQUESTS {
            produce_ok(&mut client, "t", 0, batch(&[&format!("{producer}-{n}")])).await;
        }
    });
    futures_util::future::join_all(producers).await;
    let fsyncs = server.broker.metrics().fsyncs() - before;
    let requests = PRODUCERS * REQUESTS;
    assert_eq!(read_all(&mut client, "t", 0).await.len(), requests);
    assert!(fsyncs > 0, "acks=all means an fsync");
    assert!(fsyncs < requests as u64 / 4, "{fsyncs} fsyncs for {requests} requests");
}

#[tokio::test]
async fn without_flushing_the_page_cache_is_enough() {
    let server = Server::start().await;
    let mut client = server.tcp().await;
    create_topic(&mut client, "t", 1, &[("headwater.flush", "none")]).await;
    let before = server.broker.metrics().fsyncs();
    for n in 0..20 {
        produce_ok(&mut client, "t", 0, batch(&[&n.to_string()])).await;
    }
    assert_eq!(server.broker.metrics().fsyncs(), before);
}
