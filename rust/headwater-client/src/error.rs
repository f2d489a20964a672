//! What can go wrong, named by the caller's next move.
//!
//! [`ProduceError`] is the answer of the synchronous hot path; [`ClientError`] of everything that talks to a broker. Both
//! tell `code()` (Kafka's number, if a broker or Kafka's own client would name one), `retriable()` (the same call may
//! succeed later, nothing needs to change) and `fatal()` (this object can do no more; make a new one).

use crate::client::UNKNOWN_FOR_MAX;
use crate::config::ConfigError;
use headwater_protocol::ErrorCode;
use std::sync::Arc;
use std::time::Duration;

/// A failed request, delivery, fetch or commit.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Wait and retry: no connection to the node could be made.
    #[error("cannot reach {node}: {reason}")]
    Unreachable {
        /// Address or id of the node.
        node: String,
        /// Why.
        reason: String,
    },
    /// Retry: the connection ended before the answer; whether the request took effect is unknown.
    #[error("connection to {node} ended before the answer to {api}: {reason}")]
    Disconnected {
        /// Address or id of the node.
        node: String,
        /// Name of the request.
        api: &'static str,
        /// Why.
        reason: String,
    },
    /// Retry, or allow more time: whether the request took effect is unknown.
    #[error("{doing} took longer than {after:?}")]
    TimedOut {
        /// What was being done, with its subject.
        doing: String,
        /// The time allowed.
        after: Duration,
    },
    /// Look at the code: the broker refused.
    #[error("{subject}: {}{}", code.name(), detail(code, message))]
    Refused {
        /// The broker's answer.
        code: ErrorCode,
        /// What it was about: topic and partition, group, or the request.
        subject: String,
        /// The broker's own words, if it sent any.
        message: Option<String>,
    },
    /// Upgrade the broker, or do without: it does not offer what this needs.
    #[error("{node} does not offer {feature}")]
    Unsupported {
        /// Address or id of the node.
        node: String,
        /// What is missing.
        feature: String,
    },
    /// Give up on this broker: its answer cannot be understood.
    #[error("{node} sent an answer to {api} that cannot be read: {reason}")]
    Malformed {
        /// Address or id of the node.
        node: String,
        /// Name of the request.
        api: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Seek, or set `auto.offset.reset`: this offset does not exist.
    #[error("{topic}-{partition}: offset {offset} does not exist and auto.offset.reset is none")]
    OffsetOutOfRange {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
    },
    /// Seek, or set `auto.offset.reset`: the group has not committed a position.
    #[error("{topic}-{partition}: no committed offset and auto.offset.reset is none")]
    NoOffset {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
    },
    /// Seek past it, or repair the log: a fetched batch is damaged.
    #[error("{topic}-{partition}: batch at offset {offset} is damaged: {reason}")]
    CorruptBatch {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// First offset of the batch.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// Call it differently: an argument makes no sense in this state.
    #[error("{0}")]
    Misuse(String),
    /// Make a new one: this client has been closed.
    #[error("the client is closed")]
    Closed,
    /// Correct the setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Poll more often or raise `max.poll.interval.ms`: the member has left its group.
    #[error("no poll for {0:?} (max.poll.interval.ms); the member has left its group")]
    PolledTooLate(Duration),
}

fn detail(code: &ErrorCode, message: &Option<String>) -> String {
    let text = message.as_deref().filter(|text| !text.is_empty()).unwrap_or(code.message());
    format!(" ({text})")
}

impl ClientError {
    /// A refusal of the broker about `subject`.
    pub(crate) fn refused(code: ErrorCode, subject: impl Into<String>) -> Self {
        Self::Refused { code, subject: subject.into(), message: None }
    }

    /// `Ok` for code 0, else the refusal.
    pub(crate) fn check(code: i16, subject: impl FnOnce() -> String) -> Result<(), Self> {
        Self::check_with(code, None, subject)
    }

    /// As [`check`](Self::check), with the broker's own words.
    pub(crate) fn check_with(
        code: i16,
        message: Option<&str>,
        subject: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        match ErrorCode::from_wire(code) {
            ErrorCode::None => Ok(()),
            code => Err(Self::Refused { code, subject: subject(), message: message.map(str::to_owned) }),
        }
    }

    /// Kafka's error code, where a broker sent one or Kafka's protocol has one for the case.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable { .. } | Self::Disconnected { .. } => Some(ErrorCode::NetworkException),
            Self::TimedOut { .. } => Some(ErrorCode::RequestTimedOut),
            Self::Unsupported { .. } => Some(ErrorCode::UnsupportedVersion),
            Self::OffsetOutOfRange { .. } => Some(ErrorCode::OffsetOutOfRange),
            Self::CorruptBatch { .. } => Some(ErrorCode::CorruptMessage),
            _ => None,
        }
    }

    /// Whether the same call may succeed later with nothing changed.
    pub fn retriable(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Unreachable { .. } | Self::Disconnected { .. } | Self::TimedOut { .. } => true,
            _ => false,
        }
    }

    /// Whether the producer or consumer that reported this can do no more.
    pub fn fatal(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Refused { code, .. } => matches!(
                code,
                ErrorCode::FencedInstanceId
                    | ErrorCode::ProducerFenced
                    | ErrorCode::GroupAuthorizationFailed
                    | ErrorCode::ClusterAuthorizationFailed
                    | ErrorCode::InconsistentGroupProtocol
                    | ErrorCode::UnsupportedForMessageFormat
            ),
            _ => false,
        }
    }

    /// Whether to ask again, `waited` after the first try.
    pub(crate) fn is_worth_retrying(&self, waited: Duration) -> bool {
        self.retriable() && (waited < UNKNOWN_FOR_MAX || !self.is(ErrorCode::UnknownTopicOrPartition))
    }

    pub(crate) fn is(&self, code: ErrorCode) -> bool {
        matches!(self, Self::Refused { code: own, .. } if *own == code)
    }
}

