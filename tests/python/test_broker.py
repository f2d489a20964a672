"""The embedded broker: its life, its directory, kill -9, forks, Ctrl-C, wrong arguments."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import headwater
import pytest


def run(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """A program of its own."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload]


def test_a_restart_keeps_topics_records_and_commits(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path / "data") as broker:
        headwater.Admin(broker).create_topic("kept", partitions=2, config={"retention.ms": "-1"})
        with headwater.Producer(broker) as producer:
            producer.produce_many("kept", [f"{n}" for n in range(1_000)])
        with headwater.Consumer(broker, "kept", group="g", auto_offset_reset="earliest") as consumer:
            assert len([next(consumer) for _ in range(400)]) == 400
    with headwater.Broker(tmp_path / "data") as broker:
        assert broker.topics == ["kept"]
        assert headwater.Admin(broker).describe_config("kept")["retention.ms"].value == "-1"
        with headwater.Consumer(broker, "kept", group="g", auto_offset_reset="earliest") as consumer:
            assert len([next(consumer) for _ in range(600)]) == 600
            assert consumer.poll(timeout=0.2) == []


def test_without_data_the_directory_is_temporary() -> None:
    broker = headwater.Broker()
    data = Path(broker.data)
    assert data.is_dir()
    broker.stop()
    broker.stop()
    assert not data.exists()


def test_without_listen_there_is_no_port(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path, listen=None) as broker:
        assert broker.bootstrap_servers is None
        assert headwater.Admin(broker).list_topics() == []


def test_several_brokers_live_in_one_process(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path / "a") as a, headwater.Broker(tmp_path / "b") as b:
        headwater.Admin(a).create_topic("only-a")
        headwater.Admin(b).create_topic("only-b")
        assert (a.topics, b.topics) == (["only-a"], ["only-b"])
        assert a.bootstrap_servers != b.bootstrap_servers


def test_a_directory_has_one_broker_and_the_error_names_it(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path), pytest.raises(headwater.StorageError, match=str(os.getpid())):
        headwater.Broker(tmp_path)
    with headwater.Broker(tmp_path):
        done = run("import sys, headwater; headwater.Broker(sys.argv[1])", str(tmp_path))
        assert done.returncode == 1
        assert str(os.getpid()) in done.stderr


PRODUCE_FOR_EVER = """
    import sys, headwater
    broker = headwater.Broker(sys.argv[1], listen=None)
    producer = headwater.Producer(broker, linger_ms=0)
    print("ready", flush=True)
    number = 0
    while True:
        deliveries = [producer.send("kept", f"{number + n}", partition=0) for n in range(50)]
        number += 50
        for delivery in deliveries:
            sys.stdout.write(f"{delivery.result().offset} ")
        sys.stdout.flush()
"""


def test_acknowledged_records_survive_kill_9(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path / "data", listen=None) as broker:
        headwater.Admin(broker).create_topic("kept", partitions=1)
    acknowledged = -1
    for _ in range(3):
        command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(PRODUCE_FOR_EVER), str(tmp_path / "data")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        offsets = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        assert len(offsets) > 50
        # The last number may be cut short by the kill.
        acknowledged = int(offsets[-2])
        with headwater.Broker(tmp_path / "data", listen=None) as broker:
            end = headwater.Admin(broker).list_offsets([("kept", 0)])[headwater.TopicPartition("kept", 0)]
            assert end is not None
            assert end > acknowledged
            with headwater.Consumer(broker, "kept") as consumer:
                records = [next(consumer) for _ in range(end)]
            assert [r.offset for r in records] == list(range(end))


