//! Kafka's UUIDs: 128 bits, written as 22 characters of unpadded base64url.
//!
//! Generating one needs randomness, which comes from outside: see [`Uuid::from_random`].

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT_LENGTH: usize = 22;

/// A 128-bit id of a topic, a directory, a cluster or a client.
///
/// ```
/// use headwater_record::Uuid;
/// let id: Uuid = "AAAAAAAAAAAAAAAAAAAAAQ".parse()?;
/// assert_eq!(id, Uuid::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
/// assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
/// # Ok::<(), headwater_record::ParseUuidError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// All bits zero: "no id" on the wire.
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// The id with these bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    /// A version 4 UUID from 16 random bytes.
    ///
    /// `None` for the few that Kafka keeps back: ids below 100, and ids whose text begins with `-`,
    /// which command lines would take for an option. Draw again then.
    pub fn from_random(mut bytes: [u8; 16]) -> Option<Uuid> {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        // The version bits alone keep the id above the reserved ones; the first sextet decides the first letter.
        (bytes[0] >> 2 != 62).then_some(Uuid(bytes))
    }

    /// The bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; TEXT_LENGTH];
        let bits = u128::from_be_bytes(self.0);
        for (index, letter) in text.iter_mut().enumerate() {
            // 22 letters hold 132 bits: the last one carries the two lowest bits and four zeros.
            let sextet = match index {
                21 => (bits & 0x03) << 4,
                _ => bits >> (122 - 6 * index),
            };
            *letter = ALPHABET[(sextet & 0x3f) as usize];
        }
        formatter.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Uuid, ParseUuidError> {
        if text.len() != TEXT_LENGTH {
            return Err(ParseUuidError { length: text.len() });
        }
        let mut bits = 0u128;
        for (index, letter) in text.bytes().enumerate() {
            let sextet = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return Err(ParseUuidError { length: text.len() }),
            };
            bits = match index {
                21 if sextet & 0x0f != 0 => return Err(ParseUuidError { length: text.len() }),
                21 => (bits << 2) | u128::from(sextet >> 4),
                _ => (bits << 6) | u128::from(sextet),
            };
        }
        Ok(Uuid(bits.to_be_bytes()))
    }
}

/// The text is not a UUID in Kafka's form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 22 characters of unpadded base64url, got {length} characters or a foreign one")]
pub struct ParseUuidError {
    /// Length of the text, in bytes.
    pub length: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_text() {
        // Kafka's own metadata topic id.
        let id: Uuid = "AAAAAAAAAAAAAAAAAAAAAQ".parse().unwrap();
        assert_eq!(id.as_bytes()[15], 1);
        let id = Uuid::from_bytes(*b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff");
        assert_eq!(id.to_string(), "ABEiM0RVZneImaq7zN3u_w");
    }

    #[test]
    fn refuses_foreign_text() {
        for text in
            ["", "AAAAAAAAAAAAAAAAAAAAAQ=", "AAAAAAAAAAAAAAAAAAAAA+", "AAAAAAAAAAAAAAAAAAAAAB", "ééééééééééé"]
        {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }

    #[test]
    fn random_ids_never_look_like_options() {
        assert_eq!(Uuid::from_random([0xf8; 16]), None);
        assert!(Uuid::from_random([0; 16]).is_some_and(|id| !id.is_zero()));
    }

    proptest! {
        #[test]
        fn round_trip(bytes: [u8; 16]) {
            let id = Uuid::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<Uuid>().unwrap(), id);
        }
    }
}
