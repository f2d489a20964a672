"""What goes in comes out: exactly, in order, from both kinds of target."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

import headwater
import pytest

Read = Callable[..., list[headwater.Record]]
Target = headwater.Broker | str


def test_every_corner_of_a_record(target: Target, topic: str, read_all: Read) -> None:
    headers = [("a", b"1"), ("a", b"2"), ("b", None), ("c", b"")]
    with headwater.Producer(target) as producer:
        producer.produce(topic, b"value", key=b"key", headers=headers, partition=1, timestamp=1_234_567_890_123)
        producer.produce(topic, None, key="text key", partition=1)
        producer.produce(topic, b"", key=b"", partition=1)
        producer.produce(topic, bytearray(b"mutable"), partition=1)
        producer.produce(topic, memoryview(b"a view")[2:], partition=1)
    records = read_all(target, topic, 5)
    first = records[0]
    assert (first.topic, first.partition, first.offset) == (topic, 1, 0)
    assert (first.timestamp, first.timestamp_type) == (1_234_567_890_123, 0)
    assert (first.key, first.value, first.headers) == (b"key", b"value", headers)
    assert [(r.key, r.value) for r in records[1:]] == [
        (b"text key", None),
        (b"", b""),
        (None, b"mutable"),
        (None, b"view"),
    ]
    assert "offset=0" in repr(first)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_order_within_a_partition_with_every_codec(target: Target, topic: str, read_all: Read, codec: str) -> None:
    count = 5_000
    with headwater.Producer(target, compression_type=codec, linger_ms=1) as producer:
        for number in range(count):
            producer.produce(topic, f"{number}", key=f"key {number % 17}")
    per_key: defaultdict[bytes, list[int]] = defaultdict(list)
    partitions: defaultdict[bytes, set[int]] = defaultdict(set)
    for record in read_all(target, topic, count):
        per_key[record.key].append(int(record.value))
        partitions[record.key].add(record.partition)
    assert sorted(n for numbers in per_key.values() for n in numbers) == list(range(count))
    assert all(numbers == sorted(numbers) for numbers in per_key.values())
    assert all(len(of) == 1 for of in partitions.values()), "a key is in two partitions"


def test_keys_go_where_the_other_clients_send_them(broker: headwater.Broker, topic: str) -> None:
    from kafka.partitioner.default import murmur2

    keys = [f"key-{n}".encode() for n in range(50)] + [b"", b"\xff\x00\x80"]
    with headwater.Producer(broker) as producer:
        sent = {key: producer.send(topic, b"", key=key) for key in keys}
        producer.flush()
    for key, delivery in sent.items():
        assert delivery.result().partition == (murmur2(key) & 0x7FFFFFFF) % 3


def test_callbacks_run_once_per_record_on_this_thread(target: Target, topic: str) -> None:
    import threading

    seen: list[tuple[object, headwater.RecordMetadata, int]] = []
    with headwater.Producer(target) as producer:
        for _ in range(1_000):
            producer.produce(
                topic, b"v", partition=2, on_delivery=lambda e, m: seen.append((e, m, threading.get_ident()))
            )
        producer.flush()
        assert len(seen) == 1_000
    assert all(error is None for error, _, _ in seen)
    assert [metadata.offset for _, metadata, _ in seen] == list(range(1_000))
    assert {thread for _, _, thread in seen} == {threading.get_ident()}


def test_a_callback_that_raises_is_heard(broker: headwater.Broker, topic: str) -> None:
    def fail(_error: object, _metadata: object) -> None:
        raise KeyError("mine")

    producer = headwater.Producer(broker)
    producer.produce(topic, b"v", on_delivery=fail)
    with pytest.raises(KeyError, match="mine"):
        producer.flush()
    producer.close()


def test_deliveries_are_awaitable(target: Target, topic: str) -> None:
    async def run() -> list[headwater.RecordMetadata]:
        with headwater.Producer(target) as producer:
            deliveries = [producer.send(topic, f"{n}", partition=0) for n in range(500)]
            return [await delivery for delivery in deliveries]

    assert [metadata.offset for metadata in asyncio.run(run())] == list(range(500))


def test_produce_many(target: Target, topic: str, read_all: Read) -> None:
    with headwater.Producer(target) as producer:
        keys = [f"{n % 5}" for n in range(10_000)]
        assert producer.produce_many(topic, (f"{n}" for n in range(10_000)), keys, timestamps=range(10_000)) == 10_000
        with pytest.raises(headwater.MisuseError, match="keys has 1 items"):
            producer.produce_many(topic, ["a", "b"], ["only one"])
    records = read_all(target, topic, 10_001)
    by_value = {record.value: record for record in records}
    assert by_value[b"123"].key == b"3"
    assert by_value[b"123"].timestamp == 123


def test_serializers_are_plain_callables(target: Target, topic: str) -> None:
    import json

    to_json: Callable[[object], bytes] = lambda value: json.dumps(value).encode()  # noqa: E731
    with headwater.Producer(target, key_serializer=str.encode, value_serializer=to_json) as producer:
        producer.produce(topic, {"n": 1}, key="k")
        producer.produce(topic, None, key="tombstone")
    with headwater.Consumer(target, topic, key_deserializer=bytes.decode, value_deserializer=json.loads) as consumer:
        records = {r.key: r.value for r in [next(consumer), next(consumer)]}
    assert records == {"k": {"n": 1}, "tombstone": None}


def test_a_deserializer_that_raises_loses_nothing(target: Target, topic: str) -> None:
    partition = headwater.TopicPartition(topic, 0)
    with headwater.Producer(target) as producer:
        producer.produce_many(topic, [f"{n}" for n in range(20)], partition=0)
    is_broken = True

    def read(value: bytes) -> int:
        if is_broken and value == b"7":
            raise KeyError(value)
        return int(value)

    settings = {"group": f"raises-{topic}", "auto_offset_reset": "earliest"}
    with headwater.Consumer(target, topic, value_deserializer=read, **settings) as consumer:
        with pytest.raises(KeyError):
            consumer.poll(timeout=10)
        assert consumer.position(partition) == 0
        consumer.commit()
        is_broken = False
        assert [record.value for record in consumer.poll(timeout=10)] == list(range(20))


def test_seek_position_and_offsets_by_time(target: Target, topic: str) -> None:
    partition = headwater.TopicPartition(topic, 0)
    with headwater.Producer(target) as producer:
        producer.produce_many(topic, [f"{n}" for n in range(100)], partition=0, timestamps=range(1_000, 1_100))
    with headwater.Consumer(target) as consumer:
        consumer.assign([partition])
        assert consumer.assignment() == [partition]
        consumer.seek(partition, 40)
        assert consumer.position(partition) == 40
        assert [r.offset for r in consumer.poll(max_records=3, timeout=10)] == [40, 41, 42]
        assert consumer.position(partition) == 43
        consumer.seek_to_end()
        assert consumer.poll(timeout=0.2) == []
        consumer.seek_to_beginning()
        assert consumer.poll(max_records=1, timeout=10)[0].offset == 0
        assert consumer.offsets_for_times({partition: 1_050})[partition] == (50, 1_050, 0)
        assert consumer.offsets_for_times({partition: 9_999})[partition] is None
        assert consumer.beginning_offsets([partition]) == {partition: 0}
        assert consumer.end_offsets([partition]) == {partition: 100}


def test_iteration_counts_only_what_it_handed_out(target: Target, topic: str) -> None:
    partition = headwater.TopicPartition(topic, 0)
    with headwater.Producer(target) as producer:
        producer.produce_many(topic, [f"{n}" for n in range(50)], partition=0)
    with headwater.Consumer(target, topic, group=f"iterate-{topic}", auto_offset_reset="earliest") as consumer:
        assert [int(next(consumer).value) for _ in range(7)] == list(range(7))
        assert consumer.position(partition) == 7
        assert consumer.commit()[partition].offset == 7
        assert int(next(consumer).value) == 7
    with headwater.Consumer(target, topic, group=f"iterate-{topic}", auto_offset_reset="earliest") as consumer:
        assert int(next(consumer).value) == 8, "closing commits what was handed out"


def test_pause_and_resume(target: Target, topic: str) -> None:
    with headwater.Producer(target) as producer:
        producer.produce(topic, b"0", partition=0)
        producer.produce(topic, b"1", partition=1)
    with headwater.Consumer(target, topic) as consumer:
        assert len(consumer.poll(timeout=10)) >= 1
        consumer.seek_to_beginning()
        consumer.pause([(topic, 0)])
        seen = consumer.poll(timeout=10)
        assert {r.partition for r in seen} == {1}
        consumer.resume([(topic, 0)])
        assert {r.partition for r in consumer.poll(timeout=10)} == {0}
