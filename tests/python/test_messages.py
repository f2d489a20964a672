"""Messages say what was expected and what to do next: one case for each thing that people get wrong."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import headwater
import pyarrow as pa
import pytest

Case = Callable[[headwater.Broker], object]
NOWHERE = "127.0.0.1:1"
"""Nothing listens there."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[headwater.Broker]:
    data = tmp_path_factory.mktemp("broker")
    config = {"group.initial.rebalance.delay.ms": 0, "auto.create.topics.enable": False}
    with headwater.Broker(data, config=config) as broker:
        headwater.Admin(broker).create_topic("orders", partitions=2, config={"retention.ms": "-1"})
        with headwater.Producer(broker) as producer:
            for partition in (0, 1):
                producer.produce_many("orders", [f"{n}" for n in range(10)], partition=partition)
        yield broker


def scan(*arguments: object, **options: object) -> object:
    return pa.table(headwater.scan(*arguments, **options))  # type: ignore[arg-type]


def quick(broker: headwater.Broker | str) -> headwater.Admin:
    return headwater.Admin(broker, default_api_timeout_ms=1_500, request_timeout_ms=500)


def over_tcp(broker: headwater.Broker) -> str:
    assert broker.bootstrap_servers is not None
    return broker.bootstrap_servers


def expect(case: Case, broker: headwater.Broker, *expected: str) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        case(broker)
    message = str(caught.value)
    for part in expected:
        assert part in message, message
    assert "\n" not in message, "one sentence, one line"
    assert "Some(" not in message, "names, not Rust"
    assert 'Topic("' not in message, "names, not Rust"
    return caught.value


UNKNOWN_TOPIC = ["ordres", "Admin.list_topics()", "Admin.create_topic()"]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (lambda b: scan("ordres", b), [*UNKNOWN_TOPIC, 'did you mean "orders"?']),
        (lambda b: scan("ordres", over_tcp(b)), UNKNOWN_TOPIC),
        (lambda b: headwater.Topic("ordres", b).head(), [*UNKNOWN_TOPIC, 'did you mean "orders"?']),
        (lambda b: headwater.Topic("ordres", over_tcp(b)).count(), UNKNOWN_TOPIC),
        (lambda b: quick(b).describe_topic("ordres"), UNKNOWN_TOPIC),
        (lambda b: quick(b).describe_config("ordres"), UNKNOWN_TOPIC),
        (lambda b: quick(b).alter_config("ordres", {"retention.ms": 1}), UNKNOWN_TOPIC),
        (lambda b: quick(b).delete_topics("ordres"), UNKNOWN_TOPIC),
        (lambda b: quick(b).list_offsets([("ordres", 0)]), UNKNOWN_TOPIC),
        (lambda b: quick(b).export("ordres", "never"), UNKNOWN_TOPIC),
        (lambda b: headwater.Producer(b, max_block_ms=500).produce("ordres", "v"), UNKNOWN_TOPIC),
    ],
)
def test_an_unknown_topic(broker: headwater.Broker, case: Case, expected: list[str]) -> None:
    error = expect(case, broker, *expected)
    assert isinstance(error, headwater.BrokerError)
    assert error.code == "UNKNOWN_TOPIC_OR_PARTITION"


def test_an_unknown_topic_is_told_long_before_the_timeout(broker: headwater.Broker) -> None:
    # The time for the whole call is longer than the test may take.
    admin = headwater.Admin(broker, default_api_timeout_ms=300_000)
    expect(lambda _: admin.list_offsets([("ordres", 0)]), broker, *UNKNOWN_TOPIC)
    expect(lambda _: admin.list_offsets([("orders", 9)]), broker, "orders-9")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (lambda _: quick(NOWHERE).list_topics(), [NOWHERE, "is a broker running there?", "headwater start"]),
        (lambda _: quick("no-such-host.invalid:9092").list_topics(), ["no-such-host.invalid", "is a broker running"]),
        (
            lambda _: headwater.Producer(NOWHERE, max_block_ms=500).produce("t", "v"),
            [f"cannot reach {NOWHERE}", "see whether the broker is up"],
        ),
    ],
)
def test_no_broker_at_the_address(broker: headwater.Broker, case: Case, expected: list[str]) -> None:
    error = expect(case, broker, *expected)
    assert isinstance(error, (ConnectionError, TimeoutError))
    assert isinstance(error, headwater.HeadwaterError)
    assert error.retriable


