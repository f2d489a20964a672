"""What serializers and deserializers are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

__all__ = ["Deserializer", "Headers", "Serializer"]

Headers = Sequence[tuple[str, bytes | None]]


class Serializer(ABC):
    """Makes bytes of keys or values."""

    @abstractmethod
    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """The bytes of `data`, which may be None."""

    def close(self) -> None:  # noqa: B027
        """Called when the producer is closed."""


class Deserializer(ABC):
    """Makes keys or values of bytes."""

    @abstractmethod
    def deserialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """What the bytes stand for; `data` is None for a record without the part."""

    def close(self) -> None:  # noqa: B027
        """Called when the consumer is closed."""
