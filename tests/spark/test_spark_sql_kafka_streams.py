"""Unmodified spark-sql-kafka streams out of our broker and into it; every row is compared with what was written.

`HEADWATER_TEST_BOOTSTRAP` asks Apache Kafka the same questions, but for the test that restarts its server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import headwater
import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery
from server import Server
from spark_rows import PARTITIONS, TopicRow, place, scan_rows, spark_rows, write_events
from spark_session import PROMPT

Batches = list[list[TopicRow]]


class Streams(NamedTuple):
    """Makes streaming frames over topics of one server."""

    spark: SparkSession
    bootstrap: str
    common: Mapping[str, str] = PROMPT

    def frame(self, topic: str, **options: object) -> DataFrame:
        reader = self.spark.readStream.format("kafka").option("kafka.bootstrap.servers", self.bootstrap)
        reader = reader.option("subscribe", topic).option("startingOffsets", "earliest")
        for name, value in {"includeHeaders": "true", **self.common, **options}.items():
            reader = reader.option(name, str(value))
        return reader.load()


@pytest.fixture
def streams(spark: SparkSession, bootstrap: str) -> Streams:
    return Streams(spark, bootstrap)


def collected(frame: DataFrame, checkpoint: Path, **trigger: Any) -> tuple[StreamingQuery, Batches]:
    """Starts a query whose micro-batches are kept as lists of rows."""
    batches: Batches = []
    writer = frame.writeStream.foreachBatch(lambda batch, _: batches.append(spark_rows(batch)))
    if trigger:
        writer = writer.trigger(**trigger)
    return writer.option("checkpointLocation", str(checkpoint)).start(), batches


def available_now(frame: DataFrame, checkpoint: Path) -> Batches:
    query, batches = collected(frame, checkpoint, availableNow=True)
    query.awaitTermination()
    return batches


def rows(batches: Batches) -> list[TopicRow]:
    return sorted((row for batch in batches for row in batch), key=place)


def test_available_now_and_a_restart(streams: Streams, topic: str, tmp_path: Path) -> None:
    first = write_events(streams.bootstrap, topic, range(100))
    frame = streams._replace(common={}).frame(topic)
    assert rows(available_now(frame, tmp_path)) == first
    second = write_events(streams.bootstrap, topic, range(100, 150))
    assert rows(available_now(frame, tmp_path)) == second
    assert rows(available_now(frame, tmp_path)) == []


def test_a_batch_holds_no_more_than_asked(streams: Streams, topic: str, tmp_path: Path) -> None:
    written = write_events(streams.bootstrap, topic, range(100))
    batches = available_now(streams.frame(topic, maxOffsetsPerTrigger=20), tmp_path)
    assert rows(batches) == written
    assert len(batches) >= 5
    assert all(len(batch) <= 20 for batch in batches)


def test_a_query_that_goes_on(streams: Streams, admin: headwater.Admin, topic: str, tmp_path: Path) -> None:
    written = write_events(streams.bootstrap, topic, range(50))
    frame = streams.frame(topic, **{"kafka.metadata.max.age.ms": 100})
    query, batches = collected(frame, tmp_path / "checkpoint")
    try:
        query.processAllAvailable()
        assert rows(batches) == written
        written += write_events(streams.bootstrap, topic, range(50, 100))
        query.processAllAvailable()
        assert rows(batches) == sorted(written, key=place)
        # A partition that comes later is read from its beginning.
        admin.create_partitions(topic, PARTITIONS + 1)
        with headwater.Producer(streams.bootstrap) as producer:
            late = producer.send(topic, b"late", partition=PARTITIONS).result(30)
        query.processAllAvailable()
        assert [(row.partition, row.offset) for row in rows(batches) if row.value == b"late"] == [
            (late.partition, late.offset)
        ]
        source = query.lastProgress["sources"][0]
        assert source["metrics"]["maxOffsetsBehindLatest"] == "0"
    finally:
        query.stop()


def test_read_committed(streams: Streams, topic: str, tmp_path: Path) -> None:
    written = write_events(streams.bootstrap, topic, range(100))
    frame = streams.frame(topic, **{"kafka.isolation.level": "read_committed"})
    assert rows(available_now(frame, tmp_path)) == written


def test_from_topic_to_topic(
    streams: Streams, admin: headwater.Admin, topic: str, fresh: Callable[[str], str], tmp_path: Path
) -> None:
    copy = fresh("copy")
    admin.create_topic(copy, partitions=PARTITIONS, config={"retention.ms": "-1"})
    written: list[TopicRow] = []
    for numbers in (range(60), range(60, 100)):
        written += write_events(streams.bootstrap, topic, numbers)
        frame = streams.frame(topic).select("key", "value", "partition", "headers")
        writer = (
            frame.writeStream.format("kafka").option("kafka.bootstrap.servers", streams.bootstrap).option("topic", copy)
        )
        query = writer.option("checkpointLocation", str(tmp_path)).trigger(availableNow=True).start()
        query.awaitTermination()
    # One task writes one partition, so that order is kept; the sink has no column for the time.
    copied = [row._replace(topic=topic, timestamp_ms=0) for row in scan_rows(streams.bootstrap, copy)]
    assert copied == [row._replace(timestamp_ms=0) for row in sorted(written, key=place)]


@pytest.mark.parametrize("fail", [True, False])
def test_records_deleted_between_two_runs(
    streams: Streams, admin: headwater.Admin, topic: str, tmp_path: Path, fail: bool
) -> None:
    frame = streams.frame(topic, failOnDataLoss=str(fail).lower())
    write_events(streams.bootstrap, topic, range(30))
    available_now(frame, tmp_path)
    second = write_events(streams.bootstrap, topic, range(30, 90))
    admin.delete_records({(topic, 1): 20})
    if fail:
        with pytest.raises(StreamingQueryException, match="data may have been lost"):
            available_now(frame, tmp_path)
    else:
        rest = [row for row in second if row.partition != 1 or row.offset >= 20]
        assert rows(available_now(frame, tmp_path)) == rest


def test_a_server_restarts_under_a_query(spark: SparkSession, own_server: Server, tmp_path: Path) -> None:
    topic = "restarted"
    with headwater.Admin(own_server.bootstrap) as admin:
        admin.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    written = write_events(own_server.bootstrap, topic, range(50))
    query, batches = collected(Streams(spark, own_server.bootstrap).frame(topic), tmp_path / "checkpoint")
    try:
        query.processAllAvailable()
        own_server.kill()
        own_server.start()
        written += write_events(own_server.bootstrap, topic, range(50, 100))
        query.processAllAvailable()
        assert rows(batches) == sorted(written, key=place)
    finally:
        query.stop()
