"""A strategy is a name: the sharing itself is done by Headwater's consumer, and assignors of your own are refused."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from headwater.kafka.errors import KafkaConfigurationError

__all__ = ["AbstractPartitionAssignor", "RebalanceProtocol", "strategies"]


class RebalanceProtocol(IntEnum):
    """What a member gives up before a rebalance: everything, or only what moves."""

    EAGER = 0
    COOPERATIVE = 1


class AbstractPartitionAssignor:
    """Base of the strategies."""

    name: str = ""
    protocol: RebalanceProtocol = RebalanceProtocol.EAGER

    def supported_protocols(self) -> list[RebalanceProtocol]:
        """What members give up with this strategy."""
        return [self.protocol]


def strategies(given: Any) -> list[type[AbstractPartitionAssignor]]:
    """The strategies of `partition_assignment_strategy`: classes, instances or names.

    Raises:
        KafkaConfigurationError: none, one that is unknown, or eager ones beside cooperative ones.
    """
    from headwater.kafka.coordinator.assignors import KNOWN

    chosen = []
    for one in given if isinstance(given, list | tuple) else [given]:
        name = one if isinstance(one, str) else getattr(one, "name", None)
        if name not in KNOWN:
            raise KafkaConfigurationError(
                f"partition_assignment_strategy expects some of {', '.join(KNOWN)} or their classes, got {one!r}"
            )
        chosen.append(KNOWN[name])
    if len({strategy.protocol for strategy in chosen}) != 1:
        raise KafkaConfigurationError(
            "partition_assignment_strategy expects eager or cooperative ones, and at least one"
        )
    return chosen
