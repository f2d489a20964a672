"""JSON."""

from __future__ import annotations

import json
from typing import Any

from headwater.kafka.serializer.abstract import Headers
from headwater.kafka.serializer.default import DefaultSerializer

__all__ = ["JsonSerializer"]


class JsonSerializer(DefaultSerializer):
    """Anything that `json` can write, and back; None stays None (a tombstone)."""

    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """The bytes of the JSON text."""
        return None if data is None else super().serialize(topic, headers, json.dumps(data))

    def deserialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """What the JSON text stands for."""
        return None if data is None else json.loads(super().deserialize(topic, headers, data))
