//! Messages outside of requests: behind a number of two bytes, in records and in groups' opaque bytes.
//!
//! ```text
//! value, data:  version (int16) | message
//! key:          record type (int16) | message        always version 0 of the message
//! ```

use bytes::Bytes;

use crate::{DecodeError, EncodeError, Message, Reader, Writer};

/// The key of a record in an internal topic.
pub trait RecordKey: Message {
    /// The number that stands before the key and tells what the record is about.
    const RECORD_TYPE: i16;
    /// The value under such a key.
    type Value: Message;
}

/// The record type that a key begins with, before it is known what to decode.
pub fn record_type(key: &Bytes) -> Result<i16, DecodeError> {
    Reader::new(key.clone()).int16()
}

/// A key with its record type.
pub fn encode_key<K: RecordKey>(key: &K) -> Result<Bytes, EncodeError> {
    prefixed(key, K::RECORD_TYPE, K::MAX_VERSION)
}

/// A key, whose record type must be `K`'s.
pub fn decode_key<K: RecordKey>(key: Bytes) -> Result<K, DecodeError> {
    let mut reader = Reader::new(key);
    let found = reader.int16()?;
    if found != K::RECORD_TYPE {
        return Err(DecodeError::KeyType { expected: K::RECORD_TYPE, found });
    }
    K::decode(&mut reader, K::MAX_VERSION)
}

/// `message` in `version`, behind the version.
pub fn encode_versioned<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    prefixed(message, version, version)
}

/// The version that stands before a message, and the message.
pub fn decode_versioned<M: Message>(bytes: Bytes) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.int16()?;
    Ok((version, M::decode(&mut reader, version)?))
}

/// As [`decode_versioned`], but a version newer than known is read as the newest known.
///
/// The consumer protocol is made for that: newer versions only append fields.
pub fn decode_versioned_leniently<M: Message>(bytes: Bytes) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.int16()?;
    Ok((version, M::decode(&mut reader, version.min(M::MAX_VERSION))?))
}

fn prefixed<M: Message>(message: &M, prefix: i16, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.put_int16(prefix);
    message.encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}
