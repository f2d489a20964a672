"""The columns: what Spark is told, what the core is asked for, and how its batches become what Spark expects.

Spark takes a batch only if its Arrow schema is exactly that of the DataFrame: plain binary, timestamps in microseconds,
nullable throughout. The core's buffers are passed on as they are wherever the types agree.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from pyspark_headwater.errors import OptionError

if TYPE_CHECKING:
    from pyspark_headwater.options import ReadOptions

__all__ = ["HEADERS", "Layout", "fixed_schema", "typed_schema"]

HEADERS = ArrayType(StructType([StructField("key", StringType()), StructField("value", BinaryType())]))

#: The columns of spark-sql-kafka, in its order, and their names in the core.
_RECORD: dict[str, tuple[str, DataType]] = {
    "key": ("key", BinaryType()),
    "value": ("value", BinaryType()),
    "topic": ("topic", StringType()),
    "partition": ("partition", IntegerType()),
    "offset": ("offset", LongType()),
    "timestamp": ("timestamp", TimestampType()),
    "timestampType": ("timestamp_type", IntegerType()),
    "headers": ("headers", HEADERS),
}
#: Names that the core gives to its own columns: it puts `value_` before a field of the value that has one of them.
_RESERVED = {core for core, _ in _RECORD.values()} | {"value_error"}


def fixed_schema(*, headers: bool) -> StructType:
    """The columns of every read without `valueFormat`."""
    return StructType([StructField(name, kind) for name, (_, kind) in _RECORD.items() if headers or name != "headers"])


def typed_schema(values: pa.Schema, read: ReadOptions) -> StructType:
    """The columns of a read with `valueFormat`, where the user did not name them.

    Args:
        values: the columns that the core makes of the values.
    """
    found = []
    for column in fixed_schema(headers=read.include_headers):
        if column.name == "value":
            # The core does not know Spark's name of its column timestamp_type.
            found += [
                StructField(f"value_{field.name}" if field.name in _RECORD else field.name, field.dataType)
                for field in from_arrow_schema(values)
            ]
        else:
            found.append(column)
    if read.bad_rows == "column":
        found.append(StructField("value_error", StringType()))
    return StructType(found)


def _taken(field: str) -> bool:
    return field in _RECORD or field in _RESERVED


@dataclass(frozen=True)
class Layout:
    """How the columns of a DataFrame come from those of the core."""

    #: The batches' schema, as Spark wants it.
    arrow: pa.Schema
    #: For each column of `arrow` the core's name of it.
    core: tuple[str, ...]
    #: What the core is told of the values; None without `valueFormat`.
    values: pa.Schema | None

    @classmethod
    def of(cls, schema: StructType, read: ReadOptions) -> Layout:
        """The layout of a DataFrame.

        Raises:
            OptionError: the user's schema asks for columns that there are not.
        """
        if read.value_format is None:
            fixed = fixed_schema(headers=read.include_headers)
            if [(field.name, field.dataType) for field in schema] != [(field.name, field.dataType) for field in fixed]:
                raise OptionError(
                    "a schema can only be given with the option valueFormat=json; without it the columns are fixed"
                )
            return cls(_arrow(schema), tuple(_RECORD[name][0] for name in schema.names), None)
        core, values = [], []
        for field in schema:
            if field.name in _RECORD:
                core.append(_record_column(field))
            elif field.name == "value_error" and read.bad_rows == "column":
                core.append(field.name)
            else:
                name = field.name.removeprefix("value_") if _taken(field.name.removeprefix("value_")) else field.name
                values.append(StructField(name, field.dataType))
                core.append(f"value_{name}" if name in _RESERVED else name)
        return cls(_arrow(schema), tuple(core), _arrow(StructType(values)))

    @property
    def columns(self) -> list[str]:
        """What to ask the core for; always with partition and offset, by which gaps are noticed."""
        return [*self.core, *(name for name in ("partition", "offset") if name not in self.core)]

    def to_spark(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch of the core as Spark wants it."""
        arrays = [
            _headers(batch.column(name), kind) if name == "headers" else _cast(batch.column(name), kind)
            for name, kind in zip(self.core, self.arrow.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.arrow)


def _arrow(schema: StructType) -> pa.Schema:
    # Spark asks for the time zone since 4.1; before, UTC was understood.
    zone: dict[str, Any] = {"timezone": "UTC"} if "timezone" in inspect.signature(to_arrow_schema).parameters else {}
    return to_arrow_schema(schema, **zone)


def _record_column(field: StructField) -> str:
    core, kind = _RECORD[field.name]
    if field.name == "value":
        raise OptionError(
            "valueFormat=json puts the fields of the value in its place: leave the column value out of the schema, and "
            "call a field of that name value_value"
        )
    if field.dataType != kind:
        raise OptionError(
            f"the column {field.name} of the schema is the record's own and has the type {kind.simpleString()}: a "
            f"field of the value with that name is called value_{field.name}"
        )
    return core


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind else pc.cast(array, kind)


def _headers(array: pa.ListArray, kind: pa.ListType) -> pa.Array:
    # As with spark-sql-kafka, a record without headers has null instead of an empty list.
    pairs = array.values
    pairs = pa.StructArray.from_arrays([pairs.field(0), pairs.field(1)], fields=list(kind.value_type))
    return pa.ListArray.from_arrays(array.offsets, pairs, type=kind, mask=pc.equal(pc.list_value_length(array), 0))
