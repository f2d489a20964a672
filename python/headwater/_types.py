"""Small tuples and lists that calls take and return. What a notebook shows of them is in `headwater._html`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from headwater._headwater import Record

__all__ = [
    "ClusterDescription",
    "ConfigSynonym",
    "ConfigValue",
    "ExportReport",
    "GroupDescription",
    "GroupLag",
    "GroupListing",
    "GroupMembership",
    "Groups",
    "MemberDescription",
    "Node",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "PartitionDescription",
    "PartitionLag",
    "PartitionOffsets",
    "Records",
    "Settings",
    "TopicDescription",
    "TopicPartition",
]


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class OffsetAndMetadata(NamedTuple):
    """A committed position: the offset of the next record to read, and any text.

    `leader_epoch` is that of the last record before it, None where it is unknown.
    """

    offset: int
    metadata: str = ""
    leader_epoch: int | None = None


class OffsetAndTimestamp(NamedTuple):
    """A record by its offset, with its timestamp in milliseconds (-1 where an end was asked for and not a record).

    `leader_epoch` is that of the leader which wrote it, None where it is unknown.
    """

    offset: int
    timestamp: int
    leader_epoch: int | None = None


class GroupMembership(NamedTuple):
    """A member of a group: its id, and the generation of the group that it belongs to."""

    member_id: str
    generation: int


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

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.topic_description(self)


class PartitionOffsets(NamedTuple):
    """A partition: its first retained offset, and the offset after its last record."""

    partition: int
    start: int
    end: int

    @property
    def length(self) -> int:
        """How many offsets are retained."""
        return self.end - self.start


class ConfigSynonym(NamedTuple):
    """A value that a setting takes, or would take if those before it were not set, and where it is set."""

    name: str
    value: str | None
    source: str


class ConfigValue(NamedTuple):
    """One setting. `source` is Kafka's name of where the value comes from, such as `DEFAULT_CONFIG`.

    `type` is Kafka's name of its type, such as `LONG`; `synonyms` are all values that there are for it, the one that
    counts first.
    """

    value: str | None
    source: str
    read_only: bool
    sensitive: bool
    documentation: str | None
    type: str
    synonyms: list[ConfigSynonym]


class Settings(dict[str, ConfigValue]):
    """Settings by name."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.settings(self)


class ClusterDescription(NamedTuple):
    """The brokers of a cluster."""

    cluster_id: str
    controller_id: int
    nodes: list[Node]

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.cluster(self)


class GroupListing(NamedTuple):
    """A group in a list."""

    group: str
    protocol_type: str
    state: str

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.groups([self])


class Groups(list[GroupListing]):
    """A list of groups."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.groups(self)


class MemberDescription(NamedTuple):
    """A member of a group and the partitions assigned to it."""

    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    assignment: list[TopicPartition]

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.member(self)


class GroupDescription(NamedTuple):
    """A group and its members."""

    group: str
    state: str
    protocol_type: str
    protocol: str
    members: list[MemberDescription]

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.group(self)


class PartitionLag(NamedTuple):
    """How far a group is behind in a partition.

    `committed` is None without a commit, `end` if the topic is gone, `lag` if either is unknown, `member` while no
    member has the partition.
    """

    topic: str
    partition: int
    committed: int | None
    end: int | None
    lag: int | None
    member: str | None


class GroupLag(list[PartitionLag]):
    """How far a group is behind: a row per partition that it has committed or is assigned, sorted."""

    def __init__(self, group: str, state: str, rows: Iterable[PartitionLag]) -> None:
        super().__init__(rows)
        self.group = group
        self.state = state

    @property
    def total(self) -> int:
        """Records behind, over all partitions where that is known."""
        return sum(row.lag or 0 for row in self)

    def __repr__(self) -> str:
        return f"GroupLag({self.group!r}, {self.state!r}, total={self.total}, {list(self)!r})"

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.lag(self)


class ExportReport(NamedTuple):
    """What an export wrote."""

    records: int
    bytes_read: int
    bytes_written: int
    files: list[str]

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.export_report(self)


class Records(list["Record"]):
    """A list of records."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from headwater import _html

        return _html.records(self)
