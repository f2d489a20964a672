"""Small tuples that calls take and return, with kafka-python's fields."""

from __future__ import annotations

from typing import NamedTuple

from headwater._types import TopicPartition

__all__ = [
    "ConsumerGroupMetadata",
    "MemberState",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "TopicPartition",
    "TopicPartitionReplica",
]


class TopicPartitionReplica(NamedTuple):
    """A partition's replica on one broker."""

    topic: str
    partition: int
    broker_id: int


class OffsetAndMetadata(NamedTuple):
    """A position: the offset of the next record to read, any text, and the leader epoch (-1: unknown)."""

    offset: int | None = None
    metadata: str = ""
    leader_epoch: int = -1


class OffsetAndTimestamp(NamedTuple):
    """A record by its offset, with its timestamp in milliseconds and its leader epoch (-1: unknown)."""

    offset: int
    timestamp: int
    leader_epoch: int | None


class MemberState:
    """How far a member of a group has come."""

    UNJOINED = "<unjoined>"
    REBALANCING = "<rebalancing>"
    STABLE = "<stable>"


class ConsumerGroupMetadata(NamedTuple):
    """A consumer's place in its group; `generation_id` is -1 where it is unknown."""

    group_id: str | None = None
    generation_id: int = -1
    member_id: str = ""
    group_instance_id: str | None = None
    state: str = MemberState.UNJOINED
