"""What notebooks show of topics, records, groups and the like: small tables as HTML.

Every text that comes from outside goes through `_escape`: a value `<script>` is shown and never run. Colours are those
of the page (`inherit`, and grey lines that are half transparent), so that light and dark themes both work. There is no
style sheet, no script and no picture: the tables survive in saved notebooks.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from headwater.errors import HeadwaterError

if TYPE_CHECKING:
    from headwater import _types
    from headwater._headwater import Broker, Record, RecordMetadata
    from headwater._topic import Topic, Topics

SHOWN_CHARACTERS = 120
"""Of a key or a value."""
SHOWN_ROWS = 50
"""Of a table; the line below tells how many there are."""

_LINE = "1px solid rgba(128,128,128,.35)"
_TABLE = "border-collapse:collapse;color:inherit;background:transparent;font-size:90%"
_CELL = f"padding:.2em .7em;border:{_LINE};text-align:left;vertical-align:top;color:inherit;background:transparent"
_NUMBER = _CELL.replace("text-align:left", "text-align:right;font-variant-numeric:tabular-nums")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class _Markup(str):
    """HTML already: everything else is escaped."""

    __slots__ = ()


def _escape(value: object) -> str:
    return value if isinstance(value, _Markup) else html.escape(str(value))


def _dim(text: str) -> _Markup:
    return _Markup(f'<span style="opacity:.6">{_escape(text)}</span>')


def _or_dash(value: object) -> object:
    return _dim("-") if value is None else value


def moment(timestamp_ms: int) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC; what the calendar does not have stays a number."""
    if timestamp_ms == -1:
        # Kafka's way to say that a record has none.
        return "none"
    try:
        return (_EPOCH + timedelta(milliseconds=timestamp_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{timestamp_ms} ms"


def data(value: object) -> str:
    """A key or a value as one cell: text if it is text, else hexadecimal, cut with the whole length told."""
    if value is None:
        return _dim("None")
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        return _cut(*_text_of(raw), f"{len(raw):,} bytes")
    text = value if isinstance(value, str) else repr(value)
    return _cut(text[: SHOWN_CHARACTERS + 3], True, f"{len(text):,} characters")


def _text_of(raw: bytes) -> tuple[str, bool]:
    """What bytes say, and whether that is all of them."""
    # No more than may be shown is looked at: a character of UTF-8 has four bytes at the most.
    head = raw[: 4 * SHOWN_CHARACTERS]
    try:
        return head.decode(), len(head) == len(raw)
    except UnicodeDecodeError as error:
        # A character that the cut went through does not make it binary.
        if len(head) < len(raw) and error.reason == "unexpected end of data":
            return head[: error.start].decode(), False
    head = raw[: SHOWN_CHARACTERS // 2]
    return f"0x{head.hex()}", len(head) == len(raw)


def _cut(text: str, is_whole: bool, length: str) -> str:
    # Two characters more than it says: the 0x before hexadecimal digits.
    is_whole = is_whole and len(text) <= SHOWN_CHARACTERS + 2
    shown = _escape("".join(map(_visible, text[: SHOWN_CHARACTERS + 2])))
    return _Markup(shown if is_whole else f"{shown}… {_dim(f'({length})')}")


def _visible(character: str) -> str:
    # Controls and marks that turn the writing direction would hide what is there.
    if character.isprintable() or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode()


def table(title: object, head: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> str:
    """A title, a table (numbers to the right) and a note; more rows than `SHOWN_ROWS` are counted only."""
    rows = list(rows)
    parts = [f'<div style="color:inherit"><div>{_escape(title)}</div>']
    if rows:
        parts.append(f'<table style="{_TABLE}"><thead><tr>')
        parts += [f'<th style="{_CELL}">{_escape(name)}</th>' for name in head]
        parts.append("</tr></thead><tbody>")
        for row in rows[:SHOWN_ROWS]:
            parts += ["<tr>", *map(_cell, row), "</tr>"]
        parts.append("</tbody></table>")
    if len(rows) > SHOWN_ROWS:
        note = f"{len(rows):,} rows, the first {SHOWN_ROWS} are shown. {note}".strip()
    if note:
        parts.append(f"<div>{_dim(note)}</div>")
    return "".join([*parts, "</div>"])


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td style="{_NUMBER}">{value:,}</td>'
    return f'<td style="{_CELL}">{_escape(value)}</td>'


def _title(kind: str, name: object, rest: str = "") -> _Markup:
    return _Markup(f"{_escape(kind)} <b>{_escape(name)}</b>{' · ' if rest else ''}{_escape(rest)}")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


# Records


def record(record: Record) -> str:
    """One record: a row per field."""
    rows: list[tuple[object, object]] = [
        ("timestamp", moment(record.timestamp)),
        ("key", data(record.key)),
        ("value", data(record.value)),
    ]
    rows += [(f"header {name}", data(value)) for name, value in record.headers]
    return table(
        _title("Record", f"{record.topic}-{record.partition}", f"offset {record.offset:,}"), ["field", "value"], rows
    )


def records(records: Sequence[Record]) -> str:
    """Records: a row each."""
    topics = {record.topic for record in records}
    has_headers = any(record.headers for record in records[:SHOWN_ROWS])
    head = [*(["topic"] if len(topics) > 1 else []), "partition", "offset", "timestamp", "key", "value"]
    head += ["headers"] if has_headers else []

    def row(record: Record) -> list[object]:
        cells: list[object] = [record.topic] if len(topics) > 1 else []
        cells += [record.partition, record.offset, moment(record.timestamp), data(record.key), data(record.value)]
        if has_headers:
            cells.append(_Markup(", ".join(f"{_escape(name)}: {data(value)}" for name, value in record.headers)))
        return cells

    shown = [row(record) for record in records[:SHOWN_ROWS]]
    cut = len(records) > SHOWN_ROWS
    note = f"the first {SHOWN_ROWS} are shown" if cut else ""
    of = f"of topic {next(iter(topics))}" if len(topics) == 1 else ""
    return table(_title("", _counted(len(records), "record"), of), head, shown, note)


def record_metadata(metadata: RecordMetadata) -> str:
    """Where a record went."""
    place = f"{metadata.topic}-{metadata.partition}"
    rows = [("offset", metadata.offset), ("timestamp", moment(metadata.timestamp))]
    return table(_title("Record in", place), ["field", "value"], rows)


# Brokers and topics


def broker(broker: Broker) -> str:
    """Where a broker serves, and its topics."""
    try:
        topics = broker.topics
    except (HeadwaterError, RuntimeError):
        # Stopped, or inherited by a forked child: the text says which.
        return table(_Markup(_escape(repr(broker))), [], [])
    address = broker.bootstrap_servers or "this process only"
    title = _title("Broker", address, f"data in {broker.data}")
    return table(title, _TOPICS, _topic_rows(topics), "" if topics else "no topics yet")


def topics(topics: Topics) -> str:
    """A row per topic."""
    return table(_title("", _counted(len(topics), "topic")), _TOPICS, _topic_rows(topics))


_TOPICS = ["topic", "partitions", "records"]


def _topic_rows(topics: Topics) -> list[Sequence[object]]:
    rows: list[Sequence[object]] = []
    for number, (name, topic) in enumerate(topics.items()):
        if number < SHOWN_ROWS:
            try:
                partitions = topic.partitions
            except HeadwaterError as error:
                rows.append((name, _dim("?"), _dim(str(error))))
                continue
            rows.append((name, len(partitions), sum(partition.length for partition in partitions)))
        else:
            rows.append((name,))
    return rows


def topic(topic: Topic) -> str:
    """The partitions of a topic with their offsets, or why they cannot be told."""
    try:
        partitions = topic.partitions
    except (HeadwaterError, RuntimeError) as error:
        return table(_title("Topic", topic.name), [], [], str(error))
    count = sum(partition.length for partition in partitions)
    title = _title("Topic", topic.name, f"{_counted(len(partitions), 'partition')}, {_counted(count, 'record')}")
    return table(
        title, ["partition", "start", "end", "records"], [(*partition, partition.length) for partition in partitions]
    )


def topic_description(topic: _types.TopicDescription) -> str:
    """Leaders and replicas."""
    kind = "Internal topic" if topic.internal else "Topic"
    rows = [
        (p.partition, _or_dash(p.leader), p.leader_epoch, _list(p.replicas), _list(p.isr)) for p in topic.partitions
    ]
    title = _title(kind, topic.name, _counted(len(topic.partitions), "partition"))
    return table(title, ["partition", "leader", "epoch", "replicas", "in sync"], rows, f"id {topic.topic_id}")


def settings(settings: _types.Settings) -> str:
    """Settings, those that were set first."""
    ordered = sorted(settings.items(), key=lambda item: (item[1].source == "DEFAULT_CONFIG", item[0]))

    def row(name: str, setting: _types.ConfigValue) -> Sequence[object]:
        value = _dim("hidden") if setting.sensitive else _or_dash(setting.value)
        return name, value, setting.source.lower().replace("_", " "), setting.documentation or ""

    rows = [row(name, setting) for name, setting in ordered]
    return table(_title("", _counted(len(rows), "setting")), ["setting", "value", "from", "meaning"], rows)


def cluster(cluster: _types.ClusterDescription) -> str:
    """The brokers."""
    rows = [(node.id, f"{node.host}:{node.port}", _or_dash(node.rack)) for node in cluster.nodes]
    rest = f"{_counted(len(rows), 'broker')}, controller {cluster.controller_id}"
    return table(_title("Cluster", cluster.cluster_id, rest), ["broker", "address", "rack"], rows)


def export_report(report: _types.ExportReport) -> str:
    """What an export wrote."""
    title = _title("Exported", _counted(report.records, "record"))
    sizes = f"{size(report.bytes_read)} of log became {size(report.bytes_written)} of Parquet"
    return table(title, ["file"], [(file,) for file in report.files], sizes)


def size(count: int) -> str:
    """Bytes as people say them."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


# Groups


def groups(groups: Sequence[_types.GroupListing]) -> str:
    """A row per group."""
    rows = [(group.group, group.state, group.protocol_type) for group in groups]
    return table(_title("", _counted(len(rows), "group")), ["group", "state", "type"], rows)


def group(group: _types.GroupDescription) -> str:
    """A group and its members."""
    members = _counted(len(group.members), "member")
    title = _title("Group", group.group, f"{group.state}, {members}")
    return table(
        title, _MEMBER, map(_member_row, group.members), f"assignor {group.protocol}" if group.protocol else ""
    )


def member(member: _types.MemberDescription) -> str:
    """A member of a group."""
    return table(_title("Member", member.member_id), _MEMBER, [_member_row(member)])


_MEMBER = ["member", "client", "host", "partitions"]


def _member_row(member: _types.MemberDescription) -> Sequence[object]:
    name = member.member_id if member.instance_id is None else f"{member.member_id} ({member.instance_id})"
    return name, member.client_id, member.host, _list(f"{p.topic}-{p.partition}" for p in member.assignment)


def lag(lag: _types.GroupLag) -> str:
    """How far a group is behind, with a bar per partition of what it has read."""
    rows = [
        (
            row.topic,
            row.partition,
            _or_dash(row.committed),
            _or_dash(row.end),
            _or_dash(row.lag),
            _share(row.committed, row.end),
            _or_dash(row.member),
        )
        for row in lag
    ]
    head = ["topic", "partition", "committed", "end", "lag", "read", "member"]
    note = "" if rows else "the group has committed nothing and reads nothing"
    return table(_title("Group", lag.group, f"{lag.state}, {lag.total:,} behind"), head, rows, note)


def _share(committed: int | None, end: int | None) -> object:
    if committed is None or end is None:
        return _dim("-")
    return progress(committed, end)


def progress(done: int, total: int) -> str:
    """A bar."""
    # Without records everything is read.
    value, most = (done, total) if total > 0 else (1, 1)
    return _Markup(f'<progress value="{min(value, most)}" max="{most}" style="width:10em"></progress>')


def labelled_progress(label: str, done: int, total: int, rest: str) -> str:
    """A bar with what it is about before and numbers after it."""
    return (
        f'<div style="color:inherit">{_escape(label)} {progress(done, total)} {done:,} of {total:,} {_dim(rest)}</div>'
    )


def _list(items: Iterable[Any]) -> str:
    return ", ".join(map(str, items))
