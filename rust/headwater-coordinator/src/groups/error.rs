//! What a group answers when it does not do what was asked, and the Kafka error code of each.

use headwater_protocol::ErrorCode;
use thiserror::Error;

use crate::shard::Refusal;

/// Why a group refused. Variants are named as in Kafka, since each already says the client's next move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum GroupError {
    /// Ask again in a moment: the coordinator is not there (yet, or any more).
    #[error("the coordinator is not available")]
    CoordinatorNotAvailable,
    /// Ask again in a moment: the coordinator reads its log.
    #[error("the coordinator is loading and cannot answer yet")]
    CoordinatorLoadInProgress,
    /// Look the coordinator up again.
    #[error("this is not the coordinator of the group")]
    NotCoordinator,
    /// Join again with the generation forgotten.
    #[error("the generation of the request is not the group's")]
    IllegalGeneration,
    /// Join with protocols that the members of the group have, too.
    #[error("the member shares no protocol with the group")]
    InconsistentGroupProtocol,
    /// Give a group id.
    #[error("the group id is not valid")]
    InvalidGroupId,
    /// Join again with an empty member id.
    #[error("the group does not know this member")]
    UnknownMemberId,
    /// Choose a session timeout within the broker's bounds.
    #[error("the session timeout is out of the broker's bounds")]
    InvalidSessionTimeout,
    /// Join again: the group is between two generations.
    #[error("the group is rebalancing, members should join again")]
    RebalanceInProgress,
    /// Commit with a shorter metadata string.
    #[error("the metadata of the offset is too long")]
    OffsetMetadataTooLarge,
    /// Stop the members first.
    #[error("the group has members")]
    NonEmptyGroup,
    /// There is no such group.
    #[error("the group does not exist")]
    GroupIdNotFound,
    /// Join again with the member id given in the same answer.
    #[error("a member id is needed before joining, use the one given")]
    MemberIdRequired,
    /// Find another group or raise `group.max.size`.
    #[error("the group is full")]
    GroupMaxSizeReached,
    /// Stop: another process has the same `group.instance.id`.
    #[error("another member has taken this group instance id")]
    FencedInstanceId,
    /// Unsubscribe first.
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    /// Ask again: a transaction has commits for this partition that are not decided yet.
    #[error("a transaction still has undecided commits for this partition")]
    UnstableOffsetCommit,
    /// Give up: the records cannot be written.
    #[error("the coordinator failed")]
    UnknownServerError,
}

impl GroupError {
    /// Kafka's error code.
    pub fn code(self) -> ErrorCode {
        match self {
            GroupError::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
            GroupError::CoordinatorLoadInProgress => ErrorCode::CoordinatorLoadInProgress,
            GroupError::NotCoordinator => ErrorCode::NotCoordinator,
            GroupError::IllegalGeneration => ErrorCode::IllegalGeneration,
            GroupError::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
            GroupError::InvalidGroupId => ErrorCode::InvalidGroupId,
            GroupError::UnknownMemberId => ErrorCode::UnknownMemberId,
            GroupError::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
            GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            GroupError::OffsetMetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
            GroupError::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            GroupError::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            GroupError::MemberIdRequired => ErrorCode::MemberIdRequired,
            GroupError::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
            GroupError::FencedInstanceId => ErrorCode::FencedInstanceId,
            GroupError::GroupSubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
            GroupError::UnstableOffsetCommit => ErrorCode::UnstableOffsetCommit,
            GroupError::UnknownServerError => ErrorCode::UnknownServerError,
        }
    }
}

impl From<Refusal> for GroupError {
    /// The translation Kafka's coordinator uses: a client must only ever see errors it knows how to retry.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Loading => GroupError::CoordinatorLoadInProgress,
            Refusal::NotCoordinator | Refusal::Storage => GroupError::NotCoordinator,
            Refusal::NotAvailable | Refusal::NotEnoughReplicas | Refusal::TimedOut => {
                GroupError::CoordinatorNotAvailable
            }
            Refusal::TooLarge => GroupError::UnknownServerError,
        }
    }
}
