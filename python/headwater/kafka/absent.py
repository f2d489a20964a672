"""How a method says that it does not exist here."""

from __future__ import annotations

from typing import NoReturn

from headwater.kafka.errors import NotInHeadwaterError

__all__ = ["absent"]


def absent(what: str, instead: str = "") -> NoReturn:
    """Raises `NotInHeadwaterError`, which names `what` kafka-python has there and what to do `instead`."""
    raise NotInHeadwaterError(f"headwater.kafka has no {what}{f'; {instead}' if instead else ''}")
