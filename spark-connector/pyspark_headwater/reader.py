"""A batch read: from the options to ranges of offsets, fixed when the query is planned."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from pyspark.sql.datasource import DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from pyspark_headwater.batches import LOSS_HINT, read_task
from pyspark_headwater.carrying import Carried
from pyspark_headwater.cluster import Cluster
from pyspark_headwater.errors import DataLossError, OptionError, one_sentence
from pyspark_headwater.offsets import AtOffsets, Offsets, named, resolve
from pyspark_headwater.options import ReadOptions
from pyspark_headwater.planning import Task, ranges, tasks
from pyspark_headwater.schema import Layout

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.datasource import Filter

    from pyspark_headwater.filters import Pushed

__all__ = ["BatchReader", "FilteringReader"]


class BatchReader(Carried, DataSourceReader):
    """Reads the ranges that the options name."""

    def __init__(self, schema: StructType, read: ReadOptions) -> None:
        self.read_options = read
        self.layout = Layout.of(schema, read)
        self.pushed: Pushed | None = None

    def partitions(self) -> list[InputPartition]:
        """One task for each range of offsets, or more as `minPartitions` and `maxRecordsPerPartition` say."""
        read = self.read_options
        with one_sentence("planning the read"), Cluster(read.bootstrap, read.settings) as cluster:
            partitions = cluster.subscribed(read.subscription)
            start, end = self._bounds(partitions, cluster)
            if self.pushed is not None:
                start, end = self.pushed.narrow(start, end, cluster)
            whole = ranges(start, end)
        return list(tasks(whole, count_min=read.min_partitions, size_max=read.max_records_per_partition))

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The records of one task. Spark passes a partition of nothing where there are none at all."""
        if isinstance(partition, Task):
            yield from read_task(partition, self.layout, self.read_options)

    def _bounds(self, partitions: Collection[tuple[str, int]], cluster: Cluster) -> tuple[Offsets, Offsets]:
        read = self.read_options
        start = resolve(read.start, partitions, cluster)
        end = resolve(read.end, partitions, cluster)
        if isinstance(read.start, AtOffsets) and isinstance(read.end, AtOffsets):
            for partition, first in start.items():
                if first > end[partition]:
                    raise OptionError(
                        f"option {read.start.option}: {named(partition)} would begin at offset {first}, after its end "
                        f"at {end[partition]}"
                    )
        begins, ends = cluster.beginning(partitions), cluster.end(partitions)
        if read.fail_on_data_loss:
            for bound, offsets in ((read.start, start), (read.end, end)):
                if isinstance(bound, AtOffsets):
                    _within(bound.option, offsets, begins, ends)
        return (
            {partition: max(offset, begins[partition]) for partition, offset in start.items()},
            {partition: min(offset, ends[partition]) for partition, offset in end.items()},
        )


def _within(option: str, offsets: Offsets, begins: Offsets, ends: Offsets) -> None:
    for partition, offset in sorted(offsets.items()):
        if not begins[partition] <= offset <= ends[partition]:
            raise DataLossError(
                f"option {option}: {named(partition)} has no offset {offset}, it holds {begins[partition]} to "
                f"{ends[partition]}; {LOSS_HINT}"
            )


class FilteringReader(BatchReader):
    """Also takes filters. Spark refuses a reader with `pushFilters` where its setting does not allow them."""

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:
        """Takes what can be said in partitions and offsets; returns what Spark must still look at row by row."""
        from pyspark_headwater.filters import Pushed

        self.pushed, left = Pushed.take(filters)
        return left
