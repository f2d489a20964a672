//! Fetch sessions (KIP-227): after a first full fetch, requests and answers name only partitions with news.

use super::fetcher::Wanted;
use headwater_protocol::Str;
use headwater_protocol::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use headwater_record::TopicPartition;
use std::collections::{BTreeMap, HashMap};

/// One broker's session, as this side knows it.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    /// 0: the next request is a full one.
    epoch: i32,
    /// What the broker has been told, by partition.
    told: HashMap<TopicPartition, Wanted>,
}

/// What goes into a request.
pub(super) struct Question {
    pub(super) session_id: i32,
    pub(super) session_epoch: i32,
    pub(super) topics: Vec<FetchTopic>,
    pub(super) forgotten: Vec<ForgottenTopic>,
}

impl Session {
    /// The next request for these partitions.
    pub(super) fn ask(&mut self, wanted: &BTreeMap<TopicPartition, Wanted>) -> Question {
        let full = self.epoch == 0;
        let mut topics: Vec<FetchTopic> = Vec::new();
        for (partition, wanted) in wanted {
            if !full && self.told.get(partition) == Some(wanted) {
                continue;
            }
            let entry = FetchPartition {
                partition: partition.partition,
                current_leader_epoch: wanted.leader_epoch,
                fetch_offset: wanted.offset,
                partition_max_bytes: wanted.max_bytes,
                ..Default::default()
            };
            match topics.last_mut().filter(|topic| *topic.topic == *partition.topic) {
                Some(topic) => topic.partitions.push(entry),
                None => topics.push(FetchTopic {
                    topic: Str::from(&*partition.topic),
                    partitions: vec![entry],
                    ..Default::default()
                }),
            }
        }
        let mut forgotten: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        if !full {
            for partition in self.told.keys().filter(|partition| !wanted.contains_key(partition)) {
                forgotten.entry(&partition.topic).or_default().push(partition.partition);
            }
        }
        let forgotten = forgotten.into_iter().map(|(topic, partitions)| ForgottenTopic {
            topic: topic.into(),
            partitions,
            ..Default::default()
        });
        let question = Question {
            session_id: self.id,
            session_epoch: self.epoch,
            topics,
            forgotten: forgotten.collect(),
        };
        self.told = wanted.iter().map(|(partition, wanted)| (partition.clone(), *wanted)).collect();
        question
    }

    /// The broker answered without an error; it may have opened a session or not.
    pub(super) fn answered(&mut self, session_id: i32) {
        if self.epoch == 0 {
            self.id = session_id;
            self.epoch = if session_id == 0 { 0 } else { 1 };
        } else {
            // After the largest epoch comes 1: 0 would open a new session.
            self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        }
    }

    /// The session is lost or in doubt: the next request is a full one, which also closes the old session.
    pub(super) fn reset(&mut self) {
        self.epoch = 0;
        self.told.clear();
    }

    /// The broker does not know the session.
    pub(super) fn unknown(&mut self) {
        self.id = 0;
        self.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(list: &[(i32, i64)]) -> BTreeMap<TopicPartition, Wanted> {
        let entry = |(partition, offset): &(i32, i64)| {
            (TopicPartition::new("t", *partition), Wanted { offset: *offset, leader_epoch: 0, max_bytes: 9 })
        };
        list.iter().map(entry).collect()
    }

    fn asked(question: &Question) -> Vec<i32> {
        question
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|entry| entry.partition))
            .collect()
    }

    #[test]
    fn only_changes_are_told() {
        let mut session = Session::default();
        let question = session.ask(&wanted(&[(0, 0), (1, 0)]));
        assert_eq!((question.session_id, question.session_epoch, asked(&question)), (0, 0, vec![0, 1]));
        session.answered(77);
        let question = session.ask(&wanted(&[(0, 0), (1, 5)]));
        assert_eq!((question.session_id, question.session_epoch, asked(&question)), (77, 1, vec![1]));
        session.answered(77);
        let question = session.ask(&wanted(&[(1, 5), (2, 0)]));
        assert_eq!((question.session_epoch, asked(&question)), (2, vec![2]));
        assert_eq!(question.forgotten[0].partitions, [0]);
        session.reset();
        let question = session.ask(&wanted(&[(1, 5)]));
        assert_eq!((question.session_id, question.session_epoch, asked(&question)), (77, 0, vec![1]));
        assert!(question.forgotten.is_empty());
        session.unknown();
        assert_eq!(session.ask(&wanted(&[(1, 5)])).session_id, 0);
    }

    #[test]
    fn a_broker_without_sessions_is_asked_in_full() {
        let mut session = Session::default();
        session.ask(&wanted(&[(0, 0)]));
        session.answered(0);
        let question = session.ask(&wanted(&[(0, 0)]));
        assert_eq!((question.session_epoch, asked(&question)), (0, vec![0]));
    }
}
