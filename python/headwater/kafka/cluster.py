"""What a partitioner can ask about the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["ClusterMetadata"]


class ClusterMetadata:
    """The topics that a producer has sent to, and their partitions.

    Absent: which partitions have a leader just now. Headwater's producer waits for a leader by itself, so all
    partitions count as available.
    """

    def __init__(self, fetch: Callable[[str], list[int]], age_seconds_max: float) -> None:
        self._fetch = fetch
        self._age_seconds_max = age_seconds_max
        self._known: dict[str, tuple[frozenset[int], float]] = {}

    def learn(self, topic: str) -> frozenset[int]:
        """The partitions of a topic, asked for if they are unknown or have become old."""
        known = self._known.get(topic)
        now = time.monotonic()
        if known is not None and now < known[1]:
            return known[0]
        partitions = frozenset(self._fetch(topic))
        self._known[topic] = (partitions, now + self._age_seconds_max)
        return partitions

    def topics(self, exclude_internal_topics: bool = True) -> set[str]:
        """The topics known so far."""
        return {topic for topic in self._known if not (exclude_internal_topics and topic.startswith("__"))}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """All partitions; None if the topic is unknown."""
        known = self._known.get(topic)
        return None if known is None else set(known[0])

    def available_partitions_for_topic(self, topic: str) -> set[int] | None:
        """As `partitions_for_topic`."""
        return self.partitions_for_topic(topic)
