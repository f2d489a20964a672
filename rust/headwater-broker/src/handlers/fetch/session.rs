//! Fetch sessions (KIP-227): what a consumer wants is said once, afterwards only what changes.
//!
//! ```text
//!   epoch -1          no session                    epoch 0    a new one, if the cache has room
//!   epoch n, id s     session s, which must be at epoch n; then it is at n + 1
//! ```
//!
//! A session remembers what was last answered for each partition, so that an answer need only hold the
//! partitions with news. A partition that had records goes to the end of the line, so that all get their
//! turn under the byte limit. The state machine here knows neither sockets nor logs; time is an argument.

use std::collections::{BTreeMap, HashMap, hash_map};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use headwater_protocol::messages::fetch::FetchRequest;
use headwater_protocol::{ErrorCode, Str};
use headwater_record::Uuid;

/// A session that was not used for this long gives way to a new one.
const STALE_AFTER_MS: i64 = 120_000;

/// The epoch of a request without a session.
const FINAL_EPOCH: i32 = -1;
/// The epoch of a request that begins a session.
const INITIAL_EPOCH: i32 = 0;

/// A topic as the request names it: by id from version 13 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    /// By name.
    Name(Str),
    /// By id.
    Id(Uuid),
}

/// What is wanted of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The topic.
    pub(crate) topic: TopicKey,
    /// The partition.
    pub(crate) partition: i32,
    /// From which offset.
    pub(crate) offset: i64,
    /// At most so many bytes.
    pub(crate) bytes_max: i32,
    /// The leader epoch that the client knows, -1 if none.
    pub(crate) leader_epoch: i32,
}

/// What is answered for a partition, as far as sessions care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The high watermark, -1 if unknown.
    pub(crate) high_watermark: i64,
    /// The log start offset, -1 if unknown.
    pub(crate) log_start: i64,
    /// Whether there are records.
    pub(crate) has_records: bool,
    /// Whether there is an error.
    pub(crate) is_error: bool,
}

#[derive(Debug, Clone)]
struct Remembered {
    wanted: Wanted,
    high_watermark: i64,
    log_start: i64,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    id: i32,
    epoch: i32,
    uses_ids: bool,
    line: BTreeMap<u64, Remembered>,
    places: HashMap<(TopicKey, i32), u64>,
    next_place: u64,
}

/// How a request stands to sessions.
#[derive(Debug)]
pub(crate) enum Kind {
    /// It has none.
    Sessionless,
    /// It would like one.
    Full {
        /// Whether it names topics by id.
        uses_ids: bool,
    },
    /// It goes on with this one.
    Incremental(Arc<Mutex<Session>>),
}

#[derive(Debug)]
struct Entry {
    session: Arc<Mutex<Session>>,
    created_ms: i64,
    used_ms: i64,
    size: usize,
}

/// All sessions of a broker.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    slots_max: usize,
    entries: Mutex<HashMap<i32, Entry>>,
}

impl FetchSessions {
    /// A cache of at most `slots_max` sessions.
    pub(crate) fn new(slots_max: usize) -> FetchSessions {
        FetchSessions { slots_max, entries: Mutex::default() }
    }

