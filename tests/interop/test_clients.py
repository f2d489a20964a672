"""Each client writes with each codec; each client reads what all of them wrote, in a group of two, exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import ModuleType

import pytest
from clients import aio, confluent, kafka_python, kcat
from event import CODECS, Event, comparable, events, text_events
from kafka.admin import KafkaAdminClient, NewTopic

CLIENTS = [kafka_python, confluent, aio, kcat]
PARTITIONS = 4


def name(client: ModuleType) -> str:
    return client.__name__.rsplit(".", 1)[-1]


def create_topics(bootstrap: str, names: list[str]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    # Events of 2023 would be due for deletion at once under the default retention.
    config = {"retention.ms": "-1"}
    admin.create_topics(
        [NewTopic(n, num_partitions=PARTITIONS, replication_factor=1, topic_configs=config) for n in names]
    )
    admin.close()


@pytest.fixture(scope="module")
def text_topics(bootstrap: str, run_id: str) -> dict[str, list[Event]]:
    """Every client wrote its topics, one per codec, with text that every client can say."""
    written = {f"text-{name(c)}-{codec}-{run_id}": (c, codec) for c in CLIENTS for codec in CODECS}
    create_topics(bootstrap, list(written))
    for topic, (client, codec) in written.items():
        client.produce(bootstrap, topic, text_events(), codec)
    return dict.fromkeys(written, text_events())


@pytest.fixture(scope="module")
def binary_topics(bootstrap: str, run_id: str) -> dict[str, list[Event]]:
    """Every client that can speak bytes wrote its topics, one per codec, with every corner of a record."""
    written = {
        f"binary-{name(c)}-{codec}-{run_id}": (c, codec) for c in CLIENTS if c.CAN_PRODUCE_BINARY for codec in CODECS
    }
    create_topics(bootstrap, list(written))
    for topic, (client, codec) in written.items():
        client.produce(bootstrap, topic, corners(client), codec)
    return {topic: corners(client) for topic, (client, _) in written.items()}


def corners(client: ModuleType) -> list[Event]:
    return events(null_headers=client.CAN_PRODUCE_NULL_HEADERS)


@pytest.mark.parametrize("client", CLIENTS, ids=name)
def test_a_group_of_two_reads_text_of_every_client_and_codec(
    client: ModuleType, bootstrap: str, text_topics: dict[str, list[Event]], fresh: Callable[[str], str]
) -> None:
    check(client, bootstrap, text_topics, fresh(f"group-{name(client)}"), with_timestamp=False)


@pytest.mark.parametrize("client", [c for c in CLIENTS if c.CAN_PRODUCE_BINARY], ids=name)
def test_a_group_of_two_reads_every_corner_of_a_record(
    client: ModuleType, bootstrap: str, binary_topics: dict[str, list[Event]], fresh: Callable[[str], str]
) -> None:
    check(client, bootstrap, binary_topics, fresh(f"group-{name(client)}"), with_timestamp=True)


def check(
    client: ModuleType, bootstrap: str, topics: dict[str, list[Event]], group: str, *, with_timestamp: bool
) -> None:
    expected = Counter(comparable(e, with_timestamp=with_timestamp) for sent in topics.values() for e in sent)
    seen = client.consume(bootstrap, list(topics), group, expected.total())
    assert Counter(comparable(e, with_timestamp=with_timestamp) for _, e in seen) == expected
    assert {member for member, _ in seen} == {0, 1}, "one member of the group read everything"
