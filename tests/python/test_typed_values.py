"""Values with types: JSON values as columns of scans, polls and exports."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import headwater
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

Target = headwater.Broker | str
UTC = dt.timezone.utc
COUNT = 3_000
DDL = "carrier string, delay long, distance double, cancelled boolean, departure timestamp"


def flight(n: int) -> dict[str, Any]:
    departure = dt.datetime(2013, 1, 1, tzinfo=UTC) + dt.timedelta(minutes=n)
    event = {
        "carrier": ["UA", "DL", "Ä"][n % 3],
        "delay": n - 100,
        "distance": n / 4,
        "cancelled": n % 11 == 0,
        "departure": departure.isoformat(),
        "legs": [{"from": "JFK", "to": "LAX"}] * (n // 3 % 3),
    }
    if n % 13 == 0:
        del event["delay"]
    return event


@pytest.fixture
def flights(broker: headwater.Broker, topic: str) -> str:
    with headwater.Producer(broker, compression_type="lz4", linger_ms=1) as producer:
        for n in range(COUNT):
            producer.produce(topic, json.dumps(flight(n)), key=f"{n}", partition=n % 3, timestamp=1_000_000 + n)
    return topic


def fill(broker: headwater.Broker, topic: str, values: list[bytes | str | None], partition: int = 0) -> None:
    with headwater.Producer(broker) as producer:
        for n, value in enumerate(values):
            producer.produce(topic, value, partition=partition, timestamp=1_000_000 + n)


def expected(fields: list[str]) -> list[dict[str, Any]]:
    rows = []
    for n in range(COUNT):
        event = flight(n)
        event["departure"] = dt.datetime.fromisoformat(event["departure"])
        rows.append({field: event.get(field) for field in fields})
    return rows


def by_time(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.sort_by("timestamp").to_pylist()
    return rows


SCHEMAS = {
    "ddl": DDL,
    "struct": "struct<carrier: string, delay: bigint, distance: double, cancelled: bool, departure: timestamp>",
    "mapping": {
        "carrier": "string",
        "delay": "int64",
        "distance": "float64",
        "cancelled": pa.bool_(),
        "departure": "timestamp[us, tz=UTC]",
    },
    "arrow": pa.schema(
        [
            pa.field("carrier", pa.string(), nullable=False),
            ("delay", pa.int64()),
            ("distance", pa.float64()),
            ("cancelled", pa.bool_()),
            ("departure", pa.timestamp("us", "UTC")),
        ]
    ),
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_typed_columns_stand_in_the_place_of_the_value(target: Target, flights: str, schema: Any) -> None:
    table = pa.table(headwater.scan(flights, target, value_format="json", value_schema=schema))
    fields = ["carrier", "delay", "distance", "cancelled", "departure"]
    assert table.schema.names == [
        "key",
        *fields,
        "topic",
        "partition",
        "offset",
        "timestamp",
        "timestamp_type",
        "headers",
    ]
    assert [table.schema.field(name).type for name in fields] == [
        pa.string(),
        pa.int64(),
        pa.float64(),
        pa.bool_(),
        pa.timestamp("us", "UTC"),
    ]
    rows = by_time(table)
    assert [{name: row[name] for name in fields} for row in rows] == expected(fields)
    assert [row["key"] for row in rows] == [f"{n}".encode() for n in range(COUNT)]


def test_the_schema_is_inferred_and_said_once(target: Target, flights: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema = headwater.infer_schema(flights, target)
    ddl = (
        "carrier string, distance double, cancelled boolean, departure string, "
        "legs array<struct<from: string, to: string>>, delay long"
    )
    # The first record of the first partition lacks the delay, which is therefore seen last.
    assert str(schema) == ddl
    assert schema.names[-1] == "delay"
    assert (schema.records, schema.bad_records) == (1000, 0)
    assert schema == headwater.infer_schema(flights, target, sample=1000)
    assert "<td>carrier</td><td>string</td>" in schema._repr_html_()
    assert "array&lt;struct" in schema._repr_html_()
    assert pa.schema(schema).field("delay").type == pa.int64()
    assert capsys.readouterr().err == ""

    scan = headwater.scan(flights, target, value_format="json")
    assert capsys.readouterr().err == ""
    rows = by_time(pa.table(scan))
    assert pa.table(scan).num_rows == COUNT
    said = capsys.readouterr().err
    assert said == f"headwater: value schema of {flights}, from 1000 records: {schema}\n"
    assert [row["legs"] for row in rows] == [flight(n)["legs"] for n in range(COUNT)]
    for given in (schema, str(schema)):
        again = pa.table(headwater.scan(flights, target, value_format="json", value_schema=given))
        assert by_time(again) == rows
    assert capsys.readouterr().err == ""


def test_nested_types(broker: headwater.Broker, target: Target, topic: str) -> None:
    ddl = (
        "price decimal(10,2), day date, raw binary, tags array<string>, by_hour map<string, int>, "
        "plane struct<tail: string, seats: array<struct<row: int, letter: string>>>, anything string, at timestamp_ntz"
    )
    value = {
        "price": 12.345,
        "day": "2013-07-01",
        "raw": "aGVhZHdhdGVy",
        "tags": ["a", None, "ü"],
        "by_hour": {"7": 1, "8": 2.0},
        "plane": {"tail": "N1", "seats": [{"row": 1}, {"letter": "B", "extra": [[[]]]}]},
        "anything": {"x": [1, "\n", None, True]},
        "at": "2013-07-01T10:20:30.5",
        "unknown": {"deep": [1, 2, 3]},
    }
    fill(broker, topic, [json.dumps(value), "{}", json.dumps(dict.fromkeys(value))])
    table = pa.table(headwater.scan(topic, target, value_format="json", value_schema=ddl, columns=["value"]))
    first, empty, nulls = table.to_pylist()
    assert first == {
        "price": Decimal("12.35"),
        "day": dt.date(2013, 7, 1),
        "raw": b"headwater",
        "tags": ["a", None, "ü"],
        "by_hour": [("7", 1), ("8", 2)],
        "plane": {"tail": "N1", "seats": [{"row": 1, "letter": None}, {"row": None, "letter": "B"}]},
        "anything": '{"x":[1,"\\n",null,true]}',
        "at": dt.datetime(2013, 7, 1, 10, 20, 30, 500_000),
    }
    assert set(empty.values()) == set(nulls.values()) == {None}


def test_names_that_records_have_get_a_prefix(broker: headwater.Broker, target: Target, topic: str) -> None:
    fields = ["key", "value", "offset", "value_error", "value_key", "delay"]
    fill(broker, topic, [json.dumps({name: name.upper() for name in fields})])
    options: dict[str, Any] = {"value_format": "json", "value_schema": dict.fromkeys(fields, "string")}
    scan = headwater.scan(topic, target, bad_rows="column", **options)
    typed = ["value_value_key", "value_value", "value_offset", "value_value_error", "value_key", "delay"]
    assert scan.columns[1:8] == [*typed, "value_error"]
    (row,) = pa.table(scan).to_pylist()
    assert [row[name] for name in typed] == [name.upper() for name in fields]
    assert (row["key"], row["offset"], row["value_error"]) == (None, 0, None)


GOOD = '{"carrier": "UA", "delay": 1}'
BAD = {
    "not json": "delay=1",
    "empty": "",
    "null": "null",
    "array": "[]",
    "number": "1",
    "truncated": '{"carrier": "UA", "delay": 1',
    "two objects": GOOD + GOOD,
    "rest": GOOD + " x",
    "twice": '{"delay": 1, "delay": 2}',
    "not utf-8": b'{"carrier": "\xff"}',
    "text for a number": '{"delay": "soon"}',
    "digits as text": '{"delay": "1"}',
    "fraction": '{"delay": 1.5}',
    "too large": '{"delay": 9223372036854775808}',
    "object for a number": '{"delay": {"minutes": 1}}',
    "depth bomb": '{"delay": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "ignored depth bomb": '{"other": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_row_fails_with_its_place(broker: headwater.Broker, target: Target, topic: str, bad: str | bytes) -> None:
    fill(broker, topic, [GOOD, None, GOOD, bad, GOOD, bad], partition=2)
    scan = headwater.scan(topic, target, value_format="json", value_schema="carrier string, delay long")
    # Arrow's C interface carries the text of an error.
    with pytest.raises(Exception, match=f"{topic}-2: the value at offset 3 is bad: ") as caught:
        pa.table(scan)
    assert len(str(caught.value)) < 700
    before = headwater.scan(topic, target, end=3, value_format="json", value_schema="carrier string, delay long")
    assert pa.table(before).column("delay").to_pylist() == [1, None, 1]


def test_bad_rows_as_a_column(broker: headwater.Broker, target: Target, topic: str) -> None:
    bad = list(BAD.values())
    values: list[str | bytes | None] = [None]
    for value in bad:
        values += [GOOD, value]
    fill(broker, topic, values)
    scan = headwater.scan(
        topic, target, value_format="json", value_schema="carrier string, delay long", bad_rows="column"
    )
    table = pa.table(scan)
    assert table.schema.names[1:4] == ["carrier", "delay", "value_error"]
    rows = table.select(["carrier", "delay", "value_error", "offset"]).to_pylist()
    assert rows[0] == {"carrier": None, "delay": None, "value_error": None, "offset": 0}
    assert rows[1::2] == [
        {"carrier": "UA", "delay": 1, "value_error": None, "offset": 1 + 2 * n} for n in range(len(bad))
    ]
    for name, row in zip(BAD, rows[2::2], strict=True):
        assert (row["carrier"], row["delay"]) == (None, None), name
        assert row["value_error"], name
    reasons = dict(zip(BAD, (row["value_error"] for row in rows[2::2]), strict=True))
    assert reasons["fraction"] == "field `delay`: expected long, got 1.5"
    assert reasons["text for a number"] == 'field `delay`: expected long, got "soon"'
    assert "trailing characters" in reasons["two objects"]
    assert "`delay` occurs twice" in reasons["twice"]


def test_only_what_is_asked_for_is_decoded(broker: headwater.Broker, target: Target, topic: str) -> None:
    fill(broker, topic, ['{"a": 1, "b": "x"}', '{"a": 2, "b": 3}', "not json"])
    options: dict[str, Any] = {"value_format": "json", "value_schema": "a long, b boolean", "end": 2}
    read = pa.table(headwater.scan(topic, target, columns=["offset", "a"], **options))
    assert read.to_pylist() == [{"offset": 0, "a": 1}, {"offset": 1, "a": 2}]
    with pytest.raises(Exception, match="offset 0 is bad: field `b`: expected boolean"):
        pa.table(headwater.scan(topic, target, columns=["b"], **options))
    # No typed column: the values are not even parsed.
    options["end"] = None
    assert pa.table(headwater.scan(topic, target, columns=["offset"], **options)).num_rows == 3
    with pytest.raises(Exception, match="offset 2 is bad: not one JSON object"):
        pa.table(headwater.scan(topic, target, columns=["a"], **options))
    errors = pa.table(headwater.scan(topic, target, columns=["value_error"], bad_rows="column", **options))
    assert [bool(error) for error in errors.column("value_error").to_pylist()] == [True, True, True]
    with pytest.raises(headwater.MisuseError, match=r"unknown column `c`; expected some of key, a, b, topic"):
        headwater.scan(topic, target, columns=["c"], **options)


def test_ranges_by_offset_and_time(target: Target, flights: str) -> None:
    options: dict[str, Any] = {"value_format": "json", "value_schema": "delay long", "columns": ["offset", "delay"]}
    some = pa.table(headwater.scan(flights, target, start=10, end=13, partitions=[1], **options))
    assert some.to_pylist() == [{"offset": o, "delay": flight(3 * o + 1).get("delay")} for o in (10, 11, 12)]
    start = dt.datetime.fromtimestamp(1_000 + 2.995, UTC)
    late = pa.table(headwater.scan(flights, target, start=start, batch_size=2, **options))
    assert sorted(late.column("delay").to_pylist()) == [2895, 2896, 2897, 2898, 2899]


def test_a_stopped_brokers_directory(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path / "data", listen=None) as broker:
        headwater.Admin(broker).create_topic("t", partitions=1)
        fill(broker, "t", ['{"a": 1}', '{"a": 2}'])
    table = pa.table(headwater.scan("t", tmp_path / "data", value_format="json", value_schema="a int"))
    assert table.column("a").to_pylist() == [1, 2]
    assert str(headwater.infer_schema("t", tmp_path / "data")) == "a long"


def test_other_readers(flights: str, broker: headwater.Broker) -> None:
    scan = headwater.scan(flights, broker, value_format="json", value_schema=DDL, columns=["delay", "carrier"])
    frame = pl.DataFrame(scan)
    assert frame.schema == {"delay": pl.Int64, "carrier": pl.String}
    assert frame["delay"].sum() == sum(flight(n).get("delay", 0) for n in range(COUNT))


def test_microseconds_on_request(target: Target, flights: str) -> None:
    """What Spark needs, exactly: timestamps in microseconds, strings and binary neither large nor views."""
    columns = ["key", "topic", "timestamp", "departure", "carrier"]
    wanted = pa.schema(
        [
            ("key", pa.binary()),
            ("topic", pa.string()),
            ("timestamp", pa.timestamp("us", "UTC")),
            ("departure", pa.timestamp("us", "UTC")),
            ("carrier", pa.string()),
        ]
    )
    scan = headwater.scan(flights, target, value_format="json", value_schema=DDL, columns=columns)
    reader = pa.RecordBatchReader.from_stream(scan, schema=wanted)
    assert reader.schema.types == wanted.types
    table = reader.read_all()
    assert sorted(table.column("timestamp").cast(pa.int64()).to_pylist()) == [
        1000 * (1_000_000 + n) for n in range(COUNT)
    ]


def test_requests_of_a_poll(target: Target, flights: str) -> None:
    wanted = pa.schema([("timestamp", pa.timestamp("us", "UTC")), ("topic", pa.large_string())])
    with headwater.Consumer(target, flights) as consumer:
        batch = consumer.poll_arrow(10, timeout=30, columns=["timestamp", "topic"])
        plain = pa.table(batch)
        reader = pa.RecordBatchReader.from_stream(batch, schema=wanted)
        assert reader.schema.types == wanted.types
        assert reader.read_all().column("timestamp").to_pylist() == plain.column("timestamp").to_pylist()


def test_polling_in_a_group(broker: headwater.Broker, target: Target, flights: str) -> None:
    options: dict[str, Any] = {"value_format": "json", "value_schema": DDL}
    with headwater.Consumer(target, [flights], group=flights, auto_offset_reset="earliest") as consumer:
        rows: list[dict[str, Any]] = []
        while len(rows) < COUNT:
            batch = pa.table(consumer.poll_arrow(700, timeout=30, **options))
            assert batch.num_rows, f"{len(rows)} rows"
            rows += batch.to_pylist()
        consumer.commit()
    rows.sort(key=lambda row: row["timestamp"])
    fields = ["carrier", "delay", "distance", "cancelled", "departure"]
    assert [{name: row[name] for name in fields} for row in rows] == expected(fields)


def test_a_bad_value_stays_in_front_of_a_poll(broker: headwater.Broker, target: Target, topic: str) -> None:
    fill(broker, topic, [GOOD, "bad", GOOD])
    options: dict[str, Any] = {"value_format": "json", "value_schema": "delay long", "columns": ["delay"]}
    with headwater.Consumer(target, topic) as consumer:
        for _ in range(2):
            with pytest.raises(headwater.CorruptRecordError, match=f"{topic}-0: the value at offset 1 is bad"):
                consumer.poll_arrow(timeout=30, **options)
        columns = ["delay", "value_error"]
        batch = consumer.poll_arrow(timeout=30, **{**options, "columns": columns}, bad_rows="column")
        assert pa.table(batch).column("delay").to_pylist() == [1, None, 1]


def test_polling_with_an_inferred_schema(
    broker: headwater.Broker, target: Target, topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(broker, topic, [None, '{"a": 1}', '{"a": 2, "b": "x"}', '{"a": 3, "c": 1}'])
    with headwater.Consumer(target, topic) as consumer:
        first = pa.table(consumer.poll_arrow(3, timeout=30, columns=["value"], value_format="json"))
        assert first.to_pylist() == [{"a": None, "b": None}, {"a": 1, "b": None}, {"a": 2, "b": "x"}]
        rest = pa.table(consumer.poll_arrow(timeout=30, columns=["value"], value_format="json"))
        assert rest.to_pylist() == [{"a": 3, "b": None}]
    assert capsys.readouterr().err == f"headwater: value schema of {topic}, from 3 records: a long, b string\n"


def test_export_and_read_back(target: Target, flights: str, tmp_path: Path) -> None:
    to = tmp_path / "flights.parquet"
    report = headwater.Admin(target).export(flights, to, value_format="json", value_schema=DDL, progress=False)
    assert report.records == COUNT
    table = ds.dataset(to, partitioning="hive").to_table()
    fields = ["carrier", "delay", "distance", "cancelled", "departure"]
    assert table.schema.names[:6] == ["key", *fields]
    assert [{name: row[name] for name in fields} for row in by_time(table)] == expected(fields)
    inferred = tmp_path / "inferred.parquet"
    columns = ["legs", "timestamp"]
    headwater.Admin(target).export(flights, inferred, value_format="json", columns=columns, progress=False)
    nested = ds.dataset(inferred).to_table()
    assert nested.schema.names == columns
    assert [row["legs"] for row in by_time(nested)] == [flight(n)["legs"] for n in range(COUNT)]


def test_export_of_bad_rows(broker: headwater.Broker, target: Target, topic: str, tmp_path: Path) -> None:
    fill(broker, topic, [GOOD, "bad", GOOD])
    to = tmp_path / "out.parquet"
    options: dict[str, Any] = {"value_format": "json", "value_schema": "delay long", "progress": False}
    with pytest.raises(headwater.CorruptRecordError, match=f"{topic}-0: the value at offset 1 is bad"):
        headwater.Admin(target).export(topic, to, **options)
    assert list(tmp_path.iterdir()) == []
    headwater.Admin(target).export(topic, to, bad_rows="column", **options)
    table = ds.dataset(to).to_table()
    assert table.column("delay").to_pylist() == [1, None, 1]
    assert table.column("value_error").is_null().to_pylist() == [True, False, True]


def test_settings_of_the_consumer(broker: headwater.Broker, flights: str) -> None:
    assert broker.bootstrap_servers is not None
    for config in ({"isolation_level": "read_committed"}, {"isolation.level": "read_committed", "client.id": "s"}):
        for target in (broker, broker.bootstrap_servers):
            assert pa.table(headwater.scan(flights, target, config=config, columns=["offset"])).num_rows == COUNT
    with pytest.raises(headwater.ConfigError, match=r"unknown setting isolation\.levle"):
        headwater.scan(flights, broker, config={"isolation.levle": "read_committed"})
    with pytest.raises(headwater.MisuseError, match="a scan belongs to no group"):
        headwater.scan(flights, broker, config={"group_id": "g"})
    with pytest.raises(headwater.MisuseError, match="config expects a mapping"):
        headwater.scan(flights, broker, config=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value_schema": "a long"}, 'value_schema needs value_format="json"'),
        ({"bad_rows": "column"}, 'bad_rows needs value_format="json"'),
        ({"value_format": "avro"}, 'value_format expects "json" or None, got "avro"'),
        ({"value_format": "json", "bad_rows": "skip"}, 'bad_rows expects "fail" or "column", got "skip"'),
        ({"value_format": "json", "sample": 0}, "sample expects a number of records ≥ 1"),
        ({"value_format": "json", "value_schema": ""}, "the value schema has no fields"),
        ({"value_format": "json", "value_schema": "a"}, "expected the name of a type at the end"),
        ({"value_format": "json", "value_schema": "a number"}, "unknown type `number` at character 3"),
        ({"value_format": "json", "value_schema": "a int, a long"}, "names field `a` twice"),
        ({"value_format": "json", "value_schema": 3}, "value_schema expects a str"),
        ({"value_format": "json", "value_schema": {"a": 3}}, 'field "a": expects the name of a type as str, got int'),
        ({"value_format": "json", "value_schema": {"a": "x"}}, 'field "a": unknown type `x`'),
        (
            {"value_format": "json", "value_schema": pa.schema([("s", pa.struct([("t", pa.duration("s"))]))])},
            r"field `s\.t` has type Duration\(s\), which is not read from JSON; expected boolean",
        ),
    ],
)
def test_wrong_options_say_what_is_expected(
    broker: headwater.Broker, flights: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(headwater.MisuseError, match=message):
        headwater.scan(flights, broker, **options)


def test_nothing_to_infer_from(broker: headwater.Broker, target: Target, topic: str) -> None:
    with pytest.raises(headwater.CorruptRecordError, match="none of the first 0 records has a value that is a JSON"):
        headwater.infer_schema(topic, target)
    fill(broker, topic, ["text", None, "[1]", "{}"])
    with pytest.raises(headwater.CorruptRecordError, match="none of the first 4 records"):
        pa.table(headwater.scan(topic, target, value_format="json"))
    fill(broker, topic, ['{"a": 1}'])
    schema = headwater.infer_schema(topic, target)
    assert (str(schema), schema.records, schema.bad_records) == ("a long", 5, 2)