def test_a_poll_that_reaches_nobody_warns_once() -> None:
    with headwater.Consumer(NOWHERE, "t") as consumer:
        with pytest.warns(RuntimeWarning, match=f"cannot reach {NOWHERE}.*is a broker running there"):
            assert consumer.poll(timeout=2) == []
        # Warnings are errors here: a second one would be raised.
        assert consumer.poll(timeout=1) == []


def test_a_poll_for_a_missing_topic_warns_and_goes_on(broker: headwater.Broker) -> None:
    with headwater.Consumer(broker, "later", metadata_max_age_ms=200) as consumer:
        with pytest.warns(RuntimeWarning, match='topic "later" does not exist.*create_topic'):
            assert consumer.poll(timeout=4) == []
        headwater.Admin(broker).create_topic("later")
        with headwater.Producer(broker) as producer:
            producer.produce("later", "v")
        assert [record.value for record in consumer.poll(timeout=60)] == [b"v"]
    headwater.Admin(broker).delete_topics("later")


def test_a_quiet_topic_warns_of_nothing(broker: headwater.Broker) -> None:
    with headwater.Consumer(broker, "orders", auto_offset_reset="latest") as consumer:
        assert consumer.poll(timeout=4.5) == []


def returns_a_dict(value: object) -> object:
    return {"value": value}


def closed(thing: headwater.Producer | headwater.Consumer | headwater.Admin) -> object:
    thing.close()
    return thing


def stopped() -> headwater.Broker:
    broker = headwater.Broker(listen=None)
    broker.stop()
    return broker


def after_seek(broker: headwater.Broker) -> object:
    with headwater.Consumer(broker, auto_offset_reset="none") as consumer:
        consumer.assign([("orders", 0)])
        consumer.seek(("orders", 0), 1_000)
        return consumer.poll(timeout=30)


def without_commit(broker: headwater.Broker) -> object:
    with headwater.Consumer(broker, group="fresh", auto_offset_reset="none") as consumer:
        consumer.assign([("orders", 0)])
        return consumer.poll(timeout=30)


def poll_of_no_partitions(broker: headwater.Broker) -> object:
    consumer = headwater.Consumer(broker)
    consumer.assign([])
    return consumer.poll()


