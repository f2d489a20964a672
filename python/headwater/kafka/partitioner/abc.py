"""What a partitioner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headwater.kafka.cluster import ClusterMetadata

__all__ = ["Partitioner"]


class Partitioner(ABC):
    """Chooses the partition of a record that was sent without one."""

    @abstractmethod
    def partition(  # noqa: PLR0917  # kafka-python calls it so
        self,
        topic: str,
        key: Any,
        serialized_key: bytes | None,
        value: Any,
        serialized_value: bytes | None,
        cluster: ClusterMetadata,
    ) -> int | None:
        """One of `cluster.partitions_for_topic(topic)`.

        Raises:
            ValueError: the topic is unknown.
        """
