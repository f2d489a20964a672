"""Partitions and their offsets.

Absent: elections, reassignments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from headwater._types import TopicPartition
from headwater.errors import HeadwaterError
from headwater.kafka.absent import absent
from headwater.kafka.admin.base import AdminBase
from headwater.kafka.admin.places import place_of
from headwater.kafka.enums import IsolationLevel, OffsetSpec, build_from
from headwater.kafka.errors import UnknownTopicOrPartitionError
from headwater.kafka.errors.codes import code_of, translated
from headwater.kafka.settings import seconds
from headwater.kafka.structs import OffsetAndTimestamp

__all__ = ["CreatePartitionsResponse", "CreatePartitionsTopicResult", "NewPartitions", "PartitionAdmin"]


class NewPartitions:
    """How many partitions a topic shall have, and which brokers shall have those that are added."""

    def __init__(self, total_count: int, new_assignments: Any = None) -> None:
        self.total_count = total_count
        self.new_assignments = new_assignments


class CreatePartitionsTopicResult(NamedTuple):
    """What became of one topic; `error_code` 0 is success."""

    name: str
    error_code: int
    error_message: str | None


class CreatePartitionsResponse(NamedTuple):
    """What became of each topic."""

    results: list[CreatePartitionsTopicResult]


class PartitionAdmin(AdminBase):
    """The calls about partitions."""

    def create_partitions(
        self,
        topic_partitions: Mapping[str, Any],
        timeout_ms: float | None = None,
        validate_only: bool = False,
        raise_errors: bool = True,
    ) -> CreatePartitionsResponse:
        """Grows topics to so many partitions.

        Args:
            topic_partitions: `{topic: count}`; or `{topic: {"count": count, "assignments": [[broker_id]]}}` with the
                replicas of each partition that is added; or `NewPartitions` by topic.
            timeout_ms: without effect; `request_timeout_ms` bounds the call.
            validate_only: only checks.
            raise_errors: otherwise errors are only in the answer.

        Raises:
            InvalidPartitionsError, …: the first refusal, after all were tried, unless `raise_errors=False`.
        """
        results: list[CreatePartitionsTopicResult] = []
        failures: list[HeadwaterError] = []
        for topic, given in topic_partitions.items():
            try:
                count, assignments = _wanted(given)
                self._admin.create_partitions(topic, count, assignment=assignments, validate_only=validate_only)
                results.append(CreatePartitionsTopicResult(topic, 0, None))
            except HeadwaterError as error:
                failures.append(error)
                results.append(CreatePartitionsTopicResult(topic, code_of(error), str(error)))
        if failures and raise_errors:
            raise translated(failures[0]) from failures[0]
        return CreatePartitionsResponse(results)

    def delete_records(
        self,
        records_to_delete: Mapping[TopicPartition, int],
        timeout_ms: float | None = None,
        partition_leader_id: int | None = None,
    ) -> dict[TopicPartition, dict[str, int]]:
        """Deletes what lies before these offsets (-1: everything); `low_watermark` is the new first offset.

        Raises:
            OffsetOutOfRangeError, UnknownTopicOrPartitionError, …: the first refusal.
        """
        self._expect_known(records_to_delete)
        starts = self._kafka(self._admin.delete_records, dict(records_to_delete))
        return {
            partition: {"partition_index": partition.partition, "low_watermark": start, "error_code": 0}
            for partition, start in starts.items()
        }

    def list_partition_offsets(
        self,
        topic_partition_specs: Mapping[TopicPartition, OffsetSpec | int],
        isolation_level: IsolationLevel | str | int = IsolationLevel.READ_UNCOMMITTED,
        timeout_ms: float | None = None,
    ) -> dict[TopicPartition, OffsetAndTimestamp]:
        """Looks offsets up: each at an `OffsetSpec`, or of the first record not older than a time (ms).

        An offset of -1 says that there is no such record.

        Raises:
            KafkaTimeoutError: some are unknown after `timeout_ms` (default: `request_timeout_ms`).
            UnknownTopicOrPartitionError: a partition does not exist.
        """
        read_committed = build_from(IsolationLevel, isolation_level) is IsolationLevel.READ_COMMITTED
        places = {partition: place_of(partition, spec) for partition, spec in topic_partition_specs.items()}
        self._expect_known(places)
        found = self._kafka(
            self._admin.find_offsets,
            places,
            isolation_level="read_committed" if read_committed else "read_uncommitted",
            timeout=seconds(timeout_ms),
        )
        nothing = OffsetAndTimestamp(-1, -1, None)
        return {partition: nothing if at is None else OffsetAndTimestamp(*at) for partition, at in found.items()}

    def _expect_known(self, partitions: Iterable[TopicPartition]) -> None:
        """Refuses what does not exist at once; the lookups themselves would wait for it to come."""
        for topic in {partition.topic for partition in partitions}:
            known = {at.partition for at in self._kafka(self._admin.describe_topic, topic).partitions}
            for partition in partitions:
                if partition.topic == topic and partition.partition not in known:
                    raise UnknownTopicOrPartitionError(f"topic {topic} has no partition {partition.partition}")

    def elect_leaders(
        self, election_type: Any, topic_partitions: Any = None, timeout_ms: Any = None, raise_errors: bool = True
    ) -> NoReturn:
        """Not available."""
        absent("elect_leaders")

    def alter_partition_reassignments(self, reassignments: Any, timeout_ms: float | None = None) -> NoReturn:
        """Not available."""
        absent("alter_partition_reassignments")

    def list_partition_reassignments(self, topic_partitions: Any = None, timeout_ms: float | None = None) -> NoReturn:
        """Not available."""
        absent("list_partition_reassignments")

    def describe_topic_partitions(
        self, topics: Any, response_partition_limit: int = 2000, cursor: Any = None
    ) -> NoReturn:
        """Not available."""
        absent("describe_topic_partitions", "use describe_topics")


def _wanted(given: Any) -> tuple[int, Sequence[Sequence[int]] | None]:
    if isinstance(given, int):
        return given, None
    if isinstance(given, Mapping):
        return int(given["count"]), given.get("assignments")
    return int(given.total_count), given.new_assignments
