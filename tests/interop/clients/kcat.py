"""kcat of Debian 12: librdkafka 2.0.2, the oldest client under test. It speaks text only."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Sequence

from event import Event

CAN_PRODUCE_BINARY = False


def produce(bootstrap: str, topic: str, events: Sequence[Event], codec: str) -> None:
    headers = events[0].headers
    assert all(e.headers == headers for e in events), "kcat gives all records of a run the same headers"
    command = [
        "kcat",
        "-P",
        "-b",
        bootstrap,
        "-t",
        topic,
        "-K",
        "\t",
        "-z",
        codec,
        "-X",
        "queue.buffering.max.ms=20",
    ]
    for name, value in headers:
        command += ["-H", f"{name}={(value or b'').decode()}"]
    lines = b"".join((e.key or b"") + b"\t" + (e.value or b"") + b"\n" for e in events)
    done = subprocess.run(command, input=lines, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


def consume(
    bootstrap: str, topics: Sequence[str], group: str, count: int, *, members: int = 2
) -> list[tuple[int, Event]]:
    command = ["kcat", "-b", bootstrap, "-u", "-J", "-X", "auto.offset.reset=earliest", "-G", group, *topics]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(members)]
    seen: list[tuple[int, Event]] = []
    selector = selectors.DefaultSelector()
    rest = [b""] * members
    for index, process in enumerate(started):
        assert process.stdout is not None
        selector.register(process.stdout, selectors.EVENT_READ, index)
    deadline = time.monotonic() + 60
    try:
        while len(seen) < count and time.monotonic() < deadline:
            for ready, _ in selector.select(0.2):
                index = ready.data
                *lines, rest[index] = (rest[index] + os.read(ready.fd, 1 << 16)).split(b"\n")
                seen.extend((index, _event(line)) for line in lines if line)
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(20)
    return seen


def _event(line: bytes) -> Event:
    record = json.loads(line)
    names = record.get("headers", [])
    headers = tuple((name, value.encode()) for name, value in zip(names[::2], names[1::2], strict=True))
    key, value = record["key"], record["payload"]
    return Event(
        None if key is None else key.encode(),
        None if value is None else value.encode(),
        headers,
        record["ts"],
    )
