"""Where readers are: positions with leader epochs, high watermarks, and how long finding out may take."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headwater
import pytest

Target = headwater.Broker | str


def read(consumer: headwater.Consumer, count: int) -> list[headwater.Record]:
    records: list[headwater.Record] = []
    while len(records) < count:
        more = consumer.poll(max_records=count - len(records), timeout=10)
        assert more, f"{len(records)} of {count} records after 10 s"
        records += more
    return records


def test_leader_epochs_grow_with_each_leader_and_are_committed(tmp_path: Path) -> None:
    partition = headwater.TopicPartition("t", 0)
    for _ in range(3):
        with headwater.Broker(tmp_path) as broker, headwater.Producer(broker) as producer:
            producer.produce("t", b"v", timestamp=1_000)
    with headwater.Broker(tmp_path, config={"log.retention.ms": -1}) as broker:
        with headwater.Consumer(broker, group="g", auto_offset_reset="earliest", enable_auto_commit=False) as consumer:
            consumer.assign([partition])
            assert [record.leader_epoch for record in read(consumer, 2)] == [0, 1]
            assert consumer.commit() == {partition: (2, "", 1)}
            assert consumer.committed([partition]) == {partition: (2, "", 1)}
            assert read(consumer, 1)[0].leader_epoch == 2
            assert consumer.positions() == {partition: (3, "", 2)}
            consumer.seek(partition, 1)
            assert consumer.positions() == {partition: (1, "", None)}, "nothing was read on the way"
            assert consumer.offsets_for_times({partition: 500})[partition] == (0, 1_000, 0)
        with headwater.Consumer(broker, group="g") as next_one:
            next_one.assign([partition])
            next_one.position(partition)
            assert next_one.positions() == {partition: (2, "", 1)}, "as it was committed"


def test_an_auto_commit_carries_the_epoch(target: Target, topic: str) -> None:
    with headwater.Producer(target) as producer:
        producer.produce_many(topic, ["v"] * 5, partition=0)
    with headwater.Consumer(target, topic, group=f"auto-{topic}", auto_offset_reset="earliest") as consumer:
        read(consumer, 5)
    committed = headwater.Admin(target).list_group_offsets(f"auto-{topic}")
    assert committed[headwater.TopicPartition(topic, 0)] == (5, "", 0)


def test_positions_count_what_was_handed_out(target: Target, topic: str) -> None:
    partition = headwater.TopicPartition(topic, 0)
    with headwater.Producer(target) as producer:
        producer.produce_many(topic, ["v"] * 20, partition=0)
    with headwater.Consumer(target) as consumer:
        assert consumer.positions() == {}
        consumer.assign([partition])
        for _ in range(7):
            next(consumer)
        assert consumer.positions()[partition].offset == 7


def test_the_high_watermark_is_that_of_the_last_fetch(target: Target, topic: str) -> None:
    partition, unknown = headwater.TopicPartition(topic, 0), headwater.TopicPartition(topic, 9)
    with headwater.Producer(target) as producer:
        producer.produce_many(topic, ["v"] * 10, partition=0)
    with headwater.Consumer(target) as consumer:
        assert consumer.high_watermark(partition) is None, "not assigned"
        consumer.assign([partition, unknown])
        read(consumer, 4)
        assert (consumer.high_watermark(partition), consumer.high_watermark(unknown)) == (10, None)
        consumer.seek(partition, 8)
        assert consumer.high_watermark(partition) == 10


def test_a_member_knows_its_generation(target: Target, topic: str) -> None:
    settings = {"group": f"generation-{topic}", "heartbeat_interval_ms": 100}
    deadline = time.monotonic() + 60
    with headwater.Consumer(target, topic, **settings) as first:
        while (alone := first.membership) is None:
            assert time.monotonic() < deadline
            first.poll(timeout=0.1)
        assert alone.member_id == first.member_id
        with headwater.Consumer(target, topic, **settings) as second:
            while not (first.assignment() and second.assignment()):
                assert time.monotonic() < deadline
                first.poll(timeout=0.1)
                second.poll(timeout=0.1)
            one, other = first.membership, second.membership
            assert one is not None
            assert other is not None
            assert one.generation == other.generation > alone.generation
            assert one.member_id == alone.member_id != other.member_id
        first.unsubscribe()
        assert first.membership is None


CALLS: dict[str, Callable[[headwater.Consumer, headwater.TopicPartition], Any]] = {
    "position": lambda consumer, partition: consumer.position(partition, timeout=0.3),
    "committed": lambda consumer, partition: consumer.committed([partition], timeout=0.3),
    "commit": lambda consumer, partition: consumer.commit({partition: 1}, timeout=0.3),
    "beginning_offsets": lambda consumer, partition: consumer.beginning_offsets([partition], timeout=0.3),
    "end_offsets": lambda consumer, partition: consumer.end_offsets([partition], timeout=0.3),
    "offsets_for_times": lambda consumer, partition: consumer.offsets_for_times({partition: 0}, timeout=0.3),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_ends_after_its_timeout_though_the_broker_says_nothing(name: str) -> None:
    partition = headwater.TopicPartition("t", 0)
    # Accepts connections, and never answers.
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        consumer = headwater.Consumer(f"127.0.0.1:{deaf.getsockname()[1]}", group="g", enable_auto_commit=False)
        consumer.assign([partition])
        began = time.monotonic()
        with pytest.raises(headwater.TimedOutError, match="300ms"):
            CALLS[name](consumer, partition)
        # Far from default_api_timeout_ms and request_timeout_ms.
        assert 0.3 <= time.monotonic() - began < 10


def test_offsets_of_an_admin_have_a_timeout_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        admin = headwater.Admin(f"127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(headwater.TimedOutError, match="300ms"):
            admin.find_offsets({("t", 0): "latest"}, timeout=0.3)
        admin.close()


def test_a_seek_does_not_wait_for_records_to_come(target: Target, topic: str) -> None:
    partitions = [headwater.TopicPartition(topic, number) for number in range(2)]
    with headwater.Producer(target) as producer:
        for partition in partitions:
            producer.produce(topic, b"v", partition=partition.partition)
    # Far longer than the polls: a fetch at the end of the log must not hold up the one after a seek.
    with headwater.Consumer(target, fetch_max_wait_ms=60_000) as consumer:
        consumer.assign(partitions)
        consumer.seek_to_beginning(partitions)
        read(consumer, 2)
        for _ in range(5):
            assert consumer.poll(timeout=0.1) == []
            consumer.seek(partitions[0], 0)
            assert [(at.partition, at.offset) for at in consumer.poll(timeout=20)] == [(0, 0)]
        consumer.assign(partitions[:1])
        assert consumer.poll(timeout=0.1) == []
        consumer.assign(partitions)
        consumer.seek_to_beginning(partitions[1:])
        assert [(at.partition, at.offset) for at in consumer.poll(timeout=20)] == [(1, 0)]
        # The usual way to the last records, again and again: nothing of it waits, whatever is on its way.
        for _ in range(10):
            consumer.seek_to_end(partitions)
            consumer.seek(partitions[0], consumer.position(partitions[0]) - 1)
            assert [(at.partition, at.offset) for at in consumer.poll(timeout=20)] == [(0, 0)]
        # What waits there goes on waiting for its own partitions.
        assert consumer.poll(timeout=0.1) == []
        with headwater.Producer(target) as producer:
            producer.produce(topic, b"w", partition=0)
        assert [at.value for at in consumer.poll(timeout=20)] == [b"w"]


def test_a_fresh_consumer_goes_to_the_last_records_at_once(target: Target, topic: str) -> None:
    partition = headwater.TopicPartition(topic, 0)
    with headwater.Producer(target) as producer:
        for number in range(20):
            producer.produce(topic, str(number).encode(), partition=0)
    for _ in range(10):
        with headwater.Consumer(target, fetch_max_wait_ms=60_000) as consumer:
            consumer.assign([partition])
            consumer.seek_to_end([partition])
            consumer.seek(partition, consumer.position(partition) - 3)
            assert [int(at.value) for at in consumer.poll(timeout=20)] == [17, 18, 19]


def test_one_partition_is_read_while_another_has_nothing(target: Target, topic: str) -> None:
    """The busy one is left out of a fetch whenever its queue is full; that must not look like a seek."""
    with headwater.Producer(target) as producer:
        for number in range(300):
            producer.produce(topic, f"{number} ".ljust(10_000), partition=0)
    with headwater.Consumer(target, headwater_queued_bytes_max=50_000, fetch_max_wait_ms=5_000) as consumer:
        consumer.assign([(topic, 0), (topic, 1)])
        consumer.seek_to_beginning([(topic, 0), (topic, 1)])
        assert [int(record.value) for record in read(consumer, 300)] == list(range(300))
