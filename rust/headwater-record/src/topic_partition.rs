//! The name of a partition. Topic-name rules belong to the broker, not here.

use std::fmt;
use std::sync::Arc;

/// One partition of one topic, by name. Shown as `topic-partition`, the name of its folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Index of the partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names the partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }

    /// Reads a folder name such as `my-topic-3`; `None` when it has no number after its last hyphen.
    pub fn from_folder_name(name: &str) -> Option<TopicPartition> {
        let (topic, number) = name.rsplit_once('-')?;
        let plain = !number.is_empty() && number.bytes().all(|letter| letter.is_ascii_digit());
        let partition = if plain { number.parse().ok()? } else { return None };
        (!topic.is_empty()).then(|| TopicPartition::new(topic, partition))
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names() {
        let flights = TopicPartition::new("my-flights", 12);
        assert_eq!(TopicPartition::from_folder_name(&flights.to_string()), Some(flights));
        for name in ["flights", "-1", "flights-", "flights-+1", "flights-99999999999", "flights-1-delete"] {
            assert_eq!(TopicPartition::from_folder_name(name), None, "{name}");
        }
    }
}
