"""Administering a cluster."""

from headwater.kafka.admin.client import KafkaAdminClient
from headwater.kafka.admin.configs import (
    AlterConfigOp,
    ConfigFilterType,
    ConfigResource,
    ConfigResourceType,
    ConfigSourceType,
    ConfigType,
)
from headwater.kafka.admin.groups import GroupState, GroupType, MemberToRemove
from headwater.kafka.admin.partitions import NewPartitions
from headwater.kafka.admin.topics import NewTopic
from headwater.kafka.enums import OffsetSpec, OffsetTimestamp

__all__ = [
    "AlterConfigOp",
    "ConfigFilterType",
    "ConfigResource",
    "ConfigResourceType",
    "ConfigSourceType",
    "ConfigType",
    "GroupState",
    "GroupType",
    "KafkaAdminClient",
    "MemberToRemove",
    "NewPartitions",
    "NewTopic",
    "OffsetSpec",
    "OffsetTimestamp",
]
