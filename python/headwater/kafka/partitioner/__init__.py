"""Which partition a record goes to."""

from headwater.kafka.partitioner.abc import Partitioner
from headwater.kafka.partitioner.default import DefaultPartitioner, murmur2
from headwater.kafka.partitioner.sticky import StickyPartitioner

__all__ = ["DefaultPartitioner", "Partitioner", "StickyPartitioner", "murmur2"]
