"""A streaming read: offsets from batch to batch, kept by Spark in the checkpoint.

A checkpoint holds, for each batch, where it ended: `{"flights": {"0": 17}}`. Spark asks a source anew where it begins
whenever the first batch is planned, also when that batch was planned before a kill and is now repeated; "latest" would
have moved by then. So the beginning is `{"(start)": {}}`, and the first batch's end says beside its offsets what that
was: `{"(start)": {"flights": {"0": 9}}, "flights": {"0": 17}}`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from pyspark.sql.datasource import DataSourceStreamReader, InputPartition
from pyspark.sql.types import StructType

from pyspark_headwater.batches import LOSS_HINT, read_task
from pyspark_headwater.carrying import Carried
from pyspark_headwater.cluster import Cluster
from pyspark_headwater.errors import DataLossError, OptionError, SourceError, one_sentence
from pyspark_headwater.offsets import START, AtOffsets, Offsets, from_checkpoint, named, resolve, to_checkpoint
from pyspark_headwater.options import ReadOptions
from pyspark_headwater.planning import Task, prorate, ranges, tasks
from pyspark_headwater.schema import Layout

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RefusedStreamReader", "StreamReader", "new_stream_reader"]

#: Where every query begins, before it is known what that is in offsets.
BEGINNING: dict[str, Any] = {START: {}}


class StreamReader(Carried, DataSourceStreamReader):
    """Decides what the next batch is and reads it. What Spark calls differs by version, see the classes below."""

    def __init__(self, schema: StructType, read: ReadOptions) -> None:
        self.read_options = read
        self.layout = Layout.of(schema, read)
        self._cluster: Cluster | None = None
        #: What Trigger.AvailableNow goes up to; None with other triggers.
        self._target: Offsets | None = None
        self._latest_seen: Offsets | None = None
        self._last_batch_at: float | None = None

    def initialOffset(self) -> dict[str, Any]:
        """The beginning, whatever that is."""
        return BEGINNING

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> list[InputPartition]:
        """The tasks of a batch; the same for the same offsets, so that a batch can be repeated."""
        if start == end:
            return []
        read = self.read_options
        with one_sentence("planning a batch"):
            first, last = from_checkpoint(start), from_checkpoint(end)
            if start == BEGINNING:
                first = from_checkpoint(end[START])
            first = self._with_added(first, last)
            self._none_removed(first, last)
            for partition, offset in last.items():
                if offset < first[partition]:
                    self._loss(f"{named(partition)} went back from offset {first[partition]} to {offset}")
            whole = ranges(first, last)
        size_max = read.max_records_per_partition
        return list(tasks(whole, count_min=read.min_partitions, size_max=size_max, share=True))

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The records of one task."""
        if isinstance(partition, Task):
            yield from read_task(partition, self.layout, self.read_options)

    def commit(self, end: dict[str, Any]) -> None:
        """Nothing: the checkpoint is where offsets are kept."""

    def stop(self) -> None:
        """Ends the connections."""
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    # What the next batch is.

    def _next(self, start: dict[str, Any], *, limited: bool) -> dict[str, Any]:
        """Where a batch that begins at `start` ends; `start` itself where there is nothing to read."""
        with one_sentence("asking for the latest offsets"):
            beginning = self._beginning() if start == BEGINNING else None
            first = from_checkpoint(start) if beginning is None else beginning
            last = self._latest(first)
            if limited:
                last = self._limited(first, last)
        if beginning is not None:
            return {START: to_checkpoint(beginning), **to_checkpoint(last)}
        # Without news the text must be that of before, or Spark would run a batch of nothing.
        return start if last == first else to_checkpoint(last)

    def _beginning(self) -> Offsets:
        read, cluster = self.read_options, self._brokers()
        partitions = cluster.subscribed(read.subscription)
        start = resolve(read.start, partitions, cluster)
        if isinstance(read.start, AtOffsets):
            begins, ends = cluster.beginning(partitions), cluster.end(partitions)
            for partition, offset in start.items():
                if not begins[partition] <= offset <= ends[partition]:
                    self._loss(
                        f"option {read.start.option}: {named(partition)} has no offset {offset}, it holds "
                        f"{begins[partition]} to {ends[partition]}"
                    )
                    start[partition] = min(max(offset, begins[partition]), ends[partition])
        return start

    def _latest(self, first: Offsets) -> Offsets:
        cluster = self._brokers()
        gone = {topic for topic, _ in first} if self.read_options.fail_on_data_loss else None
        partitions = cluster.subscribed(self.read_options.subscription, gone=gone)
        last = cluster.end(partitions)
        self._latest_seen = last
        if self._target is not None:
            # Nothing that came after the query began: neither records nor partitions.
            last = {
                partition: min(offset, self._target[partition])
                for partition, offset in last.items()
                if partition in self._target
            }
        self._none_removed(first, last)
        for partition, offset in last.items():
            if offset < first.get(partition, 0):
                self._loss(
                    f"{named(partition)} ends at offset {offset}, but the query has read up to {first[partition]}"
                )
        return last

    def _limited(self, first: Offsets, last: Offsets) -> Offsets:
        read = self.read_options
        least, most = read.min_offsets_per_trigger, read.max_offsets_per_trigger
        if least is None and most is None:
            return last
        first = self._with_added(first, last)
        if least is not None and self._target is None and self._too_early(first, last, least):
            return {partition: offset for partition, offset in first.items() if partition in last}
        return last if most is None else prorate(most, first, last)

    def _too_early(self, first: Offsets, last: Offsets, least: int) -> bool:
        now = time.monotonic()
        waiting = sum(max(0, offset - first[partition]) for partition, offset in last.items())
        delay_s = self.read_options.max_trigger_delay_ms / 1000
        if self._last_batch_at is not None and waiting < least and now - self._last_batch_at < delay_s:
            return True
        self._last_batch_at = now
        return False

    # What may have been lost.

    def _with_added(self, first: Offsets, last: Offsets) -> Offsets:
        """`first` with the partitions that appeared since, from their beginning."""
        added = [partition for partition in last if partition not in first]
        if not added:
            return first
        begins = self._brokers().beginning(added)
        for partition, offset in begins.items():
            if offset > 0:
                self._loss(f"{named(partition)} is new to the query and begins at offset {offset}, not 0")
        return {**first, **begins}

    def _none_removed(self, first: Offsets, last: Offsets) -> None:
        for partition in first:
            if partition not in last:
                self._loss(
                    f"{named(partition)} is not read any more (deleted, or left out of the subscription), the query "
                    f"has read up to offset {first[partition]}"
                )

    def _loss(self, what: str) -> None:
        if self.read_options.fail_on_data_loss:
            raise DataLossError(f"{what}: records may have been missed; {LOSS_HINT}")

    def _brokers(self) -> Cluster:
        # The process that plans a query lives as long as the query.
        if self._cluster is None:
            self._cluster = Cluster(self.read_options.bootstrap, self.read_options.settings)
        return self._cluster


