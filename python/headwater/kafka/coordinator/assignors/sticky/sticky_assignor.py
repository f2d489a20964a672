"""`sticky`."""

from headwater.kafka.coordinator.assignors.abstract import AbstractPartitionAssignor

__all__ = ["StickyPartitionAssignor"]


class StickyPartitionAssignor(AbstractPartitionAssignor):
    """Balanced, keeping what a member has; everything is revoked before a rebalance."""

    name = "sticky"
