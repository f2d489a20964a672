//! The records of `__consumer_offsets`, byte for byte as Kafka 4.3 writes them.
//!
//! A key begins with its type (0 and 1: an offset, 2: a group), a value with its version. Written are version 4 of an
//! offset (version 1 when it carries its own expiry, which later versions cannot) and version 3 of a group; all older
//! versions are read, and tagged fields that later versions may add are skipped.

use bytes::Bytes;
use headwater_protocol::records::group_metadata::{GroupMetadataKey, GroupMetadataValue};
use headwater_protocol::records::legacy_offset_commit::LegacyOffsetCommitKey;
use headwater_protocol::records::offset_commit::{OffsetCommitKey, OffsetCommitValue};
use headwater_protocol::{
    DecodeError, EncodeError, RecordKey, Str, decode_key as decode_whole_key, decode_versioned, encode_key,
    encode_versioned, record_type,
};

use super::message::Name;
use crate::shard::Record;

/// What a key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// The offset of a partition in a group.
    Offset { group: Name, topic: Name, partition: i32 },
    /// A group.
    Group(Name),
    /// Written by a later version, or by another kind of group.
    Foreign,
}

const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
const OFFSET_VALUE: i16 = 4;
const GROUP_VALUE: i16 = 3;

/// The longest name that fits into a key. Requests of flexible versions could carry longer ones.
pub(crate) const NAME_BYTES_MAX: usize = i16::MAX as usize;

/// A record that sets an offset.
pub(crate) fn offset_record(
    group: &str,
    topic: &str,
    partition: i32,
    value: &OffsetCommitValue,
) -> Result<Record, EncodeError> {
    let version = if value.expire_timestamp >= 0 { OFFSET_VALUE_WITH_EXPIRY } else { OFFSET_VALUE };
    let value = Some(encode_versioned(value, version)?);
    Ok(Record { key: offset_key(group, topic, partition)?, value })
}

/// A record that forgets an offset. `None` when there can be no record of such an offset.
pub(crate) fn offset_tombstone(group: &str, topic: &str, partition: i32) -> Option<Record> {
    Some(Record { key: offset_key(group, topic, partition).ok()?, value: None })
}

/// A record that sets a group.
pub(crate) fn group_record(group: &str, value: &GroupMetadataValue) -> Result<Record, EncodeError> {
    Ok(Record { key: group_key(group)?, value: Some(encode_versioned(value, GROUP_VALUE)?) })
}

/// A record that forgets a group. `None` when there can be no record of such a group.
pub(crate) fn group_tombstone(group: &str) -> Option<Record> {
    Some(Record { key: group_key(group).ok()?, value: None })
}

fn offset_key(group: &str, topic: &str, partition: i32) -> Result<Bytes, EncodeError> {
    encode_key(&OffsetCommitKey { group: Str::from(group), topic: Str::from(topic), partition })
}

pub(crate) fn group_key(group: &str) -> Result<Bytes, EncodeError> {
    encode_key(&GroupMetadataKey { group: Str::from(group) })
}

/// Names what a key is about.
pub(crate) fn decode_key(key: &[u8]) -> Result<Key, DecodeError> {
    let key = Bytes::copy_from_slice(key);
    match record_type(&key)? {
        LegacyOffsetCommitKey::RECORD_TYPE => {
            let key: LegacyOffsetCommitKey = decode_whole_key(key)?;
            Ok(Key::Offset { group: name(&key.group), topic: name(&key.topic), partition: key.partition })
        }
        OffsetCommitKey::RECORD_TYPE => {
            let key: OffsetCommitKey = decode_whole_key(key)?;
            Ok(Key::Offset { group: name(&key.group), topic: name(&key.topic), partition: key.partition })
        }
        GroupMetadataKey::RECORD_TYPE => {
            let key: GroupMetadataKey = decode_whole_key(key)?;
            Ok(Key::Group(name(&key.group)))
        }
        _ => Ok(Key::Foreign),
    }
}

