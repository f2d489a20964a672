"""Spark reads what `export` writes: `partition=N/` folders become a column."""

from __future__ import annotations

from pathlib import Path

import headwater
from pyspark.sql import SparkSession


def test_an_export_is_a_table_for_spark(spark: SparkSession, bootstrap: str, topic: str, tmp_path: Path) -> None:
    with headwater.Producer(bootstrap) as producer:
        for number in range(300):
            producer.produce(topic, f'{{"number": {number}}}', key=f"k{number % 7}", partition=number % 3)
    with headwater.Admin(bootstrap) as admin:
        admin.export(topic, tmp_path / "raw", progress=False)
        admin.export(topic, tmp_path / "typed", progress=False, value_format="json", value_schema="number long")
    raw = spark.read.parquet(str(tmp_path / "raw"))
    assert dict(raw.dtypes)["partition"] == "int"
    rows = raw.selectExpr("partition", "offset", "cast(key as string) key", "cast(value as string) value").collect()
    expected = {(n % 3, n // 3, f"k{n % 7}", f'{{"number": {n}}}') for n in range(300)}
    assert len(rows) == len(expected)
    assert {tuple(row) for row in rows} == expected
    typed = spark.read.parquet(str(tmp_path / "typed"))
    assert {tuple(row) for row in typed.select("partition", "number").collect()} == {(n % 3, n) for n in range(300)}
