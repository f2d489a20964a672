"""The source and the sink over Apache Kafka itself: what they read and write there is what spark-sql-kafka does.

The other tests of the two run over our broker, where a mistake that broker and client share would not be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import headwater
import pytest
from check import apache_kafka
from pyspark.sql import DataFrame, SparkSession
from spark_rows import FIRST_MS, PARTITIONS, STEP_MS, TopicRow, place, spark_rows, write_events
from spark_session import PROMPT
from streams import Stream, finish

SOURCES = ("headwater", "kafka")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an Apache Kafka of these tests' own."""
    with apache_kafka(tmp_path_factory.mktemp("kafka") / "kafka") as address:
        if address is None:
            pytest.skip("Apache Kafka needs a JDK, and its jars or Maven to fetch them")
        yield address


@pytest.fixture
def make(kafka: str, fresh: Callable[[str], str]) -> Callable[[], str]:
    """Makes topics with three partitions that keep old events."""

    def make() -> str:
        name = fresh("topic")
        with headwater.Admin(kafka) as admin:
            admin.create_topic(name, partitions=PARTITIONS, config={"retention.ms": "-1"})
        return name

    return make


def frame(spark: SparkSession, source: str, kafka: str, topic: str, **options: object) -> DataFrame:
    given = {"kafka.bootstrap.servers": kafka, "subscribe": topic, "includeHeaders": "true", **PROMPT}
    return spark.read.format(source).options(**given, **options).load()


def contents(rows: list[TopicRow]) -> list[TopicRow]:
    """Rows without what is the writer's or the reader's: topic, and time of the write."""
    return [row._replace(topic="", timestamp_ms=0) for row in rows]


def test_a_batch_read(spark: SparkSession, kafka: str, make: Callable[[], str]) -> None:
    topic = make()
    events = write_events(kafka, topic, range(90))
    ours, theirs = (spark_rows(frame(spark, source, kafka, topic)) for source in SOURCES)
    assert ours == theirs == events
    start, end = FIRST_MS + 20 * STEP_MS + 1, FIRST_MS + 70 * STEP_MS
    asked = {"startingTimestamp": start, "endingTimestamp": end, "kafka.isolation.level": "read_committed"}
    ours, theirs = (spark_rows(frame(spark, source, kafka, topic, **asked)) for source in SOURCES)
    assert ours == theirs == [row for row in events if start <= row.timestamp_ms < end]
    with headwater.Admin(kafka) as admin:
        admin.delete_records({(topic, 1): 7})
    ours, theirs = (spark_rows(frame(spark, source, kafka, topic, minPartitions=8)) for source in SOURCES)
    assert ours == theirs == [row for row in events if row.partition != 1 or row.offset >= 7]


def test_a_streaming_read_and_its_restart(
    spark: SparkSession, kafka: str, make: Callable[[], str], tmp_path: Path
) -> None:
    topic = make()
    options = {"kafka.bootstrap.servers": kafka, "subscribe": topic, "startingOffsets": "earliest", **PROMPT}
    streams = [Stream(spark, tmp_path / source, options, source) for source in SOURCES]
    limits = {"includeHeaders": "true", "maxOffsetsPerTrigger": "18"}
    events: list[TopicRow] = []
    for count in (30, 21):
        events += write_events(kafka, topic, range(len(events), len(events) + count))
        for stream in streams:
            sizes = [progress["numInputRows"] for progress in stream.run(**limits)]
            assert sum(sizes) == count
            assert len(sizes) == 2
    ours, theirs = (spark_rows(stream.rows()) for stream in streams)
    assert ours == theirs == sorted(events, key=place)
    assert streams[0].offsets(streams[0].committed()[-1]) == streams[1].offsets(streams[1].committed()[-1])


def test_a_batch_write(spark: SparkSession, kafka: str, make: Callable[[], str]) -> None:
    original = make()
    write_events(kafka, original, range(60))
    source = frame(spark, "kafka", kafka, original).select("key", "value", "partition", "headers")
    # By partition, and by the hash of the key where no partition is named.
    for query in (source, source.where("key is not null").drop("partition").coalesce(1)):
        copies: list[list[TopicRow]] = []
        for sink in SOURCES:
            copy = make()
            writer = query.write.format(sink).option("kafka.bootstrap.servers", kafka).option("topic", copy)
            writer.option("includeHeaders", "true").option("kafka.compression.type", "lz4").mode("append").save()
            rows = spark_rows(frame(spark, "kafka", kafka, copy))
            assert len(rows) == query.count()
            assert rows == spark_rows(frame(spark, "headwater", kafka, copy))
            copies.append(contents(rows))
        assert copies[0] == copies[1]


def test_a_streaming_write(spark: SparkSession, kafka: str, make: Callable[[], str], tmp_path: Path) -> None:
    topic = make()
    copies = {sink: make() for sink in SOURCES}
    options = {"kafka.bootstrap.servers": kafka, "subscribe": topic, "startingOffsets": "earliest"}
    events: list[TopicRow] = []
    for count in (30, 18):
        events += write_events(kafka, topic, range(len(events), len(events) + count))
        for sink, copy in copies.items():
            stream = Stream(spark, tmp_path / sink, options | PROMPT)
            source = stream.source(includeHeaders="true").select("key", "value", "partition", "headers")
            writer = source.writeStream.format(sink).option("kafka.bootstrap.servers", kafka).option("topic", copy)
            writer = writer.option("includeHeaders", "true").option("checkpointLocation", str(stream.checkpoint))
            finish(writer.trigger(availableNow=True).start())
    ours, theirs = (contents(spark_rows(frame(spark, "kafka", kafka, copies[sink]))) for sink in SOURCES)
    assert ours == theirs == contents(sorted(events, key=place))
