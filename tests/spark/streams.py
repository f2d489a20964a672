"""Streaming queries of the tests: run to the end of what is there, and what they left in their sink."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery


class Stream:
    """One query with its checkpoint and its sink, run again and again as after restarts."""

    def __init__(self, spark: SparkSession, work: Path, options: Mapping[str, str], name: str = "headwater") -> None:
        self.spark = spark
        self.name = name
        self.checkpoint = work / "checkpoint"
        self.sink = work / "sink"
        self.options = dict(options)

    def source(self, **options: str) -> DataFrame:
        return self.spark.readStream.format(self.name).options(**self.options, **options).load()

    def run(self, **options: str) -> list[dict[str, Any]]:
        """Reads all there is into Parquet; returns the progress of the batches that had rows."""
        writer = self.source(**options).writeStream.format("parquet").option("path", str(self.sink))
        query = writer.option("checkpointLocation", str(self.checkpoint)).trigger(availableNow=True).start()
        finish(query)
        return [progress for progress in map(as_dict, query.recentProgress) if progress["numInputRows"]]

    def rows(self) -> DataFrame:
        return self.spark.read.parquet(str(self.sink))

    def planned(self) -> list[int]:
        return batches(self.checkpoint / "offsets")

    def committed(self) -> list[int]:
        return batches(self.checkpoint / "commits")

    def offsets(self, batch: int) -> dict[str, Any]:
        """What the checkpoint says of the end of a batch."""
        return json.loads((self.checkpoint / "offsets" / str(batch)).read_text().splitlines()[-1])


def batches(log: Path) -> list[int]:
    return sorted(int(entry.name) for entry in log.iterdir() if entry.name.isdecimal()) if log.is_dir() else []


def finish(query: StreamingQuery) -> None:
    try:
        assert query.awaitTermination(90), "the query did not end"
    finally:
        query.stop()


def as_dict(progress: Any) -> dict[str, Any]:
    """Progress is an object since Spark 4.0, and its sources hold text."""
    return json.loads(progress.json)
