//! Bytes that Apache Kafka 4.3.1 wrote.

use bytes::Bytes;
use headwater_protocol::Message;
use headwater_protocol::records::consumer_group_member_metadata::ClassicMemberMetadata;
use headwater_protocol::records::{ConsumerGroupMemberMetadataValue, StreamsGroupMetadataValue};

fn bytes(hex: &str) -> Bytes {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn member(classic: Option<ClassicMemberMetadata>) -> ConsumerGroupMemberMetadataValue {
    ConsumerGroupMemberMetadataValue {
        instance_id: None,
        rack_id: None,
        subscribed_topic_regex: None,
        server_assignor: None,
        classic_member_metadata: classic,
        ..ConsumerGroupMemberMetadataValue::default()
    }
}

#[test]
fn a_tagged_structure_that_may_be_null() {
    // Its default is not null but a structure of defaults, and null is a byte 0, not -1 as elsewhere.
    let seven = ClassicMemberMetadata { session_timeout_ms: 7, ..ClassicMemberMetadata::default() };
    for (classic, hex) in [
        (Some(ClassicMemberMetadata::default()), "000001010100ffffffff0000"),
        (None, "000001010100ffffffff0001000100"),
        (Some(seven), "000001010100ffffffff0001000701000000070100"),
    ] {
        let value = member(classic);
        assert_eq!(value.to_bytes(0), Ok(bytes(hex)));
        assert_eq!(ConsumerGroupMemberMetadataValue::from_bytes(bytes(hex), 0), Ok(value));
    }
    let unset = ConsumerGroupMemberMetadataValue::default().classic_member_metadata;
    assert_eq!(unset, Some(ClassicMemberMetadata::default()));
}

#[test]
fn a_tagged_list_that_may_be_null() {
    let unset = StreamsGroupMetadataValue::default();
    let null = StreamsGroupMetadataValue { last_assignment_configs: None, ..unset.clone() };
    for (value, hex) in [(unset, "00000000000000000000000000"), (null, "00000000000000000000000001010100")] {
        assert_eq!(value.to_bytes(0), Ok(bytes(hex)));
        assert_eq!(StreamsGroupMetadataValue::from_bytes(bytes(hex), 0), Ok(value));
    }
}
