//! Settings by Kafka's names, with Kafka 4.3's defaults.
//!
//! One macro declares a group of settings: the field, its Kafka name, its default and what a value must look like. From it
//! come `Default`, parsing from text and the list of keys, so that the three cannot disagree. A key may be written with
//! dots or with underscores. Settings of ours alone start with `headwater.`. An unknown key is an error that names the
//! nearest known one; nothing is silently ignored.

mod admin;
mod client;
mod consumer;
mod producer;
mod value;

pub use admin::AdminConfig;
pub use client::ClientConfig;
pub use consumer::{AssignmentStrategy, AutoOffsetReset, ConsumerConfig, IsolationLevel};
pub use producer::{Acks, ProducerConfig};

/// A setting that cannot be used; the message names the setting as the user wrote it and says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No setting has this name.
    #[error("unknown setting {key}{}", hint(.nearest))]
    Unknown {
        /// The key as given.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// The value has the wrong form.
    #[error("{key} expects {expects}, got {value:?}")]
    Invalid {
        /// The key as given.
        key: String,
        /// What a value must look like.
        expects: &'static str,
        /// The value as given.
        value: String,
    },
    /// Two settings contradict each other, or one asks for what does not exist here.
    #[error("{0}")]
    Conflict(String),
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|key| format!("; did you mean {key}?")).unwrap_or_default()
}

/// One documented setting, for reference pages and `--help`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigKey {
    /// Kafka's name, with dots.
    pub name: &'static str,
    /// What a value must look like.
    pub expects: &'static str,
    /// The default, as text; empty where unset.
    pub default: String,
    /// What the setting does.
    pub doc: &'static str,
}

/// Brings a key to Kafka's spelling: `linger_ms` is `linger.ms`.
fn canonical(key: &str) -> String {
    key.trim().replace('_', ".").to_ascii_lowercase()
}

/// The known key nearest to `key`, if one is near enough to be a likely typing error.
fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|name| (edit_distance(key, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .map(|(_, name)| name.to_owned())
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<u8> = b.bytes().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Declares a struct of settings. `use part: Type` lines embed another group.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(embeds $part:ident: $part_type:ty)? {
            $( #[doc = $doc:literal] $key:literal $field:ident: $type:ty = $default:expr, $value:expr; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                /// Settings of connections and metadata.
                pub $part: $part_type,
            )?
            $( #[doc = $doc] #[doc = concat!("\n\nKafka name: `", $key, "`.")] pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $part: Default::default(), )?
                    $( $field: $default, )*
                }
            }
        }

        impl $name {
            /// Every setting of this group with its default.
            pub fn keys() -> Vec<$crate::config::ConfigKey> {
                let defaults = Self::default();
                #[allow(unused_mut, reason = "only groups that embed another one extend the list")]
                let mut keys = vec![ $( $crate::config::ConfigKey {
                    name: $key,
                    expects: $value.expects,
                    default: ($value.show)(&defaults.$field),
                    doc: $doc.trim_ascii(),
                }, )* ];
                $( keys.extend(<$part_type>::keys()); )?
                keys
            }

            /// Sets one setting from text. The key may be spelled with dots or underscores.
            pub fn set(&mut self, key: &str, value: &str) -> Result<(), $crate::config::ConfigError> {
                if self.try_set(key, value)? {
                    return Ok(());
                }
                let canonical = $crate::config::canonical(key);
                let keys = Self::keys();
                let nearest = $crate::config::nearest(&canonical, keys.iter().map(|known| known.name));
                Err($crate::config::ConfigError::Unknown { key: key.to_owned(), nearest })
            }

            pub(crate) fn try_set(&mut self, key: &str, value: &str) -> Result<bool, $crate::config::ConfigError> {
                match $crate::config::canonical(key).as_str() {
                    $( $key => self.$field = $value.read(key, value)?, )*
                    _ => {
                        $( return self.$part.try_set(key, value); )?
                        #[allow(unreachable_code, reason = "reached only by a group that embeds no other")]
                        return Ok(false);
                    }
                }
                Ok(true)
            }

            /// Reads settings from pairs of text over the defaults, and checks that they agree with each other.
            pub fn from_pairs<K: AsRef<str>, V: AsRef<str>>(
                pairs: impl IntoIterator<Item = (K, V)>,
            ) -> Result<Self, $crate::config::ConfigError> {
                let mut config = Self::default();
                for (key, value) in pairs {
                    config.set(key.as_ref(), value.as_ref())?;
                }
                config.validate()?;
                Ok(config)
            }
        }
    };
}
pub(crate) use settings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_accepted_with_dots_and_underscores() {
        let config =
            ProducerConfig::from_pairs([("linger_ms", "7"), ("request.timeout.ms", "1000")]).unwrap();
        assert_eq!(config.linger_ms, 7);
        assert_eq!(config.client.request_timeout_ms, 1000);
    }

    #[test]
    fn a_bad_value_says_what_is_expected() {
        let error = ProducerConfig::from_pairs([("linger_ms", "soon")]).unwrap_err();
        assert_eq!(error.to_string(), "linger_ms expects a number of milliseconds ≥ 0, got \"soon\"");
        let error = ProducerConfig::from_pairs([("acks", "2")]).unwrap_err();
        assert_eq!(error.to_string(), "acks expects 0, 1 or all (-1), got \"2\"");
    }

    #[test]
    fn an_unknown_key_suggests_the_nearest() {
        let error = ConsumerConfig::from_pairs([("auto.offset.rest", "latest")]).unwrap_err();
        assert_eq!(error.to_string(), "unknown setting auto.offset.rest; did you mean auto.offset.reset?");
        let error = ConsumerConfig::from_pairs([("flavour", "vanilla")]).unwrap_err();
        assert_eq!(error.to_string(), "unknown setting flavour");
    }

    #[test]
    fn every_default_reads_back_as_itself() {
        for key in ProducerConfig::keys().iter().filter(|key| !key.default.is_empty()) {
            let mut config = ProducerConfig::default();
            config.set(key.name, &key.default).unwrap();
            assert_eq!(config, ProducerConfig::default(), "{}", key.name);
        }
        for key in ConsumerConfig::keys().iter().filter(|key| !key.default.is_empty()) {
            let mut config = ConsumerConfig::default();
            config.set(key.name, &key.default).unwrap();
            assert_eq!(config, ConsumerConfig::default(), "{}", key.name);
        }
    }

    #[test]
    fn contradictions_are_named() {
        let error = ProducerConfig::from_pairs([("enable.idempotence", "true"), ("acks", "1")]).unwrap_err();
        assert_eq!(error.to_string(), "enable.idempotence=true needs acks=all");
        let config = ProducerConfig::from_pairs([("acks", "1")]).unwrap();
        assert!(!config.idempotent(), "acks=1 alone switches idempotence off, as in Kafka");
        let error = ProducerConfig::from_pairs([("delivery.timeout.ms", "10")]).unwrap_err();
        assert!(error.to_string().contains("linger.ms + request.timeout.ms"), "{error}");
        let error = ConsumerConfig::from_pairs([("heartbeat.interval.ms", "50000")]).unwrap_err();
        assert!(error.to_string().contains("session.timeout.ms"), "{error}");
    }
}
