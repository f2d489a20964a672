"""`kill -9` in the middle of producing: every acknowledged record is there afterwards, once and in order."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from server import Server

PARTITIONS = 3
KILLS = 3
ACKNOWLEDGED_BETWEEN_KILLS = 20_000


def read_all(bootstrap: str, topic: str) -> dict[int, list[tuple[int, bytes]]]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=20)[1] for p in range(PARTITIONS)}
    read: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    deadline = time.monotonic() + 60
    while any(len(read[p]) < end for p, end in ends.items()) and time.monotonic() < deadline:
        for message in consumer.consume(10_000, timeout=1):
            assert message.error() is None, message.error()
            read[message.partition()].append((message.offset(), message.value()))
    consumer.close()
    return read


@pytest.mark.timeout(180)
def test_acknowledged_records_survive_kills(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    admin = KafkaAdminClient(bootstrap_servers=server.bootstrap)
    admin.create_topics([NewTopic("kept", num_partitions=PARTITIONS, replication_factor=1)])
    admin.close()

    acknowledged: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            acknowledged[message.partition()].append((message.offset(), message.value()))
        else:
            failures.append(error)

    stop = threading.Event()
    producer = Producer(
        {
            "bootstrap.servers": server.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 1,
            "message.timeout.ms": 60_000,
            "reconnect.backoff.max.ms": 200,
            "retry.backoff.ms": 50,
        }
    )

    def produce() -> None:
        number = 0
        while not stop.is_set():
            try:
                producer.produce("kept", value=b"%d" % number, partition=number % PARTITIONS, on_delivery=delivered)
                number += 1
            except BufferError:
                producer.poll(0.05)
            producer.poll(0)
        producer.flush(60)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        for kill in range(KILLS):
            goal = sum(map(len, acknowledged.values())) + ACKNOWLEDGED_BETWEEN_KILLS
            deadline = time.monotonic() + 60
            while sum(map(len, acknowledged.values())) < goal:
                assert time.monotonic() < deadline, f"nothing is acknowledged after kill {kill}: {server.said()}"
                time.sleep(0.01)
            server.kill()
            server.start()
    finally:
        stop.set()
        thread.join()
    assert not failures

    read = read_all(server.bootstrap, "kept")
    server.stop()
    for partition in range(PARTITIONS):
        offsets = [offset for offset, _ in read[partition]]
        assert offsets == list(range(len(offsets))), "offsets have gaps"
        values = [int(value) for _, value in read[partition]]
        assert values == sorted(set(values)), "a record is there twice or out of order"
        by_offset = dict(read[partition])
        assert all(by_offset.get(offset) == value for offset, value in acknowledged[partition]), (
            "an acknowledged record is lost"
        )
    assert sum(map(len, acknowledged.values())) >= KILLS * ACKNOWLEDGED_BETWEEN_KILLS
