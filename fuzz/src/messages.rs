//! Every message of the protocol in every version: what can be decoded can be encoded, and comes back the same.

use bytes::{Bytes, BytesMut};
use headwater_protocol::{ApiKey, Reader, RequestHeader, ResponseHeader, frame};

use crate::Feed;
use crate::entry::Entry;
use crate::table::MESSAGES;

/// The largest frame that is accepted here, in bytes.
const FRAME_BYTES_MAX: usize = 1 << 20;

fn message(name: &str) -> Option<&'static Entry> {
    MESSAGES.iter().find(|entry| entry.name == name)
}

/// A request as it comes from the wire, from its length on.
pub fn protocol_request(input: &[u8]) {
    let mut received = BytesMut::from(input);
    let Ok(Some(frame)) = frame::split_frame(&mut received, FRAME_BYTES_MAX) else { return };
    let mut reader = Reader::new(frame);
    let Ok(header) = RequestHeader::decode(&mut reader) else { return };
    let Some(entry) = message(&format!("{}Request", header.api_key.name())) else {
        panic!("no request of {}", header.api_key.name());
    };
    (entry.round_trip)(&mut reader, header.api_version);
}

/// Key and version, then the answer to such a request, from its header on.
pub fn protocol_response(input: &[u8]) {
    let mut feed = Feed::new(input);
    let Some(api_key) = ApiKey::from_i16(i16::from(feed.u8())) else { return };
    let version = i16::from(feed.u8());
    let Some(entry) = message(&format!("{}Response", api_key.name())) else {
        panic!("no response of {}", api_key.name());
    };
    if !(entry.versions.0..=entry.versions.1).contains(&version) {
        return;
    }
    let mut reader = Reader::new(Bytes::copy_from_slice(feed.rest()));
    if ResponseHeader::decode(&mut reader, api_key, version).is_ok() {
        (entry.round_trip)(&mut reader, version);
    }
}

/// Place in the table and version, then any message: records of internal topics and the consumer protocol, too.
pub fn protocol_record(input: &[u8]) {
    let mut feed = Feed::new(input);
    let Some(entry) = MESSAGES.get(usize::from(feed.u8())) else { return };
    let version = i16::from(feed.u8());
    (entry.round_trip)(&mut Reader::new(Bytes::copy_from_slice(feed.rest())), version);
}
