"""What an executor does: ranges of partitions as Arrow batches of the core, and the watch for records that are
gone.

The core reads what there is between two offsets. Offsets can be missing for good reasons (compaction, the markers of
transactions) or because retention was faster than the query; only a gap makes this file ask the brokers which it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pyspark_headwater.cluster import Cluster
from pyspark_headwater.errors import DataLossError, one_sentence, wheel
from pyspark_headwater.offsets import Offsets, named
from pyspark_headwater.options import ReadOptions
from pyspark_headwater.planning import OffsetRange, Task
from pyspark_headwater.schema import Layout
from pyspark_headwater.subscription import TopicPartition

__all__ = ["LOSS_HINT", "Watch", "read_task"]

LOSS_HINT = "set the option failOnDataLoss to false to read what there is"


def read_task(task: Task, layout: Layout, read: ReadOptions) -> Iterator[pa.RecordBatch]:
    """The records of a task's ranges, each in order.

    Raises:
        DataLossError: records of a range are gone, and `failOnDataLoss` is true.
        SourceError: the brokers cannot be reached, or a record cannot be read.
    """
    with closing(_Brokers(read)) as brokers:
        for topic, parts in groupby(task.ranges, key=lambda part: part.topic):
            yield from _read_topic(topic, {part.partition: part for part in parts}, layout, read, brokers)


def _read_topic(
    topic: str, parts: dict[int, OffsetRange], layout: Layout, read: ReadOptions, brokers: _Brokers
) -> Iterator[pa.RecordBatch]:
    # Opened here and not before: the worker was forked, and what it inherited must not be used.
    with one_sentence(f"reading {_named(topic, parts)}"):
        watches = {number: Watch(part, brokers) for number, part in parts.items()} if read.fail_on_data_loss else {}
        for batch in _scan(topic, parts, layout, read):
            if watches and batch.num_rows:
                # A batch never mixes two partitions.
                watches[batch.column("partition")[0].as_py()].see(batch.column("offset"))
            yield layout.to_spark(batch)
        for watch in watches.values():
            watch.end()


class _Brokers:
    """Where logs begin and end, from one set of connections, made at the first question."""

    def __init__(self, read: ReadOptions) -> None:
        self._read = read
        self._cluster: Cluster | None = None

    def beginning(self, partitions: Collection[TopicPartition]) -> Offsets:
        return self._asked().beginning(partitions)

    def end(self, partitions: Collection[TopicPartition]) -> Offsets:
        return self._asked().end(partitions)

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.close()

    def _asked(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self._read.bootstrap, self._read.settings, first=False)
        return self._cluster


def _named(topic: str, parts: dict[int, OffsetRange]) -> str:
    # What the core says names the partition where it matters; a list of hundreds would hide that.
    first = " and ".join(map(str, list(parts.values())[:2]))
    return first if len(parts) <= 2 else f"{first} and {len(parts) - 2} more partitions of {topic}"


def _scan(topic: str, parts: dict[int, OffsetRange], layout: Layout, read: ReadOptions) -> Iterator[pa.RecordBatch]:
    headwater = wheel()
    more: dict[str, Any] = {}
    if read.settings:
        more["config"] = dict(read.settings)
    if layout.values is not None:
        more |= {"value_format": read.value_format, "value_schema": layout.values, "bad_rows": read.bad_rows}
    scan = headwater.scan(
        topic,
        read.bootstrap,
        start={number: part.start for number, part in parts.items()},
        end={number: part.end for number, part in parts.items()},
        partitions=list(parts),
        columns=layout.columns,
        **more,
    )
    try:
        yield from pa.RecordBatchReader.from_stream(scan)
    except headwater.BrokerError as error:
        if read.fail_on_data_loss or error.code not in (None, "UNKNOWN_TOPIC_OR_PARTITION"):
            raise
        # The topic was deleted after the query was planned: there is nothing to read any more.


class Watch:
    """Notices offsets that a range should have had.

    Args:
        brokers: asked where the log begins and ends once there is a gap.
    """

    def __init__(self, part: OffsetRange, brokers: Any) -> None:
        self.part = part
        self.expected = part.start
        self._brokers = brokers

    def see(self, offsets: pa.Array) -> None:
        """Looks at the offsets of the next batch.

        Raises:
            DataLossError: some are missing that the log does not hold any more.
        """
        if not len(offsets):
            return
        last = offsets[-1].as_py()
        if last - self.expected + 1 != len(offsets):
            self._check(_first_gap(self.expected, offsets))
        self.expected = last + 1

    def end(self) -> None:
        """Looks at what is missing at the end of the range.

        Raises:
            DataLossError: the log does not hold it any more, or does not reach as far.
        """
        if self.expected == self.part.end:
            return
        self._check(self.expected)
        partition = (self.part.topic, self.part.partition)
        last = self._brokers.end([partition])[partition]
        if last < self.part.end:
            raise DataLossError(
                f"{named(partition)} ends at offset {last}, but the query was planned up to {self.part.end}: the log "
                f"was cut, or the topic made anew; {LOSS_HINT}"
            )

    def _check(self, missing: int) -> None:
        partition = (self.part.topic, self.part.partition)
        begins = self._brokers.beginning([partition])[partition]
        # A gap that was there before retention reached it looks the same: rather a false alarm than a silent loss.
        if missing < begins:
            raise DataLossError(
                f"{named(partition)} begins at offset {begins} by now, the records from offset {missing} were deleted "
                f"before they were read; {LOSS_HINT}"
            )


def _first_gap(expected: int, offsets: pa.Array) -> int:
    """The first offset missing from a batch that was to begin at `expected`."""
    if offsets[0].as_py() > expected:
        return expected
    wide = pc.indices_nonzero(pc.greater(pc.subtract(offsets[1:], offsets[:-1]), 1))
    return int(offsets[wide[0].as_py()].as_py()) + 1
