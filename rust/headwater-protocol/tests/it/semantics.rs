//! Rules that bytes alone do not show: ignorable fields, defaults, nulls, headers, frames, detached records.

use bytes::{Bytes, BytesMut};
use headwater_protocol::frame::{
    decode_request, decode_response, encode_request, encode_response, frame_length, length_prefix,
    split_frame,
};
use headwater_protocol::messages::{fetch, *};
use headwater_protocol::records::*;
use headwater_protocol::{
    ApiKey, CHUNK_BYTES_MIN, DecodeError, EncodeError, FrameError, Message, Piece, Reader, RequestHeader,
    ResponseHeader, Writer, decode_key, decode_versioned, decode_versioned_leniently, encode_key,
    encode_versioned, record_type,
};

#[test]
fn ignorable_fields_are_dropped_and_others_refuse() {
    let ignorable = FetchRequest { session_id: 7, rack_id: "r1".into(), ..FetchRequest::default() };
    let back = FetchRequest::from_bytes(ignorable.to_bytes(4).unwrap(), 4).unwrap();
    assert_eq!((back.session_id, back.rack_id.as_str()), (0, ""));
    let required = FetchResponse { session_id: 7, ..FetchResponse::default() };
    let error = EncodeError::NotInVersion { field: "FetchResponse.session_id", version: 6 };
    assert_eq!(required.to_bytes(6), Err(error));
    assert!(required.to_bytes(7).is_ok());
}

#[test]
fn tagged_fields_refuse_in_versions_without_them() {
    let partition = fetch::PartitionData {
        current_leader: fetch::LeaderIdAndEpoch { leader_id: 1, leader_epoch: 2 },
        ..fetch::PartitionData::default()
    };
    let topic = fetch::FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
    let response = FetchResponse { responses: vec![topic], ..FetchResponse::default() };
    assert!(matches!(response.to_bytes(11), Err(EncodeError::NotInVersion { .. })));
    assert_eq!(FetchResponse::from_bytes(response.to_bytes(12).unwrap(), 12), Ok(response));
}

#[test]
fn null_only_where_the_version_allows_it() {
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let error = EncodeError::Null { field: "MetadataRequest.topics", version: 0 };
    assert_eq!(request.to_bytes(0), Err(error));
    assert_eq!(MetadataRequest::from_bytes(request.to_bytes(1).unwrap(), 1), Ok(request));
    assert_eq!(MetadataRequest::from_bytes(Bytes::from_static(&[0xff; 4]), 0), Err(DecodeError::Null));
}

#[test]
fn defaults_are_the_schemas() {
    let request = FetchRequest::default();
    assert_eq!((request.replica_id, request.max_bytes, request.session_epoch), (-1, i32::MAX, -1));
    assert_eq!((request.cluster_id, request.replica_state.replica_epoch), (None, -1));
    assert!(MetadataRequest::default().allow_auto_topic_creation);
    assert_eq!(MetadataRequest::default().topics, Some(Vec::new()));
    assert_eq!(fetch::PartitionData::default().records, None);
}

#[test]
fn the_header_of_each_version() {
    assert_eq!(ApiKey::Produce.request_header_version(2), 1);
    assert_eq!(ApiKey::Produce.request_header_version(8), 1);
    assert_eq!(ApiKey::Produce.request_header_version(9), 2);
    assert_eq!(ApiKey::Produce.response_header_version(8), 0);
    assert_eq!(ApiKey::Produce.response_header_version(9), 1);
    assert_eq!(ApiKey::ApiVersions.request_header_version(99), 2);
    assert_eq!(ApiKey::ApiVersions.response_header_version(4), 0);
    assert_eq!(ApiKey::SaslHandshake.request_header_version(1), 1);
    assert_eq!(ApiKey::OffsetDelete.response_header_version(0), 0);
    for key in ApiKey::ALL {
        assert_eq!(ApiKey::from_i16(key as i16), Some(key));
        assert_eq!(key.name(), format!("{key:?}"));
    }
}

