//! What a fuzz target can do with a message whose type it does not name.

use bytes::Bytes;
use headwater_protocol::{Message, Reader};

/// One message.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) versions: (i16, i16),
    /// Takes the message off the reader; what decodes must encode, and decode to the same.
    pub(crate) round_trip: fn(&mut Reader, i16),
    /// A message of nothing but defaults.
    pub(crate) default: fn(i16) -> Option<Bytes>,
}

pub(crate) const fn entry_of<M: Message>() -> Entry {
    Entry {
        name: M::NAME,
        versions: (M::MIN_VERSION, M::MAX_VERSION),
        round_trip: round_trip::<M>,
        default: |version| M::default().to_bytes(version).ok(),
    }
}

fn round_trip<M: Message>(reader: &mut Reader, version: i16) {
    let Ok(value) = M::decode(reader, version) else { return };
    let bytes = value.to_bytes(version).expect("what was decoded can be encoded");
    let again = M::from_bytes(bytes.clone(), version).expect("what was encoded can be decoded");
    // A float that is no number is not equal to itself; its text is.
    if again != value {
        assert_eq!(format!("{again:?}"), format!("{value:?}"), "{} version {version}", M::NAME);
    }
    let bytes_again = again.to_bytes(version).expect("what was decoded can be encoded");
    assert_eq!(bytes_again, bytes, "{} version {version}", M::NAME);
}

/// `messages::produce::ProduceRequest` to its entry.
macro_rules! entry {
    ($($path:ident)::+) => {
        crate::entry::entry_of::<headwater_protocol::$($path)::+>()
    };
}
pub(crate) use entry;
