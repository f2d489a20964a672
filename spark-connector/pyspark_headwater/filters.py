"""Filters that become fewer partitions and shorter ranges, where spark.sql.python.filterPushdown.enabled allows it.

On `topic`, `partition` and `offset` they are exact, and Spark need not look again. On `timestamp` only a lower limit
helps: everything before the first record that is young enough is older, but what follows it need not be in order, so
Spark still looks at each row; for the same reason an upper limit bounds no offsets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from pyspark.sql.datasource import (
    EqualNullSafe,
    EqualTo,
    Filter,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNotNull,
    LessThan,
    LessThanOrEqual,
)

from pyspark_headwater.offsets import Offsets
from pyspark_headwater.subscription import TopicPartition

__all__ = ["Pushed"]

_NEVER_NULL = ("topic", "partition", "offset", "timestamp", "timestampType")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class _Times(Protocol):
    def at_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, int | None]: ...


@dataclass
class _Range:
    """Whole numbers from `least` to before `end`; None: no limit."""

    least: int | None = None
    end: int | None = None

    def at_least(self, least: int) -> None:
        self.least = least if self.least is None else max(self.least, least)

    def before(self, end: int) -> None:
        self.end = end if self.end is None else min(self.end, end)

    def __contains__(self, number: int) -> bool:
        return (self.least is None or number >= self.least) and (self.end is None or number < self.end)


@dataclass
class Pushed:
    """What the filters taken leave to be read."""

    topics: set[str] | None = None
    numbers: set[int] | None = None
    partition: _Range = field(default_factory=_Range)
    offset: _Range = field(default_factory=_Range)
    since_ms: int | None = None

    @classmethod
    def take(cls, filters: Iterable[Filter]) -> tuple[Pushed, list[Filter]]:
        """Takes what it can of filters that all must hold; returns the others, and those Spark must apply again."""
        pushed = cls()
        left = [one for one in filters if not pushed._take(one)]
        return pushed, left

    def narrow(self, start: Offsets, end: Offsets, brokers: Any) -> tuple[Offsets, Offsets]:
        """The offsets within these that the filters leave."""
        kept = [partition for partition in start if self._reads(partition)]
        start = {partition: start[partition] for partition in kept}
        end = {partition: end[partition] for partition in kept}
        if self.offset.least is not None:
            start = {partition: max(first, self.offset.least) for partition, first in start.items()}
        if self.offset.end is not None:
            end = {partition: min(last, self.offset.end) for partition, last in end.items()}
        if self.since_ms is not None:
            start = self._since(self.since_ms, start, end, brokers)
        return start, end

    def _since(self, since_ms: int, start: Offsets, end: Offsets, brokers: Any) -> Offsets:
        found = brokers.at_times(dict.fromkeys(start, max(0, since_ms)))
        return {
            partition: end[partition] if found[partition] is None else max(first, found[partition])
            for partition, first in start.items()
        }

    def _reads(self, partition: TopicPartition) -> bool:
        topic, number = partition
        return (
            (self.topics is None or topic in self.topics)
            and (self.numbers is None or number in self.numbers)
            and number in self.partition
        )

    def _take(self, one: Filter) -> bool:
        """Whether nothing of a filter is left for Spark."""
        column: tuple[str, ...] = getattr(one, "attribute", ())
        if len(column) != 1:
            return False
        name = column[0]
        if isinstance(one, IsNotNull):
            return name in _NEVER_NULL
        value = getattr(one, "value", None)
        if name == "timestamp" and isinstance(value, datetime):
            self._take_time(one, value)
            return False
        if name == "topic":
            return self._take_topic(one, value)
        if name in ("partition", "offset"):
            return self._take_number(one, name, value)
        return False

    def _take_topic(self, one: Filter, value: Any) -> bool:
        values: Collection[Any] = value if isinstance(one, In) else (value,)
        if not isinstance(one, (EqualTo, EqualNullSafe, In)) or not all(isinstance(each, str) for each in values):
            return False
        self.topics = set(values) if self.topics is None else self.topics & set(values)
        return True

    def _take_number(self, one: Filter, name: str, value: Any) -> bool:
        limits = self.partition if name == "partition" else self.offset
        if isinstance(one, In):
            numbers = set(value)
            if not numbers or not all(type(each) is int for each in numbers):
                return False
            if name == "partition":
                self.numbers = numbers if self.numbers is None else self.numbers & numbers
                return True
            # Offsets between the smallest and the largest are read, and Spark picks out those asked for.
            limits.at_least(min(numbers))
            limits.before(max(numbers) + 1)
            return False
        if type(value) is not int:
            return False
        return _limit(limits, one, value)

    def _take_time(self, one: Filter, value: datetime) -> None:
        if isinstance(one, (EqualTo, EqualNullSafe, GreaterThan, GreaterThanOrEqual)):
            aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
            # Rounded up: a record of the millisecond before is older than the limit.
            ms = -((_EPOCH - aware) // timedelta(milliseconds=1))
            self.since_ms = ms if self.since_ms is None else max(self.since_ms, ms)


def _limit(limits: _Range, one: Filter, value: int) -> bool:
    if isinstance(one, (EqualTo, EqualNullSafe)):
        limits.at_least(value)
        limits.before(value + 1)
    elif isinstance(one, GreaterThan):
        limits.at_least(value + 1)
    elif isinstance(one, GreaterThanOrEqual):
        limits.at_least(value)
    elif isinstance(one, LessThan):
        limits.before(value)
    elif isinstance(one, LessThanOrEqual):
        limits.before(value + 1)
    else:
        return False
    return True