#[test]
fn the_client_id_stays_classic_in_the_flexible_header() {
    let header = RequestHeader {
        api_key: ApiKey::ApiVersions,
        api_version: 3,
        correlation_id: 5,
        client_id: Some("me".into()),
    };
    let mut writer = Writer::new();
    header.encode(&mut writer).unwrap();
    let bytes = writer.into_bytes();
    assert_eq!(bytes, Bytes::from_static(&[0, 18, 0, 3, 0, 0, 0, 5, 0, 2, b'm', b'e', 0]));
    assert_eq!(RequestHeader::decode(&mut Reader::new(bytes)), Ok(header));
    let unknown = Bytes::from_static(&[0x0f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    assert_eq!(RequestHeader::decode(&mut Reader::new(unknown)), Err(DecodeError::UnknownApi(0x0fff)));
}

#[test]
fn frames_of_requests_and_responses() {
    let request = HeartbeatRequest { group_id: "g".into(), generation_id: 3, ..HeartbeatRequest::default() };
    let frame = encode_request(&request, 4, 77, None).unwrap().into_bytes();
    let (header, back) = decode_request::<HeartbeatRequest>(frame).unwrap();
    assert_eq!((header.correlation_id, header.api_version, back), (77, 4, request));
    let response = HeartbeatResponse { error_code: 27, ..HeartbeatResponse::default() };
    let frame = encode_response(&response, ApiKey::Heartbeat, 4, 77).unwrap().into_bytes();
    assert_eq!(decode_response::<HeartbeatRequest>(frame, 4), Ok((77, response)));
}

#[test]
fn frames_are_cut_off_a_stream() {
    let mut received = BytesMut::new();
    received.extend_from_slice(&length_prefix(3).unwrap());
    received.extend_from_slice(b"ab");
    assert_eq!(split_frame(&mut received, 10), Ok(None));
    received.extend_from_slice(b"c\0\0");
    assert_eq!(split_frame(&mut received, 10), Ok(Some(Bytes::from_static(b"abc"))));
    assert_eq!(split_frame(&mut received, 10), Ok(None));
    assert_eq!(frame_length([0, 0, 1, 0], 255), Err(FrameError::TooLarge { length: 256, limit: 255 }));
    assert_eq!(frame_length([0xff; 4], 255), Err(FrameError::Negative(-1)));
    assert_eq!(frame_length([0x7f, 0xff, 0xff, 0xff], usize::MAX), Ok(i32::MAX as usize));
}

fn fetched(records: [Option<Bytes>; 2]) -> FetchResponse {
    let partitions = records.map(|records| fetch::PartitionData { records, ..Default::default() });
    let topic = fetch::FetchableTopicResponse { partitions: partitions.into(), ..Default::default() };
    FetchResponse { responses: vec![topic], ..FetchResponse::default() }
}

#[test]
fn large_records_are_neither_copied_nor_joined() {
    let large = Bytes::from(vec![7; CHUNK_BYTES_MIN]);
    let mut writer = Writer::new();
    fetched([Some(large.clone()), None]).encode(&mut writer, 16).unwrap();
    let chunks = writer.into_chunks();
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[1].as_ptr(), large.as_ptr());
    let whole: Vec<u8> = chunks.concat();
    assert_eq!(FetchResponse::from_bytes(whole.into(), 16), Ok(fetched([Some(large), None])));
}

#[test]
fn decoded_values_are_slices_of_the_frame() {
    let bytes = fetched([Some(Bytes::from_static(b"records")), None]).to_bytes(16).unwrap();
    let range = bytes.as_ptr_range();
    let back = FetchResponse::from_bytes(bytes, 16).unwrap();
    let records = back.responses[0].partitions[0].records.clone().unwrap();
    assert!(range.contains(&records.as_ptr()));
}

#[test]
fn detached_records_leave_a_gap_of_their_length() {
    for version in [4, 12, 18] {
        let records = Bytes::from(vec![9; 300]);
        let mut writer = Writer::new();
        writer.detach_records([Some(300), Some(0)]);
        fetched([None, None]).encode(&mut writer, version).unwrap();
        let length = writer.len();
        let pieces = writer.into_pieces();
        assert_eq!(pieces.iter().filter(|piece| **piece == Piece::Detached(300)).count(), 1);
        let mut whole = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => whole.extend_from_slice(&bytes),
                Piece::Detached(_) => whole.extend_from_slice(&records),
            }
        }
        assert_eq!(whole.len(), length);
        let expected = fetched([Some(records), Some(Bytes::new())]);
        assert_eq!(FetchResponse::from_bytes(whole.into(), version), Ok(expected));
    }
}

