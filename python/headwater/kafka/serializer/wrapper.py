"""Plain callables as serializers and deserializers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headwater.kafka.serializer.abstract import Deserializer, Headers, Serializer

__all__ = ["DeserializeWrapper", "SerializeWrapper"]


class SerializeWrapper(Serializer):
    """A callable of one argument, which may be None; without one, data is sent as it is."""

    def __init__(self, fn: Callable[[Any], Any] | None) -> None:
        self.fn = fn

    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """What the callable makes of `data`."""
        return data if self.fn is None else self.fn(data)


class DeserializeWrapper(Deserializer):
    """A callable of one argument, which may be None; without one, bytes stay bytes."""

    def __init__(self, fn: Callable[[Any], Any] | None) -> None:
        self.fn = fn

    def deserialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """What the callable makes of `data`."""
        return data if self.fn is None else self.fn(data)
