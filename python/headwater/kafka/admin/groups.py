"""Groups, their members and their committed offsets.

Absent: putting members out, filters by type.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from headwater._types import GroupDescription, MemberDescription, TopicPartition
from headwater._types import OffsetAndMetadata as CommittedOffset
from headwater.errors import HeadwaterError
from headwater.kafka.absent import absent
from headwater.kafka.admin.base import AdminBase
from headwater.kafka.admin.places import place_of
from headwater.kafka.enums import OffsetSpec, OffsetTimestamp
from headwater.kafka.errors import BrokerResponseError, NoError
from headwater.kafka.errors.codes import code_of, for_code, translated
from headwater.kafka.structs import OffsetAndMetadata

__all__ = ["GroupAdmin", "GroupState", "GroupType", "MemberToRemove"]

# What is refused of one partition; all else is about the group.
_OF_ONE_PARTITION = ("GROUP_SUBSCRIBED_TO_TOPIC", "TOPIC_AUTHORIZATION_FAILED", "UNKNOWN_TOPIC_OR_PARTITION")
_OF_ONE_MEMBER = ("UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID")


class GroupState(str, Enum):
    """What a group is doing."""

    UNKNOWN = "Unknown"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"
    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"


class GroupType(str, Enum):
    """The protocol of a group."""

    UNKNOWN = "Unknown"
    CLASSIC = "classic"
    CONSUMER = "consumer"
    SHARE = "share"


class MemberToRemove:
    """A member, by its id or its static name."""

    __slots__ = ("group_instance_id", "member_id", "reason")

    def __init__(
        self, member_id: str | None = None, group_instance_id: str | None = None, reason: str | None = None
    ) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.reason = reason


class GroupAdmin(AdminBase):
    """The calls about groups."""

    def list_groups(
        self,
        broker_ids: Sequence[int] | None = None,
        states_filter: Sequence[Any] | None = None,
        types_filter: Sequence[Any] | None = None,
    ) -> list[dict[str, Any]]:
        """All groups: dicts with `group_id`, `protocol_type` and `group_state`."""
        for name, given in (("broker_ids", broker_ids), ("types_filter", types_filter)):
            if given is not None:
                absent(f"list_groups({name}=)")
        wanted = None if states_filter is None else {_state(state) for state in states_filter}
        return [
            {"group_id": group.group, "protocol_type": group.protocol_type, "group_state": group.state}
            for group in self._kafka(self._admin.list_groups)
            if wanted is None or group.state in wanted
        ]

    def describe_groups(
        self,
        group_ids: Iterable[str],
        group_coordinator_id: int | None = None,
        include_authorized_operations: bool = False,
    ) -> dict[str, dict[str, Any]]:
        """Groups and their members, by group; `error` is None or says why there is nothing."""
        answer = {}
        for group_id in group_ids:
            try:
                answer[group_id] = _described(self._admin.describe_group(group_id))
            except HeadwaterError as error:
                if error.code is None:
                    raise translated(error) from error
                gone = GroupDescription(group_id, "Dead", "", "", [])
                answer[group_id] = _described(gone) | {"error": str(translated(error))}
        return answer

    def delete_groups(self, group_ids: Iterable[str], group_coordinator_id: int | None = None) -> dict[str, str]:
        """Deletes groups without members; `OK` or the name of the error, by group."""
        answer = {}
        for group_id in group_ids:
            try:
                self._admin.delete_groups(group_id)
                answer[group_id] = "OK"
            except HeadwaterError as error:
                answer[group_id] = type(translated(error)).__name__
        return answer

    def list_group_offsets(self, group_specs: Any) -> dict[str, dict[TopicPartition, OffsetAndMetadata]]:
        """What groups have committed.

        Args:
            group_specs: a group, several, or `{group: partitions, or None for all}`; a partition that was asked for
                and has no commit is at offset -1.
        """
        if isinstance(group_specs, str):
            group_specs = [group_specs]
        if not isinstance(group_specs, Mapping):
            group_specs = dict.fromkeys(group_specs)
        return {
            group_id: {
                partition: _committed(found)
                for partition, found in self._kafka(self._admin.list_group_offsets, group_id, partitions).items()
            }
            for group_id, partitions in group_specs.items()
        }

    def alter_group_offsets(
        self,
        group_id: str,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        group_coordinator_id: int | None = None,
    ) -> dict[TopicPartition, type[BrokerResponseError]]:
        """Sets committed offsets of a group without members; the class of the error (`NoError`) by partition."""
        answer: dict[TopicPartition, type[BrokerResponseError]] = {}
        for partition, at in offsets.items():
            epoch = None if at.leader_epoch is None or at.leader_epoch < 0 else at.leader_epoch
            try:
                wanted = CommittedOffset(at.offset or 0, at.metadata, epoch)
                self._admin.alter_group_offsets(group_id, {partition: wanted})
                answer[partition] = NoError
            except HeadwaterError as error:
                if error.code is None:
                    raise translated(error) from error
                answer[partition] = for_code(code_of(error))
        return answer

    def reset_group_offsets(
        self,
        group_id: str,
        offset_specs: Mapping[TopicPartition, OffsetSpec | OffsetTimestamp | int],
        group_coordinator_id: int | None = None,
    ) -> dict[TopicPartition, dict[str, Any]]:
        """Sets committed offsets of a group without members to places, times or offsets.

        What lies outside of the partition is moved to its nearest end. Returns `error` and `offset` by partition.
        """
        targets: dict[TopicPartition, OffsetAndMetadata] = {}
        partitions = list(offset_specs)
        first = self._kafka(self._admin.list_offsets, partitions, at="earliest")
        last = self._kafka(self._admin.list_offsets, partitions, at="latest")
        for partition, spec in offset_specs.items():
            low, high = first[partition] or 0, last[partition] or 0
            wanted = self._offset_of(partition, spec)
            at = high if wanted is None or wanted < 0 else min(max(wanted, low), high)
            targets[partition] = OffsetAndMetadata(at, "", -1)
        errors = self.alter_group_offsets(group_id, targets)
        return {partition: {"error": error, "offset": targets[partition].offset} for partition, error in errors.items()}

    def _offset_of(self, partition: TopicPartition, spec: Any) -> int | None:
        if isinstance(spec, OffsetSpec | OffsetTimestamp):
            return self._kafka(self._admin.list_offsets, [partition], at=place_of(partition, spec))[partition]
        if isinstance(spec, int):
            return spec
        raise TypeError(f"{partition}: expected an OffsetSpec, an OffsetTimestamp or an offset, got {spec!r}")

    def delete_group_offsets(
        self, group_id: str, partitions: Iterable[TopicPartition], group_coordinator_id: int | None = None
    ) -> dict[TopicPartition, type[BrokerResponseError]]:
        """Forgets committed offsets; the class of the error (`NoError`) by partition.

        Raises:
            GroupIdNotFoundError, …: what is refused of the whole group.
        """
        return {
            partition: self._outcome(_OF_ONE_PARTITION, self._admin.delete_group_offsets, group_id, [partition])
            for partition in partitions
        }

    def remove_group_members(
        self, group_id: str, members: Iterable[MemberToRemove], group_coordinator_id: int | None = None
    ) -> dict[str, type[BrokerResponseError]]:
        """Takes members out of a group; the class of the error (`NoError`) by member id, or static name without one.

        Raises:
            BrokerResponseError: what is refused of the whole group.
        """
        answer: dict[str, type[BrokerResponseError]] = {}
        for member in members:
            told = {} if member.reason is None else {"reason": member.reason}
            named = (
                {"instances": member.group_instance_id} if member.group_instance_id else {"members": member.member_id}
            )
            outcome = self._outcome(_OF_ONE_MEMBER, self._admin.remove_group_members, group_id, **named, **told)
            answer[member.member_id or member.group_instance_id or ""] = outcome
        return answer

    @staticmethod
    def _outcome(
        of_one: Collection[str], call: Callable[..., None], *args: Any, **kwargs: Any
    ) -> type[BrokerResponseError]:
        """The class of the error, `NoError` without one; raises what is not `of_one` but of the whole group."""
        try:
            call(*args, **kwargs)
        except HeadwaterError as error:
            if error.code not in of_one:
                raise translated(error) from error
            return for_code(code_of(error))
        return NoError


def _state(state: Any) -> str:
    if isinstance(state, GroupState):
        return state.value
    known = {member.name: member.value for member in GroupState} | {member.value: member.value for member in GroupState}
    try:
        return known[state] if state in known else known[str(state).upper().replace("-", "_")]
    except KeyError:
        raise ValueError(f"states_filter expects some of {', '.join(GroupState.__members__)}, got {state!r}") from None


def _committed(found: CommittedOffset | None) -> OffsetAndMetadata:
    if found is None:
        return OffsetAndMetadata(-1, "", -1)
    return OffsetAndMetadata(found.offset, found.metadata, -1 if found.leader_epoch is None else found.leader_epoch)


def _described(group: GroupDescription) -> dict[str, Any]:
    return {
        "group_id": group.group,
        "group_state": group.state,
        "protocol_type": group.protocol_type,
        "protocol_data": group.protocol,
        "members": [_member(member) for member in group.members],
        "error": None,
    }


def _member(member: MemberDescription) -> dict[str, Any]:
    topics: dict[str, list[int]] = {}
    for partition in member.assignment:
        topics.setdefault(partition.topic, []).append(partition.partition)
    assigned = [{"topic": topic, "partitions": partitions} for topic, partitions in topics.items()]
    return {
        "member_id": member.member_id,
        "group_instance_id": member.instance_id,
        "client_id": member.client_id,
        "client_host": member.host,
        "member_assignment": {"assigned_partitions": assigned},
    }
