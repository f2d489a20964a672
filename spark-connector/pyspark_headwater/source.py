"""The data source that Spark finds: what `format("headwater")` is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSource
from pyspark.sql.types import StructType

from pyspark_headwater.carrying import Carried
from pyspark_headwater.cluster import Cluster
from pyspark_headwater.errors import OptionError, SourceError, one_sentence, wheel
from pyspark_headwater.options import ReadOptions, Use, WriteOptions

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.datasource import (
        DataSourceReader,
        DataSourceStreamReader,
        DataSourceStreamWriter,
        DataSourceWriter,
    )

__all__ = ["DefaultSource"]

_PUSHDOWN = "pyspark.sql.worker.data_source_pushdown_filters"


class DefaultSource(Carried, DataSource):
    """Topics of Headwater, or of any Kafka-compatible cluster, as DataFrames. Spark finds it by this name."""

    @classmethod
    def name(cls) -> str:
        """The name for `format(…)`."""
        return "headwater"

    def schema(self) -> StructType:
        """The columns, where the user gave no schema; those of spark-sql-kafka unless there is a `valueFormat`."""
        from pyspark_headwater.schema import fixed_schema, typed_schema

        with one_sentence("looking at the values"):
            wheel()
            read = ReadOptions.parse(self.options, Use.READ)
            if read.value_format is None:
                return fixed_schema(headers=read.include_headers)
            return typed_schema(_value_columns(read), read)

    def reader(self, schema: StructType) -> DataSourceReader:
        """A batch read."""
        from pyspark_headwater.reader import BatchReader, FilteringReader

        with one_sentence("planning the read"):
            wheel()
            read = ReadOptions.parse(self.options, Use.BATCH)
            return FilteringReader(schema, read) if _filters_are_pushed() else BatchReader(schema, read)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:
        """A streaming read."""
        from pyspark_headwater.stream import RefusedStreamReader, new_stream_reader

        try:
            wheel()
            return new_stream_reader(schema, ReadOptions.parse(self.options, Use.STREAM))
        except SourceError as reason:
            return RefusedStreamReader(reason)

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:
        """A batch write."""
        from pyspark_headwater.writer import new_writer

        with one_sentence("planning the write"):
            wheel()
            if overwrite:
                raise OptionError("a topic is only ever appended to: write with mode append instead of overwrite")
            return new_writer(schema, WriteOptions.parse(self.options))

    def streamWriter(self, schema: StructType, overwrite: bool) -> DataSourceStreamWriter:
        """A streaming write; in complete mode the whole result is appended by every batch, as with spark-sql-kafka."""
        from pyspark_headwater.writer import new_stream_writer

        with one_sentence("planning the write"):
            wheel()
            return new_stream_writer(schema, WriteOptions.parse(self.options))


def _value_columns(read: ReadOptions) -> pa.Schema:
    """The typed columns that the core makes of the values: as the option says, or inferred from the first records."""
    import pyarrow as pa

    headwater = wheel()
    fields: Any = read.value_schema
    topic = "-"
    if fields is None:
        with Cluster(read.bootstrap, read.settings) as cluster:
            topics = sorted({topic for topic, _ in cluster.subscribed(read.subscription)})
        if len(topics) != 1:
            found = ", ".join(topics) or "none"
            raise OptionError(
                f"the fields of the values are inferred from one topic, got {found}: give them with valueSchema"
            )
        topic = topics[0]
        fields = headwater.infer_schema(topic, read.bootstrap, config=dict(read.settings))
    # With the fields known nothing is read: the topic only gives the scan a name.
    columns = pa.schema(headwater.scan(topic, read.bootstrap, value_format="json", value_schema=fields))
    return pa.schema([columns.field(i) for i in range(columns.names.index("key") + 1, columns.names.index("topic"))])


def _filters_are_pushed() -> bool:
    # Spark asks for a reader in one of two workers: this one exists only where its setting allows filters to be pushed
    # down, and in the other one a reader that takes filters can be an error.
    main = getattr(sys.modules["__main__"], "__spec__", None)
    return _PUSHDOWN in sys.modules or (main is not None and main.name == _PUSHDOWN)
