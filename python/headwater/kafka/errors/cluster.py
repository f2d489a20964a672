"""Brokers, controllers and replicas: what brokers answer, by Kafka's numbers."""

from __future__ import annotations

from headwater.kafka.errors.base import BrokerResponseError, InvalidMetadataError, RetriableError

__all__ = [
    "BrokerIdNotRegisteredError",
    "BrokerNotAvailableError",
    "DuplicateBrokerRegistrationError",
    "DuplicateVoterError",
    "ElectionNotNeededError",
    "EligibleLeadersNotAvailableError",
    "FeatureUpdateFailedError",
    "FencedLeaderEpochError",
    "InconsistentClusterIdError",
    "InconsistentVoterSetError",
    "IneligibleReplicaError",
    "InvalidRegistrationError",
    "InvalidUpdateVersionError",
    "InvalidVoterKeyError",
    "ListenerNotFoundError",
    "LogDirNotFoundError",
    "MismatchedEndpointTypeError",
    "NewLeaderElectedError",
    "NoReassignmentInProgressError",
    "NotControllerError",
    "PositionOutOfRangeError",
    "PreferredLeaderNotAvailableError",
    "ReassignmentInProgressError",
    "ReplicaNotAvailableError",
    "SnapshotNotFoundError",
    "StaleBrokerEpochError",
    "StaleControllerEpochError",
    "TelemetryTooLargeError",
    "UnknownControllerIdError",
    "UnknownLeaderEpochError",
    "UnknownSubscriptionIdError",
    "UnsupportedEndpointTypeError",
    "VoterNotFoundError",
]


class BrokerNotAvailableError(BrokerResponseError):
    """The broker is not available."""

    errno = 8
    message = "BROKER_NOT_AVAILABLE"


class ReplicaNotAvailableError(InvalidMetadataError, BrokerResponseError):
    """The replica is not available on this broker."""

    errno = 9
    message = "REPLICA_NOT_AVAILABLE"


class StaleControllerEpochError(BrokerResponseError):
    """The controller has moved on to a newer epoch."""

    errno = 11
    message = "STALE_CONTROLLER_EPOCH"


class NotControllerError(RetriableError, BrokerResponseError):
    """This node is not the controller."""

    errno = 41
    message = "NOT_CONTROLLER"


class LogDirNotFoundError(BrokerResponseError):
    """The broker has no such log directory."""

    errno = 57
    message = "LOG_DIR_NOT_FOUND"


class ReassignmentInProgressError(BrokerResponseError):
    """The partition is being reassigned."""

    errno = 60
    message = "REASSIGNMENT_IN_PROGRESS"


class ListenerNotFoundError(InvalidMetadataError, BrokerResponseError):
    """The leader has no listener of the name this request came in by."""

    errno = 72
    message = "LISTENER_NOT_FOUND"


class FencedLeaderEpochError(InvalidMetadataError, BrokerResponseError):
    """The leader epoch is older than the broker's."""

    errno = 74
    message = "FENCED_LEADER_EPOCH"


class UnknownLeaderEpochError(InvalidMetadataError, BrokerResponseError):
    """The leader epoch is newer than the broker's."""

    errno = 75
    message = "UNKNOWN_LEADER_EPOCH"


class StaleBrokerEpochError(BrokerResponseError):
    """The broker has registered again since."""

    errno = 77
    message = "STALE_BROKER_EPOCH"


class PreferredLeaderNotAvailableError(InvalidMetadataError, BrokerResponseError):
    """The preferred leader is not available."""

    errno = 80
    message = "PREFERRED_LEADER_NOT_AVAILABLE"


class EligibleLeadersNotAvailableError(InvalidMetadataError, BrokerResponseError):
    """No replica that may lead is available."""

    errno = 83
    message = "ELIGIBLE_LEADERS_NOT_AVAILABLE"


class ElectionNotNeededError(InvalidMetadataError, BrokerResponseError):
    """The partition already has the leader that was asked for."""

    errno = 84
    message = "ELECTION_NOT_NEEDED"


class NoReassignmentInProgressError(BrokerResponseError):
    """The partition is not being reassigned."""

    errno = 85
    message = "NO_REASSIGNMENT_IN_PROGRESS"


class InconsistentVoterSetError(BrokerResponseError):
    """The sender's voters are not the receiver's."""

    errno = 94
    message = "INCONSISTENT_VOTER_SET"


class InvalidUpdateVersionError(BrokerResponseError):
    """The version to update to is not valid."""

    errno = 95
    message = "INVALID_UPDATE_VERSION"


class FeatureUpdateFailedError(BrokerResponseError):
    """The features could not be changed."""

    errno = 96
    message = "FEATURE_UPDATE_FAILED"


class SnapshotNotFoundError(BrokerResponseError):
    """There is no such snapshot."""

    errno = 98
    message = "SNAPSHOT_NOT_FOUND"


class PositionOutOfRangeError(BrokerResponseError):
    """The position lies outside of the snapshot."""

    errno = 99
    message = "POSITION_OUT_OF_RANGE"


class DuplicateBrokerRegistrationError(BrokerResponseError):
    """Another broker is registered with this id."""

    errno = 101
    message = "DUPLICATE_BROKER_REGISTRATION"


class BrokerIdNotRegisteredError(BrokerResponseError):
    """No broker is registered with this id."""

    errno = 102
    message = "BROKER_ID_NOT_REGISTERED"


class InconsistentClusterIdError(BrokerResponseError):
    """The request is meant for another cluster."""

    errno = 104
    message = "INCONSISTENT_CLUSTER_ID"


class IneligibleReplicaError(BrokerResponseError):
    """The replica may not join the in-sync replicas."""

    errno = 107
    message = "INELIGIBLE_REPLICA"


class NewLeaderElectedError(BrokerResponseError):
    """The change to the in-sync replicas led to a new leader."""

    errno = 108
    message = "NEW_LEADER_ELECTED"


class MismatchedEndpointTypeError(BrokerResponseError):
    """The request went to the wrong kind of endpoint."""

    errno = 114
    message = "MISMATCHED_ENDPOINT_TYPE"


class UnsupportedEndpointTypeError(BrokerResponseError):
    """This kind of endpoint is not supported."""

    errno = 115
    message = "UNSUPPORTED_ENDPOINT_TYPE"


class UnknownControllerIdError(BrokerResponseError):
    """There is no such controller."""

    errno = 116
    message = "UNKNOWN_CONTROLLER_ID"


class UnknownSubscriptionIdError(BrokerResponseError):
    """The telemetry subscription is not the current one."""

    errno = 117
    message = "UNKNOWN_SUBSCRIPTION_ID"


class TelemetryTooLargeError(BrokerResponseError):
    """The telemetry is larger than the broker accepts."""

    errno = 118
    message = "TELEMETRY_TOO_LARGE"


class InvalidRegistrationError(BrokerResponseError):
    """The registration is not valid."""

    errno = 119
    message = "INVALID_REGISTRATION"


class InvalidVoterKeyError(BrokerResponseError):
    """The voter's key is not the receiver's."""

    errno = 125
    message = "INVALID_VOTER_KEY"


class DuplicateVoterError(BrokerResponseError):
    """The voter is in the set already."""

    errno = 126
    message = "DUPLICATE_VOTER"


class VoterNotFoundError(BrokerResponseError):
    """The voter is not in the set."""

    errno = 127
    message = "VOTER_NOT_FOUND"
