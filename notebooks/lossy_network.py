"""A network that can lose one answer, for notebook 6: what a producer makes of silence.

It stands between clients and a broker and passes Kafka's frames on (a length of four bytes, then that many bytes).
Of the frames it looks at one thing only: whether a request is Produce.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque

__all__ = ["LossyNetwork"]

PRODUCE = 0


class LossyNetwork:
    """Listens at `address`, and passes everything on to the broker that it leads to.

    The broker must advertise `address` as its own, or clients would go around the network once they know better.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._broker: tuple[str, int] | None = None
        self._to_lose = 0
        self._lock = threading.Lock()
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, address: str) -> None:
        """Says where the broker is."""
        host, port = address.rsplit(":", 1)
        self._broker = (host, int(port))

    def lose_next_answer(self) -> None:
        """The next answer to a Produce request does not arrive: the connection breaks instead."""
        with self._lock:
            self._to_lose += 1

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._broker is None:
                client.close()
                continue
            broker = socket.create_connection(self._broker)
            for end in (client, broker):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked: deque[int] = deque()  # what each request was whose answer is still to come; answers keep the order
            for work in (self._requests, self._answers):
                threading.Thread(target=work, args=(client, broker, asked), daemon=True).start()

    def _requests(self, client: socket.socket, broker: socket.socket, asked: deque[int]) -> None:
        while frame := _frame(client):
            asked.append(struct.unpack_from(">h", frame, 4)[0])
            broker.sendall(frame)
        _close(client, broker)

    def _answers(self, client: socket.socket, broker: socket.socket, asked: deque[int]) -> None:
        while frame := _frame(broker):
            if asked.popleft() == PRODUCE and self._lose():
                break
            client.sendall(frame)
        _close(client, broker)

    def _lose(self) -> bool:
        with self._lock:
            if self._to_lose == 0:
                return False
            self._to_lose -= 1
            self.lost += 1
            return True


def _frame(source: socket.socket) -> bytes:
    """One frame with its length; empty at the end of the connection."""
    length = _exactly(source, 4)
    return length + _exactly(source, struct.unpack(">i", length)[0]) if length else b""


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            more = source.recv(count - len(data))
        except OSError:
            return b""
        if not more:
            return b""
        data += more
    return data


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):  # the other direction was first
            end.shutdown(socket.SHUT_RDWR)
        end.close()
