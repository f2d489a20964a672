"""Records that are gone before a query reads them: an error with topic, partition and offset, or what there is."""

from __future__ import annotations

import json
from pathlib import Path

import headwater
import pytest
from pyspark.errors import AnalysisException, PythonException, StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from spark_rows import write_events
from streams import Stream


@pytest.fixture
def stream(spark: SparkSession, bootstrap: str, topic: str, tmp_path: Path) -> Stream:
    options = {"kafka.bootstrap.servers": bootstrap, "subscribe": topic, "startingOffsets": "earliest"}
    return Stream(spark, tmp_path, options)


def batch(spark: SparkSession, bootstrap: str, topic: str, **options: str) -> DataFrame:
    source = spark.read.format("headwater").option("kafka.bootstrap.servers", bootstrap).option("subscribe", topic)
    return source.options(**options).load()


@pytest.mark.every_spark
def test_retention_between_two_runs_of_a_stream(
    stream: Stream, bootstrap: str, topic: str, admin: headwater.Admin
) -> None:
    write_events(bootstrap, topic, range(30))
    stream.run()
    write_events(bootstrap, topic, range(30, 60))
    admin.delete_records({(topic, 1): 15})
    with pytest.raises(StreamingQueryException) as error:
        stream.run()
    assert (
        f"{topic}-1 begins at offset 15 by now, the records from offset 10 were deleted before they were read; set the "
        "option failOnDataLoss to false to read what there is"
    ) in str(error.value)
    assert "Traceback" not in str(error.value)
    assert [progress["numInputRows"] for progress in stream.run(failOnDataLoss="false")] == [25]


@pytest.mark.every_spark
def test_retention_between_planning_and_reading(
    spark: SparkSession, bootstrap: str, topic: str, admin: headwater.Admin
) -> None:
    write_events(bootstrap, topic, range(60))
    frame, careless = batch(spark, bootstrap, topic), batch(spark, bootstrap, topic, failOnDataLoss="false")
    # Spark plans a frame once, here.
    assert frame.rdd.getNumPartitions() == careless.rdd.getNumPartitions() == 3
    admin.delete_records({(topic, 0): 20})
    with pytest.raises(PythonException) as error:
        frame.collect()
    assert f"{topic}-0 begins at offset 20 by now, the records from offset 0 were deleted" in str(error.value)
    assert careless.count() == 40


def test_a_deleted_topic(stream: Stream, bootstrap: str, topic: str, admin: headwater.Admin) -> None:
    write_events(bootstrap, topic, range(30))
    stream.run()
    admin.delete_topics(topic)
    with pytest.raises(StreamingQueryException, match=rf"{topic}-0 is not read any more.*up to offset 10"):
        stream.run()
    assert stream.run(failOnDataLoss="false") == []


def test_a_topic_made_anew(stream: Stream, bootstrap: str, topic: str, admin: headwater.Admin) -> None:
    write_events(bootstrap, topic, range(30))
    stream.run()
    admin.delete_topics(topic)
    admin.create_topic(topic, partitions=3)
    write_events(bootstrap, topic, range(3))
    with pytest.raises(StreamingQueryException, match=rf"{topic}-0 ends at offset 1, but .* read up to 10"):
        stream.run()
    stream.run(failOnDataLoss="false")
    write_events(bootstrap, topic, range(3, 9))
    assert [progress["numInputRows"] for progress in stream.run(failOnDataLoss="false")] == [6]


def test_a_new_partition_whose_beginning_is_gone(
    stream: Stream, bootstrap: str, topic: str, admin: headwater.Admin
) -> None:
    write_events(bootstrap, topic, range(30))
    stream.run()
    admin.create_partitions(topic, 4)
    with headwater.Producer(bootstrap) as producer:
        for number in range(5):
            producer.produce(topic, f"{number}", partition=3)
    admin.delete_records({(topic, 3): 2})
    with pytest.raises(StreamingQueryException, match=rf"{topic}-3 is new to the query and begins at offset 2, not 0"):
        stream.run()
    assert [progress["numInputRows"] for progress in stream.run(failOnDataLoss="false")] == [3]


def test_offsets_out_of_range(spark: SparkSession, bootstrap: str, topic: str, admin: headwater.Admin) -> None:
    write_events(bootstrap, topic, range(30))
    admin.delete_records({(topic, 2): 4})
    for side, offset in (("startingOffsets", 3), ("endingOffsets", 11)):
        options = {side: json.dumps({topic: {"0": 5, "1": 5, "2": offset}})}
        with pytest.raises(AnalysisException) as error:
            batch(spark, bootstrap, topic, **options).count()
        assert f"option {side}: {topic}-2 has no offset {offset}, it holds 4 to 10" in str(error.value)
        expected = {"startingOffsets": 5 + 5 + 6, "endingOffsets": 5 + 5 + 6}[side]
        assert batch(spark, bootstrap, topic, **options, failOnDataLoss="false").count() == expected
