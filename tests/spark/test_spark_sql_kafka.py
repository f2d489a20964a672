"""Unmodified spark-sql-kafka reads and writes our broker in batches; streams are in test_spark_sql_kafka_streams.py.

`HEADWATER_TEST_BOOTSTRAP` asks Apache Kafka the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import headwater
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from spark_rows import FIRST_MS, STEP_MS, TopicRow, event, place, scan_rows, spark_rows, write_events
from spark_session import PROMPT

COUNT = 100
# What the JVM throws under a name that pyspark does not know stays Py4J's.
SPARK_ERRORS = (PySparkException, Py4JJavaError)


@pytest.fixture
def written(bootstrap: str, topic: str) -> list[TopicRow]:
    return write_events(bootstrap, topic, range(COUNT))


@pytest.fixture
def default_reader(spark: SparkSession, bootstrap: str) -> DataFrameReader:
    return spark.read.format("kafka").option("kafka.bootstrap.servers", bootstrap).option("includeHeaders", "true")


@pytest.fixture
def reader(default_reader: DataFrameReader) -> DataFrameReader:
    return default_reader.options(**PROMPT)


def offsets(topic: str, by_partition: dict[int, int]) -> str:
    return json.dumps({topic: {str(partition): offset for partition, offset in by_partition.items()}})


def test_every_column_of_every_record(default_reader: DataFrameReader, topic: str, written: list[TopicRow]) -> None:
    frame = default_reader.option("subscribe", topic).load()
    assert frame.schema.simpleString() == (
        "struct<key:binary,value:binary,topic:string,partition:int,offset:bigint,timestamp:timestamp,"
        "timestampType:int,headers:array<struct<key:string,value:binary>>>"
    )
    assert spark_rows(frame) == written
    assert frame.count() == COUNT


def test_a_range_by_offsets(reader: DataFrameReader, topic: str, written: list[TopicRow]) -> None:
    frame = (
        reader.option("subscribe", topic)
        .option("startingOffsets", offsets(topic, {0: 5, 1: -2, 2: 3}))
        .option("endingOffsets", offsets(topic, {0: 9, 1: -1, 2: 3}))
        .load()
    )
    assert spark_rows(frame) == [
        row for row in written if (row.partition == 0 and 5 <= row.offset < 9) or row.partition == 1
    ]


def test_a_range_by_time(reader: DataFrameReader, topic: str, written: list[TopicRow]) -> None:
    start, end = FIRST_MS + 10 * STEP_MS + 1, FIRST_MS + 60 * STEP_MS
    frame = reader.option("subscribe", topic).option("startingTimestamp", start).option("endingTimestamp", end).load()
    assert spark_rows(frame) == [row for row in written if start <= row.timestamp_ms < end]


def test_a_range_by_time_for_each_partition(reader: DataFrameReader, topic: str, written: list[TopicRow]) -> None:
    starts = {0: FIRST_MS, 1: FIRST_MS + 40 * STEP_MS, 2: FIRST_MS + 41 * STEP_MS}
    # An end that no record reaches is the latest offset.
    ends = {0: FIRST_MS + 30 * STEP_MS, 1: FIRST_MS + 50 * STEP_MS, 2: FIRST_MS + COUNT * STEP_MS}
    frame = (
        reader.option("subscribe", topic)
        .option("startingOffsetsByTimestamp", offsets(topic, starts))
        .option("endingOffsetsByTimestamp", offsets(topic, ends))
        .load()
    )
    assert spark_rows(frame) == [
        row for row in written if starts[row.partition] <= row.timestamp_ms < ends[row.partition]
    ]


def test_a_start_after_every_record(reader: DataFrameReader, topic: str, written: list[TopicRow]) -> None:
    late = reader.option("subscribe", topic).option("startingTimestamp", FIRST_MS + COUNT * STEP_MS)
    with pytest.raises(SPARK_ERRORS, match="No offset matched"):
        late.load().collect()
    assert late.option("startingOffsetsByTimestampStrategy", "latest").load().collect() == []


def test_topics_by_pattern(
    reader: DataFrameReader, bootstrap: str, admin: headwater.Admin, fresh: Callable[[str], str]
) -> None:
    stem = fresh("pattern")
    expected: list[TopicRow] = []
    for name in (f"{stem}.a", f"{stem}.b", f"other-{stem}"):
        admin.create_topic(name, partitions=3, config={"retention.ms": "-1"})
        rows = write_events(bootstrap, name, range(20))
        expected += rows if name.startswith(stem) else []
    assert spark_rows(reader.option("subscribePattern", rf"{stem}\..*").load()) == expected


def test_chosen_partitions(reader: DataFrameReader, topic: str, written: list[TopicRow]) -> None:
    frame = reader.option("assign", json.dumps({topic: [0, 2]})).load()
    assert spark_rows(frame) == [row for row in written if row.partition != 1]


# In a batch, Spark looks at `maxRecordsPerPartition` only where `minPartitions` asks for more than the topic has.
@pytest.mark.parametrize(("options", "least"), [((8, 1000), 8), ((4, 7), 15)])
def test_more_spark_partitions_than_topic_partitions(
    reader: DataFrameReader, topic: str, written: list[TopicRow], options: tuple[int, int], least: int
) -> None:
    partitions, records = options
    frame = (
        reader.option("subscribe", topic)
        .option("minPartitions", partitions)
        .option("maxRecordsPerPartition", records)
        .load()
    )
    assert frame.rdd.getNumPartitions() >= least
    assert spark_rows(frame) == written


def test_read_committed_reads_what_no_transaction_wrote(
    reader: DataFrameReader, topic: str, written: list[TopicRow]
) -> None:
    frame = reader.option("kafka.isolation.level", "read_committed").option("subscribe", topic).load()
    assert spark_rows(frame) == written


def test_an_unknown_topic(reader: DataFrameReader, fresh: Callable[[str], str]) -> None:
    frame = reader.option("subscribe", fresh("missing")).load()
    with pytest.raises(SPARK_ERRORS, match="UnknownTopicOrPartition"):
        frame.collect()


def test_offsets_that_are_gone(
    reader: DataFrameReader, admin: headwater.Admin, topic: str, written: list[TopicRow]
) -> None:
    admin.delete_records({(topic, 0): 10})
    asked = reader.option("assign", json.dumps({topic: [0]})).option("startingOffsets", offsets(topic, {0: 0}))
    with pytest.raises(SPARK_ERRORS, match=r"(?i)data may have been lost|out of range|not enough data"):
        asked.load().collect()
    rest = [row for row in written if row.partition == 0 and row.offset >= 10]
    assert spark_rows(asked.option("failOnDataLoss", "false").load()) == rest
    assert spark_rows(reader.option("startingOffsets", "earliest").load()) == rest


def source(spark: SparkSession, rows: list[TopicRow]) -> DataFrame:
    """These records as columns that the sink takes."""
    columns = "topic string, partition int, key binary, value binary, headers array<struct<key:string,value:binary>>"
    data = [(row.topic, row.partition, row.key, row.value, list(row.headers) or None) for row in rows]
    return spark.createDataFrame(data, columns)


def contents(rows: list[TopicRow]) -> list[TopicRow]:
    """Rows without what the writer decides: offset and time."""
    blank = [row._replace(offset=0, timestamp_ms=0) for row in rows]
    return sorted(blank, key=lambda row: (*place(row), row.key or b"", row.value or b"", row.headers))


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_a_write_with_every_column(spark: SparkSession, bootstrap: str, topic: str, codec: str) -> None:
    rows = [event(topic, number) for number in range(COUNT)]
    sink = source(spark, rows).write.format("kafka").option("kafka.bootstrap.servers", bootstrap)
    sink.option("includeHeaders", "true").option("kafka.compression.type", codec).save()
    assert contents(scan_rows(bootstrap, topic)) == contents(rows)


def test_a_write_to_the_topic_of_the_option(spark: SparkSession, bootstrap: str, topic: str) -> None:
    frame = spark.range(1000).selectExpr("cast(id as string) as key", "to_json(named_struct('id', id)) as value")
    frame.write.format("kafka").option("kafka.bootstrap.servers", bootstrap).option("topic", topic).save()
    rows = scan_rows(bootstrap, topic)
    assert sorted((int(row.key), row.value) for row in rows if row.key) == [
        (number, f'{{"id":{number}}}'.encode()) for number in range(1000)
    ]
    # Java's partitioner and ours agree on where a key goes.
    with headwater.Producer(bootstrap) as producer:
        placed = {row.key: producer.send(topic, b"", key=row.key).result(30).partition for row in rows[:50]}
    assert placed == {row.key: row.partition for row in rows[:50]}


def test_a_write_without_a_topic_is_refused(spark: SparkSession, bootstrap: str) -> None:
    frame = spark.sql("select 'a' as value")
    with pytest.raises(SPARK_ERRORS, match="topic"):
        frame.write.format("kafka").option("kafka.bootstrap.servers", bootstrap).save()