#[test]
fn keys_carry_their_record_type() {
    let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 };
    let bytes = encode_key(&key).unwrap();
    assert_eq!(bytes, Bytes::from_static(b"\0\x01\0\x01g\0\x01t\0\0\0\x03"));
    assert_eq!(record_type(&bytes), Ok(1));
    assert_eq!(
        decode_key::<GroupMetadataKey>(bytes.clone()),
        Err(DecodeError::KeyType { expected: 2, found: 1 })
    );
    assert_eq!(decode_key(bytes), Ok(key));
    assert!(record_type(&Bytes::from_static(b"\0")).is_err());
}

#[test]
fn a_newer_subscription_is_read_as_the_newest_known() {
    let subscription = ConsumerProtocolSubscription { topics: vec!["t".into()], ..Default::default() };
    let bytes = encode_versioned(&subscription, 3).unwrap();
    assert_eq!(decode_versioned(bytes.clone()), Ok((3, subscription.clone())));
    let mut newer = bytes.to_vec();
    newer[1] = 9;
    newer.extend_from_slice(b"more");
    assert_eq!(decode_versioned_leniently(newer.clone().into()), Ok((9, subscription)));
    assert!(decode_versioned::<ConsumerProtocolSubscription>(newer.into()).is_err());
}

#[test]
fn a_tagged_field_must_fill_its_size() {
    // Zero topics, then tag 0 (the cluster id, 2 bytes) in a size of 3.
    let mut bytes =
        FetchRequest { cluster_id: Some("a".into()), ..Default::default() }.to_bytes(12).unwrap().to_vec();
    let size = bytes.len() - 3;
    assert_eq!(&bytes[size..], [2, 2, b'a']);
    bytes[size] = 3;
    bytes.push(0);
    assert_eq!(FetchRequest::from_bytes(bytes.into(), 12), Err(DecodeError::TagSize(1)));
}

#[test]
fn strings_are_utf8_and_short() {
    let frame = Bytes::from_static(&[0, 2, 0xc3, 0x28]);
    assert_eq!(Reader::new(frame).string(false), Err(DecodeError::Utf8));
    let long = "x".repeat(i16::MAX as usize + 1);
    assert_eq!(Writer::new().put_string(true, &long), Err(EncodeError::TooLong(32768)));
    let mut frame = vec![0x81, 0x80, 0x02];
    frame.extend_from_slice(long.as_bytes());
    assert_eq!(Reader::new(frame.into()).string(true), Err(DecodeError::Length(32768)));
}

#[test]
fn variable_length_numbers_at_their_edges() {
    for value in [0, 1, -1, 63, -64, 64, i32::MAX, i32::MIN] {
        let mut writer = Writer::new();
        writer.put_varint(value);
        writer.put_varlong(i64::from(value) << 31);
        let mut reader = Reader::new(writer.into_bytes());
        assert_eq!((reader.varint(), reader.varlong()), (Ok(value), Ok(i64::from(value) << 31)));
        assert_eq!(reader.remaining(), 0);
    }
    for bytes in [&[0xff; 5][..], &[0xff, 0xff, 0xff, 0xff, 0x10], &[0x80; 11]] {
        let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
        assert_eq!(reader.clone().unsigned_varint(), Err(DecodeError::Varint));
        assert!(reader.varlong().is_err() || bytes.len() == 5);
    }
}

#[test]
fn response_headers_follow_the_request() {
    let header = ResponseHeader { correlation_id: 1 };
    for (key, version, size) in
        [(ApiKey::ApiVersions, 4, 4), (ApiKey::Metadata, 8, 4), (ApiKey::Metadata, 9, 5)]
    {
        let mut writer = Writer::new();
        header.encode(&mut writer, key, version).unwrap();
        assert_eq!(writer.len(), size);
        let mut reader = Reader::new(writer.into_bytes());
        assert_eq!(ResponseHeader::decode(&mut reader, key, version), Ok(header));
    }
}
