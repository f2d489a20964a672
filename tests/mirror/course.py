"""What a course lets students do."""

from __future__ import annotations

import json
from typing import Any

from mirror import example, take

FLIGHTS = [{"carrier": "UA", "delay": 2}, {"carrier": "AA", "delay": -4}, {"carrier": "UA", "delay": 11}]


@example
def course_json(kafka: Any, at: Any) -> Any:
    producer = kafka.KafkaProducer(
        bootstrap_servers=at,
        key_serializer=lambda key: key.encode("utf-8"),
        value_serializer=lambda value: json.dumps(value).encode("utf-8"),
    )
    for flight in FLIGHTS:
        producer.send("course_json", key=flight["carrier"], value=flight)
    producer.flush()
    producer.close()
    consumer = kafka.KafkaConsumer(
        "course_json",
        bootstrap_servers=at,
        auto_offset_reset="earliest",
        enable_auto_commit=True,
        group_id="course_json",
        key_deserializer=lambda key: key.decode("utf-8"),
        value_deserializer=lambda value: json.loads(value.decode("utf-8")),
    )
    seen = []
    for message in consumer:
        seen.append((message.topic, message.partition, message.offset, message.key, message.value))
        if len(seen) == len(FLIGHTS):
            break
    consumer.close()
    return seen


@example
def course_serializer_objects(kafka: Any, at: Any) -> Any:
    settings = {"key_serializer": kafka.DefaultSerializer(), "value_serializer": kafka.JsonSerializer()}
    with kafka.KafkaProducer(bootstrap_servers=[at], **settings) as producer:
        producer.send("course_serializer_objects", {"ü": [1, None]}, key="schlüssel")
        producer.send("course_serializer_objects", None, key="tombstone")
    consumer = kafka.KafkaConsumer(
        "course_serializer_objects",
        bootstrap_servers=at,
        auto_offset_reset="earliest",
        key_deserializer=kafka.DefaultSerializer(),
        value_deserializer=kafka.JsonSerializer(),
    )
    with consumer:
        return [(m.key, m.value, m.serialized_key_size, m.serialized_value_size) for m in take(consumer, 2)]


@example
def course_callbacks(kafka: Any, at: Any) -> Any:
    sent: list[Any] = []
    failed: list[Any] = []
    producer = kafka.KafkaProducer(bootstrap_servers=at)
    for number in range(20):
        future = producer.send("course_callbacks", b"%d" % number)
        future.add_callback(lambda metadata: sent.append((metadata.topic, metadata.partition, metadata.offset)))
        future.add_errback(failed.append)
    producer.flush()
    producer.close()
    return sent, failed


@example
def course_resume(kafka: Any, at: Any) -> Any:
    """Stop after some messages, start again, and go on where the group was."""
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        for number in range(10):
            producer.send("course_resume", b"%d" % number)
    settings = {"bootstrap_servers": at, "group_id": "course_resume", "auto_offset_reset": "earliest"}
    parts = []
    for count in (4, 6):
        consumer = kafka.KafkaConsumer("course_resume", **settings)
        parts.append([message.value for message in take(consumer, count)])
        consumer.close()
    return parts
