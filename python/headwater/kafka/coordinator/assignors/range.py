"""`range`."""

from headwater.kafka.coordinator.assignors.abstract import AbstractPartitionAssignor

__all__ = ["RangePartitionAssignor"]


class RangePartitionAssignor(AbstractPartitionAssignor):
    """Consecutive partitions of each topic to each member."""

    name = "range"
