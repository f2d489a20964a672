//! One table of topic and broker configs, and everything that is derived from it: the parsing of
//! `server.properties`, the answers of DescribeConfigs, the validation of changes, the settings of a log,
//! and the reference page.
//!
//! ```text
//!   topic override ─┐
//!   broker, dynamic ─┤                      ┌─ LogConfig of a partition
//!   all brokers, dynamic ─┼─ resolve(key) ──┼─ DescribeConfigs: value, source, synonyms
//!   server.properties ─┤                    └─ settings of the broker
//!   default ─┘
//! ```

mod broker;
mod key;
mod layers;
mod listener;
mod properties;
mod reference;
mod topic;
mod topic_config;

pub(crate) use key::elements;
pub use key::{ConfigError, Effect, Key, Kind, Unit, Update, Valid};
pub use layers::{Layers, Resolved, Source, Synonym, Values};
pub use listener::{Listener, PLAINTEXT};
pub use properties::{BrokerConfig, settings_without_file};
pub use reference::reference_page;
pub(crate) use topic_config::{TopicSettings, check_topic_configs};

/// Every topic key, sorted by name.
pub fn topic_keys() -> &'static [Key] {
    topic::TOPIC_KEYS
}

/// Every broker key, sorted by name.
pub fn broker_keys() -> &'static [Key] {
    broker::BROKER_KEYS
}

/// The topic key of that name.
pub fn topic_key(name: &str) -> Option<&'static Key> {
    find(topic::TOPIC_KEYS, name)
}

/// The broker key of that name.
pub fn broker_key(name: &str) -> Option<&'static Key> {
    find(broker::BROKER_KEYS, name)
}

/// The key that an unknown name was probably meant to be: another spelling, its beginning, or a typing error.
pub fn nearest_key(keys: &'static [Key], name: &str) -> Option<&'static str> {
    const SIMILAR: f64 = 0.85;
    let name = name.trim().replace(['_', '-'], ".").to_ascii_lowercase();
    let likeness = |key: &Key| if key.name == name { 1.0 } else { strsim::jaro_winkler(key.name, &name) };
    let best = keys.iter().map(|key| (likeness(key), key.name)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= SIMILAR).map(|(_, name)| name)
}

fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.binary_search_by(|key| key.name.cmp(name)).ok().map(|index| &keys[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_consistent_and_their_defaults_valid() {
        for keys in [topic_keys(), broker_keys()] {
            assert!(keys.is_sorted_by(|a, b| a.name < b.name), "binary search needs the order");
            for key in keys {
                if let Some(default) = key.default {
                    assert_eq!(key.check(default).as_deref(), Ok(default), "{}", key.name);
                }
                for (synonym, _) in key.synonyms {
                    assert!(broker_key(synonym).is_some(), "{} stands for unknown {synonym}", key.name);
                }
                assert!(key.doc.ends_with('.'), "{}", key.name);
            }
        }
    }

    #[test]
    fn unknown_names_lead_to_what_was_probably_meant() {
        for (written, meant) in [
            ("retention_ms", Some("retention.ms")),
            ("retention", Some("retention.ms")),
            ("cleanup.polcy", Some("cleanup.policy")),
            ("colour", None),
        ] {
            assert_eq!(nearest_key(topic_keys(), written), meant, "{written}");
        }
        assert_eq!(nearest_key(broker_keys(), "num.partition"), Some("num.partitions"));
    }

    #[test]
    fn the_defaults_of_a_topic_key_and_of_its_broker_key_agree() {
        for key in topic_keys() {
            let Some(default) = key.default else { continue };
            let fallback = key.synonyms.iter().find_map(|(name, unit)| {
                broker_key(name).and_then(|synonym| synonym.default).map(|value| unit.convert(value))
            });
            if let Some(fallback) = fallback {
                assert_eq!(fallback, default, "{}", key.name);
            }
        }
    }
}
