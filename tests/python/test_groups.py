"""Groups share partitions, commit, and hand over when a member comes or goes."""

from __future__ import annotations

import time

import headwater
import pytest

Target = headwater.Broker | str


def produce(target: Target, topic: str, count: int) -> None:
    with headwater.Producer(target) as producer:
        producer.produce_many(topic, [f"{n}" for n in range(count)], [f"{n % 31}" for n in range(count)])


def drain(consumer: headwater.Consumer, seconds: float = 0.1) -> list[int]:
    return [int(record.value) for record in consumer.poll(max_records=10_000, timeout=seconds)]


def share(first: headwater.Consumer, second: headwater.Consumer, deadline: float) -> list[int]:
    """Polls both until each has partitions; returns what they read."""
    seen: list[int] = []
    while not (first.assignment() and second.assignment()):
        assert time.monotonic() < deadline, "the members never shared"
        seen += drain(first) + drain(second)
    return seen


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "sticky", "cooperative-sticky"])
def test_two_members_share_and_one_takes_over(target: Target, topic: str, strategy: str) -> None:
    produce(target, topic, 1_000)
    settings = {
        "group": f"{topic}-{strategy}",
        "auto_offset_reset": "earliest",
        "partition_assignment_strategy": strategy,
        "heartbeat_interval_ms": 100,
    }
    seen: list[int] = []
    first = headwater.Consumer(target, topic, **settings)
    second = headwater.Consumer(target, topic, **settings)
    deadline = time.monotonic() + 60
    seen += share(first, second, deadline)
    assert len(first.assignment()) + len(second.assignment()) == 3
    while len(seen) < 1_000 and time.monotonic() < deadline:
        seen += drain(first) + drain(second)
    assert sorted(seen) == list(range(1_000)), "a rebalance handed records out twice, or left some out"
    second.close()
    produce(target, topic, 300)
    after: list[int] = []
    while len(after) < 300 and time.monotonic() < deadline:
        after += drain(first)
    assert len(first.assignment()) == 3
    assert sorted(after) == list(range(300)), "what was committed by the leaver came again, or something is missing"
    first.close()


def test_a_restarted_member_goes_on_after_its_commit(target: Target, topic: str) -> None:
    produce(target, topic, 100)
    with headwater.Consumer(target, topic, group=topic, auto_offset_reset="earliest", enable_auto_commit=False) as one:
        seen = [int(next(one).value) for _ in range(60)]
        one.commit()
    with headwater.Consumer(target, topic, group=topic, auto_offset_reset="earliest") as two:
        seen += [int(next(two).value) for _ in range(40)]
    assert sorted(seen) == list(range(100))


def test_commits_carry_metadata(target: Target, topic: str) -> None:
    partition = headwater.TopicPartition(topic, 1)
    with headwater.Consumer(target, group=f"meta-{topic}", enable_auto_commit=False) as consumer:
        consumer.assign([partition])
        consumer.commit({partition: headwater.OffsetAndMetadata(17, "a note")})
        assert consumer.committed([partition]) == {partition: (17, "a note", None)}
        other = headwater.TopicPartition(topic, 0)
        assert consumer.committed([other]) == {other: None}
    offsets = headwater.Admin(target).list_group_offsets(f"meta-{topic}")
    assert offsets[partition] is not None
    assert offsets[partition].offset == 17


def test_unsubscribing_does_not_wait_for_a_poll_that_gives_partitions_up(target: Target, topic: str) -> None:
    settings = {"group": f"leaves-{topic}", "heartbeat_interval_ms": 100}
    deadline = time.monotonic() + 60
    with headwater.Consumer(target, topic, **settings) as first:
        with headwater.Consumer(target, topic, **settings) as second:
            share(first, second, deadline)
        # Time enough to hear that the other has left, and that all must be given up for a new share.
        time.sleep(1)
        began = time.monotonic()
        first.unsubscribe()
        assert time.monotonic() - began < 10
        assert first.member_id is None
        assert first.assignment() == []


def test_a_subscription_that_changes_during_a_rebalance_is_noticed(target: Target, topic: str) -> None:
    other = f"{topic}-other"
    headwater.Admin(target).create_topic(other, partitions=2)
    settings = {"group": f"changes-{topic}", "heartbeat_interval_ms": 100}
    deadline = time.monotonic() + 60
    with headwater.Consumer(target, topic, **settings) as first:
        with headwater.Consumer(target, topic, **settings) as second:
            share(first, second, deadline)
        time.sleep(1)
        first.subscribe(other)
        while {partition.topic for partition in first.assignment()} != {other}:
            assert time.monotonic() < deadline, "the new subscription went unnoticed"
            drain(first)
        assert len(first.assignment()) == 2


def test_listeners_are_called_in_poll(target: Target, topic: str) -> None:
    events: list[tuple[str, int]] = []
    consumer = headwater.Consumer(target, group=f"listen-{topic}")
    consumer.subscribe(
        [topic],
        on_assign=lambda partitions: events.append(("assign", len(partitions))),
        on_revoke=lambda partitions: events.append(("revoke", len(partitions))),
    )
    deadline = time.monotonic() + 30
    while not events and time.monotonic() < deadline:
        consumer.poll(timeout=0.1)
    assert events == [("assign", 3)]
    consumer.close()


def test_a_pattern_finds_topics(target: Target, topic: str) -> None:
    produce(target, topic, 10)
    consumer = headwater.Consumer(target, group=f"pattern-{topic}", auto_offset_reset="earliest")
    consumer.subscribe(pattern=topic[:-1] + "[" + topic[-1] + "]")
    seen: list[int] = []
    deadline = time.monotonic() + 30
    while len(seen) < 10 and time.monotonic() < deadline:
        seen += drain(consumer)
    assert sorted(seen) == list(range(10))
    assert consumer.subscription() == [topic]
    consumer.close()


def test_groups_are_described_and_deleted(target: Target, topic: str) -> None:
    admin = headwater.Admin(target)
    group = f"described-{topic}"
    consumer = headwater.Consumer(target, topic, group=group)
    deadline = time.monotonic() + 30
    while not consumer.assignment() and time.monotonic() < deadline:
        consumer.poll(timeout=0.1)
    described = admin.describe_group(group)
    assert described.state == "Stable"
    assert [len(member.assignment) for member in described.members] == [3]
    with pytest.raises(headwater.BrokerError) as refused:
        admin.delete_groups(group)
    assert refused.value.code == "NON_EMPTY_GROUP"
    consumer.close()
    assert group in [listing.group for listing in admin.list_groups()]
    admin.delete_groups(group)
    assert group not in [listing.group for listing in admin.list_groups()]
