"""Batch reads: the rows of the topic, the ranges that options name, and how they are shared out to tasks."""

from __future__ import annotations

import json
from collections.abc import Callable

import headwater
import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from spark_rows import FIRST_MS, STEP_MS, TopicRow, place, spark_rows, write_events

Read = Callable[..., DataFrame]


@pytest.fixture
def read(spark: SparkSession, bootstrap: str) -> Read:
    """Reads with these options; `subscribe` and the like are the test's own."""

    def read(**options: str) -> DataFrame:
        return spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap).options(**options).load()

    return read


@pytest.fixture
def events(bootstrap: str, topic: str) -> list[TopicRow]:
    """60 events in three partitions of 20."""
    return write_events(bootstrap, topic, range(60))


def by_partition(topic: str, *numbers: int) -> str:
    return json.dumps({topic: {str(partition): number for partition, number in enumerate(numbers)}})


def without_headers(rows: list[TopicRow]) -> list[TopicRow]:
    return [row._replace(headers=()) for row in rows]


@pytest.mark.every_spark
def test_a_topic_is_read_with_the_columns_of_spark_sql_kafka(read: Read, topic: str, events: list[TopicRow]) -> None:
    frame = read(subscribe=topic)
    assert frame.schema.simpleString() == (
        "struct<key:binary,value:binary,topic:string,partition:int,offset:bigint,timestamp:timestamp,timestampType:int>"
    )
    assert all(field.nullable for field in frame.schema)
    assert spark_rows(frame) == without_headers(events)


@pytest.mark.every_spark
def test_headers_come_when_asked_for_and_are_null_without_any(read: Read, topic: str, events: list[TopicRow]) -> None:
    frame = read(subscribe=topic, includeHeaders="true")
    assert frame.schema["headers"].dataType.simpleString() == "array<struct<key:string,value:binary>>"
    assert spark_rows(frame) == events
    assert frame.where("headers is null").count() == sum(not row.headers for row in events)


def test_sql_reads_a_view_and_a_table_is_refused_in_one_sentence(
    spark: SparkSession, bootstrap: str, topic: str, events: list[TopicRow]
) -> None:
    name = topic.replace("-", "_")
    using = f"USING headwater OPTIONS (`kafka.bootstrap.servers` '{bootstrap}', subscribe '{topic}')"
    try:
        spark.sql(f"CREATE TEMPORARY VIEW view_{name} {using}")
        assert spark_rows(spark.table(f"view_{name}")) == without_headers(events)
        # Spark does not hand the options of a table over when it is read.
        with pytest.raises(AnalysisException, match="use CREATE TEMPORARY VIEW"):
            spark.sql(f"CREATE TABLE table_{name} {using} COMMENT 'events'")
    finally:
        spark.sql(f"DROP VIEW IF EXISTS view_{name}")
        spark.sql(f"DROP TABLE IF EXISTS table_{name}")


def test_an_empty_topic_has_no_rows(read: Read, topic: str) -> None:
    assert read(subscribe=topic).collect() == []


@pytest.mark.every_spark
def test_offsets_bound_a_read(read: Read, topic: str, events: list[TopicRow]) -> None:
    frame = read(
        subscribe=topic, startingOffsets=by_partition(topic, 5, -2, 7), endingOffsets=by_partition(topic, 6, 2, -1)
    )
    begin, end = (5, 0, 7), (6, 2, 20)
    expected = [row for row in events if begin[row.partition] <= row.offset < end[row.partition]]
    assert spark_rows(frame) == without_headers(expected)


def test_times_bound_a_read(read: Read, topic: str, events: list[TopicRow]) -> None:
    # Between two events: the first that is not older is the next one.
    start, end = FIRST_MS + 30 * STEP_MS - 1, FIRST_MS + 45 * STEP_MS
    frame = read(subscribe=topic, startingTimestamp=str(start), endingTimestamp=str(end), startingOffsets="ignored")
    assert spark_rows(frame) == without_headers([row for row in events if start <= row.timestamp_ms < end])


