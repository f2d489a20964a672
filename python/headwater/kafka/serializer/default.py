"""Text."""

from __future__ import annotations

from typing import Any

from headwater.kafka.serializer.abstract import Deserializer, Headers, Serializer

__all__ = ["DefaultSerializer"]


class DefaultSerializer(Serializer, Deserializer):
    """`str` to bytes and back; bytes-like values are sent as they are."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = encoding

    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """The bytes of a text."""
        if data is None or isinstance(data, bytes | bytearray | memoryview):
            return data
        return data.encode(self.encoding)

    def deserialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """The text, or None."""
        return None if data is None else data.decode(self.encoding)
