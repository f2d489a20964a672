"""Named numbers, which may also be given as text."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TypeVar

__all__ = ["IsolationLevel", "OffsetResetStrategy", "OffsetSpec", "OffsetTimestamp", "build_from"]

Member = TypeVar("Member", bound=Enum)


def build_from(kind: type[Member], value: object) -> Member:
    """The member that `value` is, or whose value or name (in any case, with `-` or `_`) it is."""
    if isinstance(value, kind):
        return value
    try:
        return kind(value)
    except ValueError:
        pass
    try:
        return kind[str(value).strip().upper().replace("-", "_")]
    except KeyError:
        expected = ", ".join(member.name for member in kind)
        raise ValueError(f"{kind.__name__} expects one of {expected}, got {value!r}") from None


class IsolationLevel(IntEnum):
    """Which records of transactions are seen."""

    READ_UNCOMMITTED = 0
    READ_COMMITTED = 1


class OffsetSpec(IntEnum):
    """A place in a partition, to be looked up by its leader."""

    LATEST = -1
    EARLIEST = -2
    MAX_TIMESTAMP = -3
    EARLIEST_LOCAL = -4
    LATEST_TIERED = -5


class OffsetTimestamp(int):
    """Milliseconds since the epoch, where a plain int would be an offset."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"OffsetTimestamp({int(self)})"


class OffsetResetStrategy:
    """Where to start without a committed offset."""

    LATEST = -1
    EARLIEST = -2
    NONE = 0
