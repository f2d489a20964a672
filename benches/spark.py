"""Spark over a topic: `headwater` beside spark-sql-kafka, exported Parquet and ready-made Arrow batches, in one run.

    make bench-spark                                         10 million records of 100 B, then a million of 1 KB
    make bench-spark BENCH_ARGS="--records 200000"           quicker, noisier
    benches/spark.py --servers headwater --only count sum    one server, some works

Every read is of all columns of every record, `local[2]`, the best of `--repeat` runs, checked against what was written:

- count: `DataFrame.count()`. No source here prunes columns: spark-sql-kafka makes a row of every record before Spark
  counts it, and a Python data source hands over whole Arrow batches. No source answers from offsets; the exported
  Parquet does answer from its footers, so it has no count.
- sum: `sum(length(value))`, which looks at every value.
- json: the sum of a field of the values, by `from_json` and by our `valueFormat`.
- parquet: all columns written to Parquet with Spark's defaults.
- stream: `Trigger.AvailableNow` in ten micro-batches into the `noop` sink.
- batches: micro-batches a second of a stream whose batches are small, by the median batch.
- export: `headwater export` with its default, zstd level 1; the rate is log bytes per second of CPU of the exporting
  process and the server together.

Beside the rates stand those per second of CPU, of Spark, its workers and the server together: on a machine that has
other work to do they are the steadier ones.

The ceiling is a Python data source that yields one ready-made Arrow batch of the same columns over and over: what
Spark, its worker and the socket between them take.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "spark"))

import headwater
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from server import Server
from spark_session import REPOSITORY, local_session

KAFKA_SH = REPOSITORY / "tests" / "kafka" / "kafka.sh"
SMALL_BATCHES = 30
SMALL_BATCH_RECORDS = 600
# Records that go to one partition at a time: few enough that small topics are spread evenly.
CHUNK = 1000
TOPIC = "events"
SMALL_TOPIC = "small"
JSON_SCHEMA = "number long, delay long, text string"
WORKS = ["count", "sum", "json", "parquet", "stream", "batches"]

# Ratios that the project aims at; against spark-sql-kafka over either server.
AIMS_SPARK_SQL_KAFKA = {"count": 3.0, "sum": 3.0, "parquet": 1.6, "stream": 1.0, "batches": 1.0}
AIM_READY_MADE = 0.8
AIM_EXPORT_MB_PER_CORE = 200


class Row(NamedTuple):
    """One measurement: `count` things in `seconds`, the best of several runs."""

    work: str
    who: str
    server: str
    count: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    @property
    def cpu_rate(self) -> float:
        """Things a second of CPU, of Spark, its workers and the server together: other work disturbs it less."""
        return self.count / self.cpu_seconds


class Topic(NamedTuple):
    """What is read."""

    server: str
    bootstrap: str
    records: int
    value_bytes: int
    partitions: int
    #: The server's process where it is no child of this one.
    pid: int | None = None

    @property
    def delay_sum(self) -> int:
        return sum(delay(number) for number in range(self.records))


# --- what is written -------------------------------------------------------------------------------------------------


def delay(number: int) -> int:
    return number * 7919 % 1000


def values(records: int, value_bytes: int) -> Iterator[list[str]]:
    """JSON of exactly `value_bytes`, in lists; its text is random hexadecimal digits, so that it packs to a half."""
    pool = random.Random(7).randbytes(4 << 20).hex()
    blank = value_bytes - len('{"number":123456789,"delay":123,"text":""}')
    assert blank >= 0, f"--value-bytes {value_bytes}: at least {value_bytes - blank} are needed"
    for first in range(0, records, CHUNK):
        chosen = []
        for number in range(first, min(first + CHUNK, records)):
            at = number * 104_729 % (len(pool) - blank)
            chosen.append(f'{{"number":{number:9},"delay":{delay(number):3},"text":"{pool[at : at + blank]}"}}')
        yield chosen


def fill(bootstrap: str, topic: str, partitions: int, records: int, value_bytes: int) -> None:
    headwater.Admin(bootstrap).create_topic(topic, partitions=partitions, config={"retention.ms": "-1"})
    with headwater.Producer(bootstrap, linger_ms=5, batch_size=131_072) as producer:
        for number, chosen in enumerate(values(records, value_bytes)):
            producer.produce_many(topic, chosen, partition=number % partitions)
        producer.flush()


# --- the ceiling -----------------------------------------------------------------------------------------------------


class ReadyMade(DataSource):
    """Yields one Arrow batch, made beforehand, until it has yielded `records`."""

    @classmethod
    def name(cls) -> str:
        return "ready-made"

    def schema(self) -> str:
        before = "key binary, value binary, topic string, partition int, offset bigint"
        return f"{before}, timestamp timestamp, timestampType int"

    def reader(self, schema: object) -> ReadyMadeReader:
        return ReadyMadeReader({name: int(value) for name, value in self.options.items()})


class ReadyMadeReader(DataSourceReader):
    def __init__(self, options: dict[str, int]) -> None:
        self.options = options

    def partitions(self) -> list[InputPartition]:
        return [InputPartition(number) for number in range(self.options["partitions"])]

    def read(self, partition: InputPartition) -> Iterator[object]:
        import pyarrow as pa

        rows, partitions = 65_536, self.options["partitions"]
        left = (self.options["records"] + partition.value) // partitions
        value = os.urandom(self.options["value_bytes"])
        batch = pa.record_batch(
            {
                "key": pa.nulls(rows, pa.binary()),
                "value": pa.array([value] * rows, pa.binary()),
                "topic": pa.array(["events"] * rows, pa.string()),
                "partition": pa.array([partition.value] * rows, pa.int32()),
                "offset": pa.array(range(rows), pa.int64()),
                "timestamp": pa.array(range(rows), pa.timestamp("us", "UTC")),
                "timestampType": pa.nulls(rows, pa.int32()).fill_null(0),
            }
        )
        while left > 0:
            yield batch.slice(0, min(rows, left))
            left -= rows


# --- the sources -----------------------------------------------------------------------------------------------------


def source(spark: SparkSession, who: str, topic: Topic, exported: Path) -> DataFrame:
    if who == "exported Parquet":
        return spark.read.parquet(str(exported))
    if who == "ready-made":
        reader = spark.read.format(who).option("records", topic.records)
        return reader.option("partitions", topic.partitions).option("value_bytes", topic.value_bytes).load()
    return spark.read.format(who).option("kafka.bootstrap.servers", topic.bootstrap).option("subscribe", TOPIC).load()


def count(frame: DataFrame, topic: Topic) -> int:
    found = frame.count()
    assert found == topic.records, f"{found} of {topic.records} records"
    return found


def sum_lengths(frame: DataFrame, topic: Topic) -> int:
    total = frame.selectExpr("sum(length(value))").first()[0]
    assert total == topic.records * topic.value_bytes, f"{total} bytes"
    return topic.records


def sum_field(frame: DataFrame, topic: Topic) -> int:
    if "delay" not in frame.columns:
        frame = frame.selectExpr(f"from_json(cast(value as string), '{JSON_SCHEMA}') as event").select("event.*")
    total = frame.selectExpr("sum(delay)").first()[0]
    assert total == topic.delay_sum, f"{total} is not the sum"
    return topic.records


def write_parquet(frame: DataFrame, topic: Topic) -> int:
    with tempfile.TemporaryDirectory() as folder:
        frame.write.parquet(f"{folder}/out")
    return topic.records


def stream(spark: SparkSession, who: str, topic: Topic, name: str, per_batch: int) -> list[dict[str, Any]]:
    """Reads a topic in micro-batches; returns what Spark reports of each."""
    reader = spark.readStream.format(who).option("kafka.bootstrap.servers", topic.bootstrap).option("subscribe", name)
    frame = reader.option("startingOffsets", "earliest").option("maxOffsetsPerTrigger", per_batch).load()
    with tempfile.TemporaryDirectory() as folder:
        writer = frame.writeStream.format("noop").option("checkpointLocation", folder)
        query = writer.trigger(availableNow=True).start()
        query.awaitTermination()
        return [json.loads(progress.json) for progress in query.recentProgress]


def stream_rows(spark: SparkSession, who: str, topic: Topic) -> int:
    batches = stream(spark, who, topic, TOPIC, topic.records // 10)
    rows = sum(batch["numInputRows"] for batch in batches)
    assert rows == topic.records, f"{rows} rows in {len(batches)} micro-batches, not {topic.records}"
    return rows


def stream_batches(spark: SparkSession, who: str, topic: Topic) -> tuple[int, float]:
    """The median micro-batch: a query's start, with its new Python processes, is not one."""
    batches = stream(spark, who, topic, SMALL_TOPIC, SMALL_BATCH_RECORDS)
    rows = sum(batch["numInputRows"] for batch in batches)
    assert rows == SMALL_BATCHES * SMALL_BATCH_RECORDS, f"{rows} rows in {len(batches)} micro-batches"
    took = statistics.median(batch["durationMs"]["triggerExecution"] for batch in batches)
    return len(batches), len(batches) * took / 1000


