//! A runtime in a few lines: a log in memory, commits at once or when told, appends that fail when told, a clock that
//! moves when told. After every step the shard must be valid.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use headwater_coordinator::groups::*;
use headwater_coordinator::{Decision, Record, RecordPosition, Refusal, ReplyToken, Shard};

type Outcome = Result<GroupReply, Refusal>;

struct Write {
    end: i64,
    parked: Vec<(ReplyToken, GroupReply)>,
    then: Option<GroupThen>,
}

pub(crate) struct Driver {
    pub(crate) shard: GroupShard,
    pub(crate) log: Vec<Record>,
    pub(crate) now: i64,
    /// Appends fail with this while it is set.
    pub(crate) refuse: Option<Refusal>,
    /// Commits wait for [`Driver::commit`] while it is set.
    pub(crate) hold: bool,
    config: GroupConfig,
    writes: VecDeque<Write>,
    replies: HashMap<ReplyToken, Outcome>,
    next_token: u64,
}

impl Driver {
    pub(crate) fn new() -> Self {
        Driver::with(GroupConfig::default())
    }

    pub(crate) fn with(config: GroupConfig) -> Self {
        let mut driver = Driver {
            shard: GroupShard::new(config.clone()),
            log: Vec::new(),
            now: 1_000_000,
            refuse: None,
            hold: false,
            config,
            writes: VecDeque::new(),
            replies: HashMap::new(),
            next_token: 0,
        };
        let decision = driver.shard.loaded(driver.now);
        driver.apply(decision);
        driver
    }

    /// Another node takes over: a fresh shard reads the log.
    pub(crate) fn restart(&mut self) {
        let mut shard = GroupShard::new(self.config.clone());
        for (offset, record) in (0..).zip(&self.log) {
            shard
                .replay(RecordPosition::plain(offset), &record.key, record.value.as_deref())
                .expect("own records");
        }
        for token in std::mem::replace(&mut self.shard, shard).unload() {
            self.replies.insert(token, Err(Refusal::NotCoordinator));
        }
        for write in self.writes.drain(..) {
            for (token, _) in write.parked {
                self.replies.insert(token, Err(Refusal::NotCoordinator));
            }
        }
        let decision = self.shard.loaded(self.now);
        self.apply(decision);
    }

    pub(crate) fn send(&mut self, request: GroupRequest) -> ReplyToken {
        let token = ReplyToken(self.next_token);
        self.next_token += 1;
        let decision = self.shard.handle(self.now, token, request);
        self.apply(decision);
        token
    }

    fn apply(&mut self, decision: Decision<GroupShard>) {
        for (token, reply) in decision.replies {
            self.answer(token, Ok(reply));
        }
        let first = self.log.len() as i64;
        for (offset, record) in (first..).zip(&decision.records) {
            self.shard
                .replay(RecordPosition::plain(offset), &record.key, record.value.as_deref())
                .expect("the shard replays its own records");
        }
        match self.refuse {
            Some(refusal) if !decision.records.is_empty() => {
                self.shard.revert(first);
                for (token, _) in decision.parked {
                    self.answer(token, Err(refusal));
                }
                if let Some(then) = decision.then {
                    let next = self.shard.settle(self.now, then, Err(refusal));
                    self.apply(next);
                }
            }
            _ => {
                self.log.extend(decision.records);
                let end = self.log.len() as i64;
                self.writes.push_back(Write { end, parked: decision.parked, then: decision.then });
                if !self.hold {
                    self.commit();
                }
            }
        }
        self.shard.validate().expect("a valid shard");
    }

    fn answer(&mut self, token: ReplyToken, outcome: Outcome) {
        let previous = self.replies.insert(token, outcome);
        assert!(previous.is_none(), "{token:?} was answered twice");
    }

    /// The high watermark reaches the end of the log.
    pub(crate) fn commit(&mut self) {
        while let Some(write) = self.writes.pop_front() {
            self.shard.committed(write.end);
            for (token, reply) in write.parked {
                self.answer(token, Ok(reply));
            }
            if let Some(then) = write.then {
                let next = self.shard.settle(self.now, then, Ok(()));
                self.apply(next);
            }
        }
    }

    /// The high watermark does not move in time.
    pub(crate) fn time_out(&mut self) {
        while let Some(write) = self.writes.pop_front() {
            for (token, _) in write.parked {
                self.answer(token, Err(Refusal::TimedOut));
            }
            if let Some(then) = write.then {
                let next = self.shard.settle(self.now, then, Err(Refusal::TimedOut));
                self.apply(next);
            }
        }
    }

