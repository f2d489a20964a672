"""kafka-python, as its documentation shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from event import Event
from kafka import KafkaConsumer, KafkaProducer

CAN_PRODUCE_BINARY = True
CAN_PRODUCE_NULL_HEADERS = False


def produce(bootstrap: str, topic: str, events: Sequence[Event], codec: str) -> None:
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec, linger_ms=20
    )
    futures = [
        producer.send(topic, key=e.key, value=e.value, headers=list(e.headers), timestamp_ms=e.timestamp_ms)
        for e in events
    ]
    producer.flush(30)
    for future in futures:
        future.get(timeout=30)
    producer.close()


def consume(
    bootstrap: str, topics: Sequence[str], group: str, count: int, *, members: int = 2
) -> list[tuple[int, Event]]:
    """Returns (member, event); the members read until they have `count` together."""
    seen: list[tuple[int, Event]] = []
    lock = threading.Lock()
    deadline = time.monotonic() + 60

    def member(index: int) -> None:
        consumer = KafkaConsumer(
            *topics,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            client_id=f"member-{index}",
        )
        while len(seen) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=200).values():
                with lock:
                    seen.extend((index, Event(r.key, r.value, tuple(r.headers), r.timestamp)) for r in records)
        consumer.close()

    threads = [threading.Thread(target=member, args=(i,)) for i in range(members)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen
