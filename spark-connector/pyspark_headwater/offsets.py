"""Where a query begins and ends, and the offsets that Spark keeps in its checkpoint.

A `Bound` is what the options ask for; `resolve` asks the brokers what that is in offsets. In a checkpoint offsets are
`{"topic": {"0": 17}}`, the offset of the next record to be read, as spark-sql-kafka writes them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from pyspark_headwater.errors import OptionError
from pyspark_headwater.subscription import TopicPartition

__all__ = [
    "EARLIEST",
    "LATEST",
    "START",
    "AtOffsets",
    "AtTime",
    "AtTimes",
    "Bound",
    "Brokers",
    "Earliest",
    "Latest",
    "Offsets",
    "from_checkpoint",
    "named",
    "partition_numbers",
    "resolve",
    "to_checkpoint",
]

#: For each partition the offset of the next record.
Offsets: TypeAlias = dict[TopicPartition, int]

#: In JSON offsets: the end of the partition, and its first retained record.
LATEST, EARLIEST = -1, -2

#: Where a checkpoint says at the end of a query's first batch where that began; no topic can have this name.
START = "(start)"


@dataclass(frozen=True)
class Earliest:
    """The first retained record of every partition."""


@dataclass(frozen=True)
class Latest:
    """The end of every partition."""


@dataclass(frozen=True)
class AtOffsets:
    """These offsets, `LATEST` and `EARLIEST` among them. Every partition must be named."""

    option: str
    offsets: Mapping[TopicPartition, int]


@dataclass(frozen=True)
class AtTime:
    """The first record of each partition that is not older than a time in milliseconds.

    `fallback` says whether a partition without such a record is taken at its end; otherwise it is an error.
    """

    option: str
    ms: int
    fallback: bool


@dataclass(frozen=True)
class AtTimes:
    """As `AtTime`, with a time for each partition. Every partition must be named."""

    option: str
    times: Mapping[TopicPartition, int]
    fallback: bool


Bound: TypeAlias = Earliest | Latest | AtOffsets | AtTime | AtTimes


class Brokers(Protocol):
    """What `resolve` asks for; `Cluster` is one."""

    def beginning(self, partitions: Collection[TopicPartition]) -> Offsets:
        """The first retained offsets."""

    def end(self, partitions: Collection[TopicPartition]) -> Offsets:
        """The offsets after the last visible records."""

    def at_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        """The first offsets not older than these times; None where there is none."""


def named(partition: TopicPartition) -> str:
    """A partition as people write it: `flights-2`."""
    return f"{partition[0]}-{partition[1]}"


def partition_numbers(option: str, text: str, *, least: int) -> dict[TopicPartition, int]:
    """Reads `{"topic": {"0": 17}}`: a number for each partition.

    Args:
        least: the smallest number allowed.

    Raises:
        OptionError: it is something else.
    """
    expected = f'option {option} expects numbers by topic and partition as JSON, such as {{"topic": {{"0": 17}}}}'
    try:
        topics = json.loads(text)
    except ValueError as error:
        raise OptionError(f'{expected}, got "{text}" ({error})') from None
    if not isinstance(topics, dict) or not all(isinstance(inner, dict) for inner in topics.values()):
        raise OptionError(f'{expected}, got "{text}"')
    numbers = {}
    for topic, partitions in topics.items():
        for partition, number in partitions.items():
            if not partition.isdecimal() or type(number) is not int or number < least:
                raise OptionError(f'{expected}, got "{partition}": {json.dumps(number)} for topic {topic}')
            numbers[topic, int(partition)] = number
    return numbers


def resolve(bound: Bound, partitions: Collection[TopicPartition], brokers: Brokers) -> Offsets:
    """The offsets that a bound means now.

    Raises:
        OptionError: the bound names other partitions than those that are read, or no record is as young as asked for.
    """
    if isinstance(bound, Earliest):
        return brokers.beginning(partitions)
    if isinstance(bound, Latest):
        return brokers.end(partitions)
    if isinstance(bound, AtOffsets):
        _same_partitions(bound.option, bound.offsets, partitions)
        return _with_marks(bound.offsets, brokers)
    if isinstance(bound, AtTime):
        times: Mapping[TopicPartition, int] = dict.fromkeys(partitions, bound.ms)
    else:
        _same_partitions(bound.option, bound.times, partitions)
        times = bound.times
    found = brokers.at_times(times)
    late = [partition for partition, offset in found.items() if offset is None]
    if late and not bound.fallback:
        raise OptionError(
            f"option {bound.option}: {named(late[0])} has no record at or after {times[late[0]]} ms; choose an earlier "
            "time, or begin at the end of such partitions with startingOffsetsByTimestampStrategy=latest"
        )
    return {**brokers.end(late), **{partition: offset for partition, offset in found.items() if offset is not None}}


def _with_marks(offsets: Mapping[TopicPartition, int], brokers: Brokers) -> Offsets:
    first = [partition for partition, offset in offsets.items() if offset == EARLIEST]
    last = [partition for partition, offset in offsets.items() if offset == LATEST]
    return {**offsets, **brokers.beginning(first), **brokers.end(last)}


def _same_partitions(option: str, given: Iterable[TopicPartition], read: Iterable[TopicPartition]) -> None:
    missing, unread = sorted(set(read) - set(given)), sorted(set(given) - set(read))
    if missing:
        raise OptionError(f"option {option} must name every partition that is read, {named(missing[0])} is missing")
    if unread:
        raise OptionError(f"option {option} names {named(unread[0])}, which is not among the partitions that are read")


def to_checkpoint(offsets: Mapping[TopicPartition, int]) -> dict[str, Any]:
    """Offsets as Spark keeps them. Spark compares the text, so the order is fixed."""
    topics: dict[str, Any] = {}
    for (topic, partition), offset in sorted(offsets.items()):
        topics.setdefault(topic, {})[str(partition)] = offset
    return topics


def from_checkpoint(topics: Mapping[str, Any]) -> Offsets:
    """The reverse of `to_checkpoint`; what `START` says is left out."""
    return {
        (topic, int(partition)): offset
        for topic, partitions in topics.items()
        if topic != START
        for partition, offset in partitions.items()
    }
