"""`await` for deliveries: a socket per event loop tells it which of them are settled."""

from __future__ import annotations

import asyncio
import itertools
import socket
import weakref
from collections.abc import Generator
from typing import Any

from headwater._headwater import Arrivals, Delivery, RecordMetadata

_bells: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Bell] = weakref.WeakKeyDictionary()


class _Bell:
    """Rung by the runtime, heard by one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._hear, ring = socket.socketpair()
        self._hear.setblocking(False)
        self._arrivals = Arrivals(ring.detach())
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        loop.add_reader(self._hear.fileno(), self._rung)
        weakref.finalize(loop, self._hear.close)

    def wait(self, delivery: Delivery, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        number = next(self._numbers)
        future: asyncio.Future[None] = loop.create_future()
        self._waiting[number] = future
        self._arrivals.expect(delivery, number)
        return future

    def _rung(self) -> None:
        # The byte first: a number that comes after the drain rings again.
        self._hear.recv(64)
        for number in self._arrivals.drain():
            future = self._waiting.pop(number)
            if not future.done():
                future.set_result(None)


def wait_for(delivery: Delivery) -> Generator[Any, None, RecordMetadata]:
    """What `await delivery` does."""
    if not delivery.done():
        loop = asyncio.get_running_loop()
        bell = _bells.get(loop)
        if bell is None:
            bell = _bells[loop] = _Bell(loop)
        yield from bell.wait(delivery, loop).__await__()
    return delivery.result(0)