# --- one run ---------------------------------------------------------------------------------------------------------


def best(work: str, who: str, topic: Topic, repeat: int, run: Callable[[], int | tuple[int, float]]) -> Row:
    """Runs a work several times; one that knows better than the clock what it took says so."""
    server = topic.server if who in ("headwater", "kafka") else "-"
    rows = []
    for _ in range(repeat):
        began, cpu_began = time.perf_counter(), cpu_seconds_of_all(topic)
        done = run()
        seconds, cpu = time.perf_counter() - began, cpu_seconds_of_all(topic) - cpu_began
        if isinstance(done, tuple):
            done, seconds = done
        rows.append(Row(work, who, server, done, seconds, cpu))
    fastest, thriftiest = max(row.rate for row in rows), max(rows, key=lambda row: row.cpu_rate)
    row = thriftiest._replace(seconds=thriftiest.count / fastest)
    rates = f"{row.rate:>12,.1f} /s {row.cpu_rate:>12,.1f} /s of CPU {row.seconds:>7.2f} s"
    print(f"  {work:<9} {who:<17} {server:<13} {rates}", flush=True)
    return row


def measure(spark: SparkSession, topic: Topic, arguments: argparse.Namespace, exported: Path) -> list[Row]:
    """Every work by every source that can do it, over one server; what no server takes part in only once."""
    batch_works = {"count": count, "sum": sum_lengths, "json": sum_field, "parquet": write_parquet}
    rows = []
    for work in arguments.only:
        for who in ("headwater", "kafka", "ready-made", "exported Parquet"):
            if who not in arguments.sources:
                continue
            if work in batch_works:
                if (who == "ready-made" and (work == "json" or topic.server != "headwater")) or (
                    who == "exported Parquet" and (work == "count" or not exported.exists())
                ):
                    continue
                frame = source(spark, who, topic, exported)
                if work == "json" and who == "headwater":
                    frame = typed(spark, topic)
                run = partial(batch_works[work], frame, topic)
            elif who in ("headwater", "kafka"):
                run = partial(stream_rows if work == "stream" else stream_batches, spark, who, topic)
            else:
                continue
            rows.append(best(work, who, topic, arguments.repeat, run))
    return rows


