"""The partitioner that is used where none is given."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from headwater.kafka.partitioner.abc import Partitioner

if TYPE_CHECKING:
    from headwater.kafka.cluster import ClusterMetadata

__all__ = ["DefaultPartitioner", "murmur2"]

_MASK = 0xFFFFFFFF
_MULTIPLIER = 0x5BD1E995
_SEED = 0x9747B28C


class DefaultPartitioner(Partitioner):
    """By murmur2 of the key, as Java's client does; at random without a key."""

    def partition(  # noqa: PLR0917  # kafka-python calls it so
        self,
        topic: str,
        key: Any,
        serialized_key: bytes | None,
        value: Any,
        serialized_value: bytes | None,
        cluster: ClusterMetadata,
    ) -> int | None:
        """A partition of the topic."""
        partitions = known_partitions(topic, cluster)
        if serialized_key is None:
            return random.choice(sorted(cluster.available_partitions_for_topic(topic) or partitions))
        return partitions[(murmur2(serialized_key) & 0x7FFFFFFF) % len(partitions)]


def known_partitions(topic: str, cluster: ClusterMetadata) -> list[int]:
    """All partitions of the topic, sorted."""
    partitions = cluster.partitions_for_topic(topic)
    if partitions is None:
        raise ValueError(f"topic {topic} is not known to this producer")
    return sorted(partitions)


def murmur2(data: bytes | bytearray | memoryview) -> int:
    """The hash that Kafka's clients agree on, as an unsigned 32-bit number."""
    data = bytes(data)
    whole = len(data) & ~3
    mixed = _SEED ^ len(data)
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        mixed = (mixed * _MULTIPLIER & _MASK) ^ word
    if rest := data[whole:]:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _MASK
    mixed = (mixed ^ mixed >> 13) * _MULTIPLIER & _MASK
    return mixed ^ mixed >> 15
