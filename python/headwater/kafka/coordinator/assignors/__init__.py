"""The strategies by which a group shares partitions."""

from headwater.kafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from headwater.kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from headwater.kafka.coordinator.assignors.range import RangePartitionAssignor
from headwater.kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from headwater.kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

__all__ = ["KNOWN", "AbstractPartitionAssignor"]

KNOWN: dict[str, type[AbstractPartitionAssignor]] = {
    strategy.name: strategy
    for strategy in (
        RangePartitionAssignor,
        RoundRobinPartitionAssignor,
        StickyPartitionAssignor,
        CooperativeStickyAssignor,
    )
}
"""The strategies by their names on the wire."""
