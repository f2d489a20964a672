"""How far a group is behind: what it has committed beside the ends of its partitions."""

from __future__ import annotations

from headwater._headwater import Admin
from headwater._types import GroupLag, PartitionLag, TopicPartition


def lag_of(admin: Admin, group: str) -> GroupLag:
    """What `Admin.lag` does: a row per partition that the group has committed or is assigned."""
    described = admin.describe_group(group)
    committed = admin.list_group_offsets(group)
    members = {partition: member.member_id for member in described.members for partition in member.assignment}
    ends = _ends(admin, {*committed, *members})
    rows = []
    for partition, end in sorted(ends.items()):
        position = committed.get(partition)
        offset = position.offset if position is not None else None
        # A commit can lie beyond the end, when a topic was deleted and made anew.
        behind = max(end - offset, 0) if offset is not None and end is not None else None
        rows.append(PartitionLag(*partition, offset, end, behind, members.get(partition)))
    return GroupLag(group, described.state, rows)


def _ends(admin: Admin, partitions: set[TopicPartition]) -> dict[TopicPartition, int | None]:
    # A topic may be gone while the group still remembers it: its partitions have no end.
    known = set(admin.list_topics(internal=True))
    ends: dict[TopicPartition, int | None] = dict.fromkeys(partitions)
    ends.update(admin.list_offsets([partition for partition in partitions if partition.topic in known]))
    return ends
