//! The batch attributes: codec, timestamp type and the flags.
//!
//! ```text
//! bit  0-2 codec · 3 timestamp type · 4 transactional · 5 control · 6 base timestamp is a delete horizon
//! ```

use std::fmt;
use std::str::FromStr;

pub(crate) const CODEC_MASK: i16 = 0x07;
pub(crate) const TIMESTAMP_TYPE_BIT: i16 = 0x08;
pub(crate) const TRANSACTIONAL_BIT: i16 = 0x10;
pub(crate) const CONTROL_BIT: i16 = 0x20;
pub(crate) const DELETE_HORIZON_BIT: i16 = 0x40;

/// How the records of a batch are compressed; the numbers are the format's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not compressed.
    #[default]
    None = 0,
    /// gzip (RFC 1952).
    Gzip = 1,
    /// Snappy in the framing of the Java library (read raw, too).
    Snappy = 2,
    /// The LZ4 frame format.
    Lz4 = 3,
    /// Zstandard.
    Zstd = 4,
}

impl Compression {
    /// Every codec, in the order of the format.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The codec in batch attributes; `None` for the numbers that no version has given a meaning.
    pub const fn from_attributes(attributes: i16) -> Option<Compression> {
        match attributes & CODEC_MASK {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Kafka's name: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Compression, UnknownCompression> {
        let same = |codec: &Compression| codec.name() == name;
        Compression::ALL.into_iter().find(same).ok_or_else(|| UnknownCompression { name: name.to_owned() })
    }
}

/// The name is not one of Kafka's codecs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression `{name}`: expected none, gzip, snappy, lz4 or zstd")]
pub struct UnknownCompression {
    /// What was given.
    pub name: String,
}

/// What the timestamps of a batch mean; the numbers are the format's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// Set by the producer, one per record.
    #[default]
    CreateTime = 0,
    /// Set by the broker, one for the whole batch.
    LogAppendTime = 1,
}

impl TimestampType {
    /// The timestamp type in batch attributes.
    pub const fn from_attributes(attributes: i16) -> TimestampType {
        if attributes & TIMESTAMP_TYPE_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Kafka's name, as in the config `message.timestamp.type`.
    pub const fn name(self) -> &'static str {
        match self {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        }
    }
}
