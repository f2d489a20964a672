"""Export: what four readers see, and what a killed or refused run leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import headwater
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

Target = headwater.Broker | str
COUNT = 3_000


@pytest.fixture
def filled(broker: headwater.Broker, topic: str) -> str:
    with headwater.Producer(broker) as producer:
        producer.produce_many(topic, [f"value {n}" for n in range(COUNT)], [f"{n}" for n in range(COUNT)])
    return topic


def test_every_reader_sees_the_same(target: Target, filled: str, tmp_path: Path) -> None:
    to = tmp_path / "out.parquet"
    report = headwater.Admin(target).export(filled, to)
    assert report.records == COUNT
    assert sorted(p.name for p in to.iterdir()) == ["partition=0", "partition=1", "partition=2"]
    assert all(Path(file).is_file() for file in report.files)
    arrow = ds.dataset(to, partitioning="hive").to_table()
    polars = pl.scan_parquet(f"{to}/**/*.parquet", hive_partitioning=True).collect()
    duck = duckdb.sql(
        f"""select partition, "offset", key, value from read_parquet('{to}/*/*.parquet', hive_partitioning=true)"""
    )
    expected = {(r.partition, r.offset, r.key, r.value) for r in read(target, filled)}
    assert len(expected) == COUNT
    columns = ["partition", "offset", "key", "value"]
    assert set(zip(*(arrow.column(c).to_pylist() for c in columns), strict=True)) == expected
    assert set(polars.select(columns).rows()) == expected
    assert set(duck.fetchall()) == expected


def read(target: Target, topic: str) -> list[headwater.Record]:
    with headwater.Consumer(target, topic) as consumer:
        return [next(consumer) for _ in range(COUNT)]


def test_statistics_and_compression(broker: headwater.Broker, filled: str, tmp_path: Path) -> None:
    report = headwater.Admin(broker).export(filled, tmp_path / "out", progress=False)
    group = pq.ParquetFile(report.files[0]).metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert columns["offset"].statistics.min == 0
    assert columns["offset"].statistics.max == group.num_rows - 1
    assert columns["timestamp"].statistics.has_min_max
    assert columns["value"].compression == "ZSTD"


def test_an_existing_target_is_refused(broker: headwater.Broker, filled: str, tmp_path: Path) -> None:
    to = tmp_path / "out"
    admin = headwater.Admin(broker)
    admin.export(filled, to, partitions=[0], progress=False)
    with pytest.raises(FileExistsError, match="overwrite"):
        admin.export(filled, to, progress=False)
    assert admin.export(filled, to, overwrite=True, progress=False).records == COUNT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"], "something was left behind"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises((FileExistsError, headwater.HeadwaterError)):
        admin.export(filled, tmp_path / "mine", overwrite=True, progress=False)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_a_killed_export_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    data, to = tmp_path / "data", tmp_path / "out"
    with headwater.Broker(data, listen=None) as broker:
        headwater.Admin(broker).create_topic("large", partitions=2)
        with headwater.Producer(broker) as producer:
            producer.produce_many("large", [os.urandom(1_000) for _ in range(1_000)] * 100)
    command = [sys.executable, "-m", "headwater", "export", "large", "--data", str(data), "--to", str(to)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not any(p != data for p in tmp_path.iterdir()) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    assert not killed or not to.exists()
    done = subprocess.run(command, check=False, capture_output=True)
    if killed:
        assert done.returncode == 0, done.stderr
        assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "out"], "the killed run's leftovers stay"
    assert ds.dataset(to, partitioning="hive").count_rows() == 100_000