    /// Lets time pass, timers running at their moments.
    pub(crate) fn advance(&mut self, ms: i64) {
        let end = self.now + ms;
        while let Some(deadline) = self.shard.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            let decision = self.shard.on_time(self.now);
            self.apply(decision);
        }
        self.now = end;
    }

    pub(crate) fn outcome(&mut self, token: ReplyToken) -> Option<Outcome> {
        self.replies.remove(&token)
    }

    pub(crate) fn is_waiting(&self, token: ReplyToken) -> bool {
        !self.replies.contains_key(&token)
    }

    pub(crate) fn ask(&mut self, request: GroupRequest) -> GroupReply {
        let token = self.send(request);
        self.outcome(token).expect("an answer at once").expect("an answer of the shard")
    }

    pub(crate) fn joined(&mut self, token: ReplyToken) -> JoinReply {
        match self.outcome(token).expect("an answer") {
            Ok(GroupReply::Join(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn synced(&mut self, token: ReplyToken) -> SyncReply {
        match self.outcome(token).expect("an answer") {
            Ok(GroupReply::Sync(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn join(&mut self, request: JoinRequest) -> ReplyToken {
        self.send(GroupRequest::Join(request))
    }

    pub(crate) fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &str)]) -> ReplyToken {
        self.send(GroupRequest::Sync(sync_request(member, generation, assignments)))
    }

    pub(crate) fn heartbeat(&mut self, member: &str, generation: i32) -> Result<(), GroupError> {
        let request = HeartbeatRequest {
            group_id: "g".into(),
            member_id: member.into(),
            group_instance_id: None,
            generation_id: generation,
        };
        match self.ask(GroupRequest::Heartbeat(request)) {
            GroupReply::Heartbeat(result) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn describe(&mut self) -> DescribedGroup {
        match self.ask(GroupRequest::Describe(vec!["g".into()])) {
            GroupReply::Describe(mut groups) => groups.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn state(&mut self) -> GroupState {
        self.describe().state
    }

    pub(crate) fn commit_offset(&mut self, request: CommitRequest) -> Result<Vec<TopicResults>, GroupError> {
        match self.ask(GroupRequest::CommitOffsets(request)) {
            GroupReply::CommitOffsets(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// Offset of partition 0 of topic `t` in group `g`; -1 when there is none.
    pub(crate) fn committed(&mut self) -> i64 {
        let request = FetchRequest {
            group_id: "g".into(),
            topics: Some(vec![("t".into(), vec![0])]),
            require_stable: false,
        };
        match self.ask(GroupRequest::FetchOffsets(request)) {
            GroupReply::FetchOffsets(topics) => topics[0].partitions[0].offset,
            other => panic!("{other:?}"),
        }
    }

    /// `n` dynamic members of version 3 (no member id needed), joined, synced and stable. The leader comes first.
    pub(crate) fn stable_group(&mut self, n: usize) -> Vec<Name> {
        let tokens: Vec<_> = (0..n)
            .map(|i| self.join(JoinRequest { requires_known_member_id: false, ..join_request(i as u128) }))
            .collect();
        self.advance(600_000.min(i64::from(self.config.initial_rebalance_delay_ms) * (n as i64 + 1)));
        let replies: Vec<JoinReply> = tokens.into_iter().map(|token| self.joined(token)).collect();
        let mut ids: Vec<Name> = replies.iter().map(|reply| reply.member_id.clone()).collect();
        let leader = replies[0].leader.clone();
        ids.sort_by_key(|id| *id != leader);
        let generation = replies[0].generation_id;
        self.finish_sync(&ids, generation);
        ids
    }

    /// Everyone asks for the assignment; each gets its own id.
    pub(crate) fn finish_sync(&mut self, ids: &[Name], generation: i32) {
        let assignments: Vec<(&str, &str)> = ids.iter().map(|id| (&**id, &**id)).collect();
        let tokens: Vec<_> = ids.iter().rev().map(|id| self.sync(id, generation, &assignments)).collect();
        for (token, id) in tokens.into_iter().zip(ids.iter().rev()) {
            let reply = self.synced(token);
            assert_eq!(reply.error, None);
            assert_eq!(&reply.assignment[..], id.as_bytes());
        }
        assert_eq!(self.state(), GroupState::Stable);
    }
}

/// A consumer with protocol `range`, session 10 s, rebalance 60 s, new, of version 4 to 8.
pub(crate) fn join_request(fresh_id: u128) -> JoinRequest {
    JoinRequest {
        group_id: "g".into(),
        member_id: "".into(),
        group_instance_id: None,
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), subscription(&["t"]))],
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        requires_known_member_id: true,
        supports_skipping_assignment: false,
        fresh_id,
    }
}

pub(crate) fn rejoin(member: &str) -> JoinRequest {
    JoinRequest { member_id: member.into(), ..join_request(0) }
}

pub(crate) fn sync_request(member: &str, generation: i32, assignments: &[(&str, &str)]) -> SyncRequest {
    let owned = |(id, bytes): &(&str, &str)| (Name::from(*id), Bytes::copy_from_slice(bytes.as_bytes()));
    SyncRequest {
        group_id: "g".into(),
        member_id: member.into(),
        group_instance_id: None,
        generation_id: generation,
        protocol_type: None,
        protocol_name: None,
        assignments: assignments.iter().map(owned).collect(),
    }
}

/// A commit of partition 0 of topic `t`.
pub(crate) fn commit_request(member: &str, generation: i32, offset: i64) -> CommitRequest {
    CommitRequest {
        group_id: "g".into(),
        member_id: member.into(),
        group_instance_id: None,
        generation_id: generation,
        retention_ms: None,
        understands_group_id_not_found: true,
        topics: vec![CommitTopic {
            topic: "t".into(),
            topic_id: headwater_record::Uuid::ZERO,
            partitions: vec![CommitPartition {
                partition: 0,
                offset,
                leader_epoch: 5,
                metadata: "note".into(),
            }],
        }],
    }
}

/// What a consumer sends as metadata: version 0, topics, no user data.
pub(crate) fn subscription(topics: &[&str]) -> Bytes {
    let mut out = vec![0, 0];
    out.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        out.extend((topic.len() as i16).to_be_bytes());
        out.extend(topic.as_bytes());
    }
    out.extend((-1i32).to_be_bytes());
    Bytes::from(out)
}
