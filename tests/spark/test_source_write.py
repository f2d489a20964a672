"""Writes: what Spark hands over is in the topic, each row once, with the columns that spark-sql-kafka takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import headwater
import pyarrow as pa
import pytest
from pyspark.errors import AnalysisException, PythonException
from pyspark.sql import DataFrame, SparkSession
from pyspark_headwater.errors import OptionError
from pyspark_headwater.options import WriteOptions
from pyspark_headwater.writer import Columns
from spark_rows import scan_rows, write_events

Write = Callable[..., None]


@pytest.fixture
def write(bootstrap: str) -> Write:
    def write(frame: DataFrame, **options: str) -> None:
        writer = frame.write.format("headwater").mode("append").option("kafka.bootstrap.servers", bootstrap)
        writer.options(**options).save()

    return write


def written(bootstrap: str, topic: str, *columns: str) -> list[dict[str, object]]:
    return pa.table(headwater.scan(topic, bootstrap, columns=columns)).to_pylist()


@pytest.fixture
def copy(admin: headwater.Admin, fresh: Callable[[str], str]) -> str:
    """A second topic with three partitions."""
    name = fresh("copy")
    admin.create_topic(name, partitions=3, config={"retention.ms": "-1"})
    return name


@pytest.mark.every_spark
def test_a_topic_is_copied_row_by_row(spark: SparkSession, bootstrap: str, topic: str, copy: str, write: Write) -> None:
    events = write_events(bootstrap, topic, range(60))
    source = (
        spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap).option("includeHeaders", "true")
    )
    # The column topic still names the original: the option goes before it.
    write(source.option("subscribe", topic).load(), topic=copy)
    copied = scan_rows(bootstrap, copy)
    assert [(row.partition, row.offset, row.key, row.value, row.headers) for row in copied] == [
        (row.partition, row.offset, row.key, row.value, row.headers) for row in events
    ]


@pytest.mark.every_spark
def test_the_column_topic_names_topics(
    spark: SparkSession, bootstrap: str, write: Write, admin: headwater.Admin, fresh: Callable[[str], str]
) -> None:
    topics = [fresh("even"), fresh("odd")]
    for name in topics:
        admin.create_topic(name, partitions=1)
    either = f"case when id % 2 = 0 then '{topics[0]}' else '{topics[1]}' end as topic"
    write(spark.range(0, 100, 1, 4).selectExpr(either, "cast(id as string) as value", "'k' as key", "id as other"))
    for parity, name in enumerate(topics):
        rows = written(bootstrap, name, "key", "value")
        assert sorted(int(row["value"]) for row in rows) == list(range(parity, 100, 2))
        assert {row["key"] for row in rows} == {b"k"}


def test_nulls_are_tombstones_and_headers_keep_their_order(
    spark: SparkSession, bootstrap: str, topic: str, write: Write
) -> None:
    frame = spark.sql(
        "select cast('a' as binary) key, cast(null as string) value, 2 partition,"
        " array(struct('h' as key, cast('1' as binary) as value),"
        " struct('h' as key, cast(null as binary) as value)) headers"
    )
    write(frame, topic=topic)
    assert written(bootstrap, topic, "key", "value", "partition", "headers") == [
        {
            "key": b"a",
            "value": None,
            "partition": 2,
            "headers": [{"key": "h", "value": b"1"}, {"key": "h", "value": None}],
        }
    ]


@pytest.mark.every_spark
def test_rows_as_json(spark: SparkSession, bootstrap: str, topic: str, write: Write) -> None:
    frame = spark.range(3).selectExpr(
        "cast(id as string) key", "id as delay", "struct(id as a, 'x' as b) inner", "1 partition"
    )
    write(frame, topic=topic, valueFormat="json")
    rows = written(bootstrap, topic, "key", "value", "partition")
    values = {row["key"]: json.loads(row["value"]) for row in rows}
    assert values == {f"{i}".encode(): {"delay": i, "inner": {"a": i, "b": "x"}} for i in range(3)}
    assert {row["partition"] for row in rows} == {1}


@pytest.mark.every_spark
def test_a_stream_from_topic_to_topic(
    spark: SparkSession, bootstrap: str, topic: str, copy: str, tmp_path: Path
) -> None:

    def run() -> None:
        source = spark.readStream.format("headwater").option("kafka.bootstrap.servers", bootstrap)
        frame = source.option("subscribe", topic).option("startingOffsets", "earliest").load()
        writer = (
            frame.writeStream.format("headwater").option("kafka.bootstrap.servers", bootstrap).option("topic", copy)
        )
        query = writer.option("checkpointLocation", str(tmp_path)).trigger(availableNow=True).start()
        assert query.awaitTermination(90)

    events = write_events(bootstrap, topic, range(30))
    run()
    events += write_events(bootstrap, topic, range(30, 48))
    run()
    copied = [(row.partition, row.key, row.value) for row in scan_rows(bootstrap, copy)]
    assert sorted(copied, key=str) == sorted(((row.partition, row.key, row.value) for row in events), key=str)


def test_more_rows_than_a_batch(spark: SparkSession, bootstrap: str, topic: str, write: Write) -> None:
    write(spark.range(0, 50_000, 1, 2).selectExpr("cast(id as string) value"), topic=topic, **{"kafka.linger.ms": "0"})
    source = spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap).option("subscribe", topic)
    numbers = source.load().selectExpr("cast(cast(value as string) as bigint) n")
    assert numbers.selectExpr("count(*)", "count(distinct n)", "sum(n)").collect()[0][:] == (
        50_000,
        50_000,
        1_249_975_000,
    )


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (["'v' value"], {}, "the option topic is required where the rows have no column topic"),
        (["'k' key"], {"topic": "t"}, "the column value is required; .* set valueFormat=json"),
        (["1 value"], {"topic": "t"}, "the column value has the type int, expected is string or binary"),
        (
            ["'v' value", "1.5 key"],
            {"topic": "t"},
            r"the column key has the type decimal\(2,1\), expected is string or binary",
        ),
        (["'v' value", "'0' partition"], {"topic": "t"}, "the column partition has the type string, expected is int"),
        (["'v' value", "5 topic"], {"topic": "t"}, "the column topic has the type int, expected is string"),
        (
            ["'v' value", "array(1) headers"],
            {"topic": "t"},
            "the column headers has the type array<int>, expected is array<struct",
        ),
        (
            ["'v' value"],
            {"topic": "t", "kafka.value.serializer": "x"},
            "option kafka.value.serializer is not supported",
        ),
    ],
)
def test_rows_that_cannot_be_written(
    spark: SparkSession, columns: list[str], options: dict[str, str], message: str
) -> None:
    schema = spark.range(1).selectExpr(*columns).schema
    with pytest.raises(OptionError, match=message):
        Columns.of(schema, WriteOptions.parse({"kafka.bootstrap.servers": "localhost:9092"} | options))


def test_what_is_wrong_with_rows_is_said_before_any_is_written(spark: SparkSession, write: Write) -> None:
    with pytest.raises(AnalysisException, match="the column value has the type int, expected is string or binary"):
        write(spark.range(1).selectExpr("1 value"), topic="t")


def test_modes_but_append_are_refused(spark: SparkSession, bootstrap: str, topic: str) -> None:
    writer = (
        spark.range(1).selectExpr("'v' value").write.format("headwater").option("kafka.bootstrap.servers", bootstrap)
    )
    with pytest.raises(AnalysisException, match="write with mode append instead of overwrite"):
        writer.option("topic", topic).mode("overwrite").save()


@pytest.mark.every_spark
def test_a_row_that_the_broker_refuses(spark: SparkSession, bootstrap: str, topic: str, write: Write) -> None:
    with pytest.raises(PythonException) as error:
        write(spark.range(1).selectExpr("'v' value", "7 partition"), topic=topic)
    assert f"writing to {topic}" in str(error.value)
    assert "Traceback" not in str(error.value)
    with pytest.raises(PythonException, match="the column topic is null in some rows"):
        write(spark.range(1).selectExpr("'v' value", "cast(null as string) topic"))


def test_what_was_written_can_be_read_with_types(spark: SparkSession, bootstrap: str, topic: str, write: Write) -> None:
    frame = spark.range(20).selectExpr("id as number", "id * 0.5D as half", "array(id, null) as pair")
    write(frame, topic=topic, valueFormat="json")
    source = spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap).option("subscribe", topic)
    back = source.option("valueFormat", "json").schema(frame.schema).load()
    assert sorted(back.collect()) == sorted(frame.collect())
