//! One classic group while it lives: its members and what they wait for.
//!
//! Nothing here is durable: after a restart a group is built again from its last record. The rules of the protocol are
//! in the files named after the requests; here are the operations that keep the parts of a group consistent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use headwater_protocol::Str;
use headwater_protocol::records::group_metadata::{GroupMetadataValue, MemberMetadata};

use super::error::GroupError;
use super::message::{JoinedMember, Name};
use super::records::name;
use super::state::GroupState;
use super::subscription::subscribed_topics;
use crate::shard::ReplyToken;

/// The protocol type of consumers, the only one whose metadata the coordinator looks into.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// A member of a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) id: Name,
    pub(crate) instance_id: Option<Name>,
    pub(crate) client_id: Name,
    pub(crate) client_host: Name,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// Best first.
    pub(crate) protocols: Vec<(Name, Bytes)>,
    pub(crate) assignment: Bytes,
    /// Joined for the first time and not answered yet: it does not know its id and cannot send heartbeats.
    pub(crate) is_new: bool,
    pub(crate) awaiting_join: Option<ReplyToken>,
    pub(crate) awaiting_sync: Option<ReplyToken>,
}

impl Member {
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| Some(&**name) == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    fn from_value(value: &MemberMetadata, protocol: Name) -> Self {
        Member {
            id: name(&value.member_id),
            instance_id: value.group_instance_id.as_deref().map(name),
            client_id: name(&value.client_id),
            client_host: name(&value.client_host),
            rebalance_timeout_ms: match value.rebalance_timeout {
                -1 => value.session_timeout,
                known => known,
            },
            session_timeout_ms: value.session_timeout,
            protocols: vec![(protocol, value.subscription.clone())],
            assignment: value.assignment.clone(),
            is_new: false,
            awaiting_join: None,
            awaiting_sync: None,
        }
    }

    fn to_value(&self, protocol: Option<&str>, assignment: Bytes) -> MemberMetadata {
        MemberMetadata {
            member_id: Str::from(&*self.id),
            group_instance_id: self.instance_id.as_deref().map(Str::from),
            client_id: Str::from(&*self.client_id),
            client_host: Str::from(&*self.client_host),
            rebalance_timeout: self.rebalance_timeout_ms,
            session_timeout: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }

    /// Whether an expired session is excused: who waits for an answer cannot send heartbeats on that connection.
    pub(crate) fn is_excused(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

/// How the first rebalance of a group goes on waiting for more members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InitialDelay {
    /// The wait under way.
    pub(crate) delay_ms: i32,
    /// What may still be waited after it.
    pub(crate) remaining_ms: i32,
}

/// A classic group. See [`Group::validate`] for how its fields belong together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) id: Name,
    state: GroupState,
    previous_state: GroupState,
    /// When the state was entered; -1 when unknown (records of old versions).
    state_since_ms: i64,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Name>,
    pub(crate) protocol_name: Option<Name>,
    pub(crate) leader: Option<Name>,
    members: BTreeMap<Name, Member>,
    /// Member id by instance id.
    static_members: HashMap<Name, Name>,
    /// How many members know each protocol.
    protocol_counts: BTreeMap<Name, usize>,
    /// Ids given out with MEMBER_ID_REQUIRED and not come back yet.
    pub(crate) pending_join: BTreeSet<Name>,
    /// Members of the present generation that have not asked for their assignment yet.
    pub(crate) pending_sync: BTreeSet<Name>,
    awaiting_join_count: usize,
    /// Somebody joined during the initial delay, which may therefore be prolonged.
    pub(crate) new_member_added: bool,
    pub(crate) initial_delay: Option<InitialDelay>,
    /// Topics of all members of a consumer group; `None` when they are not known.
    subscribed: Option<BTreeSet<Name>>,
}

impl Group {
    pub(crate) fn new(id: Name, now_ms: i64) -> Self {
        Group {
            id,
            state: GroupState::Empty,
            previous_state: GroupState::Dead,
            state_since_ms: now_ms,
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: HashMap::new(),
            protocol_counts: BTreeMap::new(),
            pending_join: BTreeSet::new(),
            pending_sync: BTreeSet::new(),
            awaiting_join_count: 0,
            new_member_added: false,
            initial_delay: None,
            subscribed: None,
        }
    }

