"""Streaming reads: offsets from batch to batch and over restarts, new partitions, rate limits, progress."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import headwater
import pyspark
import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.functions import spark_partition_id
from pyspark.sql.streaming import StreamingQuery
from spark_rows import FIRST_MS, STEP_MS, spark_rows, write_events
from streams import Stream, finish

WITH_RATE_LIMITS = tuple(map(int, pyspark.__version__.split(".")[:2])) >= (4, 2)


@pytest.fixture
def stream(spark: SparkSession, bootstrap: str, topic: str, tmp_path: Path) -> Stream:
    options = {"kafka.bootstrap.servers": bootstrap, "subscribe": topic, "startingOffsets": "earliest"}
    return Stream(spark, tmp_path, options)


@pytest.mark.every_spark
def test_a_stream_goes_on_where_it_was(stream: Stream, bootstrap: str, topic: str) -> None:
    first = write_events(bootstrap, topic, range(30))
    assert [progress["numInputRows"] for progress in stream.run(includeHeaders="true")] == [30]
    assert stream.run(includeHeaders="true") == []
    second = write_events(bootstrap, topic, range(30, 51))
    assert [progress["numInputRows"] for progress in stream.run(includeHeaders="true")] == [21]
    assert spark_rows(stream.rows()) == sorted(first + second, key=lambda row: row[:3])


@pytest.mark.parametrize(("options", "tasks"), [({}, 1), ({"minPartitions": "3"}, 3)])
def test_small_partitions_share_a_task(
    stream: Stream, bootstrap: str, topic: str, options: dict[str, str], tasks: int
) -> None:
    written = write_events(bootstrap, topic, range(30))
    found: list[Row] = []

    def keep(frame: DataFrame, _: int) -> None:
        found.extend(frame.withColumn("task", spark_partition_id()).collect())

    writer = stream.source(**options).writeStream.foreachBatch(keep)
    finish(writer.option("checkpointLocation", str(stream.checkpoint)).trigger(availableNow=True).start())
    places = sorted((row.partition, row.offset, row.value) for row in found)
    assert places == sorted((row.partition, row.offset, row.value) for row in written)
    assert len({row.task for row in found}) == tasks


@pytest.mark.every_spark
def test_the_checkpoint_holds_offsets_by_topic_and_partition(stream: Stream, bootstrap: str, topic: str) -> None:
    write_events(bootstrap, topic, range(30))
    stream.run()
    assert stream.offsets(0) == {"(start)": {topic: {"0": 0, "1": 0, "2": 0}}, topic: {"0": 10, "1": 10, "2": 10}}
    write_events(bootstrap, topic, range(30, 32))
    stream.run()
    assert stream.offsets(stream.committed()[-1]) == {topic: {"0": 11, "1": 11, "2": 10}}


@pytest.mark.every_spark
def test_a_batch_that_failed_is_repeated_with_its_own_beginning(stream: Stream, bootstrap: str, topic: str) -> None:
    """The first batch most of all: "latest" has moved on by the time it is repeated."""
    write_events(bootstrap, topic, range(30))
    stream.options |= {"startingOffsets": "latest"}
    with pytest.raises(StreamingQueryException, match="as told"):
        _start(stream, _Collector(fail_at=0)).awaitTermination(90)
    assert (stream.planned(), stream.committed()) == ([0], [])
    write_events(bootstrap, topic, range(30, 40))
    collector = _run_twice(stream)
    # Batch 0 was planned as empty, and is empty again; what came since belongs to the batch after it.
    assert sorted(collector.rows) == sorted((number % 3, number // 3) for number in range(30, 40))
    assert collector.sizes[0] == 0


@pytest.mark.every_spark
def test_a_repeated_batch_has_the_same_rows(stream: Stream, bootstrap: str, topic: str) -> None:
    write_events(bootstrap, topic, range(30))
    with pytest.raises(StreamingQueryException, match="as told"):
        _start(stream, _Collector(fail_at=0)).awaitTermination(90)
    write_events(bootstrap, topic, range(30, 60))
    collector = _run_twice(stream)
    assert collector.sizes == [30, 30]
    assert sorted(collector.rows) == sorted((number % 3, number // 3) for number in range(60))


class _Collector:
    """A sink that keeps places of rows, and may fail in one batch."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.fail_at = fail_at
        self.rows: list[tuple[int, int]] = []
        self.sizes: list[int] = []

    def __call__(self, frame: DataFrame, batch: int) -> None:
        found = [(row.partition, row.offset) for row in frame.select("partition", "offset").collect()]
        if batch == self.fail_at:
            raise RuntimeError("as told")
        self.rows += found
        self.sizes.append(len(found))


def _run_twice(stream: Stream) -> _Collector:
    """Before 4.2 a run is one batch, and one that is repeated is that batch."""
    collector = _Collector()
    for _ in range(2):
        finish(_start(stream, collector))
    return collector


def _start(stream: Stream, collector: _Collector) -> StreamingQuery:
    writer = stream.source().writeStream.foreachBatch(collector)
    return writer.option("checkpointLocation", str(stream.checkpoint)).trigger(availableNow=True).start()


