//! What can be wrong with bytes that are decoded and with values that are encoded.

/// Why bytes are not the message they should be. The sender is at fault; the connection is best closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("{needed} bytes are needed where {remaining} remain")]
    Truncated {
        /// Bytes that the next value takes.
        needed: usize,
        /// Bytes that are left of the frame or the tagged field.
        remaining: usize,
    },
    /// A list claims more elements than the rest of the frame can hold.
    #[error("a list of {count} elements cannot be in the {remaining} bytes that remain")]
    Count {
        /// The claimed number of elements.
        count: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// The lists would take more memory than a frame of this size may cost.
    #[error("the lists of the message take more memory than a frame of its size may cost")]
    Memory,
    /// A length below the one that stands for null.
    #[error("{0} is not a length")]
    Length(i32),
    /// Null where the version does not allow it.
    #[error("null where the version does not allow it")]
    Null,
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A variable-length number longer than its type.
    #[error("a variable-length number does not end")]
    Varint,
    /// A tagged field whose content is shorter than its size says.
    #[error("a tagged field leaves {0} bytes of its size unread")]
    TagSize(usize),
    /// An API key without messages here.
    #[error("unknown API key {0}")]
    UnknownApi(i16),
    /// A version that the message does not have.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A record key of another type.
    #[error("expected a key of type {expected}, found {found}")]
    KeyType {
        /// The type of the key asked for.
        expected: i16,
        /// The type in the bytes.
        found: i16,
    },
}

/// Why a value cannot be written in a version. The caller is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A version that the message does not have.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A field holds a value, cannot be left out silently, and does not exist in the version.
    #[error("`{field}` does not exist in version {version} and is not at its default")]
    NotInVersion {
        /// Structure and field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Null in a version that does not allow it.
    #[error("`{field}` cannot be null in version {version}")]
    Null {
        /// Structure and field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A string, byte sequence or list is longer than its length prefix can say.
    #[error("a length of {0} does not fit its prefix")]
    TooLong(usize),
}

/// Why a stream of frames cannot go on. The connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A negative length.
    #[error("a frame of {0} bytes is announced")]
    Negative(i32),
    /// A frame above the limit.
    #[error("a frame of {length} bytes is announced, {limit} are allowed")]
    TooLarge {
        /// The announced length in bytes, without the prefix.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
}
