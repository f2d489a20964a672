"""Writes: each task hands its Arrow batches to an idempotent producer and waits until all of them are safe.

What a task cannot take back are records that it sent before it failed: Spark then runs it again, and they are there
twice. Within one attempt nothing is doubled, since the producer is idempotent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import datasource
from pyspark.sql.datasource import DataSourceArrowWriter, DataSourceStreamWriter, DataSourceWriter, WriterCommitMessage
from pyspark.sql.types import ArrayType, BinaryType, DataType, IntegerType, StringType, StructType

from pyspark_headwater.carrying import Carried
from pyspark_headwater.errors import OptionError, SourceError, one_sentence, wheel
from pyspark_headwater.options import WriteOptions
from pyspark_headwater.schema import HEADERS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Written", "new_stream_writer", "new_writer"]


@dataclass
class Written(WriterCommitMessage):
    """What a task tells the driver: how many records it wrote."""

    records: int


@dataclass(frozen=True)
class Columns:
    """Which columns of the rows are what in a record; the others are passed over, as by spark-sql-kafka."""

    topic: str | None
    key: str | None
    value: str | None
    partition: str | None
    headers: str | None

    @classmethod
    def of(cls, schema: StructType, write: WriteOptions) -> Columns:
        """Looks at the types as spark-sql-kafka does.

        Raises:
            OptionError: a column is missing or has a type that cannot be written.
        """
        json = write.value_format == "json"
        text = (StringType(), BinaryType())
        topic = _column(schema, "topic", (StringType(),))
        value = None if json and "value" not in schema.names else _column(schema, "value", () if json else text)
        if write.topic is None and topic is None:
            raise OptionError("the option topic is required where the rows have no column topic")
        if value is None and not json:
            raise OptionError("the column value is required; for JSON objects made of all columns set valueFormat=json")
        return cls(
            topic=topic if write.topic is None else None,
            key=_column(schema, "key", text),
            value=value,
            partition=_column(schema, "partition", (IntegerType(),)),
            headers=_column(schema, "headers", (HEADERS,)),
        )


def _column(schema: StructType, name: str, allowed: tuple[DataType, ...]) -> str | None:
    found = next((field for field in schema if field.name == name), None)
    if found is None:
        return None
    if allowed and not any(_alike(found.dataType, kind) for kind in allowed):
        expected = " or ".join(kind.simpleString() for kind in allowed)
        raise OptionError(f"the column {name} has the type {found.dataType.simpleString()}, expected is {expected}")
    return name


def _alike(one: DataType, other: DataType) -> bool:
    """Whether two types are the same but for what may be null."""
    if isinstance(one, ArrayType) and isinstance(other, ArrayType):
        return _alike(one.elementType, other.elementType)
    if isinstance(one, StructType) and isinstance(other, StructType):
        return one.names == other.names and all(_alike(a.dataType, b.dataType) for a, b in zip(one, other, strict=True))
    return one.typeName() == other.typeName()


class _Write(Carried):
    """What writes have in common."""

    def __init__(self, schema: StructType, write: WriteOptions) -> None:
        self.write_options = write
        self.columns = Columns.of(schema, write)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        """Writes the batches of one task; returns when all records are acknowledged."""
        write, to = self.write_options, self.write_options.topic or "the topics that the column topic names"
        with one_sentence(f"writing to {to}"), wheel().Producer(write.bootstrap, **write.settings) as producer:
            count = sum(self._send(producer, batch) for batch in iterator)
            producer.flush()
        return Written(count)

    def _send(self, producer: Any, batch: pa.RecordBatch) -> int:
        columns, topic = self.columns, self.write_options.topic
        if columns.topic is not None and batch.column(columns.topic).null_count:
            raise SourceError("the column topic is null in some rows: fill it, or name one topic with the option topic")
        if columns.topic is None and "topic" in batch.schema.names and columns.value is None:
            batch = batch.drop_columns(["topic"])
        return int(
            producer.send_arrow(
                topic,
                batch,
                key=columns.key,
                value=columns.value,
                headers=columns.headers,
                partition=columns.partition,
                value_format=self.write_options.value_format,
            )
        )


class BatchWriter(_Write, DataSourceArrowWriter):
    """A batch write."""


# Since 4.1 Arrow has a class of its own for streams; 4.0 asks in streams too whether a writer is one for Arrow.
_ArrowStream: Any = getattr(datasource, "DataSourceStreamArrowWriter", DataSourceArrowWriter)


class StreamWriter(_Write, _ArrowStream, DataSourceStreamWriter):  # type: ignore[misc]
    """A streaming write."""

    def commit(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:
        """Nothing: what the tasks wrote is there already."""

    def abort(self, messages: list[WriterCommitMessage | None], batchId: int) -> None:
        """Nothing: what was sent cannot be taken back."""


def new_writer(schema: StructType, write: WriteOptions) -> DataSourceWriter:
    """The writer of a batch."""
    return BatchWriter(schema, write)


def new_stream_writer(schema: StructType, write: WriteOptions) -> DataSourceStreamWriter:
    """The writer of a stream."""
    return StreamWriter(schema, write)
