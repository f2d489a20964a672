//! What a group coordinator is asked, and what it answers.
//!
//! These are not the wire messages: what only some versions have is here as the question behind it ("does the client
//! understand that it must come back with a member id?"), so that the rules need no version numbers.

use std::sync::Arc;

use bytes::Bytes;
use headwater_record::Uuid;

use super::error::GroupError;
use super::state::GroupState;

/// A name: group, member, topic, protocol.
pub type Name = Arc<str>;

/// A question to the coordinator of a group.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupRequest {
    /// JoinGroup. Answered with [`GroupReply::Join`], maybe much later.
    Join(JoinRequest),
    /// SyncGroup. Answered with [`GroupReply::Sync`], maybe when the leader has sent the assignment.
    Sync(SyncRequest),
    /// Heartbeat. Answered with [`GroupReply::Heartbeat`].
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup. Answered with [`GroupReply::Leave`].
    Leave(LeaveRequest),
    /// OffsetCommit. Answered with [`GroupReply::CommitOffsets`].
    CommitOffsets(CommitRequest),
    /// OffsetFetch, one group. Answered with [`GroupReply::FetchOffsets`].
    FetchOffsets(FetchRequest),
    /// OffsetDelete. Answered with [`GroupReply::DeleteOffsets`].
    DeleteOffsets(DeleteOffsetsRequest),
    /// DescribeGroups, the groups of this shard. Answered with [`GroupReply::Describe`].
    Describe(Vec<Name>),
    /// ListGroups. Answered with [`GroupReply::List`].
    List(ListRequest),
    /// DeleteGroups, the groups of this shard. Answered with [`GroupReply::Delete`].
    Delete(Vec<Name>),
    /// Topics are gone: their offsets go, too. Answered with [`GroupReply::TopicsDeleted`].
    TopicsDeleted(Vec<Name>),
}

/// The answer to a [`GroupRequest`].
#[derive(Debug, Clone, PartialEq)]
pub enum GroupReply {
    /// To [`GroupRequest::Join`].
    Join(JoinReply),
    /// To [`GroupRequest::Sync`].
    Sync(SyncReply),
    /// To [`GroupRequest::Heartbeat`].
    Heartbeat(Result<(), GroupError>),
    /// To [`GroupRequest::Leave`]: one result per member, or one for all.
    Leave(Result<Vec<LeftMember>, GroupError>),
    /// To [`GroupRequest::CommitOffsets`]: one result per partition, or one for all.
    CommitOffsets(Result<Vec<TopicResults>, GroupError>),
    /// To [`GroupRequest::FetchOffsets`].
    FetchOffsets(Vec<FetchedTopic>),
    /// To [`GroupRequest::DeleteOffsets`]: one result per partition, or one for all.
    DeleteOffsets(Result<Vec<TopicResults>, GroupError>),
    /// To [`GroupRequest::Describe`], in the order of the question.
    Describe(Vec<DescribedGroup>),
    /// To [`GroupRequest::List`].
    List(Vec<ListedGroup>),
    /// To [`GroupRequest::Delete`], in the order of the question.
    Delete(Vec<(Name, Result<(), GroupError>)>),
    /// To [`GroupRequest::TopicsDeleted`].
    TopicsDeleted,
}

/// JoinGroup.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinRequest {
    /// The group.
    pub group_id: Name,
    /// The member id given by the coordinator, empty at first.
    pub member_id: Name,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Name>,
    /// `consumer`, `connect`, …
    pub protocol_type: Name,
    /// What the member can do, best first: name and opaque metadata.
    pub protocols: Vec<(Name, Bytes)>,
    /// After how long without a heartbeat the member counts as gone.
    pub session_timeout_ms: i32,
    /// How long the group waits for the member to join again in a rebalance.
    pub rebalance_timeout_ms: i32,
    /// The client's name for itself; the member id begins with it.
    pub client_id: Name,
    /// Where the client is, as DescribeGroups shows it (`/127.0.0.1`).
    pub client_host: Name,
    /// Whether the client understands MEMBER_ID_REQUIRED (JoinGroup version 4 and later).
    pub requires_known_member_id: bool,
    /// Whether the client understands `skip_assignment` (JoinGroup version 9 and later).
    pub supports_skipping_assignment: bool,
    /// Random bytes for the member id, should one be needed.
    pub fresh_id: u128,
}

/// Answer to JoinGroup.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinReply {
    /// Why the member is not in, if it is not.
    pub error: Option<GroupError>,
    /// The generation; -1 with an error.
    pub generation_id: i32,
    /// The group's protocol type.
    pub protocol_type: Option<Name>,
    /// The protocol chosen.
    pub protocol_name: Option<Name>,
    /// The leader's member id; empty when there is none.
    pub leader: Name,
    /// Whether the leader must keep the assignment as it is.
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: Name,
    /// All members, for the leader; empty for others.
    pub members: Vec<JoinedMember>,
}

