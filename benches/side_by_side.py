"""Speed as ratios: the same work by Headwater's client and by others, against the same server, in one run.

    make bench                                  everything
    make bench BENCH_ARGS="--records 200000"    quicker, noisier
    make bench BENCH_ARGS="--only produce"      one part

Produce is one call per record on every side, idempotent, acks=all, the same linger, batch size and codec, and every
record's delivery is confirmed. Consume reads key, value, offset and timestamp of every record in Python. Arrow rows
reduce every column. Whether a reader checks CRCs is said in its row, and how the bytes come to ours: over TCP, lent
(segments of the server read by descriptors, as a consumer on the same machine does by default), or in place (the broker
is in the reader's process). A ratio compares with the best other client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import headwater
import pyarrow as pa
import pyarrow.compute as pc
from server import Server

LINGER_MS = 5
BATCH_BYTES = 131_072


class Row(NamedTuple):
    """One measurement."""

    work: str
    who: str
    records: int
    size: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.records / self.seconds


def timed(work: str, who: str, records: int, record_bytes: int, run: Callable[[], int]) -> Row:
    began = time.perf_counter()
    done = run()
    seconds = time.perf_counter() - began
    assert done == records, f"{who}, {work}: {done} of {records} records"
    row = Row(work, who, records, records * record_bytes, seconds)
    print(f"  {work:<42} {who:<28} {row.rate:>12,.0f} records/s {row.size / seconds / 1e6:>8.1f} MB/s", flush=True)
    return row


# --- produce: one call per record, idempotent, acks=all, every delivery confirmed ---------------------------------


def produce_headwater(bootstrap: str, topic: str, value: bytes, count: int) -> int:
    delivered = 0

    def report(error: object, _: object) -> None:
        nonlocal delivered
        assert error is None, error
        delivered += 1

    with headwater.Producer(bootstrap, linger_ms=LINGER_MS, batch_size=BATCH_BYTES) as producer:
        produce = producer.produce
        for _ in range(count):
            produce(topic, value, on_delivery=report)
        producer.flush()
    return delivered


def produce_headwater_flush(bootstrap: str, topic: str, value: bytes, count: int) -> int:
    """`flush` returns once every record is acknowledged and raises if one is not: confirmation without callbacks."""
    with headwater.Producer(bootstrap, linger_ms=LINGER_MS, batch_size=BATCH_BYTES) as producer:
        produce = producer.produce
        for _ in range(count):
            produce(topic, value)
        producer.flush()
    return count


def produce_many(bootstrap: str, topic: str, value: bytes, count: int) -> int:
    values = [value] * 10_000
    with headwater.Producer(bootstrap, linger_ms=LINGER_MS, batch_size=BATCH_BYTES) as producer:
        for _ in range(count // len(values)):
            producer.produce_many(topic, values)
        producer.produce_many(topic, values[: count % len(values)])
        producer.flush()
    return count


def produce_confluent(bootstrap: str, topic: str, value: bytes, count: int) -> int:
    from confluent_kafka import Producer

    delivered = 0

    def report(error: object, _: object) -> None:
        nonlocal delivered
        assert error is None, error
        delivered += 1

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": LINGER_MS,
            "batch.size": BATCH_BYTES,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for number in range(count):
        while True:
            try:
                producer.produce(topic, value, on_delivery=report)
                break
            except BufferError:
                producer.poll(0.01)
        if number % 1000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0
    return delivered


def produce_aiokafka(bootstrap: str, topic: str, value: bytes, count: int) -> int:
    from aiokafka import AIOKafkaProducer

    async def run() -> int:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES,
        )
        await producer.start()
        delivered = 0
        for first in range(0, count, 10_000):
            waits = [await producer.send(topic, value) for _ in range(min(10_000, count - first))]
            delivered += len(await asyncio.gather(*waits))
        await producer.stop()
        return delivered

    return asyncio.run(run())


def produce_kafka_python(bootstrap: str, topic: str, value: bytes, count: int) -> int:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=LINGER_MS, batch_size=BATCH_BYTES)
    futures = [producer.send(topic, value) for _ in range(count)]
    producer.flush(120)
    delivered = sum(1 for future in futures if future.get(10).offset >= 0)
    producer.close()
    return delivered


# --- consume: key, value, offset and timestamp of every record are read in Python ---------------------------------


def consume_headwater(bootstrap: str, topic: str, partitions: int, count: int, *, lent: bool) -> int:
    seen = checksum = 0
    with headwater.Consumer(bootstrap, [topic], headwater_local_reads=lent) as consumer:
        while seen < count:
            for r in consumer.poll(max_records=10_000, timeout=10):
                checksum += len(r.value) + (r.key is not None) + (r.offset & 1) + (r.timestamp & 1)
                seen += 1
    return seen


def consume_confluent(bootstrap: str, topic: str, partitions: int, count: int) -> int:
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    seen = checksum = 0
    while seen < count:
        for r in consumer.consume(10_000, timeout=10):
            checksum += len(r.value()) + (r.key() is not None) + (r.offset() & 1) + (r.timestamp()[1] & 1)
            seen += 1
    consumer.close()
    return seen


def consume_aiokafka(bootstrap: str, topic: str, partitions: int, count: int) -> int:
    from aiokafka import AIOKafkaConsumer

    async def run() -> int:
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        seen = checksum = 0
        while seen < count:
            for records in (await consumer.getmany(timeout_ms=10_000, max_records=10_000)).values():
                for r in records:
                    checksum += len(r.value) + (r.key is not None) + (r.offset & 1) + (r.timestamp & 1)
                    seen += 1
        await consumer.stop()
        return seen

    return asyncio.run(run())


def consume_kafka_python(bootstrap: str, topic: str, partitions: int, count: int) -> int:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_poll_records=10_000)
    seen = checksum = 0
    while seen < count:
        for records in consumer.poll(timeout_ms=10_000).values():
            for r in records:
                checksum += len(r.value) + (r.key is not None) + (r.offset & 1) + (r.timestamp & 1)
                seen += 1
    consumer.close()
    return seen


# --- Arrow: every column is reduced --------------------------------------------------------------------------------


def reduce_columns(batches: Iterator[object]) -> int:
    rows = 0
    for batch in batches:
        rows += batch.num_rows  # type: ignore[attr-defined]
        for name in ("value", "key"):
            pc.sum(pc.binary_length(batch.column(name)))  # type: ignore[attr-defined]
        for name in ("offset", "partition", "timestamp_type"):
            pc.sum(batch.column(name))  # type: ignore[attr-defined]
        pc.max(batch.column("timestamp"))  # type: ignore[attr-defined]
        pc.count(batch.column("topic"))  # type: ignore[attr-defined]
        pc.sum(pc.list_value_length(batch.column("headers")))  # type: ignore[attr-defined]
    return rows


def scan_arrow(target: object, topic: str, config: dict[str, object] | None) -> int:
    return reduce_columns(iter(pa.RecordBatchReader.from_stream(headwater.scan(topic, target, config=config))))


# --- the table -----------------------------------------------------------------------------------------------------


PRODUCERS = {
    "headwater produce, callbacks": produce_headwater,
    "headwater produce, flush": produce_headwater_flush,
    "headwater produce_many": produce_many,
    "confluent-kafka": produce_confluent,
    "aiokafka": produce_aiokafka,
    "kafka-python": produce_kafka_python,
}
CONSUMERS = {
    "headwater lent, CRC checked": partial(consume_headwater, lent=True),
    "headwater over TCP, CRC checked": partial(consume_headwater, lent=False),
    "confluent-kafka, no CRC": consume_confluent,
    "aiokafka, CRC checked": consume_aiokafka,
    "kafka-python, CRC checked": consume_kafka_python,
}
SLOW = {"aiokafka": 10, "kafka-python": 20}


def bench_produce(server: Server, arguments: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    for record_bytes in (100, 1000):
        value = os.urandom(record_bytes)
        for flush in ("fsync", "none"):
            for partitions in (1, 16, 100):
                count = arguments.records * 100 // record_bytes
                work = f"produce {record_bytes} B, flush {flush}, {partitions} partitions"
                for who, produce in PRODUCERS.items():
                    part = max(count // SLOW.get(who, 1), 1000)
                    with scratch_topic(server.bootstrap, f"produce-{len(rows)}", partitions, flush) as topic:
                        run = partial(produce, server.bootstrap, topic, value, part)
                        rows.append(timed(work, who, part, record_bytes, run))
    return rows


@contextmanager
def scratch_topic(bootstrap: str, name: str, partitions: int, flush: str) -> Iterator[str]:
    admin = headwater.Admin(bootstrap)
    admin.create_topic(name, partitions=partitions, config={"headwater.flush": flush})
    yield name
    admin.delete_topics([name])


def bench_consume(server: Server, arguments: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    partitions = 6
    for record_bytes in (100, 1000):
        count = arguments.records * 100 // record_bytes
        topic = f"consume-{record_bytes}"
        headwater.Admin(server.bootstrap).create_topic(topic, partitions=partitions)
        produce_many(server.bootstrap, topic, os.urandom(record_bytes), count)
        for who, consume in CONSUMERS.items():
            run = partial(consume, server.bootstrap, topic, partitions, count)
            rows.append(timed(f"consume {record_bytes} B", who, count, record_bytes, run))
        rows += columnar(server.bootstrap, topic, record_bytes, count, "lent")
        scan = partial(scan_arrow, server.bootstrap, topic, {"headwater.local.reads": False})
        rows.append(timed(f"arrow {record_bytes} B", "headwater over TCP, CRC checked", count, record_bytes, scan))
    return rows


def bench_in_place(data: Path, arguments: argparse.Namespace) -> list[Row]:
    """An embedded broker's segments are read where they lie."""
    rows: list[Row] = []
    with headwater.Broker(data) as broker:
        for record_bytes in (100, 1000):
            count = arguments.records * 100 // record_bytes
            rows += columnar(broker, f"consume-{record_bytes}", record_bytes, count, "in place")
    return rows


