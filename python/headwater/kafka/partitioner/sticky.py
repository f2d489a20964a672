"""A partitioner that keeps records without a key together."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Any

from headwater.kafka.partitioner.default import DefaultPartitioner, known_partitions

if TYPE_CHECKING:
    from headwater.kafka.cluster import ClusterMetadata

__all__ = ["StickyPartitioner"]


class StickyPartitioner(DefaultPartitioner):
    """As the default, but records without a key stay with one partition of their topic until `on_new_batch`.

    `KafkaProducer` leaves the turning to Headwater's producer when it is given exactly this class: that one knows when
    a batch is full. A subclass is asked for every record, and turns when it calls `on_new_batch` itself.
    """

    def __init__(self) -> None:
        self._chosen: dict[str, int] = {}
        self._lock = threading.Lock()

    def partition(  # noqa: PLR0917  # kafka-python calls it so
        self,
        topic: str,
        key: Any,
        serialized_key: bytes | None,
        value: Any,
        serialized_value: bytes | None,
        cluster: ClusterMetadata,
    ) -> int | None:
        """A partition of the topic."""
        if serialized_key is not None:
            return super().partition(topic, key, serialized_key, value, serialized_value, cluster)
        partitions = known_partitions(topic, cluster)
        with self._lock:
            chosen = self._chosen.get(topic)
            if chosen not in partitions:
                chosen = self._chosen[topic] = random.choice(partitions)
            return chosen

    def on_new_batch(self, topic: str, cluster: ClusterMetadata, prev_partition: int) -> None:
        """Turns to another partition, unless that was done already."""
        partitions = cluster.partitions_for_topic(topic)
        with self._lock:
            if partitions and self._chosen.get(topic) == prev_partition:
                others = sorted(partitions - {prev_partition})
                self._chosen[topic] = random.choice(others or sorted(partitions))