def child(target: headwater.Broker, queue: multiprocessing.Queue[str]) -> None:
    try:
        headwater.Admin(target).list_topics()
        queue.put("no error")
    except RuntimeError as error:
        queue.put(str(error))
    with headwater.Broker() as own:
        headwater.Admin(own).create_topic("mine")
        queue.put(f"own broker with {own.topics}")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_clear_errors_and_a_fresh_start(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[str] = context.Queue()
    with headwater.Broker(tmp_path / "data") as broker:
        process = context.Process(target=child, args=(broker, queue))
        process.start()
        assert "forked" in queue.get(timeout=30)
        assert queue.get(timeout=30) == "own broker with ['mine']"
        process.join(30)
        assert process.exitcode == 0
        headwater.Admin(broker).create_topic("still-here")
        address = broker.bootstrap_servers
    # Nothing that the child inherited keeps the port or the lock.
    with headwater.Broker(tmp_path / "data", listen=address) as again:
        assert again.topics == ["still-here"]


def test_ctrl_c_ends_a_wait(tmp_path: Path) -> None:
    code = """
        import os, signal, sys, threading, time, headwater
        with headwater.Broker(sys.argv[1]) as broker:
            headwater.Admin(broker).create_topic("quiet")
            with headwater.Consumer(broker, "quiet") as consumer:
                threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
                began = time.monotonic()
                try:
                    consumer.poll(timeout=30)
                except KeyboardInterrupt:
                    print(f"interrupted {time.monotonic() - began < 5}")
    """
    done = run(code, str(tmp_path))
    assert done.stdout == "interrupted True\n", done.stderr


def test_waiting_releases_the_gil(broker: headwater.Broker, topic: str) -> None:
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.wait(0.005):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    with headwater.Consumer(broker, topic) as consumer:
        assert consumer.poll(timeout=0.5) == []
    stop.set()
    thread.join()
    assert ticks > 20


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda b: headwater.Producer(b, linger_ms="soon"), "linger_ms expects"),
        (lambda b: headwater.Producer(b, lingerms=5), "did you mean linger.ms"),
        (lambda b: headwater.Producer(b, acks=7), "acks expects"),
        (lambda b: headwater.Producer(7), "target expects"),
        (lambda b: headwater.Producer("nowhere"), "port"),
        (lambda b: headwater.Producer(b).produce("t", 7), "value expects"),
        (lambda b: headwater.Producer(b).produce("t", b"", headers=[1]), "headers expects"),
        (lambda b: headwater.Producer(b).flush(timeout=-1), "timeout expects"),
        (lambda b: headwater.Producer(b, value_serializer="json"), "value_serializer expects"),
        (lambda b: headwater.Consumer(b, 7), "topics expects"),
        (lambda b: headwater.Consumer(b, "t").poll(max_records=0), "max_records expects"),
        (lambda b: headwater.Consumer(b, "t").seek("t", 0), "TopicPartition"),
        (lambda b: headwater.Admin(b).create_topic("bad name"), "bad name|INVALID_TOPIC"),
        (lambda b: headwater.Admin(b).create_topic("never-made", partitions=0), "partitions|INVALID_PARTITIONS"),
        (lambda b: headwater.Admin(b).create_topic("never-made", replication_factor=3), "replication"),
        (lambda b: headwater.Admin(b).create_topic("never-made", config={"retention.ms": "long"}), "retention.ms"),
        (lambda b: headwater.Admin(b).create_topic("never-made", config={"no.such.key": "1"}), "no.such.key"),
        (lambda b: headwater.Admin(b).create_topic("never-made", config={"segment.bytes": 1000}), "segment.bytes"),
        (lambda b: headwater.Broker(config={"ssl.keystore.location": "x"}), "ssl.keystore.location"),
        (lambda b: headwater.Broker(listen="nonsense"), "nonsense"),
    ],
)
def test_wrong_arguments_say_what_was_expected(broker: headwater.Broker, call: object, expected: str) -> None:
    with pytest.raises(headwater.HeadwaterError, match=expected):
        call(broker)  # type: ignore[operator]


def test_errors_are_the_builtins_they_naturally_are(broker: headwater.Broker) -> None:
    with pytest.raises(ValueError, match="linger"):
        headwater.Producer(broker, linger_ms=-1)
    producer = headwater.Producer("127.0.0.1:1", max_block_ms=300)
    with pytest.raises((TimeoutError, ConnectionError)) as error:
        producer.produce("t", b"v")
    assert error.value.retriable  # type: ignore[union-attr]
    producer.close()
    with pytest.raises(headwater.ClosedError):
        producer.produce("t", b"v")


def test_failures_nobody_asked_about_are_told_by_flush(broker: headwater.Broker) -> None:
    headwater.Admin(broker).create_topic("small", config={"max.message.bytes": 1_000})
    producer = headwater.Producer(broker)
    producer.produce("small", os.urandom(5_000))
    with pytest.raises(headwater.BrokerError, match="1 records") as error:
        producer.flush()
    assert error.value.code == "MESSAGE_TOO_LARGE"
    with pytest.raises(headwater.BrokerError) as error:
        producer.send("small", os.urandom(5_000)).result(timeout=30)
    assert error.value.code == "MESSAGE_TOO_LARGE"
    producer.close()


def test_admin_calls(broker: headwater.Broker) -> None:
    admin = headwater.Admin(broker)
    admin.create_topic("administered", partitions=2)
    with pytest.raises(headwater.BrokerError) as error:
        admin.create_topic("administered")
    assert error.value.code == "TOPIC_ALREADY_EXISTS"
    admin.create_partitions("administered", 4)
    described = admin.describe_topic("administered")
    assert [p.partition for p in described.partitions] == [0, 1, 2, 3]
    assert all(p.leader is not None and p.isr == p.replicas for p in described.partitions)
    admin.alter_config("administered", {"retention.ms": 1_000_000})
    assert admin.describe_config("administered")["retention.ms"].value == "1000000"
    assert admin.describe_config("administered")["retention.ms"].source == "DYNAMIC_TOPIC_CONFIG"
    admin.alter_config("administered", {"retention.ms": None})
    assert admin.describe_config("administered")["retention.ms"].source == "DEFAULT_CONFIG"
    with headwater.Producer(broker) as producer:
        producer.produce_many("administered", ["v"] * 10, partition=0)
    partition = headwater.TopicPartition("administered", 0)
    assert admin.delete_records({partition: 4}) == {partition: 4}
    assert admin.list_offsets([partition], at="earliest") == {partition: 4}
    assert len(admin.describe_cluster().nodes) == 1
    admin.delete_topics("administered")
    assert "administered" not in admin.list_topics()