def columnar(target: str | headwater.Broker, topic: str, record_bytes: int, count: int, how: str) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        export = partial(headwater.Admin(target).export, topic, Path(folder) / "out", progress=False)
        scan = partial(scan_arrow, target, topic, None)
        return [
            timed(f"arrow {record_bytes} B", f"headwater {how}, CRC checked", count, record_bytes, scan),
            timed(
                f"parquet {record_bytes} B", f"headwater {how}, zstd 1", count, record_bytes, lambda: export().records
            ),
        ]


def ratios(rows: list[Row]) -> None:
    print("\nratios to the best other client in the same run\n")
    print(f"  {'work':<42} {'headwater':<34} {'ratio':>7}  best other")
    others: dict[str, Row] = {}
    for row in rows:
        if not row.who.startswith("headwater"):
            best = others.get(row.work)
            others[row.work] = row if best is None or row.rate > best.rate else best
    for row in rows:
        # Arrow has no counterpart in the other clients: it is compared with their record rate.
        other = others.get(row.work) or others.get(row.work.replace("arrow", "consume"))
        if row.who.startswith("headwater") and other is not None:
            print(f"  {row.work:<42} {row.who:<34} {row.rate / other.rate:>6.1f}x  {other.who} {other.rate:,.0f}/s")


def idle(server: Server) -> None:
    """Resident memory and wake-ups of a server that nobody talks to."""

    def switches() -> dict[str, int]:
        counts = {}
        for status in Path(f"/proc/{server.pid}/task").glob("*/status"):
            line = next(x for x in status.read_text().splitlines() if x.startswith("voluntary"))
            counts[status.parent.name] = int(line.split()[1])
        return counts

    # Threads of the blocking pool end after ten idle seconds; only those that stay are counted.
    time.sleep(15)
    seconds, before = 10, switches()
    time.sleep(seconds)
    after = switches()
    wakes = sum(after[thread] - count for thread, count in before.items() if thread in after) / seconds
    status = Path(f"/proc/{server.pid}/status").read_text()
    resident = int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1]) / 1024
    print(f"  idle server: {resident:.1f} MB resident (aim: under 40), {wakes:.1f} wake-ups/s (aim: at most 5)")


def start_time(data: Path) -> None:
    began = time.perf_counter()
    server = Server(data).start()
    total = time.perf_counter() - began
    server.stop()
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import headwater"], check=True)
    print(f"  start: {total:.3f} s to the address line, {time.perf_counter() - began:.3f} s of it Python and import")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="records of 100 B per row (1 KB: a tenth)")
    parser.add_argument("--only", choices=["produce", "consume", "idle"], help="one part")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        start_time(Path(folder) / "start")
        with Server(data) as server:
            idle(server)
            if arguments.only in (None, "produce"):
                rows += bench_produce(server, arguments)
            if arguments.only in (None, "consume"):
                rows += bench_consume(server, arguments)
        if arguments.only in (None, "consume"):
            rows += bench_in_place(data, arguments)
    ratios(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps([{**r._asdict(), "rate": r.rate} for r in rows], indent=1))


if __name__ == "__main__":
    main()