    /// How many sessions there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// What the request asks for, in the order in which it is to be read.
    pub(crate) fn begin(
        &self,
        request: &FetchRequest,
        uses_ids: bool,
        now_ms: i64,
    ) -> Result<(Kind, Vec<Wanted>), ErrorCode> {
        if matches!(request.session_epoch, FINAL_EPOCH | INITIAL_EPOCH) {
            if request.session_id != 0 {
                self.lock().remove(&request.session_id);
            }
            let kind = if request.session_epoch == FINAL_EPOCH {
                Kind::Sessionless
            } else {
                Kind::Full { uses_ids }
            };
            return Ok((kind, once(wanted(request, uses_ids))));
        }
        let session = {
            let mut entries = self.lock();
            let entry = entries.get_mut(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
            entry.used_ms = now_ms;
            entry.session.clone()
        };
        let (wanted, size) = lock(&session).go_on(request, uses_ids)?;
        if size == 0 {
            self.lock().remove(&request.session_id);
            return Ok((Kind::Sessionless, wanted));
        }
        if let Some(entry) = self.lock().get_mut(&request.session_id) {
            entry.size = size;
        }
        Ok((Kind::Incremental(session), wanted))
    }

    /// Ends a request: the id of its session (0 for none), and for each answer whether it is to be sent.
    /// `new_id` draws ids.
    pub(crate) fn finish(
        &self,
        kind: Kind,
        answers: &[(Wanted, Answer)],
        now_ms: i64,
        new_id: impl FnMut() -> i32,
    ) -> (i32, Vec<bool>) {
        match kind {
            Kind::Sessionless => (0, vec![true; answers.len()]),
            Kind::Full { uses_ids } => {
                let id = self.create(uses_ids, answers, now_ms, new_id).unwrap_or(0);
                (id, vec![true; answers.len()])
            }
            Kind::Incremental(session) => {
                let mut session = lock(&session);
                let sent = answers.iter().map(|(wanted, answer)| session.answered(wanted, answer)).collect();
                (session.id, sent)
            }
        }
    }

    fn create(
        &self,
        uses_ids: bool,
        answers: &[(Wanted, Answer)],
        now_ms: i64,
        mut new_id: impl FnMut() -> i32,
    ) -> Option<i32> {
        if answers.is_empty() {
            return None;
        }
        let mut entries = self.lock();
        if entries.len() >= self.slots_max && !make_room(&mut entries, answers.len(), now_ms) {
            return None;
        }
        let mut id = new_id();
        while id <= 0 || entries.contains_key(&id) {
            id = new_id();
        }
        let mut session =
            Session { id, epoch: 1, uses_ids, line: BTreeMap::new(), places: HashMap::new(), next_place: 0 };
        for (wanted, answer) in answers {
            session.put(wanted.clone());
            session.answered(wanted, answer);
        }
        let session = Arc::new(Mutex::new(session));
        entries.insert(id, Entry { session, created_ms: now_ms, used_ms: now_ms, size: answers.len() });
        Some(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Entry>> {
        // Each change is one call on the map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops a session in favour of a new one of `size` partitions: one that was not used for long, or a smaller
/// one that has had its time.
fn make_room(entries: &mut HashMap<i32, Entry>, size: usize, now_ms: i64) -> bool {
    let old = |ms: i64| now_ms.saturating_sub(ms) > STALE_AFTER_MS;
    let stale = entries.iter().min_by_key(|(id, entry)| (entry.used_ms, **id));
    let victim = stale.filter(|(_, entry)| old(entry.used_ms)).map(|(id, _)| *id).or_else(|| {
        let settled = entries.iter().filter(|(_, entry)| old(entry.created_ms) && entry.size < size);
        settled.min_by_key(|(id, entry)| (entry.size, **id)).map(|(id, _)| *id)
    });
    victim.is_some_and(|id| entries.remove(&id).is_some())
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    // A session that a panic has left half-changed only answers more or less than it should.
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

fn topic_key(uses_ids: bool, name: &Str, id: Uuid) -> TopicKey {
    // Its own memory: sessions outlive the request's frame.
    if uses_ids { TopicKey::Id(id) } else { TopicKey::Name(name.detach()) }
}

fn wanted(request: &FetchRequest, uses_ids: bool) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for topic in &request.topics {
        let key = topic_key(uses_ids, &topic.topic, topic.topic_id);
        wanted.extend(topic.partitions.iter().map(|partition| Wanted {
            topic: key.clone(),
            partition: partition.partition,
            offset: partition.fetch_offset,
            bytes_max: partition.partition_max_bytes,
            leader_epoch: partition.current_leader_epoch,
        }));
    }
    wanted
}

/// Each partition once; of several mentions the last counts, in the place of the first. As many full answers as a
/// request has room for would take all memory there is.
fn once(all: Vec<Wanted>) -> Vec<Wanted> {
    let mut places: HashMap<(TopicKey, i32), usize> = HashMap::with_capacity(all.len());
    let mut once: Vec<Wanted> = Vec::with_capacity(all.len());
    for wanted in all {
        match places.entry((wanted.topic.clone(), wanted.partition)) {
            hash_map::Entry::Occupied(place) => once[*place.get()] = wanted,
            hash_map::Entry::Vacant(place) => {
                place.insert(once.len());
                once.push(wanted);
            }
        }
    }
    once
}

impl Session {
    /// Takes what the request changes; what is wanted now, and how many partitions that are.
    fn go_on(&mut self, request: &FetchRequest, uses_ids: bool) -> Result<(Vec<Wanted>, usize), ErrorCode> {
        if request.session_epoch != self.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if uses_ids != self.uses_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        for wanted in wanted(request, uses_ids) {
            self.put(wanted);
        }
        for topic in &request.forgotten_topics_data {
            let key = topic_key(uses_ids, &topic.topic, topic.topic_id);
            for partition in &topic.partitions {
                if let Some(place) = self.places.remove(&(key.clone(), *partition)) {
                    self.line.remove(&place);
                }
            }
        }
        Ok((self.line.values().map(|remembered| remembered.wanted.clone()).collect(), self.line.len()))
    }

    fn put(&mut self, wanted: Wanted) {
        let key = (wanted.topic.clone(), wanted.partition);
        if let Some(remembered) = self.places.get(&key).and_then(|place| self.line.get_mut(place)) {
            remembered.wanted = wanted;
            return;
        }
        self.places.insert(key, self.next_place);
        self.line.insert(self.next_place, Remembered { wanted, high_watermark: -1, log_start: -1 });
        self.next_place += 1;
    }

    /// Remembers an answer; whether it says anything new.
    fn answered(&mut self, wanted: &Wanted, answer: &Answer) -> bool {
        let key = (wanted.topic.clone(), wanted.partition);
        let Some(place) = self.places.get(&key).copied() else {
            // Another request has forgotten it meanwhile.
            return true;
        };
        let Some(remembered) = self.line.get_mut(&place) else { return true };
        let moved =
            remembered.high_watermark != answer.high_watermark || remembered.log_start != answer.log_start;
        // After an error the next good answer is sent whatever it is, as the client does not know it.
        let (high_watermark, log_start) = match answer.is_error {
            true => (-1, -1),
            false => (answer.high_watermark, answer.log_start),
        };
        remembered.high_watermark = high_watermark;
        remembered.log_start = log_start;
        if answer.has_records {
            self.move_to_end(place, key);
        }
        moved || answer.has_records || answer.is_error
    }

    fn move_to_end(&mut self, place: u64, key: (TopicKey, i32)) {
        if let Some(remembered) = self.line.remove(&place) {
            self.line.insert(self.next_place, remembered);
            self.places.insert(key, self.next_place);
            self.next_place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_protocol::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};

    use super::*;

    const IDLE: Answer = Answer { high_watermark: 0, log_start: 0, has_records: false, is_error: false };

    fn request(session_id: i32, session_epoch: i32, partitions: &[(&str, i32)]) -> FetchRequest {
        let topic = |(name, partition): &(&str, i32)| FetchTopic {
            topic: Str::from(*name),
            partitions: vec![FetchPartition { partition: *partition, ..FetchPartition::default() }],
            ..FetchTopic::default()
        };
        FetchRequest {
            session_id,
            session_epoch,
            topics: partitions.iter().map(topic).collect(),
            ..FetchRequest::default()
        }
    }

    fn run(
        sessions: &FetchSessions,
        request: &FetchRequest,
        answer: Answer,
        now_ms: i64,
    ) -> Result<(i32, Vec<(String, bool)>), ErrorCode> {
        let (kind, wanted) = sessions.begin(request, false, now_ms)?;
        let answers: Vec<_> = wanted.into_iter().map(|wanted| (wanted, answer)).collect();
        let mut next = 100;
        let (id, sent) = sessions.finish(kind, &answers, now_ms, || {
            next += 1;
            next
        });
        let names = answers.iter().map(|(wanted, _)| match &wanted.topic {
            TopicKey::Name(name) => format!("{name}-{}", wanted.partition),
            TopicKey::Id(id) => format!("{id}-{}", wanted.partition),
        });
        Ok((id, names.zip(sent).collect()))
    }

    #[test]
    fn only_news_is_sent_and_epochs_must_follow() {
        let sessions = FetchSessions::new(10);
        let (id, sent) = run(&sessions, &request(0, 0, &[("a", 0), ("b", 0)]), IDLE, 0).unwrap();
        assert_eq!((id, sent.len()), (101, 2));
        let (same, sent) = run(&sessions, &request(id, 1, &[]), IDLE, 0).unwrap();
        assert_eq!((same, sent.iter().any(|(_, sent)| *sent)), (id, false));
        let moved = Answer { high_watermark: 5, ..IDLE };
        let (_, sent) = run(&sessions, &request(id, 2, &[]), moved, 0).unwrap();
        assert!(sent.iter().all(|(_, sent)| *sent));
        let error = Answer { is_error: true, high_watermark: -1, log_start: -1, has_records: false };
        assert!(run(&sessions, &request(id, 3, &[]), error, 0).unwrap().1[0].1);
        assert!(
            run(&sessions, &request(id, 4, &[]), moved, 0).unwrap().1[0].1,
            "the first answer after an error"
        );
        assert_eq!(run(&sessions, &request(id, 4, &[]), IDLE, 0), Err(ErrorCode::InvalidFetchSessionEpoch));
        assert_eq!(run(&sessions, &request(7, 1, &[]), IDLE, 0), Err(ErrorCode::FetchSessionIdNotFound));
        let with_ids = sessions.begin(&request(id, 5, &[]), true, 0);
        assert!(matches!(with_ids, Err(ErrorCode::FetchSessionTopicIdError)));
    }

    #[test]
    fn partitions_come_and_go_and_an_empty_session_ends() {
        let sessions = FetchSessions::new(10);
        let (id, _) = run(&sessions, &request(0, 0, &[("a", 0)]), IDLE, 0).unwrap();
        let (_, sent) = run(&sessions, &request(id, 1, &[("b", 1)]), IDLE, 0).unwrap();
        assert_eq!(sent, [("a-0".to_owned(), false), ("b-1".to_owned(), true)]);
        let mut forget = request(id, 2, &[]);
        forget.forgotten_topics_data = [("a", 0), ("b", 1)]
            .map(|(name, partition)| ForgottenTopic {
                topic: Str::from(name),
                partitions: vec![partition],
                ..ForgottenTopic::default()
            })
            .to_vec();
        assert_eq!(run(&sessions, &forget, IDLE, 0), Ok((0, vec![])));
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn who_had_records_goes_to_the_end_of_the_line() {
        let sessions = FetchSessions::new(10);
        let (id, _) = run(&sessions, &request(0, 0, &[("a", 0), ("b", 0), ("c", 0)]), IDLE, 0).unwrap();
        let (kind, wanted) = sessions.begin(&request(id, 1, &[]), false, 0).unwrap();
        let answers: Vec<_> = (0..)
            .zip(wanted)
            .map(|(index, wanted)| (wanted, Answer { has_records: index == 0, ..IDLE }))
            .collect();
        sessions.finish(kind, &answers, 0, || 1);
        let (_, order) = run(&sessions, &request(id, 2, &[]), IDLE, 0).unwrap();
        assert_eq!(order.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b-0", "c-0", "a-0"]);
    }

    #[test]
    fn a_full_cache_gives_way_to_age_and_size_only() {
        let sessions = FetchSessions::new(1);
        let (first, _) = run(&sessions, &request(0, 0, &[("a", 0)]), IDLE, 0).unwrap();
        assert_ne!(first, 0);
        let big = request(0, 0, &[("a", 0), ("a", 1)]);
        assert_eq!(run(&sessions, &big, IDLE, 1000).unwrap().0, 0, "the cache is full");
        assert_ne!(run(&sessions, &big, IDLE, STALE_AFTER_MS + 1).unwrap().0, 0, "the old one was not used");
        assert_eq!(sessions.count(), 1);
        let none = FetchSessions::new(0);
        assert_eq!(run(&none, &big, IDLE, 0).unwrap().0, 0);
    }

    #[test]
    fn closing_a_session_forgets_it() {
        let sessions = FetchSessions::new(10);
        let (id, _) = run(&sessions, &request(0, 0, &[("a", 0)]), IDLE, 0).unwrap();
        assert_eq!(run(&sessions, &request(id, -1, &[]), IDLE, 0), Ok((0, vec![])));
        assert_eq!(sessions.count(), 0);
    }
}
