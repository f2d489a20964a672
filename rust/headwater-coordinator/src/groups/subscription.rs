//! The topics in a consumer's metadata: the one thing the coordinator reads in it, for offset expiry and OffsetDelete.
//!
//! The metadata is the client's own, so anything may be there, and not understanding it is no error.

use bytes::Bytes;
use headwater_protocol::records::consumer_protocol::ConsumerProtocolSubscription;
use headwater_protocol::{Message, Reader};

use super::message::Name;
use super::records::name;

/// The topics a member subscribes to; `None` when the metadata is not a consumer's subscription.
pub(super) fn subscribed_topics(metadata: Bytes) -> Option<Vec<Name>> {
    let mut reader = Reader::new(metadata);
    let version = reader.int16().ok()?;
    if version < 0 {
        return None;
    }
    // Topics come first in every version, so what later versions add need not be understood.
    let subscription = ConsumerProtocolSubscription::decode(&mut reader, 0).ok()?;
    Some(subscription.topics.iter().map(|topic| name(topic)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_nonsense_is_not() {
        let metadata = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";
        assert_eq!(subscribed_topics(Bytes::from_static(metadata)), Some(vec!["a".into(), "bc".into()]));
        assert_eq!(subscribed_topics(Bytes::from_static(b"\0\0\0\0\0\0\xff\xff\xff\xff")), Some(vec![]));
        assert_eq!(subscribed_topics(Bytes::from_static(b"")), None);
        assert_eq!(subscribed_topics(Bytes::from_static(b"\0\x01\x7f\xff\xff\xff\0\x05")), None);
        assert_eq!(subscribed_topics(Bytes::from_static(b"\xff\xff\0\0\0\0")), None);
    }
}
