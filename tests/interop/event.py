"""The events that the clients exchange: every corner that a Kafka record has."""

from __future__ import annotations

from typing import NamedTuple

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
BASE_TIMESTAMP_MS = 1_700_000_000_000


class Event(NamedTuple):
    """Ordered by fields; `timestamp_ms` is None where the producer cannot choose it."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int | None


def events(count: int = 60, *, null_headers: bool = True) -> list[Event]:
    """Null and empty keys and values, long values, headers twice with the same name, in order, null header values."""
    corners = [
        Event(None, b"no key", (), BASE_TIMESTAMP_MS - 5),
        Event(b"", b"empty key", (), BASE_TIMESTAMP_MS - 4),
        Event(b"tombstone", None, (), BASE_TIMESTAMP_MS - 3),
        Event(b"empty value", b"", (), BASE_TIMESTAMP_MS - 2),
        Event(
            b"headers",
            "Grüße, 世界".encode(),
            (
                ("trace", b"1"),
                ("trace", b"2"),
                ("other", b""),
                ("nothing", None if null_headers else b""),
                ("trace", bytes(range(256))),
            ),
            BASE_TIMESTAMP_MS - 1,
        ),
        Event(bytes(range(256)), bytes(reversed(range(256))) * 40, (), BASE_TIMESTAMP_MS),
    ]
    plain = [
        Event(
            f"key-{i % 7}".encode(),
            f'{{"number": {i}, "text": "{"headwater " * (i % 5)}"}}'.encode(),
            (),
            BASE_TIMESTAMP_MS + i,
        )
        for i in range(count)
    ]
    return corners + plain


def text_events(count: int = 40) -> list[Event]:
    """What a tool of the command line can say: text, one header set for all, the server's or client's clock."""
    headers = (("source", b"kcat"), ("source", b"again"))
    return [Event(f"key-{i % 5}".encode(), f"value {i} äöü".encode(), headers, None) for i in range(count)]


def comparable(event: Event, *, with_timestamp: bool) -> tuple[object, ...]:
    """A sort key and a value to compare, None before anything else."""
    fields: list[object] = [
        (event.key is not None, event.key or b""),
        (event.value is not None, event.value or b""),
        tuple((name, value is not None, value or b"") for name, value in event.headers),
    ]
    if with_timestamp:
        fields.append(event.timestamp_ms)
    return tuple(fields)
