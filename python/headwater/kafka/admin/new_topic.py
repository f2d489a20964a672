"""Where kafka-python 2 keeps `NewTopic`."""

from headwater.kafka.admin.topics import NewTopic

__all__ = ["NewTopic"]