@pytest.mark.every_spark
def test_new_partitions_are_read_from_their_beginning(
    stream: Stream, bootstrap: str, topic: str, admin: headwater.Admin
) -> None:
    write_events(bootstrap, topic, range(30))
    stream.run()
    admin.create_partitions(topic, 5)
    with headwater.Producer(bootstrap) as producer:
        for number in range(8):
            producer.produce(topic, f"{number}", partition=3 + number % 2)
    assert [progress["numInputRows"] for progress in stream.run()] == [8]
    assert stream.offsets(stream.committed()[-1]) == {topic: {"0": 10, "1": 10, "2": 10, "3": 4, "4": 4}}


def test_new_topics_of_a_pattern_are_read_from_their_beginning(
    spark: SparkSession, bootstrap: str, admin: headwater.Admin, fresh: Callable[[str], str], tmp_path: Path
) -> None:
    stem = fresh("family")
    admin.create_topic(f"{stem}-a", partitions=3)
    options = {"kafka.bootstrap.servers": bootstrap, "subscribePattern": f"{stem}-.*", "startingOffsets": "earliest"}
    stream = Stream(spark, tmp_path, options)
    first = write_events(bootstrap, f"{stem}-a", range(9))
    stream.run(includeHeaders="true")
    admin.create_topic(f"{stem}-b", partitions=3)
    second = write_events(bootstrap, f"{stem}-b", range(12))
    assert [progress["numInputRows"] for progress in stream.run(includeHeaders="true")] == [12]
    assert spark_rows(stream.rows()) == first + second


def test_a_stream_begins_where_the_options_say(stream: Stream, bootstrap: str, topic: str, tmp_path: Path) -> None:
    write_events(bootstrap, topic, range(30))
    begin = {topic: {"0": 4, "1": -1, "2": -2}}
    wanted = {
        "offsets": ({"startingOffsets": json.dumps(begin)}, [6, 0, 10]),
        "time": ({"startingTimestamp": str(FIRST_MS + 15 * STEP_MS)}, [5, 5, 5]),
        "latest": ({"startingOffsets": "latest"}, [0, 0, 0]),
    }
    for name, (options, counts) in wanted.items():
        one = Stream(stream.spark, tmp_path / name, stream.options | options)
        one.run()
        read = {partition: 0 for partition in range(3)}
        if one.committed() and list(one.sink.glob("*.parquet")):
            read |= {row["partition"]: row["count"] for row in one.rows().groupBy("partition").count().collect()}
        assert [read[partition] for partition in range(3)] == counts, name


def test_batches_are_as_large_as_allowed_and_available_now_reads_all(
    stream: Stream, bootstrap: str, topic: str
) -> None:
    events = write_events(bootstrap, topic, range(60))
    with headwater.Producer(bootstrap) as producer:
        for number in range(40):
            producer.produce(topic, f"{number}", partition=0)
    sizes = [progress["numInputRows"] for progress in stream.run(maxOffsetsPerTrigger="25")]
    assert sum(sizes) == len(events) + 40
    assert sizes == [25, 25, 25, 25]
    # The fullest partition gives the most, and none is left out.
    assert stream.offsets(0)[topic] == {"0": 15, "1": 5, "2": 5}


def test_a_batch_waits_for_enough_records_but_not_forever(stream: Stream, bootstrap: str, topic: str) -> None:
    write_events(bootstrap, topic, range(30))
    collector = _Collector()
    limits = {"minOffsetsPerTrigger": "20", "maxTriggerDelay": "1h"}
    writer = stream.source(**limits).writeStream.foreachBatch(collector)
    query = writer.option("checkpointLocation", str(stream.checkpoint)).trigger(processingTime="0 seconds").start()
    try:
        query.processAllAvailable()
        assert collector.sizes == [30]
        write_events(bootstrap, topic, range(30, 45))
        # The query looks once more, and decides to wait.
        query.processAllAvailable()
        assert collector.sizes == [30]
        write_events(bootstrap, topic, range(45, 60))
        query.processAllAvailable()
        assert collector.sizes == [30, 30]
    finally:
        query.stop()


def test_progress_tells_the_latest_offsets(stream: Stream, bootstrap: str, topic: str) -> None:
    write_events(bootstrap, topic, range(60))
    progress = stream.run(maxOffsetsPerTrigger="30")
    sources = [batch["sources"][0] for batch in progress]
    assert [source["latestOffset"] for source in sources] == [{topic: {"0": 20, "1": 20, "2": 20}}] * 2
    assert sources[-1]["endOffset"] == {topic: {"0": 20, "1": 20, "2": 20}}


@pytest.mark.every_spark
def test_rate_limits_are_refused_where_spark_has_none(stream: Stream, bootstrap: str, topic: str) -> None:
    write_events(bootstrap, topic, range(6))
    if WITH_RATE_LIMITS:
        assert [progress["numInputRows"] for progress in stream.run(maxOffsetsPerTrigger="3")] == [3, 3]
    else:
        with pytest.raises(StreamingQueryException, match=r"option maxOffsetsPerTrigger needs Spark 4\.2 or later"):
            stream.run(maxOffsetsPerTrigger="3")


def test_a_stream_shares_partitions_out_to_tasks(stream: Stream, bootstrap: str, topic: str) -> None:
    events = write_events(bootstrap, topic, range(60))
    stream.run(includeHeaders="true", minPartitions="9", maxRecordsPerPartition="8")
    assert spark_rows(stream.rows()) == events
    assert len(list(stream.sink.glob("*.parquet"))) == 9
