"""Places in a partition, as kafka-python names them and as Headwater does."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from headwater._types import TopicPartition
from headwater.kafka.enums import OffsetSpec

__all__ = ["Place", "place_of"]

Place: TypeAlias = Literal["earliest", "latest", "max_timestamp", "earliest_local", "latest_tiered"] | int

_NAMES: dict[OffsetSpec, Place] = {
    OffsetSpec.EARLIEST: "earliest",
    OffsetSpec.LATEST: "latest",
    OffsetSpec.MAX_TIMESTAMP: "max_timestamp",
    OffsetSpec.EARLIEST_LOCAL: "earliest_local",
    OffsetSpec.LATEST_TIERED: "latest_tiered",
}


def place_of(partition: TopicPartition, spec: Any) -> Place:
    """An `OffsetSpec`, its number, or a time in milliseconds.

    Raises:
        TypeError: it is none of them.
        ValueError: it is a negative number that is no `OffsetSpec`.
    """
    if not isinstance(spec, int):
        raise TypeError(f"{partition}: expected an OffsetSpec or a time in milliseconds, got {spec!r}")
    return _NAMES[OffsetSpec(spec)] if spec < 0 else int(spec)
