"""What needs no Spark and no broker: options, Java's regular expressions, how ranges are shared out, filters."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from datetime import datetime, timedelta, timezone

import headwater
import pyarrow as pa
import pytest
from pyspark_headwater import cluster
from pyspark_headwater.batches import Watch, _named
from pyspark_headwater.errors import DataLossError, OptionError
from pyspark_headwater.options import ReadOptions, Use, WriteOptions
from pyspark_headwater.planning import SHARED_TASK_RECORDS, OffsetRange, prorate, ranges, split, tasks
from pyspark_headwater.quick_ack import acknowledge_at_once
from pyspark_headwater.subscription import Assigned, Pattern, Topics, subscription

READ = {"kafka.bootstrap.servers": "localhost:9092", "subscribe": "t"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kafka.bootstrap.servers": ""}, "option kafka.bootstrap.servers is required, for example localhost:9092"),
        ({"assign": '{"t": [0]}'}, "exactly one of .* is expected, got subscribe and assign"),
        ({"subscribe": " , "}, 'option subscribe expects topics separated by commas, got ","'),
        ({"startingoffset": "earliest"}, "option startingoffset is unknown; did you mean startingOffsets"),
        ({"rowsPerSecond": "5"}, "option rowsPerSecond is unknown, see docs/spark-options.md"),
        ({"path": "flights"}, "a topic is named by the option subscribe"),
        ({"startingOffsets": "begin"}, 'option startingOffsets expects .*, got "begin"'),
        ({"startingOffsets": '{"t": {"0": "5"}}'}, 'option startingOffsets .* got "0": "5" for topic t'),
        ({"startingOffsets": '{"t": {"0": -3}}'}, 'got "0": -3 for topic t'),
        ({"startingOffsets": '{"t": 5}'}, "option startingOffsets expects numbers by topic and partition"),
        ({"startingOffsets": "latest"}, "option startingOffsets=latest leaves a batch nothing to read"),
        ({"startingOffsets": '{"t": {"0": -1}}'}, r"option startingOffsets: -1 \(latest\) leaves nothing of t-0"),
        ({"endingOffsets": "earliest"}, "option endingOffsets=earliest leaves a batch nothing to read"),
        ({"endingOffsets": '{"t": {"0": -2}}'}, r"option endingOffsets: -2 \(earliest\) leaves nothing of t-0"),
        (
            {"startingTimestamp": "yesterday"},
            'option startingTimestamp expects milliseconds since 1970, got "yesterday"',
        ),
        (
            {"startingTimestamp": "5", "endingTimestamp": "4"},
            r"startingTimestamp \(5\) lies after endingTimestamp \(4\)",
        ),
        ({"startingOffsetsByTimestampStrategy": "first"}, 'expects error or latest, got "first"'),
        ({"minPartitions": "0"}, 'option minPartitions expects a whole number, 1 or more, got "0"'),
        ({"maxRecordsPerPartition": "1.5"}, 'option maxRecordsPerPartition .* got "1.5"'),
        (
            {"minOffsetsPerTrigger": "5", "maxOffsetsPerTrigger": "4"},
            r"minOffsetsPerTrigger \(5\) must not exceed .*\(4\)",
        ),
        ({"maxTriggerDelay": "soon"}, 'option maxTriggerDelay expects a time with a unit, .* got "soon"'),
        ({"failOnDataLoss": "no"}, 'option failOnDataLoss expects true or false, got "no"'),
        ({"valueFormat": "avro"}, 'option valueFormat expects json, got "avro"'),
        ({"valueSchema": "a long"}, "option valueSchema needs valueFormat=json"),
        ({"badRows": "column"}, "option badRows needs valueFormat=json"),
        ({"kafka.auto.offset.reset": "latest"}, "option kafka.auto.offset.reset is not supported: .* startingOffsets"),
        ({"kafka.key.deserializer": "x"}, "option kafka.key.deserializer is not supported: keys are binary"),
        ({"kafka.value.deserializer": "x"}, "option kafka.value.deserializer is not supported: values are binary"),
        ({"kafka.enable.auto.commit": "true"}, "option kafka.enable.auto.commit is not supported"),
        ({"kafka.interceptor.classes": "x"}, "option kafka.interceptor.classes is not supported"),
        (
            {"kafka.isolation.level": "serial"},
            "a kafka.* option cannot be used: isolation.level expects read_uncommitted",
        ),
        ({"kafka.security.protocol": "SASL_SSL"}, "security.protocol=SASL_SSL does not exist here yet"),
        ({"kafka.sasl.mechanism": "PLAIN"}, "option kafka.sasl.mechanism is unknown to Headwater's client"),
    ],
)
def test_wrong_options_of_a_read_are_named(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message) as error:
        ReadOptions.parse(READ | options, Use.BATCH)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["endingOffsets", "endingOffsetsByTimestamp", "endingTimestamp"])
def test_a_stream_has_no_end(name: str) -> None:
    with pytest.raises(OptionError, match=f"option {name} is for batch reads; a stream has no end"):
        ReadOptions.parse(READ | {name: "latest"}, Use.STREAM)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kafka.key.serializer": "x"}, "option kafka.key.serializer is not supported: cast the column key"),
        ({"kafka.value.serializer": "x"}, "option kafka.value.serializer is not supported"),
        ({"kafka.partitioner.class": "x"}, "option kafka.partitioner.class is not supported: .* column partition"),
        ({"kafka.transactional.id": "x"}, "option kafka.transactional.id is not supported"),
        ({"kafka.acks": "some"}, "a kafka.* option cannot be used: acks expects"),
        ({"topics": "t"}, "option topics is unknown; did you mean topic"),
    ],
)
def test_wrong_options_of_a_write_are_named(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        WriteOptions.parse({"kafka.bootstrap.servers": "localhost:9092"} | options)


def test_tuning_of_javas_clients_does_no_harm() -> None:
    java = {"kafka.receive.buffer.bytes": "65536", "kafka.group.id": "g", "kafka.acks": "all", "groupIdPrefix": "p"}
    read = ReadOptions.parse(READ | java | {"kafka.fetch.max.wait.ms": "50"}, Use.BATCH)
    assert read.settings == {"fetch_max_wait_ms": "50"}
    write = WriteOptions.parse(
        {"kafka.bootstrap.servers": "b:1", "kafka.linger.ms": "7", "checkpointLocation": "/c"} | java
    )
    assert write.settings == {"linger_ms": "7", "acks": "all"}


def test_names_of_options_have_no_case() -> None:
    assert ReadOptions.parse({"KAFKA.bootstrap.SERVERS".lower(): "b:1", "subscribe": "t"}, Use.READ).bootstrap == "b:1"


def test_subscriptions() -> None:
    assert subscription({"subscribe": " b, a ,b,"}) == Topics(("b", "a"))
    assert subscription({"assign": '{"t": [2, 0, 2], "a": [1]}'}) == Assigned((("a", 1), ("t", 0), ("t", 2)))
    for bad in ("t:0", '["t"]', '{"t": 0}', '{"t": [-1]}', '{"t": [true]}', "{}"):
        with pytest.raises(OptionError, match="option assign expects"):
            subscription({"assign": bad})


@pytest.mark.parametrize(
    ("java", "matches", "differs"),
    [
        (r"flights-.*", ["flights-", "flights-2024"], ["my-flights-1", "flights"]),
        (r"\Qa.b\E.", ["a.bc"], ["axbc", "a.b"]),
        (r"(?<year>\d{4})-(?:a|b)", ["2024-a"], ["24-a"]),
        (r"\p{Alpha}+\p{Digit}", ["ab1"], ["a1b", "1"]),
        (r"[\p{Lower}_]+\P{Alnum}", ["a_b-"], ["aB-", "ab"]),
        (r"[^]x]+", ["abc"], ["a]"]),
        (r"a++b", ["aab"], ["aac"]) if hasattr(re, "NOFLAG") else ("a+b", ["aab"], ["aac"]),
        (r"(?i)ABC\z", ["abc"], ["abcd"]),
    ],
)
def test_patterns_mean_what_java_means(java: str, matches: list[str], differs: list[str]) -> None:
    wanted = subscription({"subscribePattern": java})
    assert isinstance(wanted, Pattern)
    assert all(wanted.regex.fullmatch(name) for name in matches)
    assert not any(wanted.regex.fullmatch(name) for name in differs)


@pytest.mark.parametrize("java", ["", "a(", "[a-z&&[^b]]", r"\p{IsLatin}", r"[\P{Lower}]"])
def test_patterns_that_cannot_be_meant_are_refused(java: str) -> None:
    with pytest.raises(OptionError, match="option subscribePattern"):
        subscription({"subscribePattern": java})


def sizes(parts: list[OffsetRange]) -> list[int]:
    return [part.size for part in parts]


def test_ranges_are_shared_out_by_count_and_size() -> None:
    whole = ranges({("t", 0): 0, ("t", 1): 5, ("t", 2): 7}, {("t", 0): 100, ("t", 1): 10, ("t", 2): 7})
    assert sizes(whole) == [100, 5]
    assert sizes(split(whole)) == [100, 5]
    assert sizes(split(whole, count_min=2)) == [100, 5]
    assert sizes(split(whole, count_min=5)) == [25, 25, 25, 25, 5]
    assert sizes(split(whole, size_max=40)) == [33, 33, 34, 5]
    assert sizes(split(whole, size_max=40, count_min=6)) == [20, 20, 20, 20, 20, 5]
    assert sizes(split(whole, count_min=1000)) == [1] * 105
    for options in ({"count_min": 7}, {"size_max": 9}, {"count_min": 50, "size_max": 3}):
        parts = split(whole, **options)
        covered = [(part.partition, offset) for part in parts for offset in range(part.start, part.end)]
        assert covered == [(0, offset) for offset in range(100)] + [(1, offset) for offset in range(5, 10)]


def test_small_partitions_share_a_task() -> None:
    most = SHARED_TASK_RECORDS
    end = {("a", 0): 5, ("a", 1): most - 5, ("b", 0): 1, ("b", 1): most + 1, ("b", 2): most, ("b", 3): 7}
    whole = ranges(dict.fromkeys(end, 0), end)
    shared = tasks(whole, count_min=None, size_max=None, share=True)
    assert [sizes(list(task.ranges)) for task in shared] == [[5, most - 5], [1], [most + 1], [most], [7]]
    assert [part for task in shared for part in task.ranges] == whole
    for told in (
        tasks(whole, count_min=None, size_max=None),
        tasks(whole, count_min=6, size_max=None, share=True),
        tasks(whole, count_min=None, size_max=2 * most, share=True),
    ):
        assert [task.ranges for task in told] == [(part,) for part in whole]


def test_a_task_of_many_partitions_is_named_shortly() -> None:
    parts = {number: OffsetRange("t", number, 0, 5) for number in range(500)}
    one, two = "t-0 from offset 0 to 5", "t-1 from offset 0 to 5"
    assert _named("t", {0: parts[0]}) == one
    assert _named("t", {0: parts[0], 1: parts[1]}) == f"{one} and {two}"
    assert _named("t", parts) == f"{one} and {two} and 498 more partitions of t"


def test_a_limit_is_shared_out_by_what_waits() -> None:
    start, end = {("t", 0): 0, ("t", 1): 10, ("t", 2): 4}, {("t", 0): 900, ("t", 1): 110, ("t", 2): 4}
    assert prorate(100, start, end) == {("t", 0): 90, ("t", 1): 20, ("t", 2): 4}
    assert prorate(5, start, end) == {("t", 0): 4, ("t", 1): 11, ("t", 2): 4}
    assert prorate(1000, start, end) == end


def test_filters_that_are_taken() -> None:
    # Filters came with Spark 4.1.
    from pyspark.sql import datasource
    from pyspark_headwater.filters import Pushed

    at = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=1)
    taken = [
        datasource.EqualTo(("partition",), 1),
        datasource.GreaterThan(("offset",), 4),
        datasource.In(("topic",), ("t", "u")),
        datasource.IsNotNull(("offset",)),
    ]
    left = [
        datasource.GreaterThanOrEqual(("timestamp",), at),
        datasource.In(("offset",), (7, 9)),
        datasource.EqualTo(("key",), b"k"),
        datasource.IsNotNull(("key",)),
        datasource.Not(datasource.EqualTo(("partition",), 1)),
        datasource.EqualTo(("headers", "key"), "k"),
    ]
    pushed, returned = Pushed.take([*taken, *left])
    assert returned == left
    assert pushed.since_ms == 1_704_067_200_001

    class Brokers:
        def at_times(self, times: dict[tuple[str, int], int]) -> dict[tuple[str, int], int | None]:
            return {partition: {"t": 8, "u": None}[partition[0]] for partition in times}

    start = {(topic, partition): 0 for topic in "tuv" for partition in range(2)}
    end = dict.fromkeys(start, 100)
    assert pushed.narrow(start, end, Brokers()) == ({("t", 1): 8, ("u", 1): 10}, {("t", 1): 10, ("u", 1): 10})


@pytest.mark.parametrize(
    ("batches", "begins", "lost_from"),
    [
        ([[10, 11, 12], [13, 14]], 0, None),
        # Compaction and markers of transactions leave gaps; the log begins before them.
        ([[11, 14], [17]], 10, None),
        ([], 10, None),
        # Retention took what lies before the log's new beginning: ahead of a batch, inside of one, at the end.
        ([[13, 14]], 13, 10),
        ([[10, 11, 16, 17]], 16, 12),
        ([[10, 11], [16, 17]], 16, 12),
        ([[10, 11]], 18, 12),
        ([], 18, 10),
        # It went on after the records had been read.
        ([[10, 11, 12], [13, 14], [15, 16, 17]], 16, None),
    ],
)
def test_gaps_are_losses_only_before_the_beginning_of_the_log(
    batches: list[list[int]], begins: int, lost_from: int | None
) -> None:
    class Brokers:
        def beginning(self, partitions: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
            return dict.fromkeys(partitions, begins)

        def end(self, partitions: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
            return dict.fromkeys(partitions, 18)

    watch = Watch(OffsetRange("t", 0, 10, 18), Brokers())

    def look() -> None:
        for offsets in batches:
            watch.see(pa.array(offsets, pa.int64()))
        watch.end()

    if lost_from is None:
        look()
    else:
        with pytest.raises(
            DataLossError, match=f"t-0 begins at offset {begins} by now, the records from offset {lost_from} "
        ):
            look()


def test_json_in_messages_is_readable() -> None:
    with pytest.raises(OptionError) as error:
        ReadOptions.parse(READ | {"startingOffsets": json.dumps({"t": {"x": 1}})}, Use.BATCH)
    assert str(error.value).endswith('such as {"topic": {"0": 17}}, got "x": 1 for topic t')


def test_an_address_where_nobody_answers_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "FIRST_ANSWER_MS", 500)
    began = time.monotonic()
    with pytest.raises(headwater.ConnectionFailedError, match=r"cannot reach 127\.0\.0\.1:1: "):
        cluster.Cluster("127.0.0.1:1", {"request_timeout_ms": "40000"})
    assert time.monotonic() - began < 30


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux can be told")
def test_loopback_connections_acknowledge_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    class Noting(socket.socket):
        def setsockopt(self, *option: int) -> None:
            told.append((self.getpeername(), *option))
            super().setsockopt(*option)

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as near,
        server.accept()[0] as far,
        socket.socketpair()[0],
    ):
        monkeypatch.setattr(socket, "socket", Noting)
        acknowledge_at_once()
        for end in (near, far):
            assert (end.getpeername(), socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1) in told
            end.sendall(b"still open")
        near.setblocking(True)
        told.clear()
        socket.setdefaulttimeout(5)
        try:
            acknowledge_at_once()
        finally:
            socket.setdefaulttimeout(None)
        assert (told, near.getblocking(), os.get_blocking(near.fileno())) == ([], True, True)
