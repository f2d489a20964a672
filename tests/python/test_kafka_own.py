"""`headwater.kafka` where it has no original to be compared with: what it refuses, adds, and does better."""

from __future__ import annotations

import asyncio
import gc
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import headwater
import headwater.kafka
import pytest
from headwater.errors import BrokerError
from headwater.kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, errors
from headwater.kafka.bootstrap import target_of
from headwater.kafka.errors.codes import translated

Target = headwater.Broker | str
CLIENTS: list[Callable[..., Any]] = [KafkaProducer, KafkaConsumer, KafkaAdminClient]


def values(target: Target, topic: str, count: int, **settings: Any) -> list[Any]:
    with KafkaConsumer(topic, bootstrap_servers=target, auto_offset_reset="earliest", **settings) as consumer:
        return [next(consumer).value for _ in range(count)]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("security_protocol", "SASL_SSL"),
        ("security_protocol", "SSL"),
        ("ssl_cafile", "ca.pem"),
        ("ssl_check_hostname", False),
        ("sasl_mechanism", "PLAIN"),
        ("sasl_plain_password", "secret"),
        ("proxy_url", "socks5://localhost"),
        ("kafka_client", object),
    ],
)
def test_what_promises_safety_is_refused(
    client: Callable[..., Any], name: str, value: Any, broker: headwater.Broker
) -> None:
    with pytest.raises(errors.KafkaConfigurationError, match=f"{name}=.* has no .* yet"):
        client(bootstrap_servers=broker, **{name: value})


@pytest.mark.parametrize("client", CLIENTS)
def test_what_does_no_harm_is_accepted(client: Callable[..., Any], target: Target) -> None:
    harmless = {
        "api_version": (4, 3),
        "selector": selectors.SelectSelector,
        "socket_options": [],
        "send_buffer_bytes": 1 << 20,
        "client_dns_lookup": "default",
        "request_timeout_ms": 20_000.0,
        "security_protocol": "PLAINTEXT",
    }
    client(bootstrap_servers=target, **harmless).close()


def test_transactions_are_refused(broker: headwater.Broker) -> None:
    with pytest.raises(errors.KafkaConfigurationError, match="transactional_id='mine'"):
        KafkaProducer(bootstrap_servers=broker, transactional_id="mine")


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("describe_acls", [None]),
        ("create_acls", [[]]),
        ("delete_acls", [[]]),
        ("alter_user_scram_credentials", [[]]),
        ("describe_user_scram_credentials", []),
        ("list_transactions", []),
        ("describe_transactions", [[]]),
        ("describe_producers", [[]]),
        ("abort_transaction", [None]),
        ("find_hanging_transactions", []),
        ("describe_log_dirs", []),
        ("alter_replica_log_dirs", [{}]),
        ("describe_metadata_quorum", []),
        ("describe_features", []),
        ("update_features", [{}]),
        ("get_broker_version_data", [1]),
        ("api_versions", []),
        ("list_config_resources", []),
        ("elect_leaders", [0]),
        ("alter_partition_reassignments", [{}]),
        ("list_partition_reassignments", []),
        ("describe_topic_partitions", [[]]),
    ],
)
def test_what_does_not_exist_names_itself(call: str, arguments: list[Any], broker: headwater.Broker) -> None:
    with (
        KafkaAdminClient(bootstrap_servers=broker) as admin,
        pytest.raises(errors.NotInHeadwaterError, match=f"headwater.kafka has no {call}"),
    ):
        getattr(admin, call)(*arguments)
    assert issubclass(errors.NotInHeadwaterError, NotImplementedError)


def test_arguments_that_do_not_exist_name_themselves(broker: headwater.Broker) -> None:
    resource = headwater.kafka.admin.ConfigResource
    calls: list[tuple[str, Callable[[KafkaAdminClient], object]]] = [
        ("types_filter", lambda admin: admin.list_groups(types_filter=["classic"])),
        ("of a broker_logger", lambda admin: admin.describe_configs([resource("broker_logger", "1")])),
    ]
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        for words, call in calls:
            with pytest.raises(errors.NotInHeadwaterError, match=words):
                call(admin)


def test_an_unknown_topic_is_waited_for_and_not_created(target: Target, broker: headwater.Broker, topic: str) -> None:
    unknown = f"{topic}-unknown"
    settings = {"allow_auto_create_topics": False, "max_block_ms": 200}
    with KafkaProducer(bootstrap_servers=target, **settings) as producer:
        for call in (lambda: producer.send(unknown, b"v"), lambda: producer.partitions_for(unknown)):
            with pytest.raises(errors.KafkaTimeoutError, match=unknown):
                call()
        assert producer.send(topic, b"v").get(30).topic == topic
    assert unknown not in broker.topics