    /// The group as its last record says: stable if it had members, empty otherwise.
    pub(crate) fn from_value(id: Name, value: &GroupMetadataValue) -> Self {
        let mut group = Group::new(id, value.current_state_timestamp);
        group.generation = value.generation;
        group.protocol_type = (!value.protocol_type.is_empty()).then(|| name(&value.protocol_type));
        group.leader = value.leader.as_deref().map(name);
        let protocol = value.protocol.as_deref().map(name).unwrap_or_default();
        if !value.members.is_empty() {
            group.state = GroupState::Stable;
            group.protocol_name = Some(protocol.clone());
        }
        for member in &value.members {
            // A member or instance named twice is not something a coordinator writes; the first counts.
            let instance = member.group_instance_id.as_deref();
            if group.members.contains_key(&*member.member_id)
                || instance.is_some_and(|instance| group.static_members.contains_key(instance))
            {
                continue;
            }
            group.insert(Member::from_value(member, protocol.clone()));
        }
        if group.leader.as_ref().is_some_and(|leader| !group.members.contains_key(leader)) {
            group.leader = group.members.keys().next().cloned();
        }
        group.refresh_subscription();
        group
    }

    /// The group as it is written, with the assignments given.
    pub(crate) fn to_value(&self, assignment: impl Fn(&Member) -> Bytes) -> GroupMetadataValue {
        let protocol = self.protocol_name.as_deref();
        GroupMetadataValue {
            protocol_type: self.protocol_type.as_deref().map_or_else(Str::new, Str::from),
            generation: self.generation,
            protocol: protocol.map(Str::from),
            leader: self.leader.as_deref().map(Str::from),
            current_state_timestamp: self.state_since_ms,
            members: self
                .members
                .values()
                .map(|member| member.to_value(protocol, assignment(member)))
                .collect(),
        }
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn previous_state(&self) -> GroupState {
        self.previous_state
    }

    pub(crate) fn state_since_ms(&self) -> i64 {
        self.state_since_ms
    }

    /// Goes to another state. The list of transitions is [`GroupState::may_become`].
    pub(crate) fn transition(&mut self, next: GroupState, now_ms: i64) {
        debug_assert!(self.state.may_become(next), "{}: {} to {next}", self.id, self.state);
        self.previous_state = self.state;
        self.state = next;
        self.state_since_ms = now_ms;
    }

    pub(crate) fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    pub(crate) fn member_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.members.get_mut(id)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(crate) fn member_ids(&self) -> Vec<Name> {
        self.members.keys().cloned().collect()
    }

    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn awaiting_join_count(&self) -> usize {
        self.awaiting_join_count
    }

    pub(crate) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    pub(crate) fn static_member_id(&self, instance_id: &str) -> Option<&Name> {
        self.static_members.get(instance_id)
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Adds a member, who may be waiting for the answer to its join.
    pub(crate) fn insert(&mut self, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), member.id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.count_protocols(&member.protocols, 1);
        self.awaiting_join_count += usize::from(member.awaiting_join.is_some());
        self.pending_join.remove(&member.id);
        self.members.insert(member.id.clone(), member);
    }

    /// Removes a member, or an id that was promised to one. Another member takes over as leader.
    pub(crate) fn remove(&mut self, member_id: &str) -> Option<Member> {
        let removed = self.members.remove(member_id);
        if let Some(member) = &removed {
            self.count_protocols(&member.protocols, -1);
            self.awaiting_join_count -= usize::from(member.awaiting_join.is_some());
            if let Some(instance_id) = &member.instance_id {
                self.static_members.remove(instance_id);
            }
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending_join.remove(member_id);
        self.pending_sync.remove(member_id);
        removed
    }

    /// Gives the place of a static member to a new member id. The old one waits for nothing any more.
    pub(crate) fn rename(&mut self, old_id: &str, new_id: &Name) {
        let was_leader = self.is_leader(old_id);
        let Some(mut member) = self.members.remove(old_id) else { return };
        self.awaiting_join_count -= usize::from(member.awaiting_join.take().is_some());
        member.awaiting_sync = None;
        member.is_new = false;
        member.id = new_id.clone();
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), new_id.clone());
        }
        if was_leader {
            self.leader = Some(new_id.clone());
        }
        self.pending_sync.remove(old_id);
        self.members.insert(new_id.clone(), member);
    }

