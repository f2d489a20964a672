//! What a test can do with a message whose type it does not name.

use bytes::Bytes;
use headwater_protocol::{DecodeError, Message, Reader};

/// What came of decoding bytes and encoding the result.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The value that was decoded, as text.
    pub(crate) value: String,
    /// Bytes behind the message.
    pub(crate) left: usize,
    /// The value's own encoding.
    pub(crate) bytes: Bytes,
}

/// One message.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) versions: (i16, i16),
    /// Decodes and drops the value; gives the bytes that were left.
    pub(crate) decode: fn(Bytes, i16) -> Result<usize, DecodeError>,
    /// Decodes, encodes, decodes again and compares.
    pub(crate) round_trip: fn(Bytes, i16) -> Result<Outcome, String>,
}

pub(crate) const fn entry_of<M: Message>() -> Entry {
    Entry {
        name: M::NAME,
        versions: (M::MIN_VERSION, M::MAX_VERSION),
        decode: decode::<M>,
        round_trip: round_trip::<M>,
    }
}

fn decode<M: Message>(bytes: Bytes, version: i16) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    M::decode(&mut reader, version).map(|_| reader.remaining())
}

fn round_trip<M: Message>(bytes: Bytes, version: i16) -> Result<Outcome, String> {
    let mut reader = Reader::new(bytes);
    let value = M::decode(&mut reader, version).map_err(|e| format!("decoding: {e}"))?;
    let bytes = value.to_bytes(version).map_err(|e| format!("encoding: {e}"))?;
    let again = M::from_bytes(bytes.clone(), version).map_err(|e| format!("decoding again: {e}"))?;
    if again != value {
        return Err(format!("{value:?} came back as {again:?}"));
    }
    Ok(Outcome { value: format!("{value:?}"), left: reader.remaining(), bytes })
}

/// `messages::produce::ProduceRequest` to its entry.
macro_rules! entry {
    ($($path:ident)::+) => {
        crate::entry::entry_of::<headwater_protocol::$($path)::+>()
    };
}
pub(crate) use entry;
