//! The traits that the generated messages have.

use std::fmt::Debug;

use bytes::Bytes;

use crate::{ApiKey, DecodeError, EncodeError, Reader, Writer};

/// A message with versions: a request, a response, a header, or a record of an internal topic.
///
/// A field that a version lacks is at its default after decoding. When such a field is not at its default,
/// encoding leaves it out if the schema calls it ignorable, and fails otherwise. Tagged fields that are not
/// known are passed over. Bytes after the message are left in the reader, as Kafka does.
pub trait Message: Clone + Debug + Default + PartialEq + Send + Sync + 'static {
    /// The message's name.
    const NAME: &'static str;
    /// The oldest version.
    const MIN_VERSION: i16;
    /// The newest version.
    const MAX_VERSION: i16;

    /// Takes the message off `reader`. Strings and bytes are slices of the frame.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Puts the message into `writer`. After an error the writer holds an unusable beginning of it.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Decodes a whole buffer.
    fn from_bytes(bytes: Bytes, version: i16) -> Result<Self, DecodeError> {
        Self::decode(&mut Reader::new(bytes), version)
    }

    /// Encodes into one buffer.
    fn to_bytes(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::new();
        self.encode(&mut writer, version)?;
        Ok(writer.into_bytes())
    }
}

/// A request, which knows its API and its response.
pub trait Request: Message {
    /// The API.
    const API_KEY: ApiKey;
    /// What answers it, in the same version.
    type Response: Message;
}

/// A structure inside a message; it has the message's versions.
pub(crate) trait Part: Sized {
    /// Bytes that it takes at least, in the version in which it is shortest.
    const MIN_SIZE: usize;

    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

pub(crate) fn check_decode<M: Message>(version: i16) -> Result<(), DecodeError> {
    if (M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Ok(());
    }
    Err(DecodeError::UnsupportedVersion { message: M::NAME, version })
}

pub(crate) fn check_encode<M: Message>(version: i16) -> Result<(), EncodeError> {
    if (M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Ok(());
    }
    Err(EncodeError::UnsupportedVersion { message: M::NAME, version })
}

/// A field that `version` lacks may only be left out when it is at its default.
pub(crate) fn only_default(is_default: bool, field: &'static str, version: i16) -> Result<(), EncodeError> {
    if is_default { Ok(()) } else { Err(EncodeError::NotInVersion { field, version }) }
}

/// The value of a field that cannot be null in `version`.
pub(crate) fn not_null<'a, T>(
    value: &'a Option<T>,
    field: &'static str,
    version: i16,
) -> Result<&'a T, EncodeError> {
    value.as_ref().ok_or(EncodeError::Null { field, version })
}
