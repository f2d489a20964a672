"""From the numbers and names of errors to their classes."""

from __future__ import annotations

from headwater.errors import (
    ClosedError,
    ConfigError,
    ConnectionFailedError,
    CorruptRecordError,
    HeadwaterError,
    OffsetError,
    TimedOutError,
)
from headwater.kafka.errors import base, cluster, groups, security, topics, transactions

__all__ = ["code_of", "for_code", "kafka_errors", "translated"]

kafka_errors: dict[int, type[base.BrokerResponseError]] = {
    error.errno: error
    for area in (topics, groups, transactions, security, cluster)
    for error in vars(area).values()
    if isinstance(error, type)
    and issubclass(error, base.BrokerResponseError)
    and error.errno is not None
    and error is not topics.IncompatibleBrokerVersion
}
"""Error classes by Kafka's numbers."""

# Where kafka-python's name of an error is not Kafka's of today, which `HeadwaterError.code` is.
_RENAMED = {
    "UNKNOWN_SERVER_ERROR": -1,
    "NOT_LEADER_OR_FOLLOWER": 6,
    "MESSAGE_TOO_LARGE": 10,
    "INVALID_TOPIC_EXCEPTION": 17,
    "INVALID_REPLICA_ASSIGNMENT": 39,
    # Newer than kafka-python.
    "INVALID_REGULAR_EXPRESSION": 128,
    "REBOOTSTRAP_REQUIRED": 129,
    "STREAMS_INVALID_TOPOLOGY": 130,
    "STREAMS_INVALID_TOPOLOGY_EPOCH": 131,
    "STREAMS_TOPOLOGY_FENCED": 132,
    "SHARE_SESSION_LIMIT_REACHED": 133,
}
_NUMBERS = {error.message: number for number, error in kafka_errors.items()} | _RENAMED

# These carry a code too, but kafka-python has errors of its own for them.
_KINDS: tuple[tuple[type[HeadwaterError], type[base.KafkaError]], ...] = (
    (TimedOutError, base.KafkaTimeoutError),
    (ConnectionFailedError, base.KafkaConnectionError),
    (ConfigError, base.KafkaConfigurationError),
    (ClosedError, base.IllegalStateError),
    (CorruptRecordError, topics.CorruptRecordError),
)


def for_code(error_code: int) -> type[base.BrokerResponseError]:
    """The class for a number of Kafka's; one made for the purpose if the number is unknown."""
    known = kafka_errors.get(error_code)
    return known or type("UnrecognizedBrokerError", (topics.UnknownError,), {"errno": error_code})


def code_of(error: HeadwaterError) -> int:
    """Kafka's number for an error of a broker; -1 where there is none."""
    return _NUMBERS.get(error.code or "", -1)


def translated(error: HeadwaterError) -> base.KafkaError:
    """The error that kafka-python would raise in this place."""
    by_kind = next((kafka for kind, kafka in _KINDS if isinstance(error, kind)), None)
    if by_kind is None and error.code is not None:
        by_kind = for_code(code_of(error))
    elif by_kind is None and isinstance(error, OffsetError):
        by_kind = base.NoOffsetForPartitionError
    return (by_kind or base.KafkaError)(str(error))
