"""Spares a task the 40 ms that Spark and TCP make it wait.

Spark sends a task to its Python worker in several small writes over a loopback connection without `TCP_NODELAY`. Each
write waits until the one before is acknowledged (Nagle's algorithm, RFC 896), and Linux holds an acknowledgement back
for 40 ms in the hope of data that it can travel with (RFC 1122, 4.2.3.2). What is unpickled in the worker is unpickled
in the middle of this: a good moment to have the acknowledgement sent. Where Spark's setting
`spark.python.unix.domain.socket.enabled` is on, there is nothing to do here.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

__all__ = ["acknowledge_at_once"]

_LOOPBACK = ("127.", "::1", "::ffff:127.")


def acknowledge_at_once() -> None:
    """Sends the acknowledgements that this process's loopback connections hold back. Only Linux has a word for it."""
    # With a default timeout, Python would make every socket that is looked at below non-blocking, for its owner, too.
    if not hasattr(socket, "TCP_QUICKACK") or socket.getdefaulttimeout() is not None:
        return
    # Nothing is lost but time where it cannot be done: no /proc, a descriptor that is gone by now or not connected.
    with suppress(OSError):
        for descriptor in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if descriptor.is_socket():
                    _acknowledge(int(descriptor.name))


def _acknowledge(descriptor: int) -> None:
    copy = os.dup(descriptor)
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with found:
        if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
            return
        if str(found.getpeername()[0]).startswith(_LOOPBACK):
            # Not a lasting mode: TCP goes back to its own ways after a few segments.
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
