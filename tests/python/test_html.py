"""What notebooks show: escaped, cut with the length told, well formed, and written by the objects themselves."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import headwater
import pytest
from headwater import _html

SCRIPT = "<script>alert('x') & \"more\"</script>"


def shown(thing: object) -> str:
    """The HTML of an object, whose elements must nest and close."""
    html = thing._repr_html_()  # type: ignore[attr-defined]
    assert isinstance(html, str)
    ET.fromstring(html)
    assert "<script" not in html.lower()
    return html


def text(html: str) -> str:
    return " ".join(part.strip() for part in ET.fromstring(html).itertext() if part.strip())


def cells(html: str) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in ET.fromstring(html).iter("tr")]


@pytest.fixture
def records(broker: headwater.Broker, topic: str) -> headwater.Records:
    with headwater.Producer(broker) as producer:
        producer.produce(topic, SCRIPT, key=SCRIPT, headers=[(SCRIPT, SCRIPT)], partition=0, timestamp=0)
        producer.produce(topic, b"\xff\x00\x01", partition=0, timestamp=1_700_000_000_123)
        producer.produce(topic, None, key="k", partition=0, timestamp=1_700_000_000_124)
    return headwater.Topic(topic, broker).head(3)


def test_records_are_a_table_and_escaped(records: headwater.Records) -> None:
    html = shown(records)
    assert "&lt;script&gt;" in html
    head, first, second, third = cells(html)
    assert head == ["partition", "offset", "timestamp", "key", "value", "headers"]
    assert first == ["0", "0", "1970-01-01T00:00:00.000Z", SCRIPT, SCRIPT, f"{SCRIPT}: {SCRIPT}"]
    assert second == ["0", "1", "2023-11-14T22:13:20.123Z", "None", "0xff0001", ""]
    assert third[3:5] == ["k", "None"]
    assert text(html).startswith("3 records")


def test_one_record_and_where_it_went(broker: headwater.Broker, records: headwater.Records) -> None:
    rows = dict(row[:2] for row in cells(shown(records[0])))
    assert rows["value"] == SCRIPT
    assert rows[f"header {SCRIPT}"] == SCRIPT
    with headwater.Producer(broker) as producer:
        metadata = producer.send(records[0].topic, "v", partition=0, timestamp=0).result(30)
    assert ["offset", "3"] in cells(shown(metadata))
    assert ["timestamp", "1970-01-01T00:00:00.000Z"] in cells(shown(metadata))


def test_poll_returns_records_that_are_a_list(broker: headwater.Broker, topic: str) -> None:
    with headwater.Producer(broker) as producer:
        producer.produce_many(topic, [f"{n}" for n in range(120)], partition=0)
    with headwater.Consumer(broker, topic) as consumer:
        polled = consumer.poll(max_records=1_000, timeout=30)
        while len(polled) < 120:
            polled += consumer.poll(timeout=30)
        nothing = consumer.poll(timeout=0)
    assert isinstance(polled, list)
    assert isinstance(polled, headwater.Records)
    assert repr(polled[:1]) == f"[{polled[0]!r}]"
    html = shown(polled)
    assert len(cells(html)) == 1 + _html.SHOWN_ROWS
    assert "120 records" in text(html)
    assert nothing == []
    assert "0 records" in text(shown(nothing))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text", "text"),
        ("grüße 🚕".encode(), "grüße 🚕"),
        (b"", ""),
        (None, "None"),
        (b"\xfe" * 500, "0x" + "fe" * 60 + "… (500 bytes)"),
        (b"\xfe" * 60, "0x" + "fe" * 60),
        (b"a" * 122, "a" * 122),
        (b"a" * 123, "a" * 122 + "… (123 bytes)"),
        (b"a" * 5_000_000, "a" * 122 + "… (5,000,000 bytes)"),
        ("é".encode() * 50_000, "é" * 122 + "… (100,000 bytes)"),
        # The cut after 480 bytes goes through a character of three bytes with one before it.
        (b"a" + "€".encode() * 1_000, "a" + "€" * 121 + "… (3,001 bytes)"),
        (b"null\x00byte", "null\\x00byte"),
        ("\u202eevil".encode(), "\\u202eevil"),
        (b"cut in a character \xe2\x82", "0x" + b"cut in a character \xe2\x82".hex()),
        ({"a": 1}, "{'a': 1}"),
        ("x" * 1_000, "x" * 122 + "… (1,000 characters)"),
        (12345, "12345"),
        (SCRIPT, SCRIPT),
    ],
)
def test_keys_and_values(value: object, expected: str) -> None:
    cell = ET.fromstring(f"<td>{_html.data(value)}</td>")
    assert "".join(cell.itertext()) == expected


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-2, "1969-12-31T23:59:59.998Z"),
        (-1, "none"),
        (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
        (2**62, f"{2**62} ms"),
        (-(2**62), f"-{2**62} ms"),
    ],
)
def test_timestamps(timestamp: int, expected: str) -> None:
    assert _html.moment(timestamp) == expected


def test_brokers_and_topics(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path) as broker:
        assert "no topics yet" in text(shown(broker))
        headwater.Admin(broker).create_topic("orders", partitions=2)
        with headwater.Producer(broker) as producer:
            producer.produce_many("orders", ["v"] * 1_234)
        assert broker.bootstrap_servers is not None
        assert broker.bootstrap_servers in text(shown(broker))
        assert ["orders", "2", "1,234"] in cells(shown(broker))
        assert ["orders", "2", "1,234"] in cells(shown(broker.topics))
        topic = shown(broker.topics["orders"])
        assert "1,234 records" in text(topic)
        assert [row[:2] for row in cells(topic)] == [["partition", "start"], ["0", "0"], ["1", "0"]]
        described = shown(broker.topics["orders"].describe())
        assert "2 partitions" in text(described)
        assert len(cells(described)) == 3
        settings = cells(shown(broker.topics["orders"].config()))
        assert any(row[:2] == ["retention.ms", "604800000"] for row in settings)
        assert any(
            broker.bootstrap_servers in cell
            for row in cells(shown(headwater.Admin(broker).describe_cluster()))
            for cell in row
        )
        assert "does not exist" in text(shown(headwater.Topic(SCRIPT, broker)))
        kept = broker.topics
    assert "stopped" in text(shown(broker))
    assert "stopped" in text(shown(kept))
    assert "stopped" in text(shown(kept["orders"]))


def test_more_topics_than_are_shown(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path, listen=None) as broker:
        for n in range(_html.SHOWN_ROWS + 5):
            headwater.Admin(broker).create_topic(f"t{n:03}", partitions=1)
        html = shown(broker)
        assert len(cells(html)) == 1 + _html.SHOWN_ROWS
        assert f"{_html.SHOWN_ROWS + 5} rows, the first {_html.SHOWN_ROWS} are shown" in text(html)


def test_groups_members_and_lag(broker: headwater.Broker, topic: str) -> None:
    admin = headwater.Admin(broker)
    with headwater.Producer(broker) as producer:
        producer.produce_many(topic, ["v"] * 100, partition=0)
    group = f"readers of <b>{topic}"
    with headwater.Consumer(broker, topic, group=group, client_id="<i>me", enable_auto_commit=False) as consumer:
        while len(consumer.assignment()) < 3:
            consumer.poll(timeout=0.1)
        consumer.commit({(topic, 0): 60})
        described = admin.describe_group(group)
        html = shown(described)
        assert group in text(html)
        member = consumer.member_id
        assert member is not None
        assert [row[:2] for row in cells(html)][1:] == [[member, "<i>me"]]
        assert f"{topic}-0, {topic}-1, {topic}-2" in text(html)
        assert text(shown(described.members[0])).startswith(f"Member {member}")
        assert any(row[0] == group for row in cells(shown(admin.list_groups())))
        assert group in text(shown(next(found for found in admin.list_groups() if found.group == group)))
        lag = shown(admin.lag(group))
    assert "40 behind" in text(lag)
    rows = cells(lag)
    assert rows[0] == ["topic", "partition", "committed", "end", "lag", "read", "member"]
    assert rows[1] == [topic, "0", "60", "100", "40", "", member]
    assert rows[2] == [topic, "1", "-", "0", "-", "-", member]
    assert '<progress value="60" max="100"' in lag


def test_export_report(broker: headwater.Broker, records: headwater.Records, tmp_path: Path) -> None:
    report = headwater.Admin(broker).export(records[0].topic, tmp_path / "<out>", progress=False)
    html = shown(report)
    assert "3 records" in text(html)
    assert [row[0] for row in cells(html)][1:] == report.files
    assert "&lt;out&gt;" in html


def test_colours_are_those_of_the_page(records: headwater.Records) -> None:
    html = shown(records)
    for colour in re.findall(r"(?:color|background):([^;\"]+)", html):
        assert colour in {"inherit", "transparent"}
    assert not re.search(r"<(style|link|img|iframe)|\bon\w+=", html)
