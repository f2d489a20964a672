"""`cooperative-sticky`."""

from headwater.kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol

__all__ = ["CooperativeStickyAssignor"]


class CooperativeStickyAssignor(AbstractPartitionAssignor):
    """Balanced, keeping what a member has; only what moves is revoked."""

    name = "cooperative-sticky"
    protocol = RebalanceProtocol.COOPERATIVE