/// Why `produce` did not take a record.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// Wait with [`Producer::ready`](crate::Producer::ready), then call again: memory or metadata is missing right now.
    /// Nothing was appended.
    #[error("would block: {0}")]
    WouldBlock(Blocked),
    /// Send less, or raise `setting`: the record alone is too large.
    #[error("the record has {size} bytes, more than {setting}={limit}")]
    RecordTooLarge {
        /// Bytes the record needs in a batch of its own.
        size: usize,
        /// The bound.
        limit: usize,
        /// Which setting the bound is.
        setting: &'static str,
    },
    /// Choose another partition.
    #[error("topic {topic} has {count} partitions, there is no partition {partition}")]
    NoSuchPartition {
        /// The topic.
        topic: Arc<str>,
        /// The partition asked for.
        partition: i32,
        /// How many there are.
        count: usize,
    },
    /// Correct the record: it cannot be encoded.
    #[error("the record cannot be encoded: {0}")]
    Invalid(String),
    /// Look at the inner error: the topic cannot be written to, or the producer has failed for good.
    #[error(transparent)]
    Failed(ClientError),
}

/// What a record waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// The partitions of the topic are not known yet.
    Metadata,
    /// `buffer.memory` is used up by records that are not delivered yet.
    Memory,
}

impl std::fmt::Display for Blocked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Metadata => "the partitions of the topic are not known yet",
            Self::Memory => "buffer.memory is used up by records that are not delivered yet",
        })
    }
}

impl ProduceError {
    /// Kafka's error code, where there is one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::RecordTooLarge { .. } => Some(ErrorCode::MessageTooLarge),
            Self::NoSuchPartition { .. } => Some(ErrorCode::UnknownTopicOrPartition),
            Self::Failed(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the same call may succeed later with nothing changed.
    pub fn retriable(&self) -> bool {
        match self {
            Self::WouldBlock(_) => true,
            Self::Failed(error) => error.retriable(),
            _ => false,
        }
    }

    /// Whether the producer can do no more.
    pub fn fatal(&self) -> bool {
        matches!(self, Self::Failed(error) if error.fatal())
    }
}

impl From<ProduceError> for ClientError {
    fn from(error: ProduceError) -> Self {
        match error {
            ProduceError::Failed(error) => error,
            ProduceError::RecordTooLarge { .. } => Self::Refused {
                code: ErrorCode::MessageTooLarge,
                message: Some(error.to_string()),
                subject: "produce".into(),
            },
            other => Self::Misuse(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_topics_are_asked_about_for_a_moment_and_missing_brokers_for_as_long_as_it_takes() {
        let unknown = ClientError::refused(ErrorCode::UnknownTopicOrPartition, "topic t");
        let moving = ClientError::refused(ErrorCode::NotLeaderOrFollower, "t-0");
        let (soon, late) = (Duration::from_millis(100), Duration::from_secs(50));
        assert!(unknown.is_worth_retrying(soon) && !unknown.is_worth_retrying(late));
        assert!(moving.is_worth_retrying(soon) && moving.is_worth_retrying(late));
        assert!(!ClientError::Closed.is_worth_retrying(soon));
    }
}
