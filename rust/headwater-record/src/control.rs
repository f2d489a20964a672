//! Control records: what a broker writes into the log for itself.
//!
//! Key: version i16, type i16. The value of a transaction marker: version i16, coordinator epoch i32.
//! The contents of the other types are raft's and are not read here.

use crate::{BatchBuilder, BuildError, Compression, RecordView};
use bytes::Bytes;

/// What a control record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlType {
    /// The transaction was aborted.
    Abort,
    /// The transaction was committed.
    Commit,
    /// A raft leader began its term.
    LeaderChange,
    /// Head of a raft snapshot.
    SnapshotHeader,
    /// Foot of a raft snapshot.
    SnapshotFooter,
    /// Version of the raft protocol.
    KraftVersion,
    /// The raft voters.
    KraftVoters,
    /// A type from the future: to be skipped.
    Unknown(i16),
}

impl ControlType {
    /// The number in the key.
    pub const fn code(self) -> i16 {
        match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::LeaderChange => 2,
            ControlType::SnapshotHeader => 3,
            ControlType::SnapshotFooter => 4,
            ControlType::KraftVersion => 5,
            ControlType::KraftVoters => 6,
            ControlType::Unknown(code) => code,
        }
    }

    /// The type with this number.
    pub const fn from_code(code: i16) -> ControlType {
        match code {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            2 => ControlType::LeaderChange,
            3 => ControlType::SnapshotHeader,
            4 => ControlType::SnapshotFooter,
            5 => ControlType::KraftVersion,
            6 => ControlType::KraftVoters,
            other => ControlType::Unknown(other),
        }
    }

    /// Reads the key of a control record.
    ///
    /// # Errors
    /// [`ControlError`] when it is shorter than four bytes or its version is negative.
    pub fn from_key(key: &[u8]) -> Result<ControlType, ControlError> {
        let &[v0, v1, t0, t1, ..] = key else { return Err(ControlError::Key { length: key.len() }) };
        match i16::from_be_bytes([v0, v1]) {
            version @ ..0 => Err(ControlError::Version { version }),
            _ => Ok(ControlType::from_code(i16::from_be_bytes([t0, t1]))),
        }
    }

    /// The key of a control record of this type, version 0.
    pub fn to_key(self) -> [u8; 4] {
        let [t0, t1] = self.code().to_be_bytes();
        [0, 0, t0, t1]
    }
}

/// The end of a transaction, as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Commit, or abort.
    pub commit: bool,
    /// Epoch of the transaction coordinator that ended it.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// Reads the marker from a record of a control batch; `None` for control records of other types.
    ///
    /// # Errors
    /// [`ControlError`] when key or value are too short or of a negative version.
    pub fn decode(record: &RecordView<'_>) -> Result<Option<EndTransactionMarker>, ControlError> {
        let commit = match ControlType::from_key(record.key.unwrap_or_default())? {
            ControlType::Commit => true,
            ControlType::Abort => false,
            _ => return Ok(None),
        };
        let value = record.value.unwrap_or_default();
        let &[v0, v1, e0, e1, e2, e3, ..] = value else {
            return Err(ControlError::Value { length: value.len() });
        };
        match i16::from_be_bytes([v0, v1]) {
            version @ ..0 => Err(ControlError::Version { version }),
            _ => Ok(Some(EndTransactionMarker {
                commit,
                coordinator_epoch: i32::from_be_bytes([e0, e1, e2, e3]),
            })),
        }
    }

    /// Key and value of the record.
    pub fn encode(&self) -> ([u8; 4], [u8; 6]) {
        let kind = if self.commit { ControlType::Commit } else { ControlType::Abort };
        let [e0, e1, e2, e3] = self.coordinator_epoch.to_be_bytes();
        (kind.to_key(), [0, 0, e0, e1, e2, e3])
    }

    /// A whole batch with this one marker, as a broker appends it (base offset 0, to be assigned).
    ///
    /// # Errors
    /// None in practice: one small record always fits.
    pub fn to_batch(
        &self,
        timestamp_ms: i64,
        producer_id: i64,
        producer_epoch: i16,
    ) -> Result<Bytes, BuildError> {
        let (key, value) = self.encode();
        let mut builder = BatchBuilder::new(Compression::None);
        builder.set_producer(producer_id, producer_epoch, crate::NO_SEQUENCE);
        builder.set_transactional(true);
        builder.set_control(true);
        builder.append(timestamp_ms, Some(&key), Some(&value), &[])?;
        builder.finish()
    }
}

/// Why a control record could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The key is too short.
    #[error("a control key takes 4 bytes, this one has {length}")]
    Key {
        /// Its length.
        length: usize,
    },
    /// The value is too short.
    #[error("a transaction marker takes 6 bytes, this one has {length}")]
    Value {
        /// Its length.
        length: usize,
    },
    /// The version is negative.
    #[error("impossible version {version} of a control record")]
    Version {
        /// The version.
        version: i16,
    },
}
