"""Groups, their members and their offsets: what brokers answer, by Kafka's numbers."""

from __future__ import annotations

from headwater.kafka.errors.base import BrokerResponseError, RetriableError
from headwater.kafka.errors.refused import AuthorizationError

__all__ = [
    "CoordinatorLoadInProgressError",
    "CoordinatorNotAvailableError",
    "FencedInstanceIdError",
    "FencedMemberEpochError",
    "FencedStateEpochError",
    "GroupAuthorizationFailedError",
    "GroupIdNotFoundError",
    "GroupMaxSizeReachedError",
    "GroupSubscribedToTopicError",
    "IllegalGenerationError",
    "InconsistentGroupProtocolError",
    "InvalidCommitOffsetSizeError",
    "InvalidGroupIdError",
    "InvalidRecordStateError",
    "InvalidSessionTimeoutError",
    "InvalidShareSessionEpochError",
    "MemberIdRequiredError",
    "NonEmptyGroupError",
    "NotCoordinatorError",
    "OffsetMetadataTooLargeError",
    "RebalanceInProgressError",
    "ShareSessionNotFoundError",
    "StaleMemberEpochError",
    "UnknownMemberIdError",
    "UnreleasedInstanceIdError",
    "UnstableOffsetCommitError",
    "UnsupportedAssignorError",
]


class OffsetMetadataTooLargeError(BrokerResponseError):
    """The text stored with the offset is too long."""

    errno = 12
    message = "OFFSET_METADATA_TOO_LARGE"


class CoordinatorLoadInProgressError(RetriableError, BrokerResponseError):
    """The coordinator is still reading its state."""

    errno = 14
    message = "COORDINATOR_LOAD_IN_PROGRESS"


class CoordinatorNotAvailableError(RetriableError, BrokerResponseError):
    """The coordinator is not available."""

    errno = 15
    message = "COORDINATOR_NOT_AVAILABLE"


class NotCoordinatorError(RetriableError, BrokerResponseError):
    """This broker is not the coordinator."""

    errno = 16
    message = "NOT_COORDINATOR"


class IllegalGenerationError(BrokerResponseError):
    """The group has another generation."""

    errno = 22
    message = "ILLEGAL_GENERATION"


class InconsistentGroupProtocolError(BrokerResponseError):
    """The member's protocol type or protocols do not fit those of the group."""

    errno = 23
    message = "INCONSISTENT_GROUP_PROTOCOL"


class InvalidGroupIdError(BrokerResponseError):
    """The group id is not valid."""

    errno = 24
    message = "INVALID_GROUP_ID"


class UnknownMemberIdError(BrokerResponseError):
    """The group has no such member."""

    errno = 25
    message = "UNKNOWN_MEMBER_ID"


class InvalidSessionTimeoutError(BrokerResponseError):
    """The session timeout is outside of what the broker allows."""

    errno = 26
    message = "INVALID_SESSION_TIMEOUT"


class RebalanceInProgressError(BrokerResponseError):
    """The group is rebalancing, so the member has to join again."""

    errno = 27
    message = "REBALANCE_IN_PROGRESS"


class InvalidCommitOffsetSizeError(BrokerResponseError):
    """The offsets to commit do not fit into a record."""

    errno = 28
    message = "INVALID_COMMIT_OFFSET_SIZE"


class GroupAuthorizationFailedError(AuthorizationError):
    """Not authorized for the group."""

    errno = 30
    message = "GROUP_AUTHORIZATION_FAILED"


class NonEmptyGroupError(BrokerResponseError):
    """The group still has members."""

    errno = 68
    message = "NON_EMPTY_GROUP"


class GroupIdNotFoundError(BrokerResponseError):
    """There is no such group."""

    errno = 69
    message = "GROUP_ID_NOT_FOUND"


class MemberIdRequiredError(BrokerResponseError):
    """The member has to join again with the id it was given."""

    errno = 79
    message = "MEMBER_ID_REQUIRED"


class GroupMaxSizeReachedError(BrokerResponseError):
    """The group is full."""

    errno = 81
    message = "GROUP_MAX_SIZE_REACHED"


class FencedInstanceIdError(BrokerResponseError):
    """Another member has joined with the same instance id."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


class GroupSubscribedToTopicError(BrokerResponseError):
    """The group still reads the topic, so its offsets stay."""

    errno = 86
    message = "GROUP_SUBSCRIBED_TO_TOPIC"


class UnstableOffsetCommitError(RetriableError, BrokerResponseError):
    """An open transaction may still change the offset."""

    errno = 88
    message = "UNSTABLE_OFFSET_COMMIT"


class FencedMemberEpochError(BrokerResponseError):
    """The member's epoch is not the group's, so it has to join again."""

    errno = 110
    message = "FENCED_MEMBER_EPOCH"


class UnreleasedInstanceIdError(BrokerResponseError):
    """The member that holds the instance id has not left."""

    errno = 111
    message = "UNRELEASED_INSTANCE_ID"


class UnsupportedAssignorError(BrokerResponseError):
    """The group's coordinator does not offer this assignor."""

    errno = 112
    message = "UNSUPPORTED_ASSIGNOR"


class StaleMemberEpochError(BrokerResponseError):
    """The member's epoch is out of date, a heartbeat brings the new one."""

    errno = 113
    message = "STALE_MEMBER_EPOCH"


class InvalidRecordStateError(BrokerResponseError):
    """The record is not in a state that allows this acknowledgement."""

    errno = 121
    message = "INVALID_RECORD_STATE"


class ShareSessionNotFoundError(RetriableError, BrokerResponseError):
    """There is no such share session."""

    errno = 122
    message = "SHARE_SESSION_NOT_FOUND"


class InvalidShareSessionEpochError(RetriableError, BrokerResponseError):
    """The share session is at another epoch."""

    errno = 123
    message = "INVALID_SHARE_SESSION_EPOCH"


class FencedStateEpochError(BrokerResponseError):
    """The share coordinator has a newer state epoch."""

    errno = 124
    message = "FENCED_STATE_EPOCH"
