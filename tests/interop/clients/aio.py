"""aiokafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from event import Event

CAN_PRODUCE_BINARY = True
CAN_PRODUCE_NULL_HEADERS = True


def produce(bootstrap: str, topic: str, events: Sequence[Event], codec: str) -> None:
    async def run() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if codec == "none" else codec,
            enable_idempotence=True,
            linger_ms=20,
        )
        await producer.start()
        try:
            waits = [
                await producer.send(
                    topic, key=e.key, value=e.value, headers=list(e.headers), timestamp_ms=e.timestamp_ms
                )
                for e in events
            ]
            await asyncio.gather(*waits)
        finally:
            await producer.stop()

    asyncio.run(run())


def consume(
    bootstrap: str, topics: Sequence[str], group: str, count: int, *, members: int = 2
) -> list[tuple[int, Event]]:
    seen: list[tuple[int, Event]] = []
    deadline = time.monotonic() + 60

    async def member(index: int) -> None:
        consumer = AIOKafkaConsumer(
            *topics,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            client_id=f"member-{index}",
        )
        await consumer.start()
        try:
            while len(seen) < count and time.monotonic() < deadline:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    seen.extend((index, Event(r.key, r.value, tuple(r.headers), r.timestamp)) for r in records)
        finally:
            await consumer.stop()

    async def run() -> None:
        await asyncio.gather(*(member(i) for i in range(members)))

    asyncio.run(run())
    return seen
