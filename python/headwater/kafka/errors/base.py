"""What every error of this package is, and the errors that the client itself finds."""

from __future__ import annotations

__all__ = [
    "BrokerResponseError",
    "Cancelled",
    "CommitFailedError",
    "CorrelationIdError",
    "IllegalArgumentError",
    "IllegalStateError",
    "InvalidMetadataError",
    "InvalidReceiveError",
    "KafkaConfigurationError",
    "KafkaConnectionError",
    "KafkaError",
    "KafkaProtocolError",
    "KafkaTimeoutError",
    "LogTruncationError",
    "MetadataEmptyBrokerList",
    "NoBrokersAvailable",
    "NoOffsetForPartitionError",
    "NodeNotReadyError",
    "NotInHeadwaterError",
    "QuotaViolationError",
    "RetriableError",
    "StaleMetadata",
    "TooManyInFlightRequests",
    "TransactionAbortedError",
    "UnknownBrokerIdError",
    "UnrecognizedBrokerVersion",
    "UnsupportedCodecError",
]


class KafkaError(Exception):
    """Base of all errors of this package.

    Attributes:
        retriable: the same call may succeed later with nothing changed.
        invalid_metadata: the client's picture of the cluster was out of date.
    """

    retriable: bool = False
    invalid_metadata: bool = False

    def __str__(self) -> str:
        return f"{type(self).__name__}: {super().__str__()}" if self.args else type(self).__name__

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.args == getattr(other, "args", None)

    def __hash__(self) -> int:
        return hash((type(self), str(self)))


class RetriableError(KafkaError):
    """The same call may succeed later."""

    retriable = True


class InvalidMetadataError(RetriableError):
    """The client's picture of the cluster was out of date."""

    invalid_metadata = True


class Cancelled(RetriableError):
    """A request was given up before its answer came."""


class CommitFailedError(KafkaError):
    """The group has moved on: this member's commit is refused, its partitions belong to others by now."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or ("the commit came too late: the group has rebalanced without this member",)))


class IllegalArgumentError(KafkaError):
    """An argument makes no sense."""


class IllegalStateError(KafkaError):
    """The call does not fit what was done before, such as a commit without a group."""


class KafkaConfigurationError(KafkaError):
    """A setting is unknown, unsupported, or contradicts another one."""


class KafkaConnectionError(InvalidMetadataError):
    """No broker could be reached, or the connection ended before the answer."""


class KafkaProtocolError(KafkaError):
    """An answer could not be understood."""


class CorrelationIdError(RetriableError, KafkaProtocolError):
    """An answer belongs to another request."""


class InvalidReceiveError(KafkaProtocolError):
    """An answer has an impossible size."""


class KafkaTimeoutError(RetriableError):
    """There was no answer in time."""


# kafka-python up to 2.x raised this when no broker could be reached, 3.x a timeout. Programs that catch the old name
# must catch what is raised here.
NoBrokersAvailable = KafkaTimeoutError


class MetadataEmptyBrokerList(RetriableError):
    """The cluster named no brokers."""


class NoOffsetForPartitionError(KafkaError):
    """There is no committed offset, and `auto_offset_reset` names no place to start."""


class LogTruncationError(KafkaError):
    """The log was cut below the consumer's position.

    Attributes:
        divergent_offsets: by partition where to go on, or None if that is unknown.
    """

    def __init__(self, divergent_offsets: object, *args: object) -> None:
        self.divergent_offsets = divergent_offsets
        super().__init__(*(args or (f"the log was cut below the position of {divergent_offsets}",)))


class NodeNotReadyError(RetriableError):
    """There is no connection to this broker at the moment."""


class UnknownBrokerIdError(KafkaError):
    """The cluster has no broker of this id."""


class QuotaViolationError(KafkaError):
    """A quota of a metric was exceeded."""


class StaleMetadata(InvalidMetadataError):
    """The client's picture of the cluster is too old."""


class TooManyInFlightRequests(RetriableError):
    """The connection takes no more unanswered requests."""


class UnrecognizedBrokerVersion(KafkaError):
    """The broker's version is unknown or too old."""


class UnsupportedCodecError(KafkaError):
    """The codec is not available."""


class TransactionAbortedError(KafkaError):
    """The record was not sent because its transaction was aborted."""

    message = "TRANSACTION_ABORTED"


class NotInHeadwaterError(KafkaError, NotImplementedError):
    """kafka-python can do this and `headwater.kafka` cannot; the message names it."""


class BrokerResponseError(KafkaError):
    """A broker refused.

    Attributes:
        errno: Kafka's number of the error.
        message: kafka-python's name of the error.
        description: what it means.
    """

    errno: int | None = None
    message: str | None = None
    description: str | None = None

    def __init_subclass__(cls) -> None:
        cls.description = cls.__doc__

    def __str__(self) -> str:
        return f"[Error {self.errno}] {super().__str__()}"
