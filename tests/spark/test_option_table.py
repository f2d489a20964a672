"""The connector's table of options, walked with both sources over the same topics: the same rows, or the same refusal.

Where the two differ on purpose, the case says so (`ours_refuses`), and the row of the table must say so too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import headwater
import pytest
from option_cases import BATCH, STREAM, WRITE, Case, Write
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType
from pyspark_headwater.options import OPTIONS, Option, Relation, Use
from spark_rows import PARTITIONS, TopicRow, place, scan_rows, spark_rows, write_events
from spark_session import PROMPT

SOURCES = ("kafka", "headwater")
_ROWS = {name: option for option in OPTIONS for name in re.split(r",\s*", option.name)}


class Refused(NamedTuple):
    """What a source said instead of rows."""

    said: str


class Read(NamedTuple):
    """What a source gave: its columns, and the rows of each batch (a batch read is one)."""

    schema: StructType
    batches: list[list[TopicRow]]

    @property
    def rows(self) -> list[TopicRow]:
        return sorted((row for batch in self.batches for row in batch), key=place)


class Names(NamedTuple):
    """The topics that cases speak of."""

    topic: str
    pruned: str
    stem: str
    absent: str

    def put(self, options: dict[str, object]) -> dict[str, str]:
        return {name: self.put_text(str(value)) for name, value in options.items()}

    def put_text(self, text: str) -> str:
        for word, name in (
            ("TOPIC", self.topic),
            ("PRUNED", self.pruned),
            ("STEM", self.stem),
            ("ABSENT", self.absent),
        ):
            text = text.replace(word, name)
        return text


@pytest.fixture(scope="module")
def names(bootstrap: str, admin: headwater.Admin) -> Iterator[Names]:
    """Topics that no case changes."""
    import secrets

    stem = f"table-{secrets.token_hex(3)}"
    names = Names(f"{stem}-whole", f"{stem}-pruned", stem, f"absent-{stem}")
    for topic in (names.topic, names.pruned):
        admin.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
        write_events(bootstrap, topic, range(100))
    admin.delete_records({(names.pruned, 0): 10})
    yield names
    admin.delete_topics([names.topic, names.pruned])


def subscribed(options: dict[str, str], names: Names, bootstrap: str) -> dict[str, str]:
    given = {name.lower() for name in options}
    if not given & {"subscribe", "subscribepattern", "assign"}:
        options = {"subscribe": names.topic, **options}
    return {"kafka.bootstrap.servers": bootstrap, **PROMPT, **options}


def asked(run: Callable[[], Read]) -> Read | Refused:
    try:
        return run()
    except (PySparkException, Py4JJavaError) as error:
        return Refused(str(error))


def read_batch(spark: SparkSession, source: str, options: dict[str, str]) -> Read:
    frame = spark.read.format(source).options(**options).load()
    return Read(frame.schema, [spark_rows(frame)])


def read_stream(spark: SparkSession, source: str, options: dict[str, str], checkpoint: Path) -> Read:
    frame = spark.readStream.format(source).options(**options).load()
    batches: list[list[TopicRow]] = []
    writer = frame.writeStream.foreachBatch(lambda batch, _: batches.append(spark_rows(batch)))
    query = writer.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True).start()
    query.awaitTermination()
    return Read(frame.schema, batches)


def compare(case: Case | Write, kafka: Read | Refused, ours: Read | Refused) -> None:
    row = _ROWS[case.option]
    if case.ours_refuses:
        assert isinstance(kafka, Read), f"spark-sql-kafka refuses too: {kafka}"
        assert row.relation in (Relation.DIFFERENT, Relation.REFUSED), "the table does not say that ours refuses it"
        assert isinstance(ours, Refused), "ours takes it"
    if isinstance(ours, Refused):
        assert case.ours_refuses or isinstance(kafka, Refused), f"only ours refuses: {ours.said}"
        # spark-sql-kafka's own words are Spark's affair; ours name what to change.
        culprits = [case.column] if isinstance(case, Write) and case.column else [*case.options, case.option]
        assert any(name.lower() in ours.said.lower() for name in culprits), f"no {culprits} in the message: {ours.said}"
        return
    assert isinstance(kafka, Read), f"only spark-sql-kafka refuses: {kafka.said}"
    assert ours.schema == kafka.schema
    assert ours.rows == kafka.rows


@pytest.mark.parametrize("case", BATCH, ids=str)
def test_batch(spark: SparkSession, bootstrap: str, names: Names, case: Case) -> None:
    options = subscribed(names.put(case.options), names, bootstrap)
    kafka, ours = (asked(lambda source=source: read_batch(spark, source, options)) for source in SOURCES)
    compare(case, kafka, ours)


@pytest.mark.parametrize("case", STREAM, ids=str)
def test_stream(spark: SparkSession, bootstrap: str, names: Names, tmp_path: Path, case: Case) -> None:
    options = subscribed(names.put(case.options), names, bootstrap)
    kafka, ours = (
        asked(lambda source=source: read_stream(spark, source, options, tmp_path / source)) for source in SOURCES
    )
    compare(case, kafka, ours)
    if case.option == "maxOffsetsPerTrigger" and isinstance(ours, Read):
        # A share of every partition, at least one offset.
        most = max(int(str(case.options["maxOffsetsPerTrigger"])), PARTITIONS)
        assert max(len(batch) for batch in ours.batches) <= most


@pytest.mark.parametrize(("options", "least"), [({"minPartitions": 8}, 8), ({"maxRecordsPerPartition": 7}, 15)])
def test_tasks_of_a_batch(
    spark: SparkSession, bootstrap: str, names: Names, options: dict[str, object], least: int
) -> None:
    frame = spark.read.format("headwater").options(**subscribed(names.put(options), names, bootstrap)).load()
    assert frame.rdd.getNumPartitions() == least


@pytest.mark.parametrize("case", WRITE, ids=str)
def test_write(spark: SparkSession, names: Names, bootstrap: str, topic: str, case: Write) -> None:
    names = names._replace(topic=topic)
    options = {"kafka.bootstrap.servers": bootstrap, **names.put(case.options)}
    written: list[Read | Refused] = []
    seen = 0
    for source in SOURCES:

        def write(source: str = source) -> Read:
            frame = spark.sql(names.put_text(case.query))
            frame.write.format(source).options(**options).mode("append").save()
            return Read(StructType(), [])

        said = asked(write)
        rows = sorted(scan_rows(bootstrap, topic), key=lambda row: row.timestamp_ms)[seen:]
        seen += len(rows)
        # Without a key or a partition, any partition is right; the time is that of the write.
        named = "as partition" in case.query
        rows = [
            row._replace(offset=0, timestamp_ms=0, partition=row.partition if named or row.key is not None else -1)
            for row in rows
        ]
        written.append(Read(StructType(), [rows]) if isinstance(said, Read) else said)
        assert isinstance(said, Read) or not rows, f"{source} refused and wrote all the same"
    kafka, ours = written
    compare(case, kafka, ours)
    assert isinstance(ours, Refused) or ours.rows


def test_a_misspelt_option_is_refused_by_ours_alone(spark: SparkSession, bootstrap: str, names: Names) -> None:
    options = subscribed({"startingOffset": "earliest"}, names, bootstrap)
    kafka, ours = (asked(lambda source=source: read_batch(spark, source, options)) for source in SOURCES)
    assert isinstance(kafka, Read)
    assert isinstance(ours, Refused)
    assert "did you mean startingOffsets" in ours.said


def walked(use: Use) -> set[str]:
    cases: list[Case] | list[Write] = {Use.BATCH: BATCH, Use.STREAM: STREAM, Use.WRITE: WRITE}[use]
    return {_ROWS[case.option].name for case in cases}


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.relation is not Relation.OURS], ids=lambda o: o.name)
def test_every_row_of_the_table_is_walked(option: Option) -> None:
    uses = [use for use in (Use.BATCH, Use.STREAM, Use.WRITE) if use in option.use]
    assert any(option.name in walked(use) for use in uses)


@pytest.mark.parametrize("case", [*BATCH, *STREAM, *WRITE], ids=str)
def test_a_row_that_says_same_has_no_case_that_differs(case: Case | Write) -> None:
    assert _ROWS[case.option].relation is not Relation.SAME or not case.ours_refuses
