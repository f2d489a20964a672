"""From Headwater's records to kafka-python's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from headwater._headwater import Record
from headwater._types import TopicPartition
from headwater.kafka.serializer import DeserializeWrapper

__all__ = ["ConsumerRecord", "Decoded", "decoded"]


class ConsumerRecord(NamedTuple):
    """One record as read.

    `leader_epoch` is -1 where it is unknown; timestamps are in milliseconds, `timestamp_type` 0 says set by the
    producer, 1 by the broker; `checksum` is always None; a size is -1 where there is no such part.
    """

    topic: str
    partition: int
    leader_epoch: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: Any
    value: Any
    headers: list[tuple[str, bytes | None]]
    checksum: int | None
    serialized_key_size: int
    serialized_value_size: int
    serialized_header_size: int


class Decoded(NamedTuple):
    """What became of some records: those that could be read, and, after one that could not, where to go on."""

    records: dict[TopicPartition, list[ConsumerRecord]]
    left: dict[TopicPartition, int]
    error: Exception | None


def decoded(records: Sequence[Record], key_deserializer: Any, value_deserializer: Any) -> Decoded:
    """Deserializes records, up to the first that a deserializer refuses."""
    by_partition: dict[TopicPartition, list[ConsumerRecord]] = {}
    for place, record in enumerate(records):
        try:
            made = _decode(record, key_deserializer, value_deserializer)
        except Exception as error:
            left: dict[TopicPartition, int] = {}
            for later in records[place:]:
                left.setdefault(TopicPartition(later.topic, later.partition), later.offset)
            return Decoded(by_partition, left, error)
        by_partition.setdefault(TopicPartition(made.topic, made.partition), []).append(made)
    return Decoded(by_partition, {}, None)


def _decode(record: Record, key_deserializer: Any, value_deserializer: Any) -> ConsumerRecord:
    topic, key, value, headers = record.topic, record.key, record.value, record.headers
    in_headers = sum(len(name.encode()) + len(content or b"") for name, content in headers) if headers else -1
    return ConsumerRecord(
        topic,
        record.partition,
        -1 if record.leader_epoch is None else record.leader_epoch,
        record.offset,
        record.timestamp,
        record.timestamp_type,
        _deserialized(key_deserializer, topic, headers, key),
        _deserialized(value_deserializer, topic, headers, value),
        headers,
        None,
        -1 if key is None else len(key),
        -1 if value is None else len(value),
        in_headers,
    )


def _deserialized(deserializer: Any, topic: str, headers: list[tuple[str, bytes | None]], data: Any) -> Any:
    if deserializer is None:
        return data
    if isinstance(deserializer, DeserializeWrapper):
        return deserializer.deserialize(topic, headers, data)
    try:
        return deserializer.deserialize(topic, headers, data)
    except TypeError:
        # kafka-python 2 called `deserialize(topic, data)`.
        return deserializer.deserialize(topic, data)
