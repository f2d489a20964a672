//! Which value of a key holds, and where it comes from.
//!
//! A topic's own value wins; then, for each broker key that stands for it, what was set dynamically for
//! this broker, for all brokers, and in the file the broker started with; then the default. The list of
//! candidates in that order is what DescribeConfigs calls the synonyms.

use std::collections::BTreeMap;

use super::broker_key;
use super::key::{Key, Unit};

/// Where a value comes from, with the codes that DescribeConfigs uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// Set on the topic.
    Topic = 1,
    /// Set at run time for this broker.
    DynamicBroker = 2,
    /// Set at run time for all brokers.
    DynamicDefault = 3,
    /// From the configuration the broker started with.
    Static = 4,
    /// Kafka's or our default.
    Default = 5,
}

/// Name and value pairs of one layer.
pub type Values = BTreeMap<String, String>;

/// The layers that a value is looked up in.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    /// Set at run time for this broker.
    pub broker: Option<&'a Values>,
    /// Set at run time for all brokers.
    pub cluster: Option<&'a Values>,
    /// The configuration the broker started with.
    pub fixed: &'a Values,
}

/// One candidate for the value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synonym {
    /// The key it was given under.
    pub name: &'static str,
    /// The value as it was given, in that key's unit.
    pub value: String,
    /// Where.
    pub source: Source,
}

/// The value that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// In the unit of the key; `None` is Kafka's null.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// All candidates, the one that holds first.
    pub synonyms: Vec<Synonym>,
}

impl Layers<'_> {
    /// The value of a broker key.
    pub fn broker_value(&self, key: &Key) -> Resolved {
        let names: Vec<(&'static str, Unit)> =
            std::iter::once((key.name, Unit::Same)).chain(key.synonyms.iter().copied()).collect();
        self.choose(key, self.candidates(&names))
    }

    /// The value of a topic key, given what is set on the topic.
    pub fn topic_value(&self, key: &Key, topic: Option<&Values>) -> Resolved {
        let mut found = Vec::new();
        if let Some(value) = topic.and_then(|topic| topic.get(key.name)) {
            let synonym = Synonym { name: key.name, value: value.clone(), source: Source::Topic };
            found.push((synonym, Unit::Same));
        }
        found.extend(self.candidates(key.synonyms));
        self.choose(key, found)
    }

    fn candidates(&self, names: &[(&'static str, Unit)]) -> Vec<(Synonym, Unit)> {
        let layers = [
            (self.broker, Source::DynamicBroker),
            (self.cluster, Source::DynamicDefault),
            (Some(self.fixed), Source::Static),
        ];
        let mut found = Vec::new();
        for (layer, source) in layers {
            let Some(layer) = layer else { continue };
            for (name, unit) in names {
                if let Some(value) = layer.get(*name) {
                    found.push((Synonym { name, value: value.clone(), source }, *unit));
                }
            }
        }
        for (name, unit) in names {
            if let Some(default) = broker_key(name).and_then(|key| key.default) {
                let synonym = Synonym { name, value: default.to_owned(), source: Source::Default };
                found.push((synonym, *unit));
            }
        }
        found
    }

    fn choose(&self, key: &Key, found: Vec<(Synonym, Unit)>) -> Resolved {
        let (value, source) = match found.first() {
            Some((first, unit)) => (Some(unit.convert(&first.value)), first.source),
            None => (key.default.map(str::to_owned), Source::Default),
        };
        Resolved { value, source, synonyms: found.into_iter().map(|(synonym, _)| synonym).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::topic_key;
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_nearer_layer_wins_and_all_candidates_are_listed() {
        let key = topic_key("retention.ms").unwrap();
        let fixed = values(&[("log.retention.hours", "1")]);
        let cluster = values(&[("log.retention.ms", "5000")]);
        let layers = Layers { broker: None, cluster: None, fixed: &fixed };

        let resolved = layers.topic_value(key, None);
        assert_eq!((resolved.value.as_deref(), resolved.source), (Some("3600000"), Source::Static));

        let layers = Layers { cluster: Some(&cluster), ..layers };
        let resolved = layers.topic_value(key, None);
        assert_eq!((resolved.value.as_deref(), resolved.source), (Some("5000"), Source::DynamicDefault));

        let topic = values(&[("retention.ms", "7")]);
        let resolved = layers.topic_value(key, Some(&topic));
        assert_eq!((resolved.value.as_deref(), resolved.source), (Some("7"), Source::Topic));
        let names: Vec<_> = resolved.synonyms.iter().map(|s| (s.name, s.value.as_str(), s.source)).collect();
        assert_eq!(
            names,
            [
                ("retention.ms", "7", Source::Topic),
                ("log.retention.ms", "5000", Source::DynamicDefault),
                ("log.retention.hours", "1", Source::Static),
                ("log.retention.hours", "168", Source::Default),
            ]
        );
    }

    #[test]
    fn without_any_layer_the_default_holds() {
        let fixed = Values::new();
        let layers = Layers { broker: None, cluster: None, fixed: &fixed };
        let resolved = layers.topic_value(topic_key("segment.bytes").unwrap(), None);
        assert_eq!((resolved.value.as_deref(), resolved.source), (Some("1073741824"), Source::Default));
        assert_eq!(resolved.synonyms[0].name, "log.segment.bytes");
    }
}