def test_a_broker_that_creates_no_topics(topic: str) -> None:
    with (
        headwater.Broker(config={"auto.create.topics.enable": "false"}) as broker,
        KafkaProducer(bootstrap_servers=broker, max_block_ms=200) as producer,
        pytest.raises(errors.KafkaTimeoutError, match=topic),
    ):
        producer.send(topic, b"v")


def test_a_function_may_choose_the_partition(target: Target, topic: str) -> None:
    asked = []

    def choose(key: bytes | None, known: list[int], available: list[int]) -> int:
        asked.append((key, known, available))
        return known[-1]

    with KafkaProducer(bootstrap_servers=target, partitioner=choose) as producer:
        assert producer.send(topic, b"v", key=b"k").get(30).partition == 2
    assert asked == [(b"k", [0, 1, 2], [0, 1, 2])]


def test_a_deserializer_that_raises_loses_nothing(target: Target, topic: str) -> None:
    is_broken = True

    def read(value: bytes) -> int:
        if is_broken and value == b"3":
            raise KeyError(value)
        return int(value)

    with KafkaProducer(bootstrap_servers=target) as producer:
        for partition in (0, 1):
            for number in range(6):
                producer.send(topic, b"%d" % number, partition=partition)
    settings = {"group_id": f"raises-{topic}", "auto_offset_reset": "earliest"}
    with KafkaConsumer(topic, bootstrap_servers=target, value_deserializer=read, **settings) as consumer:
        seen: dict[int, list[int]] = {0: [], 1: []}

        def poll() -> None:
            for partition, records in consumer.poll(timeout_ms=10_000).items():
                seen[partition.partition] += [record.value for record in records]

        raised = 0
        while raised < 3:
            try:
                poll()
            except KeyError:
                raised += 1
        consumer.commit()
        is_broken = False
        while sum(map(len, seen.values())) < 12:
            poll()
        assert seen == {0: list(range(6)), 1: list(range(6))}


def test_names_of_kafka_python_2(target: Target, topic: str) -> None:
    partition = TopicPartition(topic, 0)
    group = f"older-{topic}"
    with KafkaConsumer(bootstrap_servers=target, group_id=group) as consumer:
        consumer.assign([partition])
        consumer.commit({partition: headwater.kafka.OffsetAndMetadata(0, "", -1)})
    with KafkaAdminClient(bootstrap_servers=target) as admin:
        assert group in [name for name, _ in admin.list_consumer_groups()]
        assert admin.list_consumer_group_offsets(group) == {partition: (0, "", -1)}
        assert [described["group_id"] for described in admin.describe_consumer_groups([group])] == [group]
        assert admin.delete_consumer_groups([group]) == [(group, "OK")]
    assert errors.NoBrokersAvailable is errors.KafkaTimeoutError


def test_futures_are_awaitable(target: Target, topic: str) -> None:
    async def run() -> list[int]:
        with KafkaProducer(bootstrap_servers=target) as producer:
            futures = [producer.send(topic, b"v", partition=0) for _ in range(50)]
            offsets = [(await future).offset for future in futures]
            with pytest.raises(errors.MessageSizeTooLargeError):
                producer.send(topic, b"v" * 2_000_000)
            return offsets

    assert asyncio.run(run()) == list(range(50))


def test_a_callback_may_send_flush_and_close(target: Target, topic: str) -> None:
    producer = KafkaProducer(bootstrap_servers=target)
    done = threading.Event()

    def more(_: object) -> None:
        producer.send(topic, b"second", partition=0)
        producer.flush()
        producer.close()
        done.set()

    producer.send(topic, b"first", partition=0).add_callback(more)
    assert done.wait(30)
    assert values(target, topic, 2) == [b"first", b"second"]


def test_a_producer_that_is_thrown_away_sends_what_it_has(target: Target, topic: str) -> None:
    producer = KafkaProducer(bootstrap_servers=target, linger_ms=20_000)
    producer.send(topic, b"v")
    threads = {thread for thread in threading.enumerate() if thread.name == "headwater-deliveries"}
    del producer
    gc.collect()
    assert values(target, topic, 1) == [b"v"]
    assert not any(thread.is_alive() for thread in threads)


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_program_that_ends_without_closing(broker: headwater.Broker, topic: str) -> None:
    assert broker.bootstrap_servers is not None
    run(
        f"from headwater.kafka import KafkaConsumer, KafkaProducer\n"
        f"producer = KafkaProducer(bootstrap_servers={broker.bootstrap_servers!r}, linger_ms=20_000)\n"
        f"future = producer.send({topic!r}, b'v')\n"
        f"consumer = KafkaConsumer({topic!r}, bootstrap_servers={broker.bootstrap_servers!r}, group_id={topic!r})\n"
        f"consumer.poll(timeout_ms=100)\n"
    )
    assert values(broker, topic, 1) == [b"v"]


