//! How a command ends when it does not end well, and what the user can do about it.

use headwater_client::{ClientError, ConfigError, ErrorCode, ProduceError};
use std::fmt;
use std::io;

/// Exit code of a command that did what it was asked.
pub(crate) const DONE: i32 = 0;
/// Exit code of a command that could not.
pub(crate) const FAILED: i32 = 1;
/// Exit code of arguments that make no sense.
pub(crate) const USAGE: i32 = 2;
/// Exit code after Ctrl-C or SIGTERM.
pub(crate) const INTERRUPTED: i32 = 130;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One sentence, and perhaps what to do.
    Failed { message: String, hint: Option<String> },
    /// The arguments contradict each other or the files they name.
    Usage { message: String, hint: Option<String> },
    /// Everything has been said already; only the exit code is missing.
    Said,
    /// A signal asked for it.
    Interrupted,
    /// Whoever read stdout has had enough, which is their right.
    OutputClosed,
}

impl Failure {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self::Failed { message: message.to_string(), hint: None }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::Usage { message: message.to_string(), hint: None }
    }

    /// Adds what to do, unless that is known already.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Failed { hint, .. } | Self::Usage { hint, .. } = &mut self {
            hint.get_or_insert_with(|| text.into());
        }
        self
    }

    /// A failed read or write of `what`.
    pub(crate) fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(format!("{what}: {error}"))
    }

    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Self::Failed { .. } | Self::Said => FAILED,
            Self::Usage { .. } => USAGE,
            Self::Interrupted => INTERRUPTED,
            Self::OutputClosed => DONE,
        }
    }

    /// Says it on stderr.
    pub(crate) fn print(&self) {
        if let Self::Failed { message, hint } | Self::Usage { message, hint } = self {
            complain(message, hint.as_deref());
        }
    }
}

/// Writes `error: …` and `hint: …` to stderr.
pub(crate) fn complain(message: &str, hint: Option<&str>) {
    say(&format!("error: {}", message.trim_end_matches('.')));
    if let Some(hint) = hint {
        say(&format!("hint: {hint}"));
    }
}

/// Writes one line to stderr; a closed stderr is nobody's failure.
pub(crate) fn say(line: &str) {
    drop(io::Write::write_fmt(&mut io::stderr().lock(), format_args!("{line}\n")));
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        if let ClientError::Config(error) = error {
            return error.into();
        }
        let hint = hint(&error);
        Self::Failed { message: error.to_string(), hint: hint.map(str::to_owned) }
    }
}

impl From<ProduceError> for Failure {
    fn from(error: ProduceError) -> Self {
        match error {
            ProduceError::Failed(error) => error.into(),
            ProduceError::RecordTooLarge { setting, .. } => {
                Self::new(&error).hint(format!("`-X {setting}=BYTES` allows more, if the topic does too"))
            }
            other => Self::new(other),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}

fn hint(error: &ClientError) -> Option<&'static str> {
    Some(match error {
        ClientError::Unreachable { .. } | ClientError::Disconnected { .. } => {
            "`headwater start` runs a server; `--bootstrap HOST:PORT` names another one"
        }
        ClientError::Refused { code, .. } => match code {
            ErrorCode::UnknownTopicOrPartition => {
                "`headwater topic list` shows the topics, `headwater topic create` makes one"
            }
            ErrorCode::TopicAlreadyExists => "with `--if-not-exists` that is no error",
            ErrorCode::InvalidReplicationFactor => "a topic can have as many replicas as there are brokers",
            ErrorCode::NonEmptyGroup => "stop its members first; `headwater group describe` shows them",
            ErrorCode::GroupIdNotFound => "`headwater group list` shows the groups",
            ErrorCode::MessageTooLarge => {
                "`headwater topic alter TOPIC -c max.message.bytes=BYTES` allows more"
            }
            _ => return None,
        },
        ClientError::OffsetOutOfRange { .. } => "`headwater topic describe` shows the first and last offsets",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hint_stays() {
        let failure = Failure::new("no").hint("first").hint("second");
        assert!(matches!(failure, Failure::Failed { hint: Some(hint), .. } if hint == "first"));
    }

    #[test]
    fn wrong_settings_are_wrong_usage() {
        let error = headwater_client::ProducerConfig::from_pairs([("linger.ms", "soon")]).unwrap_err();
        assert_eq!(Failure::from(ClientError::from(error)).exit_code(), USAGE);
    }
}
