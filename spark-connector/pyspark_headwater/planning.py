"""From offsets to tasks: which ranges of which partitions a query reads, and how many tasks share them.

Nothing here talks to a broker.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql.datasource import InputPartition

from pyspark_headwater.offsets import Offsets

__all__ = ["OffsetRange", "Task", "prorate", "ranges", "split", "tasks"]

#: A task costs Spark and its worker as much time as reading many thousands of records; so partitions that have few for
#: a micro-batch share one, up to this many records together. Not more: what follows the read is done task by task, too.
SHARED_TASK_RECORDS = 2_000


@dataclass(frozen=True)
class OffsetRange:
    """Offsets from `start` to before `end` of one partition."""

    topic: str
    partition: int
    start: int
    end: int

    @property
    def size(self) -> int:
        """Offsets in the range; compaction and transactions can leave fewer records."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition} from offset {self.start} to {self.end}"


@dataclass(frozen=True)
class Task(InputPartition):
    """What one task reads, in this order; no two ranges are of one partition."""

    ranges: tuple[OffsetRange, ...]


def ranges(start: Offsets, end: Offsets) -> list[OffsetRange]:
    """The ranges between two sets of offsets, empty ones left out. Both name the same partitions."""
    return [
        OffsetRange(topic, partition, start[topic, partition], last)
        for (topic, partition), last in sorted(end.items())
        if last > start[topic, partition]
    ]


def split(
    whole: Iterable[OffsetRange], *, count_min: int | None = None, size_max: int | None = None
) -> list[OffsetRange]:
    """Cuts ranges into more tasks.

    Args:
        count_min: `minPartitions`. Reached whenever there are as many offsets; the largest pieces are cut first.
        size_max: `maxRecordsPerPartition`, the most offsets of one task. Applied first.
    """
    found = list(whole)
    parts = [1 if size_max is None else -(-part.size // size_max) for part in found]
    # The heap holds the size of a range's pieces, negated, so that the range with the largest pieces is cut next.
    largest = [(-part.size / count, index) for index, (part, count) in enumerate(zip(found, parts, strict=True))]
    heapq.heapify(largest)
    missing = (count_min or 0) - sum(parts)
    while missing > 0 and largest:
        _, index = heapq.heappop(largest)
        if parts[index] < found[index].size:
            parts[index] += 1
            missing -= 1
            heapq.heappush(largest, (-found[index].size / parts[index], index))
    return [piece for part, count in zip(found, parts, strict=True) for piece in _cut(part, count)]


def tasks(
    whole: Iterable[OffsetRange], *, count_min: int | None, size_max: int | None, share: bool = False
) -> list[Task]:
    """The tasks of a batch.

    Args:
        count_min, size_max: as in `split`.
        share: whether partitions with few records may share a task, where nothing was said of number or size.
    """
    if share and count_min is None and size_max is None:
        return [Task(tuple(shared)) for shared in _shared(whole)]
    return [Task((piece,)) for piece in split(whole, count_min=count_min, size_max=size_max)]


def _shared(whole: Iterable[OffsetRange]) -> list[list[OffsetRange]]:
    found: list[list[OffsetRange]] = []
    room = 0
    for part in whole:
        if part.size > room:
            found.append([])
            room = SHARED_TASK_RECORDS
        found[-1].append(part)
        room -= part.size
    return found


def _cut(whole: OffsetRange, count: int) -> list[OffsetRange]:
    borders = [whole.start + whole.size * i // count for i in range(count + 1)]
    return [
        OffsetRange(whole.topic, whole.partition, borders[i], borders[i + 1])
        for i in range(count)
        if borders[i + 1] > borders[i]
    ]


def prorate(limit: int, start: Offsets, end: Offsets) -> Offsets:
    """Where a batch of at most about `limit` offsets ends.

    Each partition gets its share by what waits in it, and at least one offset, so that none starves; because of that a
    batch can be larger than `limit` by as many offsets as there are partitions.
    """
    waiting = {partition: last - start[partition] for partition, last in end.items() if last > start[partition]}
    total = sum(waiting.values())
    if total <= limit:
        return end
    return {
        partition: min(last, start[partition] + max(1, limit * waiting[partition] // total))
        if partition in waiting
        else last
        for partition, last in end.items()
    }
