"""confluent-kafka, the binding of librdkafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, Message, Producer
from event import Event

CAN_PRODUCE_BINARY = True
CAN_PRODUCE_NULL_HEADERS = True


def produce(bootstrap: str, topic: str, events: Sequence[Event], codec: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "compression.codec": codec, "enable.idempotence": True})
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failures.append(error)

    for e in events:
        extra = {} if e.timestamp_ms is None else {"timestamp": e.timestamp_ms}
        producer.produce(topic, key=e.key, value=e.value, headers=list(e.headers), on_delivery=delivered, **extra)
    assert producer.flush(30) == 0
    assert not failures


def consume(
    bootstrap: str, topics: Sequence[str], group: str, count: int, *, members: int = 2
) -> list[tuple[int, Event]]:
    seen: list[tuple[int, Event]] = []
    lock = threading.Lock()
    deadline = time.monotonic() + 60

    def member(index: int) -> None:
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"})
        consumer.subscribe(list(topics))
        while len(seen) < count and time.monotonic() < deadline:
            for m in consumer.consume(500, timeout=0.2):
                assert m.error() is None, m.error()
                event = Event(m.key(), m.value(), tuple(m.headers() or ()), m.timestamp()[1])
                with lock:
                    seen.append((index, event))
        consumer.close()

    threads = [threading.Thread(target=member, args=(i,)) for i in range(members)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen
