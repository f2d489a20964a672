"""`Producer.send_arrow`: tables become records, and the same table comes back."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import math
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import headwater
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

Read = Callable[..., list[headwater.Record]]
Target = headwater.Broker | str
HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))


def send(target: Target, topic: str | None, data: Any, **columns: Any) -> int:
    with headwater.Producer(target) as producer:
        return producer.send_arrow(topic, data, **columns)


def values(target: Target, topic: str, count: int, read_all: Read) -> list[Any]:
    """The values of a topic as parsed JSON, ordered by key."""
    records = sorted(read_all(target, topic, count), key=lambda record: int(record.key))
    return [record.value if record.value is None else json.loads(record.value) for record in records]


def keyed(**columns: pa.Array) -> pa.Table:
    """A table with a column of keys that tells the order."""
    length = len(next(iter(columns.values())))
    return pa.table({"k": [f"{n}" for n in range(length)], **columns})


def every_column() -> pa.Table:
    return pa.table(
        {
            "k": pa.array([b"a", None, b"", b"\xff\x00"], pa.binary()),
            "v": pa.array([b"1", b"2", None, b""], pa.binary()),
            "h": pa.array([[("x", b"1"), ("x", None)], None, [], [("y", b"")]], HEADERS),
            "p": pa.array([2, 1, 0, 1], pa.int32()),
            "t": pa.array([1_000, 2_000, 3_000, 0], pa.timestamp("ms", "UTC")),
        }
    )


def test_every_column_comes_back(target: Target, topic: str) -> None:
    table = every_column()
    roles = {"key": "k", "value": "v", "headers": "h", "partition": "p", "timestamp": "t"}
    assert send(target, topic, table, **roles) == 4
    back = pa.table(headwater.scan(topic, target)).sort_by([("partition", "ascending"), ("offset", "ascending")])
    # By partition, then in the order of the table.
    order = [2, 1, 3, 0]
    for role, name in roles.items():
        expected = table.column(name).take(order).to_pylist()
        assert back.column(role).to_pylist() == [[] if role == "headers" and e is None else e for e in expected], role


def test_a_scan_copies_a_topic(broker: headwater.Broker, topic: str) -> None:
    roles = {"key": "k", "value": "v", "headers": "h", "partition": "p", "timestamp": "t"}
    send(broker, topic, every_column(), **roles)
    copy = f"{topic}-copy"
    headwater.Admin(broker).create_topic(copy, partitions=3, config={"retention.ms": "-1"})
    same = {role: role for role in roles}
    assert send(broker, copy, headwater.scan(topic, broker), **same) == 4
    columns = [*roles, "offset"]
    assert pa.table(headwater.scan(copy, broker, columns=columns)) == pa.table(
        headwater.scan(topic, broker, columns=columns)
    )


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary(),
        pa.large_binary(),
        pa.binary_view(),
        pa.binary(1),
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint32(), pa.large_binary()),
    ],
    ids=str,
)
def test_every_type_of_bytes(broker: headwater.Broker, topic: str, read_all: Read, kind: pa.DataType) -> None:
    if pa.types.is_dictionary(kind):
        column = pa.array([b"a", b"b", None, b"a"], kind.value_type).dictionary_encode().cast(kind)
    else:
        column = pa.array([b"a", b"b", None, b"a"]).cast(kind)
    table = pa.table({"c": column, "partition": [0] * 4})
    # A slice begins in the middle of the buffers.
    assert send(broker, topic, table.slice(1), key="c", value="c", partition="partition") == 3
    assert [(r.key, r.value) for r in read_all(broker, topic, 3)] == [(b"b", b"b"), (None, None), (b"a", b"a")]


@pytest.mark.parametrize("kind", [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)])
def test_every_type_of_integer_names_a_partition(
    broker: headwater.Broker, topic: str, read_all: Read, kind: str
) -> None:
    partitions = pa.array([0, 1, 2, None, 2], kind)
    table = pa.table({"k": ["", "", "", "key-1", ""], "v": list("abcde"), "p": partitions})
    assert send(broker, topic, table, key="k", value="v", partition="p") == 5
    by_value = {r.value: r.partition for r in read_all(broker, topic, 5)}
    with headwater.Producer(broker) as producer:
        by_key = producer.send(topic, key="key-1").result(10).partition
    assert by_value == {b"a": 0, b"b": 1, b"c": 2, b"d": by_key, b"e": 2}


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "+05:30"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_unit_of_time(broker: headwater.Broker, topic: str, read_all: Read, unit: str, zone: str | None) -> None:
    moments = pa.array([0, 86_400, 1_700_000_000], pa.timestamp("s", zone)).cast(pa.timestamp(unit, zone))
    send(broker, topic, pa.table({"t": moments, "p": [0, 0, 0]}), value="p", timestamp="t", partition="p")
    assert [r.timestamp for r in read_all(broker, topic, 3)] == [0, 86_400_000, 1_700_000_000_000]


def test_milliseconds_and_now(broker: headwater.Broker, topic: str, read_all: Read) -> None:
    before = dt.datetime.now().timestamp() * 1_000
    table = pa.table({"t": pa.array([5, None], pa.int64()), "p": [0, 0]})
    send(broker, topic, table, value="p", timestamp="t", partition="p")
    set_by_us, now = (r.timestamp for r in read_all(broker, topic, 2))
    assert set_by_us == 5
    assert before - 1 <= now <= dt.datetime.now().timestamp() * 1_000 + 1


def test_headers_of_a_map(broker: headwater.Broker, topic: str, read_all: Read) -> None:
    headers = pa.array([[("a", b"1"), ("b", None)], None, []], pa.map_(pa.string(), pa.binary()))
    text = pa.array([[("a", "1")], [("b", None)], []], pa.map_(pa.string(), pa.string()))
    table = pa.table({"h": headers, "text": text, "v": ["0", "1", "2"], "p": [0] * 3})
    send(broker, topic, table, value="v", headers="h", partition="p")
    send(broker, topic, table.slice(1), value="v", headers="text", partition="p")
    assert [r.headers for r in read_all(broker, topic, 5)] == [
        [("a", b"1"), ("b", None)],
        [],
        [],
        [("b", None)],
        [],
    ]


def test_headers_of_other_lists(broker: headwater.Broker, topic: str, read_all: Read) -> None:
    pair = pa.struct([("value", pa.large_string()), ("key", pa.dictionary(pa.int32(), pa.string()))])
    for number, kind in enumerate([pa.list_(pair), pa.large_list(pair), pa.list_(pair, 1)]):
        plain = pa.array([[{"key": "a", "value": "1"}], [{"key": "b", "value": None}]], kind)
        table = pa.table({"h": plain, "v": [f"{number}", f"{number}"], "p": [number, number]})
        send(broker, topic, table.slice(1), value="v", headers="h", partition="p")
    assert [r.headers for r in read_all(broker, topic, 3)] == [[("b", None)]] * 3


class OnlyAnArray:
    """What has `__arrow_c_array__` and nothing else."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return self.batch.__arrow_c_array__(requested_schema)


def test_tables_of_every_library(target: Target, topic: str, read_all: Read) -> None:
    table = pa.table({"k": [f"{n}" for n in range(6)], "v": list("abcdef"), "n": [1, None, 3, 4, None, 6]})
    halves = pa.concat_tables([table.slice(0, 2), table.slice(2)])
    assert halves.column("v").num_chunks == 2
    batch = table.to_batches()[0]
    many: list[Any] = [
        table,
        halves,
        batch,
        OnlyAnArray(batch),
        halves.to_reader(1),
        pl.DataFrame(halves),
        pd.DataFrame({"k": table["k"].to_pylist(), "v": table["v"].to_pylist()}),
        pa.Table.from_pandas(pd.DataFrame({"k": table["k"].to_pylist(), "v": pd.Categorical(list("abcdef"))})),
    ]
    with headwater.Producer(target) as producer:
        for data in many:
            assert producer.send_arrow(topic, data, key="k", value="v") == 6
    found = sorted((r.key, r.value) for r in read_all(target, topic, 6 * len(many)))
    assert found == sorted([(k.encode(), v.encode()) for k, v in zip("012345", "abcdef", strict=True)] * len(many))


def test_nothing_to_send(broker: headwater.Broker, topic: str) -> None:
    table = every_column()
    assert send(broker, topic, table.slice(0, 0), value="v") == 0
    assert send(broker, topic, table.schema.empty_table(), key="k") == 0
    assert send(broker, topic, pa.RecordBatchReader.from_batches(table.schema, []), value="v") == 0
    with headwater.Consumer(broker) as consumer:
        ends = consumer.end_offsets([headwater.TopicPartition(topic, p) for p in range(3)])
    assert set(ends.values()) == {0}


def test_rows_as_json(target: Target, topic: str, read_all: Read) -> None:
    table = keyed(
        i=pa.array([1, -2, None], pa.int64()),
        f=pa.array([0.1, 1e300, -0.0], pa.float64()),
        g=pa.array([1.5, None, 2.0], pa.float32()),
        b=pa.array([True, False, None]),
        s=pa.array(['"quoted" \\ \n\t\x01', "žluťoučký 🐎", ""]),
        e=pa.array(["x", None, "x"]).dictionary_encode(),
        l=pa.array([[1, None], [], None], pa.list_(pa.int8())),
        o=pa.array([{"a": 1, "b": {"c": ["x"]}}, {"a": None, "b": None}, None]),
        u=pa.array([2**64 - 1, 0, None], pa.uint64()),
        n=pa.nulls(3),
    )
    assert send(target, topic, table, key="k") == 3

    def without_nulls(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without_nulls(part) for name, part in value.items() if part is not None}
        return value

    rows = table.drop_columns("k").to_pylist()
    assert values(target, topic, 3, read_all) == [json.loads(json.dumps(without_nulls(row))) for row in rows]


def test_json_is_one_line_in_the_order_of_the_columns(broker: headwater.Broker, topic: str, read_all: Read) -> None:
    table = pa.table({"z": [1], "a": ["x"], "p": [0], "m": pa.array([None], pa.int8()), "l": [[1, 2]]})
    send(broker, topic, table, partition="p")
    assert read_all(broker, topic, 1)[0].value == b'{"z":1,"a":"x","l":[1,2]}'


def test_times_decimals_bytes_and_maps_in_json(broker: headwater.Broker, topic: str, read_all: Read) -> None:
    moment = dt.datetime(2026, 3, 4, 5, 6, 7, 89_000)
    table = keyed(
        date=pa.array([dt.date(2026, 3, 4)]),
        date64=pa.array([dt.date(2026, 3, 4)], pa.date64()),
        time=pa.array([dt.time(5, 6, 7)], pa.time32("s")),
        micros=pa.array([dt.time(5, 6, 7, 8)], pa.time64("us")),
        local=pa.array([moment], pa.timestamp("us")),
        second=pa.array([moment], pa.timestamp("us")).cast(pa.timestamp("s"), safe=False),
        utc=pa.array([moment], pa.timestamp("ms", "UTC")),
        zone=pa.array([moment], pa.timestamp("ns", "Europe/Berlin")),
        decimal=pa.array([decimal.Decimal("-12345678901234567890.10")], pa.decimal128(38, 2)),
        small=pa.array([decimal.Decimal("0.05")], pa.decimal128(5, 2)),
        data=pa.array([b"\x00\xff?"]),
        fixed=pa.array([b"ab"], pa.binary(2)),
        views=pa.array([b""], pa.binary_view()),
        map=pa.array([[("a", 1), ("b", None)]], pa.map_(pa.string(), pa.int32())),
        list=pa.array([[b"x", None]], pa.list_(pa.binary())),
        days=pa.array([[dt.date(1970, 1, 1)]]),
    )
    send(broker, topic, table, key="k")
    text = read_all(broker, topic, 1)[0].value.decode()
    assert '"decimal":-12345678901234567890.10,"small":0.05' in text
    row = json.loads(text)
    del row["decimal"], row["small"]
    assert row == {
        "date": "2026-03-04",
        "date64": "2026-03-04",
        "time": "05:06:07",
        "micros": "05:06:07.000008",
        "local": "2026-03-04T05:06:07.089",
        "second": "2026-03-04T05:06:07",
        "utc": "2026-03-04T05:06:07.089Z",
        "zone": "2026-03-04T05:06:07.089Z",
        "data": base64.b64encode(b"\x00\xff?").decode(),
        "fixed": "YWI=",
        "views": "",
        "map": {"a": 1, "b": None},
        "list": ["eA==", None],
        "days": ["1970-01-01"],
    }


def test_numbers_that_json_lacks(broker: headwater.Broker, topic: str, read_all: Read) -> None:
    odd = [math.nan, math.inf, -math.inf, 1.5]
    send(broker, topic, keyed(x=pa.array(odd), y=pa.array(odd, pa.float32())), key="k")
    assert values(broker, topic, 4, read_all) == [
        {"x": "NaN", "y": "NaN"},
        {"x": "Infinity", "y": "Infinity"},
        {"x": "-Infinity", "y": "-Infinity"},
        {"x": 1.5, "y": 1.5},
    ]


def test_a_value_of_any_type(broker: headwater.Broker, topic: str, read_all: Read) -> None:
    table = keyed(
        struct=pa.array([{"a": 1}, None, {"a": None}]),
        number=pa.array([1.5, None, 2.0]),
        list=pa.array([["x"], None, []]),
        text=pa.array(["plain", None, '"']),
        entry=pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["x", None])),
        nothing=pa.nulls(3),
    )
    expected: dict[str, list[Any]] = {
        "struct": [{"a": 1}, None, {}],
        "number": [1.5, None, 2.0],
        "list": [["x"], None, []],
        "text": ["plain", None, '"'],
        "entry": ["x", None, None],
        "nothing": [None, None, None],
    }
    admin = headwater.Admin(broker)
    for column, rows in expected.items():
        admin.create_topic(f"{topic}-{column}", partitions=1)
        send(broker, f"{topic}-{column}", table, key="k", value=column, value_format="json")
        assert values(broker, f"{topic}-{column}", 3, read_all) == rows, column
    # Without the format, text is sent as it is.
    send(broker, topic, table, key="k", value="text")
    assert sorted(r.value or b"" for r in read_all(broker, topic, 3)) == [b"", b'"', b"plain"]


def test_keys_decide_as_with_produce(target: Target, topic: str, read_all: Read) -> None:
    keys = [f"key-{n}" for n in range(500)]
    send(target, topic, pa.table({"k": keys, "v": keys}), key="k", value="v")
    by_table = {r.key: r.partition for r in read_all(target, topic, 500)}
    with headwater.Producer(target) as producer:
        sent = {key.encode(): producer.send(topic, key=key) for key in keys}
        producer.flush()
    assert by_table == {key: delivery.result(10).partition for key, delivery in sent.items()}
    assert set(by_table.values()) == {0, 1, 2}


def test_rows_name_their_topics(target: Target, broker: headwater.Broker, topic: str, read_all: Read) -> None:
    names = [f"{topic}-{letter}" for letter in "abc"]
    for name in names:
        headwater.Admin(broker).create_topic(name, partitions=1)
    column = pa.array([names[n % 3] for n in range(300)])
    for kind in (column, column.cast(pa.large_string()), column.dictionary_encode()):
        assert send(target, None, pa.table({"topic": kind, "v": [f"{n}" for n in range(300)]}), value="v") == 300
    for number, name in enumerate(names):
        assert [int(r.value) for r in read_all(target, name, 300)] == list(range(number, 300, 3)) * 3
    # With a name the column is one like the others.
    send(target, topic, pa.table({"topic": ["elsewhere"]}))
    assert json.loads(read_all(target, topic, 1)[0].value) == {"topic": "elsewhere"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"key": "kye"}, r"key: there is no column `kye`; the data has `k`, `v`, `h`, `p`, `t`"),
        ({"value": "x"}, r"value: there is no column `x`"),
        ({"key": "p"}, r"key: column `p` has type Int32, expected a string or binary type"),
        ({"headers": "k"}, r"headers: column `k` has type Binary, expected list<struct<key: string, value: binary>>"),
        ({"partition": "t"}, r"partition: column `t` has type Timestamp.*, expected an integer type"),
        ({"timestamp": "p"}, r"timestamp: column `p` has type Int32, expected a timestamp type, or int64"),
        ({"value_format": "avro"}, r"value_format expects \"json\" or None, got \"avro\""),
    ],
)
def test_wrong_columns(broker: headwater.Broker, topic: str, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(headwater.MisuseError, match=message):
        send(broker, topic, every_column(), **columns)


def test_wrong_tables(broker: headwater.Broker, topic: str) -> None:
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["k", "k"])
    with pytest.raises(headwater.MisuseError, match="key: the data has more than one column `k`"):
        send(broker, topic, twice, key="k")
    with pytest.raises(headwater.MisuseError, match="value: the data has more than one column `k`"):
        send(broker, topic, twice)
    with pytest.raises(headwater.MisuseError, match="no column is left for the value: each of `k` has another role"):
        send(broker, topic, pa.table({"k": ["a"]}), key="k")
    with pytest.raises(headwater.MisuseError, match="topic is None, and the data has no column `topic`; it has `k`"):
        send(broker, None, pa.table({"k": ["a"]}))
    with pytest.raises(headwater.MisuseError, match="topic: column `topic` has type Binary, expected a string type"):
        send(broker, None, pa.table({"topic": [b"a"]}))
    numbers = pa.array([[(1, "a")]], pa.map_(pa.int32(), pa.string()))
    with pytest.raises(headwater.MisuseError, match=r"column `m` cannot be written as JSON: the keys of a map must be"):
        send(broker, topic, pa.table({"m": numbers}))
    for data, reason in (
        ({"k": ["a"]}, "dict has neither"),
        (pa.array([1]), "Int64"),
        (pl.Series([1]), "Series is no stream"),
    ):
        with pytest.raises(headwater.MisuseError, match=f"data expects a table.*{reason}"):
            send(broker, topic, data)


SECOND_FAILS: dict[str, tuple[pa.Table, dict[str, str], str]] = {
    "topic": (
        pa.table({"topic": pa.array([None, None], pa.string()), "v": ["a", "b"]}),
        {},
        "column `topic` is null, expected the name of a topic",
    ),
    "partition": (
        pa.table({"p": pa.array([0, 3], pa.int8()), "v": ["a", "b"]}),
        {"partition": "p"},
        "has 3 partitions, there is no partition 3",
    ),
    "negative partition": (
        pa.table({"p": pa.array([0, -1], pa.int8()), "v": ["a", "b"]}),
        {"partition": "p"},
        "column `p` is -1, expected the number of a partition, or null",
    ),
    "huge partition": (
        pa.table({"p": pa.array([0, 2**64 - 1], pa.uint64()), "v": ["a", "b"]}),
        {"partition": "p"},
        "expected the number of a partition, or null",
    ),
    "timestamp": (
        pa.table({"t": pa.array([1, -5], pa.timestamp("us")), "v": ["a", "b"]}),
        {"timestamp": "t"},
        "column `t` is -5 µs, expected a moment from 1970 on, or null",
    ),
    "huge timestamp": (
        pa.table({"t": pa.array([1, 2**62], pa.timestamp("s")), "v": ["a", "b"]}),
        {"timestamp": "t"},
        "expected a moment from 1970 on, or null",
    ),
    "header": (
        pa.table({"h": pa.array([[], [(None, b"x")]], HEADERS), "v": ["a", "b"]}),
        {"headers": "h"},
        "column `h` has a header whose key is null, expected text",
    ),
    "size": (
        pa.table({"v": ["a", "b" * 2_000_000]}),
        {},
        r"bytes, more than max.request.size=1048576",
    ),
    "calendar": (
        pa.table({"v": pa.array([{"when": 0}, {"when": 2**62}], pa.struct([("when", pa.timestamp("s"))]))}),
        {},
        "column `when` is 4611686018427387904, no Timestamp.* of the calendar",
    ),
}