impl JoinReply {
    /// A refusal.
    pub fn error(member_id: Name, error: GroupError) -> Self {
        JoinReply {
            error: Some(error),
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: Name::from(""),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}

/// A member as the leader of the group sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Name,
    /// Its `group.instance.id`.
    pub group_instance_id: Option<Name>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

/// SyncGroup.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncRequest {
    /// The group.
    pub group_id: Name,
    /// The member.
    pub member_id: Name,
    /// Its `group.instance.id`.
    pub group_instance_id: Option<Name>,
    /// The generation it joined.
    pub generation_id: i32,
    /// Checked against the group's where given (version 5 and later).
    pub protocol_type: Option<Name>,
    /// Checked against the group's where given (version 5 and later).
    pub protocol_name: Option<Name>,
    /// From the leader: who gets what.
    pub assignments: Vec<(Name, Bytes)>,
}

/// Answer to SyncGroup.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncReply {
    /// Why there is no assignment, if there is none.
    pub error: Option<GroupError>,
    /// The group's protocol type.
    pub protocol_type: Option<Name>,
    /// The protocol chosen.
    pub protocol_name: Option<Name>,
    /// What the leader gave this member.
    pub assignment: Bytes,
}

impl SyncReply {
    /// A refusal.
    pub fn error(error: GroupError) -> Self {
        SyncReply { error: Some(error), protocol_type: None, protocol_name: None, assignment: Bytes::new() }
    }
}

/// Heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: Name,
    /// The member.
    pub member_id: Name,
    /// Its `group.instance.id`.
    pub group_instance_id: Option<Name>,
    /// The generation it believes in.
    pub generation_id: i32,
}

/// LeaveGroup.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaveRequest {
    /// The group.
    pub group_id: Name,
    /// Who leaves: by member id, or by instance id with an empty member id.
    pub members: Vec<LeavingMember>,
}

/// A member that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingMember {
    /// Its id; empty when only the instance id is known (an administrator removes it).
    pub member_id: Name,
    /// Its `group.instance.id`.
    pub group_instance_id: Option<Name>,
}

/// A member that left, or did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftMember {
    /// As asked.
    pub member_id: Name,
    /// As asked.
    pub group_instance_id: Option<Name>,
    /// Why it is still there, if it is.
    pub error: Option<GroupError>,
}

/// OffsetCommit.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitRequest {
    /// The group.
    pub group_id: Name,
    /// The member; empty for a consumer without group membership.
    pub member_id: Name,
    /// Its `group.instance.id`.
    pub group_instance_id: Option<Name>,
    /// Its generation; -1 for a consumer without group membership.
    pub generation_id: i32,
    /// How long to keep the offsets, where the client says so (versions 2 to 4); `None` for the broker's setting.
    pub retention_ms: Option<i64>,
    /// Whether the client understands GROUP_ID_NOT_FOUND (version 9 and later).
    pub understands_group_id_not_found: bool,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// The partitions of one topic to commit.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitTopic {
    /// The topic.
    pub topic: Name,
    /// Its id, where known; zero otherwise.
    pub topic_id: Uuid,
    /// Its partitions.
    pub partitions: Vec<CommitPartition>,
}

/// One offset to commit.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitPartition {
    /// The partition.
    pub partition: i32,
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record read; -1 when unknown.
    pub leader_epoch: i32,
    /// Whatever the client wants to keep with it.
    pub metadata: Name,
}

/// Results for the partitions of one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicResults {
    /// The topic.
    pub topic: Name,
    /// Each partition and its error, if any.
    pub partitions: Vec<(i32, Option<GroupError>)>,
}

/// OffsetFetch for one group.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchRequest {
    /// The group.
    pub group_id: Name,
    /// Which partitions; `None` for everything the group has committed.
    pub topics: Option<Vec<(Name, Vec<i32>)>>,
    /// Wait for commits under way and refuse partitions with an undecided transaction, rather than answer with what
    /// was committed before them.
    pub require_stable: bool,
}

/// Committed offsets of one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedTopic {
    /// The topic.
    pub topic: Name,
    /// Its partitions.
    pub partitions: Vec<FetchedOffset>,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedOffset {
    /// The partition.
    pub partition: i32,
    /// The offset; -1 when there is none.
    pub offset: i64,
    /// The leader epoch given with it; -1 when unknown.
    pub leader_epoch: i32,
    /// The metadata given with it.
    pub metadata: Name,
    /// Why the offset is not told.
    pub error: Option<GroupError>,
}

/// OffsetDelete.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteOffsetsRequest {
    /// The group.
    pub group_id: Name,
    /// The partitions whose offsets go.
    pub topics: Vec<(Name, Vec<i32>)>,
}

/// A group, described.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedGroup {
    /// The group.
    pub group_id: Name,
    /// [`GroupError::GroupIdNotFound`] when there is none (its state then reads `Dead`).
    pub error: Option<GroupError>,
    /// Its state.
    pub state: GroupState,
    /// Its protocol type; empty when it has none.
    pub protocol_type: Name,
    /// The protocol chosen; empty unless stable.
    pub protocol: Name,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member, described.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: Name,
    /// Its `group.instance.id`.
    pub group_instance_id: Option<Name>,
    /// The client's name for itself.
    pub client_id: Name,
    /// Where the client is.
    pub client_host: Name,
    /// Metadata for the chosen protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// Its assignment; empty unless the group is stable.
    pub assignment: Bytes,
}

/// ListGroups: empty filters let everything through. Names are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListRequest {
    /// Names of states to list.
    pub states: Vec<Name>,
    /// Names of group types to list.
    pub types: Vec<Name>,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: Name,
    /// Its protocol type; empty when it has none.
    pub protocol_type: Name,
    /// Its state.
    pub state: GroupState,
}
