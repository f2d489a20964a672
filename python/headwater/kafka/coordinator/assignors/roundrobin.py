"""`roundrobin`."""

from headwater.kafka.coordinator.assignors.abstract import AbstractPartitionAssignor

__all__ = ["RoundRobinPartitionAssignor"]


class RoundRobinPartitionAssignor(AbstractPartitionAssignor):
    """Partitions of all topics in turn."""

    name = "roundrobin"