/// Reads an offset of any version.
pub(crate) fn decode_offset(value: &[u8]) -> Result<OffsetCommitValue, DecodeError> {
    decode_versioned(Bytes::copy_from_slice(value)).map(|(_, value)| value)
}

/// Reads a group of any version.
pub(crate) fn decode_group(value: &[u8]) -> Result<GroupMetadataValue, DecodeError> {
    decode_versioned(Bytes::copy_from_slice(value)).map(|(_, value)| value)
}

/// A name that does not keep the bytes it was read from alive.
pub(crate) fn name(text: &str) -> Name {
    Name::from(text)
}

#[cfg(test)]
mod tests {
    use headwater_protocol::Uuid;
    use headwater_protocol::records::group_metadata::MemberMetadata;

    use super::*;

    fn offset_value() -> OffsetCommitValue {
        OffsetCommitValue {
            offset: 42,
            leader_epoch: 7,
            metadata: Str::from("m"),
            commit_timestamp: 0x0102,
            ..OffsetCommitValue::default()
        }
    }

    fn offset_bytes(value: &OffsetCommitValue) -> Bytes {
        offset_record("g", "t", 3, value).expect("it fits").value.expect("a value")
    }

    #[test]
    fn an_offset_has_kafkas_bytes() {
        let record = offset_record("g", "t", 3, &offset_value()).expect("it fits");
        assert_eq!(&record.key[..], b"\0\x01\0\x01g\0\x01t\0\0\0\x03");
        assert_eq!(
            &record.value.expect("a value")[..],
            b"\0\x04\0\0\0\0\0\0\0\x2a\0\0\0\x07\x02m\0\0\0\0\0\0\x01\x02\0"
        );
        let with_expiry = OffsetCommitValue { expire_timestamp: 5, ..offset_value() };
        assert_eq!(
            &offset_bytes(&with_expiry)[..],
            b"\0\x01\0\0\0\0\0\0\0\x2a\0\x01m\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x05"
        );
    }

    #[test]
    fn offsets_of_every_version_are_read() {
        let expected = OffsetCommitValue { leader_epoch: -1, ..offset_value() };
        let tail = b"\0\0\0\0\0\0\0\x2a\0\x01m\0\0\0\0\0\0\x01\x02";
        for version in [0u8, 2] {
            assert_eq!(decode_offset(&[&[0, version], &tail[..]].concat()), Ok(expected.clone()));
        }
        let v3 = b"\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x07\0\x01m\0\0\0\0\0\0\x01\x02";
        assert_eq!(decode_offset(v3), Ok(offset_value()));
        let with_id = OffsetCommitValue { topic_id: Uuid::from_bytes([9; 16]), ..offset_value() };
        assert_eq!(decode_offset(&offset_bytes(&with_id)), Ok(with_id));
        assert!(decode_offset(b"\0\x05").is_err());
    }

    #[test]
    fn a_truncated_group_is_an_error() {
        let group = GroupMetadataValue {
            protocol_type: "consumer".into(),
            generation: 3,
            protocol: Some("range".into()),
            leader: Some("a".into()),
            current_state_timestamp: 99,
            members: vec![MemberMetadata { member_id: "a".into(), ..MemberMetadata::default() }],
        };
        let bytes = group_record("g", &group).expect("it fits").value.expect("a value");
        assert_eq!(decode_group(&bytes), Ok(group));
        for end in 0..bytes.len() {
            assert!(decode_group(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn keys_of_later_types_are_foreign() {
        assert_eq!(decode_key(b"\0\x05\0\x01g"), Ok(Key::Foreign));
        assert_eq!(decode_key(b"\0\x02\0\x01g"), Ok(Key::Group("g".into())));
        assert_eq!(
            decode_key(b"\0\0\0\x01g\0\x01t\0\0\0\x01"),
            Ok(Key::Offset { group: "g".into(), topic: "t".into(), partition: 1 })
        );
        assert!(decode_key(b"\0").is_err());
    }

    #[test]
    fn names_up_to_the_limit_fit() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        assert!(group_key(&longest).is_ok() && group_tombstone(&format!("{longest}x")).is_none());
    }
}
