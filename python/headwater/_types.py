"""Small tuples that calls take and return."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "ClusterDescription",
    "ConfigValue",
    "ExportReport",
    "GroupDescription",
    "GroupListing",
    "MemberDescription",
    "Node",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "PartitionDescription",
    "TopicDescription",
    "TopicPartition",
]


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class OffsetAndMetadata(NamedTuple):
    """A committed position: the offset of the next record to read, and any text."""

    offset: int
    metadata: str = ""
    leader_epoch: int | None = None


class OffsetAndTimestamp(NamedTuple):
    """A record by its offset, with its timestamp in milliseconds."""

    offset: int
    timestamp: int


class Node(NamedTuple):
    """A broker."""

    id: int
    host: str
    port: int
    rack: str | None = None


class PartitionDescription(NamedTuple):
    """A partition: its leader (None while there is none) and its replicas by node id."""

    partition: int
    leader: int | None
    leader_epoch: int
    replicas: list[int]
    isr: list[int]


class TopicDescription(NamedTuple):
    """A topic and its partitions."""

    name: str
    topic_id: str
    internal: bool
    partitions: list[PartitionDescription]


class ConfigValue(NamedTuple):
    """One setting. `source` is Kafka's name of where the value comes from, such as `DEFAULT_CONFIG`."""

    value: str | None
    source: str
    read_only: bool
    sensitive: bool
    documentation: str | None


class ClusterDescription(NamedTuple):
    """The brokers of a cluster."""

    cluster_id: str
    controller_id: int
    nodes: list[Node]


class GroupListing(NamedTuple):
    """A group in a list."""

    group: str
    protocol_type: str
    state: str


class MemberDescription(NamedTuple):
    """A member of a group and the partitions assigned to it."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    assignment: list[TopicPartition]


class GroupDescription(NamedTuple):
    """A group and its members."""

    group: str
    state: str
    protocol_type: str
    protocol: str
    members: list[MemberDescription]


class ExportReport(NamedTuple):
    """What an export wrote."""

    records: int
    bytes_read: int
    bytes_written: int
    files: list[str]
