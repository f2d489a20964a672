"""What an executor does: one range of one partition as Arrow batches of the core, and the watch for records that are gone.

The core reads what there is between two offsets. Offsets can be missing for good reasons (compaction, the markers of
transactions) or because retention was faster than the query; only a gap makes this file ask the brokers which it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pyspark_headwater.cluster import Cluster
from pyspark_headwater.errors import DataLossError, one_sentence, wheel
from pyspark_headwater.options import ReadOptions
from pyspark_headwater.planning import OffsetRange
from pyspark_headwater.schema import Layout

__all__ = ["read_range"]

LOSS_HINT = "set the option failOnDataLoss to false to read what there is"


def read_range(part: OffsetRange, layout: Layout, read: ReadOptions) -> Iterator[pa.RecordBatch]:
    """The records of a range, in order.

    Raises:
        DataLossError: records of the range are gone, and `failOnDataLoss` is true.
        SourceError: the brokers cannot be reached, or a record cannot be read.
    """
    # Opened here and not before: the worker was forked, and what it inherited must not be used.
    with one_sentence(f"reading {part}"):
        watch = _Watch(part, read) if read.fail_on_data_loss else None
        try:
            for batch in _scan(part, layout, read):
                if watch is not None:
                    watch.see(batch.column("offset"))
                yield layout.to_spark(batch)
            if watch is not None:
                watch.end()
        finally:
            if watch is not None:
                watch.close()


def _scan(part: OffsetRange, layout: Layout, read: ReadOptions) -> Iterator[pa.RecordBatch]:
    headwater = wheel()
    more: dict[str, Any] = {}
    if read.settings:
        more["config"] = dict(read.settings)
    if layout.values is not None:
        more |= {"value_format": read.value_format, "value_schema": layout.values, "bad_rows": read.bad_rows}
    scan = headwater.scan(
        part.topic,
        read.bootstrap,
        start={part.partition: part.start},
        end={part.partition: part.end},
        partitions=[part.partition],
        columns=layout.columns,
        **more,
    )
    try:
        yield from pa.RecordBatchReader.from_stream(scan)
    except headwater.BrokerError as error:
        if read.fail_on_data_loss or error.code not in (None, "UNKNOWN_TOPIC_OR_PARTITION"):
            raise
        # The topic was deleted after the query was planned: there is nothing to read any more.


class _Watch:
    """Notices offsets that a range should have had."""

    def __init__(self, part: OffsetRange, read: ReadOptions) -> None:
        self.part = part
        self.read = read
        self.expected = part.start
        self._cluster: Cluster | None = None

    def see(self, offsets: pa.Array) -> None:
        """Looks at the offsets of the next batch."""
        if not len(offsets):
            return
        first, last = offsets[0].as_py(), offsets[-1].as_py()
        if last - self.expected + 1 != len(offsets):
            self._ask(self._gap(offsets, first))
        self.expected = last + 1

    def end(self) -> None:
        """Looks at what was left out at the end of the range."""
        if self.expected < self.part.end:
            self._ask(self.expected)
            end = self._brokers().end([(self.part.topic, self.part.partition)])
            last = end[self.part.topic, self.part.partition]
            if last < self.part.end:
                raise DataLossError(
                    f"{self.part.topic}-{self.part.partition} ends at offset {last}, but the query was planned up to "
                    f"{self.part.end}: the log was cut, or the topic made anew; {LOSS_HINT}"
                )

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.close()

    def _gap(self, offsets: pa.Array, first: int) -> int:
        """The first offset of the last gap: whatever was deleted lies before the log's new start."""
        if len(offsets) > 1:
            steps = pc.subtract(offsets[1:], offsets[:-1])
            wide = pc.indices_nonzero(pc.greater(steps, 1))
            if len(wide):
                return int(offsets[wide[-1].as_py()].as_py()) + 1
        return self.expected if first > self.expected else first

    def _ask(self, missing: int) -> None:
        partition = (self.part.topic, self.part.partition)
        begins = self._brokers().beginning([partition])[partition]
        if begins > missing:
            raise DataLossError(
                f"{partition[0]}-{partition[1]} begins at offset {begins} by now, the records from offset {missing} were deleted "
                f"before they were read; {LOSS_HINT}"
            )

    def _brokers(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self.read.bootstrap, self.read.settings)
        return self._cluster
