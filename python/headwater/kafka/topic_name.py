"""Which names a topic may have."""

from __future__ import annotations

import re

__all__ = ["ensure_valid_topic_name"]

_LENGTH_MAX = 249
_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")


def ensure_valid_topic_name(topic: object) -> None:
    """Refuses what no broker would take.

    Raises:
        TypeError: not a str.
        ValueError: empty, too long, `.`, `..`, or with other characters than letters, digits, `.`, `_` and `-`.
    """
    if not isinstance(topic, str):
        raise TypeError(f"a topic's name is a str, got {type(topic).__name__}")
    if topic in ("", ".", "..") or len(topic) > _LENGTH_MAX or not _LEGAL.fullmatch(topic):
        raise ValueError(
            f"a topic's name has 1 to {_LENGTH_MAX} letters, digits, '.', '_' and '-', and is not '.' or '..', "
            f"got {topic!r}"
        )