@pytest.mark.parametrize("case", SECOND_FAILS)
def test_a_row_that_fails_is_named(broker: headwater.Broker, topic: str, read_all: Read, case: str) -> None:
    table, columns, message = SECOND_FAILS[case]
    by_row = "topic" in table.schema.names
    if by_row:
        table = table.set_column(0, "topic", pa.array([topic, None]))
    with headwater.Producer(broker) as producer:
        with pytest.raises(headwater.MisuseError, match=rf"^row 1: .*{message}.* \(the row before it was sent\)$"):
            producer.send_arrow(None if by_row else topic, table, value="v", **columns)
        producer.produce(topic, "after", partition=0)
    # The first row and what was sent later; nothing of the second.
    found = [record.value for record in read_all(broker, topic, 2)]
    assert len(found) == 2
    assert b"after" in found


def test_rows_are_counted_over_batches(broker: headwater.Broker, topic: str) -> None:
    table = pa.table({"v": ["x"] * 25_000, "p": pa.array([0] * 24_321 + [9] + [0] * 678)})
    with headwater.Producer(broker) as producer:
        with pytest.raises(headwater.MisuseError, match=r"^row 24321: .*\(the 24321 rows before it were sent\)$"):
            producer.send_arrow(topic, table.to_reader(1_000), value="v", partition="p")
        producer.flush()
    assert pa.table(headwater.scan(topic, broker, columns=["offset"])).num_rows == 24_321


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (
            OSError("the disk is gone"),
            headwater.MisuseError,
            r"^the data cannot be read from row 10 on: .*the disk is gone\. \(the 10 rows before it were sent\)$",
        ),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ],
    ids=["error", "ctrl-c"],
)
def test_data_that_ends_in_an_error(
    broker: headwater.Broker, topic: str, error: BaseException, raised: type[BaseException], message: str
) -> None:
    table = pa.table({"v": ["x"] * 10})

    def batches() -> Iterator[pa.RecordBatch]:
        yield table.to_batches()[0]
        raise error

    reader = pa.RecordBatchReader.from_batches(table.schema, batches())
    with headwater.Producer(broker) as producer, pytest.raises(raised, match=message):
        producer.send_arrow(topic, reader, value="v")
    assert pa.table(headwater.scan(topic, broker, columns=["offset"])).num_rows == 10


def test_an_unknown_topic(broker: headwater.Broker) -> None:
    with (
        headwater.Producer(broker) as producer,
        pytest.raises(headwater.HeadwaterError, match=r"^row 0: .* \(nothing was sent\)$"),
    ):
        producer.send_arrow("no such topic", pa.table({"v": ["x"]}), value="v")
    with pytest.raises(headwater.ClosedError):
        producer.send_arrow("t", pa.table({"v": ["x"]}), value="v")


def test_serializers_are_not_applied(broker: headwater.Broker, topic: str, read_all: Read) -> None:
    def fail(_: Any) -> bytes:
        raise AssertionError

    with headwater.Producer(broker, key_serializer=fail, value_serializer=fail) as producer:
        producer.send_arrow(topic, pa.table({"k": ["a"], "v": ["b"]}), key="k", value="v")
    assert [(r.key, r.value) for r in read_all(broker, topic, 1)] == [(b"a", b"b")]


def test_more_than_the_buffer_holds(target: Target, topic: str) -> None:
    rows = 200_000
    table = pa.table({"k": pc.cast(pa.array(range(rows)), pa.string()), "v": ["x" * 100] * rows})
    with headwater.Producer(target, buffer_memory=65_536, batch_size=8_192) as producer:
        assert producer.send_arrow(topic, table, key="k", value="v") == rows
        assert producer.buffered_bytes <= 65_536
    keys = pa.table(headwater.scan(topic, target, columns=["key"]))["key"]
    assert pc.count_distinct(keys).as_py() == rows == len(keys)


def test_nobody_answers(topic: str) -> None:
    with headwater.Producer("127.0.0.1:1", max_block_ms=100) as producer:
        with pytest.raises(headwater.HeadwaterError, match=r"^row 0: .* \(nothing was sent\)$") as caught:
            producer.send_arrow(topic, pa.table({"v": ["x"]}), value="v")
        assert caught.value.retriable


def test_callbacks_run_meanwhile(broker: headwater.Broker, topic: str) -> None:
    reports: list[object] = []
    with headwater.Producer(broker, buffer_memory=65_536, batch_size=8_192, linger_ms=0) as producer:
        producer.produce(topic, b"first", on_delivery=lambda error, metadata: reports.append(error))
        producer.send_arrow(topic, pa.table({"v": ["x" * 100] * 5_000}), value="v")
        assert reports == [None]


def test_a_callback_that_raises_ends_it(broker: headwater.Broker, topic: str) -> None:
    def fail(error: object, metadata: object) -> None:
        raise ZeroDivisionError

    with headwater.Producer(broker, buffer_memory=65_536, batch_size=8_192, linger_ms=0) as producer:
        producer.produce(topic, b"first", on_delivery=fail)
        with pytest.raises(ZeroDivisionError) as caught:
            producer.send_arrow(topic, pa.table({"v": ["x" * 100] * 5_000}), value="v")
    (note,) = getattr(caught.value, "__notes__", ["row 1 (the row before it was sent)"])
    assert re.fullmatch(r"row \d+ \((the (\d+ rows|row) before it (were|was) sent|nothing was sent)\)", note)


def interrupted(code: str) -> subprocess.CompletedProcess[str]:
    """Runs code that says `ready` when Ctrl-C should come."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def test_ctrl_c_while_there_is_no_room() -> None:
    done = interrupted(
        """
        import headwater, pyarrow as pa, socket
        # Accepts, and never answers.
        deaf = socket.create_server(("127.0.0.1", 0))
        producer = headwater.Producer(f"127.0.0.1:{deaf.getsockname()[1]}", max_block_ms=600_000)
        try:
            print("ready", flush=True)
            producer.send_arrow("t", pa.table({"v": ["x"]}), value="v")
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert done.stdout == "interrupted\n"


def test_ctrl_c_while_rows_flow() -> None:
    done = interrupted(
        """
        import headwater, pyarrow as pa
        batch = pa.record_batch({"v": ["x" * 10] * 1_000})
        def endless():
            for number in range(1 << 62):
                if number == 10:
                    print("ready", flush=True)
                yield batch
        with headwater.Broker(listen=None) as broker:
            headwater.Admin(broker).create_topic("t", config={"retention.bytes": "1000000"})
            with headwater.Producer(broker) as producer:
                try:
                    producer.send_arrow("t", pa.RecordBatchReader.from_batches(batch.schema, endless()), value="v")
                except KeyboardInterrupt:
                    print("interrupted")
        """
    )
    assert done.stdout == "interrupted\n"
