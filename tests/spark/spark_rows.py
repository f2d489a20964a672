"""A topic's records as plain tuples, the same from every side: as written, as Spark read them, as `scan` reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import headwater
import pyarrow as pa
from pyspark.sql import DataFrame

# 2024-01-01T00:00:00Z; events are one second apart.
FIRST_MS = 1_704_067_200_000
STEP_MS = 1000
PARTITIONS = 3


class TopicRow(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def event(topic: str, number: int) -> TopicRow:
    """Event `number` of a topic with three partitions: nulls and repeated headers among them."""
    return TopicRow(
        topic,
        number % PARTITIONS,
        number // PARTITIONS,
        FIRST_MS + number * STEP_MS,
        0,
        None if number % 7 == 0 else f"key-{number % 10}".encode(),
        None if number % 11 == 0 else f'{{"number": {number}, "text": "é{"x" * (number % 50)}"}}'.encode(),
        (("trace", f"{number}".encode()), ("trace", None), ("empty", b"")) if number % 5 == 0 else (),
    )


def write_events(bootstrap: str, topic: str, numbers: Iterable[int]) -> list[TopicRow]:
    """Writes these events, in order from event 0 if offsets are to agree; returns them sorted."""
    rows = [event(topic, number) for number in numbers]
    with headwater.Producer(bootstrap) as producer:
        for row in rows:
            producer.produce(
                topic,
                row.value,
                key=row.key,
                headers=row.headers,
                partition=row.partition,
                timestamp=row.timestamp_ms,
            )
        producer.flush()
    return sorted(rows, key=place)


def place(row: TopicRow) -> tuple[str, int, int]:
    """What a list of rows is sorted by: keys may be null."""
    return row.topic, row.partition, row.offset


def spark_rows(frame: DataFrame) -> list[TopicRow]:
    """Every row of a Kafka-like source, sorted by place; `headers` is empty where the frame has none."""
    headers = "headers" if "headers" in frame.columns else "null as headers"
    selected = frame.selectExpr(
        "topic", "partition", "offset", "unix_millis(timestamp)", "timestampType", "key", "value", headers
    )
    return sorted((as_row(*row) for row in selected.collect()), key=place)


def scan_rows(bootstrap: str, topic: str) -> list[TopicRow]:
    """The whole topic by `headwater.scan`: the judge of what Spark wrote."""
    names = ["topic", "partition", "offset", "timestamp", "timestamp_type", "key", "value", "headers"]
    table = pa.table(headwater.scan(topic, bootstrap, columns=names))
    table = table.set_column(3, "timestamp", table["timestamp"].cast("int64"))
    return sorted((as_row(*row.values()) for row in table.to_pylist()), key=place)


def as_row(*fields: Any) -> TopicRow:
    """A row from values in its order: Spark's byte arrays and rows, and Arrow's dictionaries, become plain."""
    topic, partition, offset, ms, kind, key, value, headers = fields
    pairs = [pair.values() if isinstance(pair, dict) else pair for pair in headers or ()]
    return TopicRow(
        topic,
        partition,
        offset,
        ms,
        kind,
        None if key is None else bytes(key),
        None if value is None else bytes(value),
        tuple((name, None if content is None else bytes(content)) for name, content in pairs),
    )