CASES: dict[str, tuple[Case, list[str]]] = {
    # Serializers
    "value of a wrong type": (
        lambda b: headwater.Producer(b).produce("orders", {"a": 1}),
        ["value expects bytes", "got dict", "value_serializer", "json.dumps"],
    ),
    "key of a wrong type": (
        lambda b: headwater.Producer(b).produce("orders", b"", key=7),
        ["key expects bytes", "got int", "key_serializer"],
    ),
    "header of a wrong type": (
        lambda b: headwater.Producer(b).produce("orders", b"", headers={"h": 7}),
        ["header's value expects bytes", "got int"],
    ),
    "serializer that returns no bytes": (
        lambda b: headwater.Producer(b, value_serializer=returns_a_dict).produce("orders", 1),  # type: ignore[arg-type]
        ["value_serializer returned dict", "expected bytes", ".encode()"],
    ),
    # Closed
    "closed producer": (
        lambda b: closed(headwater.Producer(b)).produce("orders", b""),  # type: ignore[attr-defined]
        ["the producer is closed", "make a new one"],
    ),
    "closed consumer": (
        lambda b: closed(headwater.Consumer(b, "orders")).poll(),  # type: ignore[attr-defined]
        ["the consumer is closed", "make a new one"],
    ),
    "closed admin": (
        lambda b: closed(headwater.Admin(b)).list_topics(),  # type: ignore[attr-defined]
        ["is closed", "make a new one"],
    ),
    "stopped broker": (lambda _: headwater.Producer(stopped()), ["the broker is stopped", "make a new Broker"]),
    "topics of a stopped broker": (lambda _: stopped().topics, ["the broker is stopped", "make a new Broker"]),
    # Groups
    "poll without topics": (
        lambda b: headwater.Consumer(b, group="g").poll(),
        ["nothing to read", "subscribe()", "assign()"],
    ),
    "iteration without topics": (lambda b: next(headwater.Consumer(b)), ["nothing to read", "pass topics"]),
    "poll_arrow without topics": (lambda b: headwater.Consumer(b).poll_arrow(), ["nothing to read"]),
    "poll of no partitions": (
        poll_of_no_partitions,
        ["nothing to read"],
    ),
    "commit without a group": (lambda b: headwater.Consumer(b, "orders").commit(), ["needs a group", 'group="…"']),
    "committed without a group": (
        lambda b: headwater.Consumer(b, "orders").committed([("orders", 0)]),
        ["needs a group", 'group="…"'],
    ),
    "pattern without a group": (
        lambda b: headwater.Consumer(b).subscribe(pattern="o.*"),
        ["needs a group", 'group="…"'],
    ),
    "bad pattern": (
        lambda b: headwater.Consumer(b, group="g").subscribe(pattern="(o"),
        ['"(o" is no regular expression', "unclosed group"],
    ),
    "unknown group": (lambda b: headwater.Admin(b).describe_group("nobody"), ["nobody", "Admin.list_groups()"]),
    "partition that is not assigned": (
        lambda b: headwater.Consumer(b, "orders").seek(("other", 0), 1),
        ["other-0 is not assigned", "assign it"],
    ),
    # Offsets
    "offset out of range": (after_seek, ["orders-0", "offset 1000", "end_offsets()", "auto_offset_reset"]),
    "no committed offset": (without_commit, ["orders-0", "no committed offset", "seek()", "auto_offset_reset"]),
    "deletion beyond the end": (
        lambda b: headwater.Admin(b).delete_records({("orders", 0): 10_000}),
        ["orders-0", "Admin.list_offsets()"],
    ),
    "unknown partitions of a scan": (lambda b: scan("orders", b, partitions=[9]), ["no partitions [9]"]),
    "unknown columns of a scan": (lambda b: scan("orders", b, columns=["vlaue"]), ["vlaue", "expected some of"]),
    "datetime without a zone": (
        lambda b: scan("orders", b, start=dt.datetime(2026, 1, 1)),
        ["start expects a datetime with a time zone"],
    ),
    # Topics
    "topic exists": (lambda b: headwater.Admin(b).create_topic("orders"), ["already exists", "Admin.delete_topics()"]),
    "too many replicas": (
        lambda b: headwater.Admin(b).create_topic("never", replication_factor=3),
        ["replication factor of 3", "leave replication_factor out"],
    ),
    "fewer partitions": (lambda b: headwater.Admin(b).create_partitions("orders", 1), ["can only grow"]),
    "partition that does not exist": (
        lambda b: headwater.Producer(b).produce("orders", b"", partition=9),
        ["orders has 2 partitions", "leave partition out"],
    ),
    "record too large": (
        lambda b: headwater.Producer(b).produce("orders", os.urandom(2_000_000)),
        ["max.request.size=1048576", "send less, or raise it"],
    ),
    # Settings
    "misspelled producer setting": (
        lambda b: headwater.Producer(b, lingr_ms=5),
        ["unknown setting lingr_ms", "did you mean linger.ms?"],
    ),
    "kafka-python's address": (
        lambda b: headwater.Producer(b, bootstrap_server="x"),
        ["unknown setting bootstrap_server", "the first argument"],
    ),
    "setting like no other": (
        lambda b: headwater.Consumer(b, colour_of_the_sky="blue"),
        ["unknown setting colour_of_the_sky", "Kafka's names"],
    ),
    "value of a wrong form": (
        lambda b: headwater.Consumer(b, auto_offset_reset="begining"),
        ["auto_offset_reset expects earliest, latest", "begining"],
    ),
    "misspelled broker setting": (
        lambda _: headwater.Broker(config={"num_partition": 3}),
        ["unknown setting num_partition", "did you mean num.partitions?"],
    ),
    "broker setting like no other": (
        lambda _: headwater.Broker(config={"colour": 3}),
        ["unknown setting colour", "docs/configuration.md"],
    ),
    "misspelled topic setting": (
        lambda b: headwater.Admin(b).create_topic("never", config={"retention_ms": 1}),
        ["retention_ms", "did you mean retention.ms?", "Admin.describe_config()"],
    ),
    "misspelled topic setting later": (
        lambda b: headwater.Admin(b).alter_config("orders", {"cleanup.polcy": "compact"}),
        ["topic orders", "cleanup.polcy", "did you mean cleanup.policy?"],
    ),
    # Targets
    "address without a port": (lambda _: headwater.Admin("localhost"), ['got "localhost"', '"localhost:9092"']),
    "address with a scheme": (lambda _: headwater.Admin("kafka://localhost:9092"), ["leave the scheme out"]),
    "directory as an address": (lambda _: headwater.Admin("/var/data"), ["pathlib.Path", "headwater.Broker"]),
    "target of a wrong type": (lambda _: headwater.Admin(9092), ["target expects a Broker", "got int"]),  # type: ignore[arg-type]
    # Broker
    "port in use": (lambda b: headwater.Broker(listen=over_tcp(b)), ["in use", "port 0"]),
    "address to listen on": (lambda _: headwater.Broker(listen="9092"), ['listen expects "host:port" or None']),
    "data that is a file": (lambda _: headwater.Broker(__file__), ["test_messages.py", "expects a directory"]),
    "directory of a running broker": (
        lambda b: scan("orders", Path(b.data)),
        ["locked by this process itself", "give it or its address instead"],
    ),
    "directory that is in use": (lambda b: headwater.Broker(b.data), [str(os.getpid())]),
    "directory that is not there": (
        lambda _: scan("orders", Path("/nowhere/at/all")),
        ["/nowhere/at/all does not exist", "data directory of a broker"],
    ),
    # Calls
    "negative timeout": (lambda b: headwater.Producer(b).flush(timeout=-1), ["timeout expects seconds"]),
    "place of an offset": (
        lambda b: headwater.Admin(b).list_offsets([("orders", 0)], at="newest"),  # type: ignore[arg-type]
        ["at expects", '"latest"', '"newest"'],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_message_says_what_to_do(broker: headwater.Broker, name: str) -> None:
    case, expected = CASES[name]
    error = expect(case, broker, *expected)
    assert isinstance(error, headwater.HeadwaterError)


def test_timeouts_say_what_took_long(broker: headwater.Broker) -> None:
    producer = headwater.Producer(broker, linger_ms=60_000, delivery_timeout_ms=120_000)
    delivery = producer.send("orders", b"v")
    error = expect(lambda _: delivery.result(timeout=0), broker, "delivery to orders-", "allow more time")
    assert isinstance(error, TimeoutError)
    producer.flush(30)
    producer.close()


def test_offsets_of_a_group_with_members(broker: headwater.Broker) -> None:
    with headwater.Consumer(broker, "orders", group="busy", auto_offset_reset="earliest") as consumer:
        assert consumer.poll(timeout=60)
        admin = headwater.Admin(broker)
        error = expect(
            lambda _: admin.alter_group_offsets("busy", {("orders", 0): 0}),
            broker,
            "group busy has members",
            "close its consumers first",
        )
        assert isinstance(error, headwater.BrokerError)
        expect(lambda _: admin.delete_groups("busy"), broker, "busy", "close its consumers first")


def test_records_that_are_too_large_for_the_topic(broker: headwater.Broker) -> None:
    headwater.Admin(broker).create_topic("small", config={"max.message.bytes": 1_000})
    with headwater.Producer(broker) as producer:
        delivery = producer.send("small", os.urandom(5_000))
        expect(lambda _: delivery.result(30), broker, "MESSAGE_TOO_LARGE", "raise max.message.bytes")
        producer.produce("small", os.urandom(5_000))
        expect(lambda _: producer.flush(30), broker, "1 records were not delivered", "raise max.message.bytes")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes before Python 3.11")
def test_a_deserializer_that_fails_names_the_record(broker: headwater.Broker) -> None:
    headwater.Admin(broker).create_topic("poisoned", partitions=1)
    with headwater.Producer(broker) as producer:
        producer.produce_many("poisoned", ["1", "2", "{broken", "4"])
    with headwater.Consumer(broker, "poisoned", value_deserializer=json.loads) as consumer:
        with pytest.raises(json.JSONDecodeError) as caught:
            consumer.poll(timeout=30)
        told = "".join(traceback.format_exception(caught.value))
        assert re.search(r"value_deserializer failed on the record at offset 2 of poisoned-0; seek to 3", told)
        consumer.seek(("poisoned", 0), 3)
        assert [record.value for record in consumer.poll(timeout=30)] == [4]


def test_a_seek_heals_a_position_that_was_lost(broker: headwater.Broker) -> None:
    with headwater.Consumer(broker, auto_offset_reset="none") as consumer:
        consumer.assign([("orders", 0)])
        with pytest.raises(headwater.OffsetError):
            consumer.poll(timeout=30)
        consumer.seek(("orders", 0), 0)
        assert consumer.poll(timeout=30)[0].offset == 0
