"""`valueFormat=json`: typed columns that the core decodes, with fields given, named in a schema, or inferred."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headwater
import pytest
from pyspark.errors import AnalysisException, PythonException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamReader
from streams import Stream

Read = Callable[..., DataFrame]
VALUES = [
    {"carrier": f"c{number % 3}", "delay": number, "offset": -number, "tags": ["a"] * (number % 2)}
    for number in range(9)
]


@pytest.fixture
def read(spark: SparkSession, bootstrap: str, topic: str) -> Read:
    def read(schema: str | None = None, **options: str) -> DataFrame:
        reader = spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap).option("subscribe", topic)
        if schema is not None:
            reader = reader.schema(schema)
        return reader.options(valueFormat="json", **options).load()

    return read


@pytest.fixture(autouse=True)
def values(bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, [json.dumps(value) for value in VALUES])


def produce(bootstrap: str, topic: str, values: list[Any]) -> None:
    with headwater.Producer(bootstrap) as producer:
        for value in values:
            producer.produce(topic, value, key="k", partition=1)


@pytest.mark.every_spark
def test_a_schema_names_the_columns(read: Read) -> None:
    frame = read("offset long, carrier string, delay int, value_offset long, tags array<string>")
    expected = [
        (number, value["carrier"], value["delay"], value["offset"], value["tags"])
        for number, value in enumerate(VALUES)
    ]
    assert [tuple(row) for row in frame.orderBy("offset").collect()] == expected


def test_an_option_names_the_fields(read: Read) -> None:
    frame = read(valueSchema="carrier string, delay long, offset long, timestampType string")
    assert frame.columns == [
        *("key", "carrier", "delay", "value_offset", "value_timestampType"),
        *("topic", "partition", "offset", "timestamp", "timestampType"),
    ]
    row = frame.where("offset = 4").collect()[0]
    assert (bytes(row.key), row.carrier, row.delay, row.value_offset, row.timestampType) == (b"k", "c1", 4, -4, 0)


def test_fields_are_inferred(read: Read) -> None:
    frame = read(includeHeaders="true")
    typed = "struct<carrier:string,delay:bigint,value_offset:bigint,tags:array<string>>"
    assert (
        frame.drop("key", "topic", "partition", "offset", "timestamp", "timestampType", "headers").schema.simpleString()
        == typed
    )
    assert frame.selectExpr("sum(delay)", "sum(size(tags))").collect()[0][:] == (36, 4)


@pytest.mark.every_spark
def test_every_simple_type_of_spark(spark: SparkSession, read: Read, bootstrap: str, topic: str) -> None:
    types = {
        "b": "boolean",
        "i": "int",
        "l": "bigint",
        "d": "double",
        "s": "string",
        "t": "timestamp",
        "day": "date",
        "m": "decimal(10,2)",
        "inner": "struct<a:int,b:array<double>>",
    }
    value = (
        '{"b":true,"i":1,"l":9007199254740993,"d":0.5,"s":"é","t":"2024-02-29T12:00:00Z","day":"2024-02-29","m":12.34,'
    )
    produce(bootstrap, topic, [value + '"inner":{"a":1,"b":[1.5,null]}}', None])
    schema = ", ".join(f"{name} {kind}" for name, kind in types.items())
    frame = read(f"{schema}, offset long").where("offset >= 9").orderBy("offset")
    assert [field.dataType.simpleString() for field in frame.drop("offset").schema] == list(types.values())
    full, tombstone = frame.selectExpr("cast(t as string) at", "*").collect()
    assert full.at == "2024-02-29 12:00:00"
    assert (full.b, full.i, full.l, full.d, full.s, str(full.day), str(full.m)) == (
        *(True, 1, 9007199254740993, 0.5, "é", "2024-02-29", "12.34"),
    )
    assert (full.inner.a, full.inner.b) == (1, [1.5, None])
    assert [tombstone[name] for name in types] == [None] * len(types)


@pytest.mark.every_spark
def test_bad_rows_fail_with_their_place_or_go_to_a_column(read: Read, bootstrap: str, topic: str) -> None:
    produce(bootstrap, topic, ["not json", '{"delay": "late"}'])
    with pytest.raises(PythonException) as error:
        read("delay long").collect()
    assert f"{topic}-1" in str(error.value)
    assert "offset 9" in str(error.value)
    assert "Traceback" not in str(error.value)
    rows = (
        read("offset long, delay long, value_error string", badRows="column")
        .where("offset >= 8")
        .orderBy("offset")
        .collect()
    )
    assert [(row.offset, row.delay) for row in rows] == [(8, 8), (9, None), (10, None)]
    assert rows[0].value_error is None
    assert all(row.value_error for row in rows[1:])


@pytest.mark.parametrize(
    ("schema", "options", "message"),
    [
        ("a long, value binary", {}, "valueFormat=json puts the fields of the value in its place"),
        ("offset string", {}, "the column offset of the schema is the record's own and has the type bigint"),
        (None, {"valueSchema": "a lung"}, "lung"),
    ],
)
def test_columns_that_cannot_be(read: Read, schema: str | None, options: dict[str, str], message: str) -> None:
    with pytest.raises(AnalysisException, match=message):
        read(schema, **options).collect()


def test_a_schema_needs_the_format(spark: SparkSession, bootstrap: str, topic: str) -> None:
    reader = spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap).option("subscribe", topic)
    with pytest.raises(AnalysisException, match="a schema can only be given with the option valueFormat=json"):
        reader.schema("a long").load().collect()


def test_a_stream_of_typed_columns(spark: SparkSession, bootstrap: str, topic: str, tmp_path: Path) -> None:
    class Typed(Stream):
        def source(self, **options: str) -> DataFrame:
            reader: DataStreamReader = self.spark.readStream.format("headwater").schema("carrier string, delay long")
            return reader.options(**self.options, **options).load()

    options = {
        "kafka.bootstrap.servers": bootstrap,
        "subscribe": topic,
        "startingOffsets": "earliest",
        "valueFormat": "json",
    }
    stream = Typed(spark, tmp_path, options)
    stream.run()
    expected = sorted((value["carrier"], value["delay"]) for value in VALUES)
    assert sorted(tuple(row) for row in stream.rows().collect()) == expected