def typed(spark: SparkSession, topic: Topic) -> DataFrame:
    reader = spark.read.format("headwater").schema(JSON_SCHEMA)
    reader = reader.option("kafka.bootstrap.servers", topic.bootstrap).option("subscribe", TOPIC)
    return reader.option("valueFormat", "json").load()


def cpu_seconds(pid: int, *, with_ended_children: bool = False) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11 : 15 if with_ended_children else 13])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_of_all(topic: Topic) -> float:
    """Of Spark, its workers and the topic's server."""
    return cpu_seconds_of_descendants() + (cpu_seconds(topic.pid) if topic.pid else 0.0)


def cpu_seconds_of_descendants() -> float:
    """Of all processes that this one has started, directly or not: the JVM, its workers, the servers."""
    found, total = [os.getpid()], 0.0
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    for pid in found[1:]:
        total += cpu_seconds(pid, with_ended_children=True)
    return total


def export(server: Server, topic: Topic, exported: Path) -> float:
    """Exports the topic in a process of its own; returns MB of log per second of CPU, all processes together."""
    log = sum(path.stat().st_size for path in server.data.glob(f"{TOPIC}-*/*.log"))
    children, served = resource.getrusage(resource.RUSAGE_CHILDREN), cpu_seconds(server.pid)
    began = time.perf_counter()
    command = [sys.executable, "-m", "headwater", "export", TOPIC, "--to", str(exported)]
    subprocess.run([*command, "--bootstrap", topic.bootstrap], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = now.ru_utime - children.ru_utime + now.ru_stime - children.ru_stime
    both = own + cpu_seconds(server.pid) - served
    print(
        f"  export    {log / 1e6:,.0f} MB of log in {seconds:.2f} s; {log / own / 1e6:,.0f} MB per CPU second of the "
        f"exporter, {log / both / 1e6:,.0f} with the server's",
        flush=True,
    )
    return log / both / 1e6


@contextmanager
def apache_kafka(folder: Path) -> Iterator[tuple[str, int]]:
    """Its address and its process, which the script that started it has left behind."""
    environment = {**os.environ, "KAFKA_DATA": str(folder / "apache-kafka"), "KAFKA_PORT": "29192"}
    started = subprocess.run([KAFKA_SH, "start"], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    try:
        yield started.stdout.strip(), int((folder / "apache-kafka" / "node" / "pid").read_text())
    finally:
        subprocess.run([KAFKA_SH, "stop"], env=environment, check=True)


def fill_all(topic: Topic) -> None:
    began = time.perf_counter()
    fill(topic.bootstrap, TOPIC, topic.partitions, topic.records, topic.value_bytes)
    fill(topic.bootstrap, SMALL_TOPIC, topic.partitions, SMALL_BATCHES * SMALL_BATCH_RECORDS, topic.value_bytes)
    print(f"  filled    {topic.records:,} records of {topic.value_bytes} B in {time.perf_counter() - began:.1f} s")


def run(spark: SparkSession, folder: Path, records: int, value_bytes: int, arguments: argparse.Namespace) -> None:
    print(
        f"\n{records:,} records of {value_bytes} B in {arguments.partitions} partitions, best of {arguments.repeat}\n"
    )
    rows: list[Row] = []
    exported = folder / "exported"
    rate = 0.0
    if "headwater" in arguments.servers:
        with Server(folder / "data") as server:
            topic = Topic("headwater", server.bootstrap, records, value_bytes, arguments.partitions)
            fill_all(topic)
            rate = export(server, topic, exported)
            rows += measure(spark, topic, arguments, exported)
    if "apache" in arguments.servers:
        with apache_kafka(folder) as (bootstrap, pid):
            topic = Topic("Apache Kafka", bootstrap, records, value_bytes, arguments.partitions, pid)
            fill_all(topic)
            # The exported files are the same ones; they have been measured.
            shutil.rmtree(exported, ignore_errors=True)
            rows += measure(spark, topic, arguments, exported)
    ratios(rows, rate)
    if arguments.json:
        with arguments.json.open("a") as file:
            for row in rows:
                file.write(
                    json.dumps(
                        {"value_bytes": value_bytes, **row._asdict(), "rate": row.rate, "cpu_rate": row.cpu_rate}
                    )
                    + "\n"
                )


def ratios(rows: list[Row], export_rate: float) -> None:
    """One line for each reference that `headwater` is compared with, and whether the aim is met."""
    print(f"\n  {'work':<9} {'server':<13} {'headwater':>12} {'against':<18} {'':>12}  ratio of CPU   aim")
    by = {(row.work, row.who, row.server): row for row in rows}
    for (work, who, server), ours in by.items():
        if who != "headwater":
            continue
        for other, where, aim in (
            ("kafka", server, AIMS_SPARK_SQL_KAFKA.get(work)),
            ("ready-made", "-", AIM_READY_MADE),
            ("exported Parquet", "-", None),
        ):
            theirs = by.get((work, other, where))
            if theirs is not None:
                name = "spark-sql-kafka" if other == "kafka" else other
                print(
                    f"  {work:<9} {server:<13} {ours.rate:>12,.1f} {name:<18} {theirs.rate:>12,.1f} "
                    f"{ours.rate / theirs.rate:>6.2f} {ours.cpu_rate / theirs.cpu_rate:>6.2f} "
                    f"{'' if aim is None else aim:>5} {verdict(ours.rate / theirs.rate, aim)}"
                )
    if export_rate:
        aim = AIM_EXPORT_MB_PER_CORE
        print(f"  export    MB of log per second of CPU: {export_rate:,.0f} (aim {aim}) {verdict(export_rate, aim)}")


def verdict(found: float, aim: float | None) -> str:
    if aim is None:
        return ""
    return "met" if found >= aim else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000, help="records of 100 B; of 1 KB a tenth")
    parser.add_argument("--value-bytes", type=int, help="one size alone, of which there are --records")
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--servers", nargs="+", choices=["headwater", "apache"], default=["headwater", "apache"])
    parser.add_argument("--only", nargs="+", choices=WORKS, default=WORKS)
    sources = ["headwater", "kafka", "ready-made", "exported Parquet"]
    parser.add_argument("--sources", nargs="+", choices=sources, default=sources)
    parser.add_argument("--json", type=Path, help="also append the rows to this file, one object a line")
    arguments = parser.parse_args()
    sizes = {100: arguments.records, 1000: arguments.records // 10}
    if arguments.value_bytes:
        sizes = {arguments.value_bytes: arguments.records}
    with tempfile.TemporaryDirectory() as folder:
        spark = local_session(Path(folder), memory="2g")
        spark.dataSource.register(ReadyMade)
        for value_bytes, records in sizes.items():
            run(spark, Path(folder) / str(value_bytes), records, value_bytes, arguments)
        spark.stop()


if __name__ == "__main__":
    main()