def test_times_by_partition_bound_a_read(read: Read, topic: str, events: list[TopicRow]) -> None:
    begin = (FIRST_MS, FIRST_MS + 31 * STEP_MS, FIRST_MS + 1000 * STEP_MS)
    options = {
        "startingOffsetsByTimestamp": by_partition(topic, *begin),
        "startingOffsetsByTimestampStrategy": "latest",
    }
    frame = read(subscribe=topic, **options)
    expected = [row for row in events if row.timestamp_ms >= begin[row.partition]]
    assert {row.partition for row in expected} == {0, 1}
    assert spark_rows(frame) == without_headers(expected)


def test_an_end_later_than_every_record_is_the_end(read: Read, topic: str, events: list[TopicRow]) -> None:
    late = str(FIRST_MS + 1000 * STEP_MS)
    assert read(subscribe=topic, endingTimestamp=late).count() == len(events)


def test_the_three_ways_to_name_partitions(
    read: Read, topic: str, events: list[TopicRow], bootstrap: str, fresh: Callable[[str], str]
) -> None:
    other = fresh("other")
    with headwater.Admin(bootstrap) as admin:
        admin.create_topic(other, partitions=3)
    more = write_events(bootstrap, other, range(9))
    assert spark_rows(read(subscribe=f"{topic}, {other}")) == sorted(without_headers(events + more), key=place)
    # Java's quoting and named groups; a match in a part of the name is enough, unless the pattern says otherwise.
    assert spark_rows(read(subscribePattern=rf"\Q{other}\E|^(?<part>{topic[1:]})$")) == without_headers(more)
    assert spark_rows(read(subscribePattern=f"{other[1:]}$")) == without_headers(more)
    assigned = json.dumps({topic: [0, 2], other: [1]})
    chosen = [row for row in events + more if (row.topic, row.partition) in {(topic, 0), (topic, 2), (other, 1)}]
    assert spark_rows(read(assign=assigned)) == sorted(without_headers(chosen), key=place)


def test_tasks_are_as_many_as_asked_for(read: Read, topic: str, events: list[TopicRow]) -> None:
    assert read(subscribe=topic).rdd.getNumPartitions() == 3
    by_count, by_size = read(subscribe=topic, minPartitions="8"), read(subscribe=topic, maxRecordsPerPartition="7")
    assert by_count.rdd.getNumPartitions() == 8
    assert by_size.rdd.getNumPartitions() == 9
    assert spark_rows(by_count) == spark_rows(by_size) == without_headers(events)


def test_settings_of_kafka_reach_the_client(read: Read, topic: str, events: list[TopicRow]) -> None:
    settings = {
        "kafka.isolation.level": "read_committed",
        "kafka.fetch.max.bytes": "1024",
        "kafka.client.id": "notebook",
    }
    assert spark_rows(read(subscribe=topic, **settings)) == without_headers(events)


def test_filters_become_ranges_where_spark_allows_it(
    spark: SparkSession, read: Read, topic: str, events: list[TopicRow]
) -> None:
    setting = "spark.sql.python.filterPushdown.enabled"
    wheres = {
        "partition = 1 and offset >= 3 and offset < 9": lambda row: row.partition == 1 and 3 <= row.offset < 9,
        "partition in (0, 2) and offset in (1, 5)": lambda row: row.partition != 1 and row.offset in (1, 5),
        "partition <> 1": lambda row: row.partition != 1,
        f"topic = '{topic}' and offset > 17": lambda row: row.offset > 17,
        "topic = 'another'": lambda row: False,
        "timestamp >= timestamp'2024-01-01 00:00:30'": lambda row: row.timestamp_ms >= FIRST_MS + 30_000,
        "timestamp > timestamp'2024-01-01 00:00:30' and offset <= 12": (
            lambda row: row.timestamp_ms > FIRST_MS + 30_000 and row.offset <= 12
        ),
    }
    spark.conf.set(setting, "true")
    try:
        for where, keep in wheres.items():
            frame = read(subscribe=topic).where(where)
            assert spark_rows(frame) == without_headers([row for row in events if keep(row)]), where
        assert read(subscribe=topic).where("partition = 1").rdd.getNumPartitions() == 1
        plan = (
            read(subscribe=topic).where("partition = 1 and offset > 3")._jdf.queryExecution().executedPlan().toString()
        )
        assert "Filter" not in plan.replace("RuntimeFilters", "")
    finally:
        spark.conf.unset(setting)
