"""Topics, records and requests in general: what brokers answer, by Kafka's numbers."""

from __future__ import annotations

from headwater.kafka.errors.base import BrokerResponseError, InvalidMetadataError, RetriableError

__all__ = [
    "CorruptRecordError",
    "CorruptRecordException",
    "FetchSessionIdNotFoundError",
    "FetchSessionTopicIdError",
    "IncompatibleBrokerVersion",
    "InconsistentTopicIdError",
    "InvalidConfigurationError",
    "InvalidFetchRequestError",
    "InvalidFetchSessionEpochError",
    "InvalidPartitionsError",
    "InvalidRecordError",
    "InvalidReplicationAssignmentError",
    "InvalidReplicationFactorError",
    "InvalidRequestError",
    "InvalidRequiredAcksError",
    "InvalidTimestampError",
    "InvalidTopicError",
    "KafkaStorageError",
    "LeaderNotAvailableError",
    "MessageSizeTooLargeError",
    "NetworkExceptionError",
    "NoError",
    "NotEnoughReplicasAfterAppendError",
    "NotEnoughReplicasError",
    "NotLeaderForPartitionError",
    "OffsetMovedToTieredStorageError",
    "OffsetNotAvailableError",
    "OffsetOutOfRangeError",
    "OperationNotAttemptedError",
    "PolicyViolationError",
    "RecordListTooLargeError",
    "RequestTimedOutError",
    "ThrottlingQuotaExceededError",
    "TopicAlreadyExistsError",
    "TopicDeletionDisabledError",
    "UnknownError",
    "UnknownTopicIdError",
    "UnknownTopicOrPartitionError",
    "UnsupportedCompressionTypeError",
    "UnsupportedForMessageFormatError",
    "UnsupportedVersionError",
]


class UnknownError(BrokerResponseError):
    """The server failed in a way it did not expect."""

    errno = -1
    message = "UNKNOWN"


class NoError(BrokerResponseError):
    """No error."""

    errno = 0
    message = "NO_ERROR"


class OffsetOutOfRangeError(BrokerResponseError):
    """The offset lies outside of what the partition holds."""

    errno = 1
    message = "OFFSET_OUT_OF_RANGE"


class CorruptRecordError(BrokerResponseError):
    """The record batch is damaged: its checksum or its structure is wrong."""

    errno = 2
    message = "CORRUPT_MESSAGE"


class UnknownTopicOrPartitionError(InvalidMetadataError, BrokerResponseError):
    """This broker does not have the topic or partition."""

    errno = 3
    message = "UNKNOWN_TOPIC_OR_PARTITION"


class InvalidFetchRequestError(BrokerResponseError):
    """The size to fetch is not valid."""

    errno = 4
    message = "INVALID_FETCH_SIZE"


class LeaderNotAvailableError(InvalidMetadataError, BrokerResponseError):
    """The partition has no leader at the moment."""

    errno = 5
    message = "LEADER_NOT_AVAILABLE"


class NotLeaderForPartitionError(InvalidMetadataError, BrokerResponseError):
    """This broker does not lead the partition, or holds no replica of it."""

    errno = 6
    message = "NOT_LEADER_FOR_PARTITION"


class RequestTimedOutError(RetriableError, BrokerResponseError):
    """The request was not completed in its time."""

    errno = 7
    message = "REQUEST_TIMED_OUT"


class MessageSizeTooLargeError(BrokerResponseError):
    """The record or batch is larger than the topic allows."""

    errno = 10
    message = "MESSAGE_SIZE_TOO_LARGE"


class NetworkExceptionError(InvalidMetadataError, BrokerResponseError):
    """The connection was lost before the answer came."""

    errno = 13
    message = "NETWORK_EXCEPTION"


class InvalidTopicError(BrokerResponseError):
    """The topic's name or the operation on this topic is not allowed."""

    errno = 17
    message = "INVALID_TOPIC"


class RecordListTooLargeError(BrokerResponseError):
    """The batch is larger than a segment may be."""

    errno = 18
    message = "RECORD_LIST_TOO_LARGE"


class NotEnoughReplicasError(RetriableError, BrokerResponseError):
    """Fewer replicas are in sync than `min.insync.replicas` asks for."""

    errno = 19
    message = "NOT_ENOUGH_REPLICAS"


class NotEnoughReplicasAfterAppendError(RetriableError, BrokerResponseError):
    """The records were written, but to fewer replicas than asked for."""

    errno = 20
    message = "NOT_ENOUGH_REPLICAS_AFTER_APPEND"


class InvalidRequiredAcksError(BrokerResponseError):
    """Acks must be -1, 0 or 1."""

    errno = 21
    message = "INVALID_REQUIRED_ACKS"


class InvalidTimestampError(BrokerResponseError):
    """The timestamp is outside of what the topic accepts."""

    errno = 32
    message = "INVALID_TIMESTAMP"


class UnsupportedVersionError(BrokerResponseError):
    """The version of the request is not supported."""

    errno = 35
    message = "UNSUPPORTED_VERSION"


class IncompatibleBrokerVersion(UnsupportedVersionError):
    """The broker does not offer the request that this call needs."""


class TopicAlreadyExistsError(BrokerResponseError):
    """A topic of this name exists."""

    errno = 36
    message = "TOPIC_ALREADY_EXISTS"


class InvalidPartitionsError(BrokerResponseError):
    """The number of partitions is not valid."""

    errno = 37
    message = "INVALID_PARTITIONS"


class InvalidReplicationFactorError(BrokerResponseError):
    """The replication factor is below one or above the number of brokers."""

    errno = 38
    message = "INVALID_REPLICATION_FACTOR"


class InvalidReplicationAssignmentError(BrokerResponseError):
    """The assignment of replicas is not valid."""

    errno = 39
    message = "INVALID_REPLICATION_ASSIGNMENT"


class InvalidConfigurationError(BrokerResponseError):
    """The configuration is not valid."""

    errno = 40
    message = "INVALID_CONFIG"


class InvalidRequestError(BrokerResponseError):
    """The request contradicts itself or lacks something."""

    errno = 42
    message = "INVALID_REQUEST"


class UnsupportedForMessageFormatError(BrokerResponseError):
    """The record format does not support this."""

    errno = 43
    message = "UNSUPPORTED_FOR_MESSAGE_FORMAT"


class PolicyViolationError(BrokerResponseError):
    """A policy of the cluster forbids this."""

    errno = 44
    message = "POLICY_VIOLATION"


class OperationNotAttemptedError(BrokerResponseError):
    """Not attempted, because an earlier part of the request failed."""

    errno = 55
    message = "OPERATION_NOT_ATTEMPTED"


class KafkaStorageError(InvalidMetadataError, BrokerResponseError):
    """The disk failed under the partition."""

    errno = 56
    message = "KAFKA_STORAGE_ERROR"


class FetchSessionIdNotFoundError(RetriableError, BrokerResponseError):
    """There is no such fetch session."""

    errno = 70
    message = "FETCH_SESSION_ID_NOT_FOUND"


class InvalidFetchSessionEpochError(RetriableError, BrokerResponseError):
    """The fetch session is at another epoch."""

    errno = 71
    message = "INVALID_FETCH_SESSION_EPOCH"


class TopicDeletionDisabledError(BrokerResponseError):
    """Topics cannot be deleted here."""

    errno = 73
    message = "TOPIC_DELETION_DISABLED"


class UnsupportedCompressionTypeError(BrokerResponseError):
    """The client's version cannot read this compression."""

    errno = 76
    message = "UNSUPPORTED_COMPRESSION_TYPE"


class OffsetNotAvailableError(RetriableError, BrokerResponseError):
    """A new leader does not know its high watermark yet."""

    errno = 78
    message = "OFFSET_NOT_AVAILABLE"


class InvalidRecordError(BrokerResponseError):
    """A record breaks a rule of the topic."""

    errno = 87
    message = "INVALID_RECORD"


class ThrottlingQuotaExceededError(RetriableError, BrokerResponseError):
    """The quota is used up for now."""

    errno = 89
    message = "THROTTLING_QUOTA_EXCEEDED"


class UnknownTopicIdError(InvalidMetadataError, BrokerResponseError):
    """This broker has no topic with this id."""

    errno = 100
    message = "UNKNOWN_TOPIC_ID"


class InconsistentTopicIdError(InvalidMetadataError, BrokerResponseError):
    """The topic's id is another one than in the log."""

    errno = 103
    message = "INCONSISTENT_TOPIC_ID"


class FetchSessionTopicIdError(RetriableError, BrokerResponseError):
    """The fetch session mixes topic names and topic ids."""

    errno = 106
    message = "FETCH_SESSION_TOPIC_ID_ERROR"


class OffsetMovedToTieredStorageError(BrokerResponseError):
    """The offset is in tiered storage."""

    errno = 109
    message = "OFFSET_MOVED_TO_TIERED_STORAGE"


# An older name of the same class.
CorruptRecordException = CorruptRecordError
