"""Names of kafka-python 2, which 3 has given up and many a notebook still uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headwater._types import TopicPartition
from headwater.kafka.admin.groups import GroupAdmin
from headwater.kafka.structs import OffsetAndMetadata

__all__ = ["OlderAdmin"]


class OlderAdmin(GroupAdmin):
    """The calls by their older names."""

    def list_consumer_groups(self, broker_ids: Sequence[int] | None = None) -> list[tuple[str, str]]:
        """Pairs of group and protocol type."""
        return [(group["group_id"], group["protocol_type"]) for group in self.list_groups(broker_ids)]

    def describe_consumer_groups(
        self,
        group_ids: Iterable[str],
        group_coordinator_id: int | None = None,
        include_authorized_operations: bool = False,
    ) -> list[dict[str, Any]]:
        """As `describe_groups`, in the order of the groups."""
        return list(self.describe_groups(group_ids, group_coordinator_id).values())

    def list_consumer_group_offsets(
        self,
        group_id: str,
        group_coordinator_id: int | None = None,
        partitions: Iterable[TopicPartition] | None = None,
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """What one group has committed."""
        return self.list_group_offsets({group_id: None if partitions is None else list(partitions)})[group_id]

    def delete_consumer_groups(
        self, group_ids: Iterable[str], group_coordinator_id: int | None = None
    ) -> list[tuple[str, str]]:
        """Pairs of group and `OK` or the name of the error."""
        return list(self.delete_groups(group_ids, group_coordinator_id).items())