def test_a_forked_child_leaves_the_parents_producer_alone(broker: headwater.Broker, topic: str) -> None:
    said = run(
        f"import os, sys\n"
        f"from headwater.kafka import KafkaProducer\n"
        f"producer = KafkaProducer(bootstrap_servers={broker.bootstrap_servers!r}, linger_ms=20_000)\n"
        f"future = producer.send({topic!r}, b'v')\n"
        f"child = os.fork()\n"
        f"if child == 0:\n"
        f"    try:\n"
        f"        producer.send({topic!r}, b'from the child')\n"
        f"    except RuntimeError as error:\n"
        f"        print(error)\n"
        f"    sys.exit(0)\n"
        f"assert os.waitpid(child, 0)[1] == 0\n"
        f"producer.close()\n"
        f"assert future.succeeded()\n"
    )
    assert "made before the process forked" in said
    assert values(broker, topic, 1) == [b"v"]


def test_the_example_of_the_package() -> None:
    lines = (headwater.kafka.__doc__ or "").split("\n")
    assert "b'hello'" in run("\n".join(line[4:] for line in lines if line.startswith("    ") or not line))


def test_importing_starts_nothing() -> None:
    code = "import threading, headwater.kafka; print(threading.active_count())"
    assert run(code).strip() == "1"


def test_an_async_listener_within_a_running_loop(target: Target, topic: str) -> None:
    heard: list[str] = []

    class Listener(headwater.kafka.AsyncConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
            await asyncio.sleep(0)
            heard.append(f"revoked {len(revoked)}")

        async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
            await asyncio.sleep(0)
            heard.append(f"assigned {len(assigned)}")

    async def notebook() -> None:
        consumer = KafkaConsumer(bootstrap_servers=target, group_id=f"loop-{topic}")
        consumer.subscribe([topic], listener=Listener())
        deadline = time.monotonic() + 30
        while not consumer.assignment() and time.monotonic() < deadline:
            consumer.poll(timeout_ms=100)
        consumer.close()

    asyncio.run(notebook())
    assert heard == ["revoked 0", "assigned 3", "revoked 3"]


def test_bootstrap_servers(broker: headwater.Broker) -> None:
    assert target_of("localhost") == "localhost:9092"
    assert target_of("a:1, b,[::1]:7,::1") == "a:1,b:9092,[::1]:7,[::1]:9092"
    assert target_of(["a", "PLAINTEXT://b:2"]) == "a:9092,b:2"
    assert target_of([broker]) is broker
    with pytest.raises(errors.KafkaConfigurationError, match=r"headwater\.Broker, got int"):
        target_of(9092)


def test_whether_a_client_is_connected(target: Target) -> None:
    for client in (KafkaProducer, KafkaConsumer):
        one = client(bootstrap_servers=target)
        assert one.bootstrap_connected()
        one.close()
        assert not one.bootstrap_connected()


def test_metrics_count(target: Target, topic: str) -> None:
    with KafkaProducer(bootstrap_servers=target) as producer:
        for _ in range(7):
            producer.send(topic, b"v")
        producer.flush()
        counts = producer.metrics()
        assert counts is not None
        assert counts["producer-metrics"]["record-send-total"] == 7
        with pytest.raises(errors.NotInHeadwaterError, match="raw"):
            producer.metrics(raw=True)
    with KafkaConsumer(topic, bootstrap_servers=target, auto_offset_reset="earliest") as consumer:
        for _ in range(7):
            next(consumer)
        counts = consumer.metrics()
        assert counts is not None
        assert counts["consumer-fetch-manager-metrics"]["records-consumed-total"] == 7


@pytest.mark.parametrize(
    ("code", "name", "errno"),
    [
        ("MESSAGE_TOO_LARGE", "MessageSizeTooLargeError", 10),
        ("NOT_LEADER_OR_FOLLOWER", "NotLeaderForPartitionError", 6),
        ("INVALID_TOPIC_EXCEPTION", "InvalidTopicError", 17),
        ("UNKNOWN_SERVER_ERROR", "UnknownError", -1),
        ("TOPIC_ALREADY_EXISTS", "TopicAlreadyExistsError", 36),
        ("REBOOTSTRAP_REQUIRED", "UnrecognizedBrokerError", 129),
        ("SOMETHING_NEW", "UnknownError", -1),
    ],
)
def test_codes_become_errors(code: str, name: str, errno: int) -> None:
    error = translated(BrokerError("words", code))
    assert isinstance(error, errors.BrokerResponseError)
    assert (type(error).__name__, error.errno) == (name, errno)
    assert "words" in str(error)
