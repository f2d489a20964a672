//! What a partition goes by: its topic's configs, resolved and parsed.

use std::collections::{BTreeMap, BTreeSet};

use headwater_log::{CleanupPolicy, LogConfig};
use headwater_record::{ProduceRules, TimestampType};

use super::layers::{Layers, Values};
use super::{BrokerConfig, elements, nearest_key, topic_key, topic_keys};

/// The settings of a topic's partitions.
#[derive(Debug, Clone)]
pub(crate) struct TopicSettings {
    /// For the log.
    pub(crate) log: LogConfig,
    /// `max.message.bytes`.
    pub(crate) max_message_bytes: usize,
    /// For the batches of producers.
    pub(crate) rules: ProduceRules,
    /// `min.insync.replicas`.
    pub(crate) min_insync_replicas: usize,
}

impl TopicSettings {
    /// The settings of a topic for which `topic` is set, on a broker of these layers.
    pub(crate) fn resolve(
        broker: &BrokerConfig,
        layers: &Layers<'_>,
        topic: Option<&Values>,
    ) -> TopicSettings {
        let values = Lookup { layers, topic };
        let policy = values.text("cleanup.policy");
        let has = |word: &str| elements(&policy).any(|element| element == word);
        let timestamp_type = match values.text("message.timestamp.type").as_str() {
            "LogAppendTime" => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        };
        let log = LogConfig {
            segment_bytes: values.number("segment.bytes"),
            segment_ms: values.number("segment.ms"),
            segment_index_bytes: values.number("segment.index.bytes"),
            index_interval_bytes: values.number("index.interval.bytes"),
            cleanup_policy: CleanupPolicy { delete: has("delete"), compact: has("compact") },
            retention_ms: values.number("retention.ms"),
            retention_bytes: values.number("retention.bytes"),
            timestamp_type,
            producer_id_expiration_ms: broker.long("producer.id.expiration.ms"),
            flush: values.text("headwater.flush") != "none",
            verify_reads: values.text("headwater.verify.reads") != "false",
        };
        let rules = ProduceRules {
            batch_size_max: values.number("max.message.bytes"),
            decompressed_size_max: broker.count("headwater.decompressed.bytes.max"),
            compacted: log.cleanup_policy.compact,
            timestamp_type,
            timestamp_before_ms_max: values.number("message.timestamp.before.max.ms"),
            timestamp_after_ms_max: values.number("message.timestamp.after.max.ms"),
            from_client: true,
        };
        let max_message_bytes = rules.batch_size_max;
        TopicSettings {
            log,
            max_message_bytes,
            rules,
            min_insync_replicas: values.number("min.insync.replicas"),
        }
    }
}

/// Values that were checked when they were set; a value that is damaged all the same counts as its default.
struct Lookup<'a> {
    layers: &'a Layers<'a>,
    topic: Option<&'a Values>,
}

impl Lookup<'_> {
    fn text(&self, name: &str) -> String {
        let Some(key) = topic_key(name) else { return String::new() };
        let found = self.layers.topic_value(key, self.topic).value;
        let checked = found.and_then(|value| key.check(&value).ok());
        checked.or_else(|| key.default.map(str::to_owned)).unwrap_or_default()
    }

    fn number<T: TryFrom<i64> + Default>(&self, name: &str) -> T {
        let number: i64 = self.text(name).parse().unwrap_or_default();
        T::try_from(number).unwrap_or_default()
    }
}

/// Checks what would be set on a topic; `changed` are the keys that the request names.
pub(crate) fn check_topic_configs(values: &Values, changed: &BTreeSet<String>) -> Result<(), String> {
    for name in changed {
        let key = topic_key(name).ok_or_else(|| unknown(name))?;
        if let Some(value) = values.get(name) {
            key.check(value).map_err(|error| error.to_string())?;
        }
    }
    check_lags(values)
}

/// The beginning is Kafka's wording.
fn unknown(name: &str) -> String {
    match nearest_key(topic_keys(), name) {
        Some(meant) => format!("unknown topic config name: {name}; did you mean {meant}?"),
        None => format!("unknown topic config name: {name}"),
    }
}

/// The least time before compaction cannot exceed the most.
fn check_lags(values: &BTreeMap<String, String>) -> Result<(), String> {
    let number = |name: &str| values.get(name).and_then(|value| value.trim().parse::<i64>().ok());
    match (number("min.compaction.lag.ms"), number("max.compaction.lag.ms")) {
        (Some(least), Some(most)) if least > most => Err(format!(
            "conflict: `min.compaction.lag.ms` of {least} is more than `max.compaction.lag.ms` of {most}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(broker: &[(&str, &str)], topic: &[(&str, &str)]) -> TopicSettings {
        let (config, _) = BrokerConfig::from_properties(Some("/d".into()), broker.iter().copied()).unwrap();
        let layers = Layers { broker: None, cluster: None, fixed: config.values() };
        let topic = topic.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TopicSettings::resolve(&config, &layers, Some(&topic))
    }

    #[test]
    fn without_anything_set_a_log_has_kafkas_defaults() {
        let settings = resolve(&[], &[]);
        assert_eq!(settings.log, LogConfig::default());
        assert_eq!(settings.rules.batch_size_max, ProduceRules::default().batch_size_max);
        assert_eq!(settings.rules.timestamp_after_ms_max, ProduceRules::default().timestamp_after_ms_max);
        assert_eq!(settings.min_insync_replicas, 1);
    }

    #[test]
    fn topic_over_broker_over_default() {
        let settings = resolve(
            &[("log.retention.hours", "1"), ("headwater.flush", "none"), ("message.max.bytes", "5000")],
            &[
                ("retention.ms", "-1"),
                ("cleanup.policy", " compact , delete"),
                ("message.timestamp.type", "LogAppendTime"),
            ],
        );
        assert_eq!((settings.log.retention_ms, settings.log.flush), (-1, false));
        assert_eq!(settings.log.cleanup_policy, CleanupPolicy::COMPACT_DELETE);
        assert!(settings.rules.compacted);
        assert_eq!(settings.rules.timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(settings.rules.batch_size_max, 5000);
    }

    #[test]
    fn changes_name_the_key_that_is_wrong() {
        let check = |pairs: &[(&str, &str)]| {
            let values: Values = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let changed = values.keys().cloned().collect();
            check_topic_configs(&values, &changed)
        };
        assert_eq!(check(&[("retention.ms", "5"), ("segment.bytes", "1048576")]), Ok(()));
        assert!(check(&[("segment.bytes", "1048575")]).unwrap_err().contains("segment.bytes"));
        assert!(check(&[("retention.msec", "5")]).unwrap_err().contains("retention.msec"));
        assert!(check(&[("min.compaction.lag.ms", "6"), ("max.compaction.lag.ms", "5")]).is_err());
    }
}
