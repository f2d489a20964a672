//! [`Str`]: text that borrows from the frame it came in.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

use crate::DecodeError;

/// UTF-8 text in shared bytes. A clone costs a reference count, not a copy.
///
/// A `Str` that was decoded keeps its whole frame in memory; what is kept for long (group members, topic
/// names in an image) should be [detached](Str::detach).
#[derive(Clone, Default)]
pub struct Str(Bytes);

impl Str {
    /// The empty text.
    pub const fn new() -> Str {
        Str(Bytes::new())
    }

    /// Text that lives as long as the program.
    pub const fn from_static(text: &'static str) -> Str {
        Str(Bytes::from_static(text.as_bytes()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // SAFETY: every way to make a `Str` starts from a `str` or checks that the bytes are UTF-8, and the
        // bytes cannot change afterwards.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The bytes of the text.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// A copy of its own, so that the frame can be freed.
    #[must_use]
    pub fn detach(&self) -> Str {
        Str::from(self.as_str())
    }
}

impl TryFrom<Bytes> for Str {
    type Error = DecodeError;

    fn try_from(bytes: Bytes) -> Result<Str, DecodeError> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(Str(bytes)),
            Err(_) => Err(DecodeError::Utf8),
        }
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Str {
        Str(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<&String> for Str {
    fn from(text: &String) -> Str {
        Str::from(text.as_str())
    }
}

impl From<String> for Str {
    fn from(text: String) -> Str {
        Str(Bytes::from(text.into_bytes()))
    }
}

impl From<Str> for String {
    fn from(text: Str) -> String {
        text.as_str().to_owned()
    }
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), formatter)
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Str) -> bool {
        self.0 == other.0
    }
}

impl Eq for Str {}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Str {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Str) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Str) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn hashes_and_compares_like_text() {
        let map = HashMap::from([(Str::from("a"), 1), (Str::from(String::from("b")), 2)]);
        assert_eq!((map.get("a"), map.get("b"), map.get("c")), (Some(&1), Some(&2), None));
        assert_eq!(Str::from("a").cmp(&Str::from_static("b")), Ordering::Less);
        assert_eq!(Str::from("ä"), "ä");
    }

    #[test]
    fn refuses_what_is_not_utf8() {
        assert_eq!(Str::try_from(Bytes::from_static(b"\xff")), Err(DecodeError::Utf8));
    }

    #[test]
    fn detached_text_leaves_its_frame() {
        let frame = Bytes::from(vec![b'x'; 100]);
        let text = Str::try_from(frame.slice(1..4)).unwrap();
        let own = text.detach();
        assert_eq!(text, own);
        drop(text);
        assert!(frame.is_unique());
    }
}
