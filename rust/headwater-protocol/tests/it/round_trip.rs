//! Decoding and encoding give the same bytes back, for every message in every version.

use bytes::Bytes;
use proptest::prelude::*;

use crate::cases;
use crate::specimen::{Style, declaration, declarations, specimen};
use crate::table::MESSAGES;

#[test]
fn the_table_is_the_schema() {
    let mut listed: Vec<&str> = MESSAGES.iter().map(|entry| entry.name).collect();
    let mut declared: Vec<&str> = declarations().map(|declaration| declaration.name.as_str()).collect();
    listed.sort_unstable();
    declared.sort_unstable();
    assert_eq!(listed, declared);
    assert!(listed.len() > 180, "{} messages", listed.len());
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn every_message_in_every_version(seed: u64) {
        for entry in MESSAGES {
            let declaration = declaration(entry.name);
            for version in entry.versions.0..=entry.versions.1 {
                let bytes = Bytes::from(specimen(declaration, version, seed, Style::Canonical));
                let outcome = (entry.round_trip)(bytes.clone(), version);
                let outcome = outcome.map_err(|e| TestCaseError::fail(format!("{} {version}: {e}", entry.name)))?;
                prop_assert_eq!(outcome.left, 0, "{} {}", entry.name, version);
                prop_assert_eq!(&outcome.bytes, &bytes, "{} {}: {}", entry.name, version, outcome.value);
            }
        }
    }

    #[test]
    fn unknown_tags_change_nothing(seed: u64) {
        for entry in MESSAGES {
            let declaration = declaration(entry.name);
            for version in entry.versions.0..=entry.versions.1 {
                let plain = Bytes::from(specimen(declaration, version, seed, Style::Canonical));
                let tagged = Bytes::from(specimen(declaration, version, seed, Style::UnknownTags));
                let outcome = (entry.round_trip)(tagged, version);
                let outcome = outcome.map_err(|e| TestCaseError::fail(format!("{} {version}: {e}", entry.name)))?;
                prop_assert_eq!(outcome.left, 0, "{} {}", entry.name, version);
                prop_assert_eq!(outcome.bytes, plain, "{} {}", entry.name, version);
            }
        }
    }
}

#[test]
fn versions_outside_are_refused() {
    for entry in MESSAGES {
        for version in [entry.versions.0 - 1, entry.versions.1 + 1, i16::MIN, i16::MAX] {
            let error = (entry.decode)(Bytes::from_static(&[0; 64]), version).unwrap_err();
            assert!(matches!(error, headwater_protocol::DecodeError::UnsupportedVersion { .. }), "{error}");
        }
    }
}