    /// Replaces what a member can do and how long it may be silent.
    pub(crate) fn update(
        &mut self,
        member_id: &str,
        protocols: Vec<(Name, Bytes)>,
        rebalance_timeout_ms: i32,
        session_timeout_ms: i32,
    ) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.rebalance_timeout_ms = rebalance_timeout_ms;
        member.session_timeout_ms = session_timeout_ms;
        let old = std::mem::replace(&mut member.protocols, protocols.clone());
        self.count_protocols(&old, -1);
        self.count_protocols(&protocols, 1);
    }

    /// Lets a member wait for the answer to its join. Returns the token it was waiting with before.
    pub(crate) fn await_join(&mut self, member_id: &str, token: ReplyToken) -> Option<ReplyToken> {
        let previous = self.members.get_mut(member_id)?.awaiting_join.replace(token);
        self.awaiting_join_count += usize::from(previous.is_none());
        previous
    }

    /// Takes the token with which a member waits for the answer to its join.
    pub(crate) fn take_join(&mut self, member_id: &str) -> Option<ReplyToken> {
        let token = self.members.get_mut(member_id)?.awaiting_join.take()?;
        self.awaiting_join_count -= 1;
        Some(token)
    }

    fn count_protocols(&mut self, protocols: &[(Name, Bytes)], change: isize) {
        // A name listed twice counts once, or the count would pass the number of members.
        let names: BTreeSet<&Name> = protocols.iter().map(|(name, _)| name).collect();
        for name in names {
            let count = self.protocol_counts.entry(name.clone()).or_default();
            *count = count.saturating_add_signed(change);
            if *count == 0 {
                self.protocol_counts.remove(name);
            }
        }
    }

    /// Whether somebody with these protocols can be in the group: one of them must be known to all members.
    pub(crate) fn supports(&self, protocol_type: &str, protocols: &[(Name, Bytes)]) -> bool {
        if self.state == GroupState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| self.is_known_to_all(name))
    }

    fn is_known_to_all(&self, protocol: &Name) -> bool {
        self.protocol_counts.get(protocol).copied().unwrap_or(0) == self.members.len()
    }

    /// The protocol of the next generation: each member votes for the first of its list that all know. Among equals
    /// the first name wins, so that the outcome does not depend on chance.
    pub(crate) fn select_protocol(&self) -> Option<Name> {
        let mut votes: BTreeMap<&Name, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().map(|(name, _)| name).find(|name| self.is_known_to_all(name));
            *votes.entry(vote?).or_default() += 1;
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// Everyone is here: all members wait for the answer to their join and no promised id is outstanding.
    pub(crate) fn has_all_members_joined(&self) -> bool {
        self.members.len() == self.awaiting_join_count && self.pending_join.is_empty()
    }

    /// The longest time a member asks to be given to join again.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0).max(0)
    }

    /// Makes sure that the leader is one that has joined. Returns whether there is one.
    pub(crate) fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else { return false };
        if self.members.get(leader).is_some_and(|member| member.awaiting_join.is_some()) {
            return true;
        }
        let joined = self.members.values().find(|member| member.awaiting_join.is_some());
        match joined.map(|member| member.id.clone()) {
            Some(next) => {
                self.leader = Some(next);
                true
            }
            None => false,
        }
    }

    /// Starts the next generation with the members that are there.
    pub(crate) fn start_generation(&mut self, now_ms: i64) {
        // Kafka's generations wrap as Java's integers do; a negative one would read as «none».
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.pending_sync.clear();
        self.initial_delay = None;
        self.new_member_added = false;
        self.protocol_name = self.select_protocol();
        self.refresh_subscription();
        let next = if self.members.is_empty() { GroupState::Empty } else { GroupState::CompletingRebalance };
        self.transition(next, now_ms);
    }

    fn refresh_subscription(&mut self) {
        self.subscribed = match &self.protocol_name {
            _ if !self.uses_consumer_protocol() => None,
            _ if self.members.is_empty() => Some(BTreeSet::new()),
            None => None,
            Some(protocol) => {
                let mut all = BTreeSet::new();
                let known = self.members.values().all(|member| {
                    let topics = subscribed_topics(member.metadata(Some(protocol)));
                    topics.map(|topics| all.extend(topics)).is_some()
                });
                known.then_some(all)
            }
        };
    }

    /// Whether the group reads a topic. A consumer group whose metadata cannot be read counts as reading all.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    pub(crate) fn knows_subscription(&self) -> bool {
        self.subscribed.is_some()
    }

    /// Whether the request comes from a member of this group, and from the living one of that instance id.
    pub(crate) fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance_id) = instance_id {
            match self.static_members.get(instance_id) {
                None => return Err(GroupError::UnknownMemberId),
                Some(known) if **known != *member_id => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(GroupError::UnknownMemberId) }
    }

    /// All members with their metadata, as the leader needs them.
    pub(crate) fn joined_members(&self) -> Vec<JoinedMember> {
        self.members
            .values()
            .map(|member| JoinedMember {
                member_id: member.id.clone(),
                group_instance_id: member.instance_id.clone(),
                metadata: member.metadata(self.protocol_name.as_deref()),
            })
            .collect()
    }

    /// How the fields belong together.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let fail = |what: &str| Err(format!("group {} in {}: {what}", self.id, self.state));
        let waiting = self.members.values().filter(|member| member.awaiting_join.is_some()).count();
        if waiting != self.awaiting_join_count {
            return fail("the count of waiting joins is wrong");
        }
        if self.leader.as_ref().is_some_and(|leader| !self.members.contains_key(leader)) {
            return fail("the leader is not a member");
        }
        if self.leader.is_none() != self.members.is_empty() {
            return fail("members without a leader");
        }
        let with_instance = self.members.values().filter(|member| member.instance_id.is_some()).count();
        let mapped = |(instance, id): (&Name, &Name)| {
            self.members.get(id).is_some_and(|member| member.instance_id.as_ref() == Some(instance))
        };
        if with_instance != self.static_members.len() || !self.static_members.iter().all(mapped) {
            return fail("static members and members differ");
        }
        if self.pending_join.iter().any(|id| self.members.contains_key(id)) {
            return fail("a pending member is a member already");
        }
        if self.pending_sync.iter().any(|id| !self.members.contains_key(id)) {
            return fail("a sync is expected from somebody who is not a member");
        }
        let sync_waits = self.members.values().any(|member| member.awaiting_sync.is_some());
        match self.state {
            GroupState::Empty if !self.members.is_empty() => fail("empty, but with members"),
            GroupState::CompletingRebalance | GroupState::Stable if self.members.is_empty() => {
                fail("without members")
            }
            GroupState::CompletingRebalance | GroupState::Stable if self.protocol_name.is_none() => {
                fail("no protocol chosen")
            }
            GroupState::CompletingRebalance if waiting > 0 => fail("a join waits though all have joined"),
            GroupState::PreparingRebalance | GroupState::Stable if sync_waits => {
                fail("a sync waits for an assignment that is not coming")
            }
            GroupState::Dead => fail("kept though dead"),
            _ if !self.members.is_empty() && self.select_protocol().is_none() => {
                fail("no protocol is known to all")
            }
            _ => Ok(()),
        }
    }
}
