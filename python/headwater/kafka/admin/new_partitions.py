"""Where kafka-python 2 keeps `NewPartitions`."""

from headwater.kafka.admin.partitions import NewPartitions

__all__ = ["NewPartitions"]
