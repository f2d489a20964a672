"""Between your objects and bytes."""

from headwater.kafka.serializer.abstract import Deserializer, Serializer
from headwater.kafka.serializer.default import DefaultSerializer
from headwater.kafka.serializer.json import JsonSerializer
from headwater.kafka.serializer.wrapper import DeserializeWrapper, SerializeWrapper

__all__ = [
    "DefaultSerializer",
    "DeserializeWrapper",
    "Deserializer",
    "JsonSerializer",
    "SerializeWrapper",
    "Serializer",
]
