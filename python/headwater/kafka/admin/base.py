"""What all groups of admin calls stand on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from headwater._headwater import Admin, Broker
from headwater.errors import HeadwaterError
from headwater.kafka.errors.codes import translated

__all__ = ["AdminBase"]

T = TypeVar("T")


class AdminBase:
    """A connected admin client of Headwater."""

    config: dict[str, Any]
    _admin: Admin
    _target: Broker | str
    _settings: dict[str, Any]

    @staticmethod
    def _kafka(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Calls Headwater, with its errors as kafka-python's."""
        try:
            return call(*args, **kwargs)
        except HeadwaterError as error:
            raise translated(error) from error