class UnlimitedStreamReader(StreamReader):
    """For Spark before 4.2, which reads all there is in every batch.

    It does not say either where a batch begins. But it plans every batch with its end, and after a restart an empty
    batch at the last end, so that the end of the last plan is where the next batch begins.
    """

    def __init__(self, schema: StructType, read: ReadOptions) -> None:
        super().__init__(schema, read)
        self._planned = BEGINNING
        for option, value in (
            ("maxOffsetsPerTrigger", read.max_offsets_per_trigger),
            ("minOffsetsPerTrigger", read.min_offsets_per_trigger),
        ):
            if value is not None:
                raise OptionError(
                    f"option {option} needs Spark 4.2 or later: leave it out to read all there is in each batch"
                )

    def latestOffset(self) -> dict[str, Any]:  # type: ignore[override]
        """Where the next batch ends."""
        return self._next(self._planned, limited=False)

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> list[InputPartition]:
        """The tasks of a batch."""
        self._planned = end
        return super().partitions(start, end)


class RefusedStreamReader(Carried, DataSourceStreamReader):
    """Says what is wrong when Spark first asks: what is said while a stream's reader is made, Spark loses."""

    def __init__(self, reason: SourceError) -> None:
        self.reason = reason

    def _refuse(self) -> NoReturn:
        with one_sentence("planning the stream"):
            raise self.reason
        raise AssertionError

    def initialOffset(self) -> dict[str, Any]:
        """Raises the reason."""
        self._refuse()

    def latestOffset(self) -> dict[str, Any]:  # type: ignore[override]
        """Raises the reason."""
        self._refuse()

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> list[InputPartition]:
        """Raises the reason."""
        self._refuse()

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Raises the reason."""
        self._refuse()


def new_stream_reader(schema: StructType, read: ReadOptions) -> StreamReader:
    """The reader for the Spark that runs."""
    try:
        from pyspark.sql.streaming.datasource import ReadAllAvailable
    except ImportError:
        return UnlimitedStreamReader(schema, read)
    del ReadAllAvailable
    from pyspark_headwater.limited_stream import LimitedStreamReader

    return LimitedStreamReader(schema, read)
