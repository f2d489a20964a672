//! Bytes from an enemy: no panic, and memory within the limit that the reader promises.

use bytes::Bytes;
use headwater_protocol::{MEMORY_BASE, MEMORY_PER_BYTE, Message, Reader, RequestHeader, Writer, messages};
use proptest::prelude::*;

use crate::allocations::peak;
use crate::cases;
use crate::entry::Entry;
use crate::specimen::{Dice, Style, declaration, specimen, unsigned_varint};
use crate::table::MESSAGES;

/// Decodes, and fails when more memory was held than the frame may cost.
fn decode_within_limits(entry: &Entry, version: i16, bytes: Vec<u8>) -> Result<(), TestCaseError> {
    // While a list grows, its old and its new place exist together; hence twice.
    let limit = 2 * (MEMORY_BASE + MEMORY_PER_BYTE * bytes.len());
    let frame = Bytes::from(bytes);
    let (result, held) = peak(|| (entry.decode)(frame.clone(), version));
    let hex = || frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    prop_assert!(held <= limit, "{} {version} held {held} bytes for {}: {result:?}", entry.name, hex());
    Ok(())
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    // Lengths that are large, negative, or do not end.
    const EVIL: [&[u8]; 7] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0x80, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x7f, 0xff],
        &[0, 1, 0, 0],
        &[0xff],
    ];
    for _ in 0..1 + dice.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        match dice.below(4) {
            0 => bytes[at] = dice.next() as u8,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, dice.next() as u8),
            _ => {
                let evil = EVIL[dice.below(EVIL.len())];
                let end = (at + evil.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&evil[..end - at]);
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn damaged_messages(seed: u64) {
        let mut dice = Dice(seed);
        for entry in MESSAGES {
            let declaration = declaration(entry.name);
            for version in entry.versions.0..=entry.versions.1 {
                let mut bytes = specimen(declaration, version, seed, Style::UnknownTags);
                mutate(&mut bytes, &mut dice);
                decode_within_limits(entry, version, bytes)?;
            }
        }
    }

    #[test]
    fn noise(seed: u64) {
        let mut dice = Dice(seed);
        for entry in MESSAGES {
            for version in entry.versions.0..=entry.versions.1 {
                let size = dice.below(200);
                let bytes = (0..size).map(|_| if dice.below(2) == 0 { 0 } else { dice.next() as u8 }).collect();
                decode_within_limits(entry, version, bytes)?;
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn headers_of_noise(bytes in prop::collection::vec(any::<u8>(), 0..40), key in 0..20i16, version in -1..20i16) {
        let mut frame = [key.to_be_bytes(), version.to_be_bytes()].concat();
        frame.extend(bytes);
        let length = frame.len();
        let mut reader = Reader::new(frame.into());
        if let Ok(header) = RequestHeader::decode(&mut reader) {
            prop_assert_eq!((header.api_key as i16, header.api_version), (key, version));
            let mut writer = Writer::new();
            header.encode(&mut writer).unwrap();
            // Unknown tags are not written again.
            prop_assert!(writer.len() <= length - reader.remaining());
        }
    }
}

#[test]
fn cut_off_messages_are_errors() {
    for entry in MESSAGES {
        let version = entry.versions.1;
        let bytes = Bytes::from(specimen(declaration(entry.name), version, 5, Style::Canonical));
        for length in 0..bytes.len() {
            let result = (entry.decode)(bytes.slice(..length), version);
            assert!(result.is_err(), "{} of {} bytes of {}: {result:?}", length, bytes.len(), entry.name);
        }
    }
}

#[test]
fn four_bytes_do_not_take_a_hundred_gigabytes() {
    let (result, held) =
        peak(|| messages::MetadataRequest::from_bytes(Bytes::from_static(b"\x7f\xff\xff\xff"), 0));
    assert!(result.is_err());
    assert!(held < 1024, "{held} bytes");
}

#[test]
fn a_megabyte_of_empty_strings_is_refused_by_its_cost() {
    let mut bytes = Vec::new();
    unsigned_varint(1_000_001, &mut bytes);
    bytes.resize(bytes.len() + 1_000_010, 1);
    let (result, held) = peak(|| messages::DescribeGroupsRequest::from_bytes(Bytes::from(bytes), 5));
    assert_eq!(result, Err(headwater_protocol::DecodeError::Memory));
    assert!(held < 2_000_000, "{held} bytes");
}

#[test]
fn the_limit_can_be_lowered() {
    let request = messages::DescribeGroupsRequest { groups: vec!["g".into(); 100], ..Default::default() };
    let bytes = request.to_bytes(5).unwrap();
    let decode = |limit| {
        let mut reader = Reader::new(bytes.clone()).with_memory_limit(limit);
        messages::DescribeGroupsRequest::decode(&mut reader, 5)
    };
    assert_eq!(decode(100_000), Ok(request));
    assert_eq!(decode(1000), Err(headwater_protocol::DecodeError::Memory));
}

#[test]
fn long_lists_are_read_whole() {
    let request = messages::DescribeGroupsRequest {
        groups: (0..20_000).map(|number| format!("group-{number}").into()).collect(),
        ..Default::default()
    };
    let bytes = request.to_bytes(5).unwrap();
    assert_eq!(messages::DescribeGroupsRequest::from_bytes(bytes, 5), Ok(request));
}
