"""`Admin`: replicas, settings of all kinds, places in partitions, offsets of groups."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import headwater
import pytest

Target = headwater.Broker | str


def test_replicas_are_chosen(target: Target, topic: str) -> None:
    admin = headwater.Admin(target)
    name = f"{topic}-by-hand"
    admin.create_topic(name, assignment={0: [1], 1: [1]}, validate_only=True)
    assert name not in admin.list_topics()
    admin.create_topic(name, assignment={0: [1], 1: [1]})
    admin.create_partitions(name, 9, validate_only=True)
    admin.create_partitions(name, 4, assignment=[[1], [1]])
    assert [at.replicas for at in admin.describe_topic(name).partitions] == [[1]] * 4
    refused: list[Callable[[], None]] = [
        lambda: admin.create_topic("refused", assignment={0: [7]}),
        lambda: admin.create_topic("refused", assignment={1: [1]}),
        lambda: admin.create_partitions(name, 5, assignment=[[7]]),
        lambda: admin.create_partitions(name, 5, assignment=[[1], [1]]),
    ]
    for call in refused:
        with pytest.raises(headwater.BrokerError) as error:
            call()
        assert error.value.code == "INVALID_REPLICA_ASSIGNMENT"
    with pytest.raises(headwater.BrokerError) as error:
        admin.create_topic("refused", assignment={0: [1]}, partitions=1, replication_factor=1)
    assert error.value.code == "INVALID_REQUEST"


def test_a_setting_tells_its_type_and_its_synonyms(target: Target, topic: str) -> None:
    setting = headwater.Admin(target).describe_config(topic)["retention.ms"]
    assert setting.type == "LONG"
    assert setting.synonyms[0] == headwater.ConfigSynonym("retention.ms", "-1", "DYNAMIC_TOPIC_CONFIG")
    assert setting.synonyms[-1].source == "DEFAULT_CONFIG"


def test_settings_that_are_lists_grow_and_shrink(target: Target, topic: str) -> None:
    admin = headwater.Admin(target)

    def policy() -> str | None:
        return admin.describe_config(topic)["cleanup.policy"].value

    admin.alter_config(topic, append={"cleanup.policy": "compact"}, validate_only=True)
    assert policy() == "delete"
    admin.alter_config(topic, {"segment.ms": 70_000}, append={"cleanup.policy": "compact"})
    assert policy() == "delete,compact"
    assert admin.describe_config(topic)["segment.ms"].value == "70000"
    admin.alter_config(topic, subtract={"cleanup.policy": "delete"})
    assert policy() == "compact"
    with pytest.raises(headwater.BrokerError):
        admin.alter_config(topic, append={"segment.ms": 1})


def test_settings_of_brokers_change(target: Target) -> None:
    admin = headwater.Admin(target)

    def found() -> tuple[str | None, str]:
        setting = admin.describe_broker_config()["log.segment.bytes"]
        return setting.value, setting.source

    untouched = found()
    admin.alter_broker_config({"log.segment.bytes": 7_000_000})
    assert found() == ("7000000", "DYNAMIC_DEFAULT_BROKER_CONFIG")
    admin.alter_broker_config({"log.segment.bytes": 8_000_000}, node=1)
    assert found() == ("8000000", "DYNAMIC_BROKER_CONFIG")
    admin.alter_broker_config({"log.segment.bytes": 9_000_000}, node=1, validate_only=True)
    admin.alter_broker_config({"log.segment.bytes": None}, node=1)
    assert found() == ("7000000", "DYNAMIC_DEFAULT_BROKER_CONFIG")
    admin.alter_broker_config({"log.segment.bytes": None})
    assert found() == untouched


def test_a_broker_without_settings_of_groups_says_so(target: Target) -> None:
    admin = headwater.Admin(target)
    calls: list[Callable[[], Any]] = [
        lambda: admin.describe_group_config("g"),
        lambda: admin.alter_group_config("g", {"consumer.session.timeout.ms": 50_000}),
    ]
    for call in calls:
        with pytest.raises(headwater.BrokerError, match=r"group g: .*no configs of resource type 32"):
            call()


def test_places_in_partitions(target: Target, topic: str) -> None:
    admin = headwater.Admin(target)
    first, second, third = (headwater.TopicPartition(topic, n) for n in range(3))
    with headwater.Producer(target) as producer:
        producer.produce_many(topic, ["v"] * 10, partition=0, timestamps=range(1_000, 1_010))
    moment = datetime.fromtimestamp(1.004, timezone.utc)
    assert admin.list_offsets([first, second], at=1_004) == {first: 4, second: None}
    assert admin.list_offsets([first], at=moment) == {first: 4}
    assert admin.list_offsets([first], at="max_timestamp") == {first: 9}
    assert admin.list_offsets([first]) == {first: 10}
    places: Any = {first: moment, second: "latest", third: 0}
    found = {first: (4, 1_004, 0), second: (0, -1, 0), third: None}
    assert admin.find_offsets(places) == found
    assert admin.find_offsets(places, isolation_level="read_committed", timeout=30) == found
    assert admin.find_offsets({first: "earliest_local", second: "latest_tiered"}) == {first: (0, -1, 0), second: None}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (-1, "milliseconds ≥ 0"),
        (True, "got True"),
        ("newest", '"max_timestamp"'),
        (None, "got None"),
        (datetime(2024, 1, 1), "time zone"),
    ],
)
def test_wrong_places_are_told(target: Target, topic: str, wrong: Any, expected: str) -> None:
    with pytest.raises(headwater.MisuseError, match=expected):
        headwater.Admin(target).find_offsets({(topic, 0): wrong})


def test_offsets_of_a_group_are_forgotten(target: Target, topic: str) -> None:
    admin = headwater.Admin(target)
    group = f"forgets-{topic}"
    first, second = (headwater.TopicPartition(topic, n) for n in range(2))
    admin.alter_group_offsets(group, {first: 3, second: 4})
    admin.delete_group_offsets(group, [first])
    assert admin.list_group_offsets(group) == {second: (4, "", None)}
    with pytest.raises(headwater.BrokerError) as error:
        admin.delete_group_offsets(f"{group}-none", [first])
    assert error.value.code == "GROUP_ID_NOT_FOUND"


def test_members_are_removed(target: Target, topic: str) -> None:
    admin = headwater.Admin(target)
    group = f"removes-{topic}"
    with headwater.Consumer(
        target, [topic], group=group, group_instance_id="static", auto_offset_reset="earliest"
    ) as one:
        one.poll(timeout=0.1)
        deadline = time.monotonic() + 20
        while not one.assignment():
            assert time.monotonic() < deadline
            one.poll(timeout=0.1)
        with pytest.raises(headwater.BrokerError, match=r"1 of 2 failed; the first: .*static member other") as error:
            admin.remove_group_members(group, instances=["static", "other"])
        assert error.value.code == "UNKNOWN_MEMBER_ID"
    assert admin.describe_group(group).members == []
    with pytest.raises(headwater.BrokerError, match="member nobody") as error:
        admin.remove_group_members(group, "nobody", reason="a test")
    assert error.value.code == "UNKNOWN_MEMBER_ID"
    with pytest.raises(headwater.MisuseError, match="expects members or instances"):
        admin.remove_group_members(group)
