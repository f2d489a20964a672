"""Arguments that must be tuples of the right kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headwater._types import TopicPartition
from headwater.kafka.structs import OffsetAndMetadata

__all__ = ["expect_offsets", "expect_partitions"]


def expect_partitions(partitions: Iterable[Any]) -> None:
    """Refuses anything but a `TopicPartition`.

    Raises:
        TypeError: shows what it got.
    """
    for partition in partitions:
        if not isinstance(partition, TopicPartition):
            raise TypeError(f"expected a TopicPartition, got {partition!r}")


def expect_offsets(offsets: Mapping[Any, Any]) -> None:
    """Refuses anything but `{TopicPartition: OffsetAndMetadata}`.

    Raises:
        TypeError: shows what it got.
    """
    expect_partitions(offsets)
    for offset in offsets.values():
        if not isinstance(offset, OffsetAndMetadata):
            raise TypeError(f"offsets expects {{TopicPartition: OffsetAndMetadata}}, got {offset!r}")
