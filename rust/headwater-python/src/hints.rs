//! The next step: what to do about an error, as the end of its message.
//!
//! Only here do errors of the client speak of Python's methods; the client itself names Kafka's settings.

use headwater_client::ClientError;
use headwater_protocol::ErrorCode;

/// `message`, and what to do about it.
pub(crate) fn with_hint(message: &str, hint: Option<&str>) -> String {
    hint.map_or_else(|| message.to_owned(), |hint| format!("{message}; {hint}"))
}

/// What to do about an error of the client.
pub(crate) fn of_client(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::Unreachable { .. } => {
            Some("is a broker running there? `headwater start` or headwater.Broker(listen=…) starts one")
        }
        ClientError::Disconnected { .. } => Some("try again, and look at the broker if it happens again"),
        ClientError::TimedOut { .. } => Some("try again, allow more time, or see whether the broker is up"),
        ClientError::OffsetOutOfRange { .. } => Some(
            "seek() to an offset from beginning_offsets() to end_offsets(), or set auto_offset_reset=\"earliest\"",
        ),
        ClientError::NoOffset { .. } => {
            Some("seek() before the first poll, or set auto_offset_reset=\"earliest\" or \"latest\"")
        }
        ClientError::CorruptBatch { .. } => {
            Some("seek() past it, or see with `headwater verify` what is damaged")
        }
        ClientError::PolledTooLate(_) => Some("poll more often, or raise max_poll_interval_ms"),
        ClientError::Closed => Some("make a new one"),
        ClientError::Refused { code, .. } => of_code(*code),
        _ => None,
    }
}

fn of_code(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::UnknownTopicOrPartition => UNKNOWN_TOPIC,
        ErrorCode::TopicAlreadyExists => "use it as it is, or delete it first with Admin.delete_topics()",
        ErrorCode::GroupIdNotFound => "Admin.list_groups() names those that exist",
        ErrorCode::NonEmptyGroup => "close its consumers first; Admin.describe_group() shows them",
        ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress => {
            "the group has given its partitions out anew: poll to join again, what was not committed comes again"
        }
        ErrorCode::InvalidReplicationFactor => {
            "leave replication_factor out for the broker's default, or start more brokers"
        }
        ErrorCode::InvalidConfig => "Admin.describe_config() shows the settings of a topic",
        ErrorCode::OffsetOutOfRange => "Admin.list_offsets() tells the first and the last offset",
        ErrorCode::MessageTooLarge => {
            "send less, or raise max.message.bytes of the topic and max_request_size of the Producer"
        }
        ErrorCode::LeaderNotAvailable | ErrorCode::NotLeaderOrFollower => "try again in a moment",
        ErrorCode::UnsupportedVersion => "use a newer broker, or do without",
        _ => return None,
    })
}

/// A name that nobody knows.
pub(crate) const UNKNOWN_TOPIC: &str =
    "Admin.list_topics() names those that exist, Admin.create_topic() makes one";
