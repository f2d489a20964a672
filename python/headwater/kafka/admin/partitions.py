"""Partitions and their offsets.

Absent: choosing replicas, elections, reassignments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

from headwater._headwater import Consumer
from headwater._types import TopicPartition
from headwater.errors import HeadwaterError
from headwater.kafka.absent import absent
from headwater.kafka.admin.base import AdminBase
from headwater.kafka.enums import IsolationLevel, OffsetSpec, build_from
from headwater.kafka.errors import UnknownTopicOrPartitionError
from headwater.kafka.errors.codes import code_of, translated
from headwater.kafka.structs import OffsetAndTimestamp

__all__ = ["CreatePartitionsResponse", "CreatePartitionsTopicResult", "NewPartitions", "PartitionAdmin"]


class NewPartitions:
    """How many partitions a topic shall have."""

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
        """Grows topics to so many partitions: `{topic: count}`, `{topic: {"count": count}}` or with `NewPartitions`.

        Raises:
            InvalidPartitionsError, …: the first refusal, after all were tried, unless `raise_errors=False`.
        """
        if validate_only:
            absent("create_partitions(validate_only=True)")
        results: list[CreatePartitionsTopicResult] = []
        failures: list[HeadwaterError] = []
        for topic, given in topic_partitions.items():
            try:
                self._admin.create_partitions(topic, _count(topic, given))
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
        """Looks offsets up: `OffsetSpec.EARLIEST`, `OffsetSpec.LATEST`, or the first record not older than a time (ms).

        An offset of -1 says that there is no such record.
        """
        level = build_from(IsolationLevel, isolation_level)
        specs = {partition: _time(partition, spec) for partition, spec in topic_partition_specs.items()}
        self._expect_known(specs)
        found: dict[TopicPartition, OffsetAndTimestamp] = {}
        with Consumer(self._target, isolation_level=level.name.lower(), **self._settings) as consumer:
            first = [partition for partition, spec in specs.items() if spec == OffsetSpec.EARLIEST]
            last = [partition for partition, spec in specs.items() if spec == OffsetSpec.LATEST]
            times = {partition: spec for partition, spec in specs.items() if spec >= 0}
            for partition, offset in (
                *self._kafka(consumer.beginning_offsets, first).items(),
                *self._kafka(consumer.end_offsets, last).items(),
            ):
                found[partition] = OffsetAndTimestamp(offset, -1, None)
            for partition, record in self._kafka(consumer.offsets_for_times, times).items():
                found[partition] = OffsetAndTimestamp(*(record or (-1, -1)), None)
        return {partition: found[partition] for partition in specs}

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


def _time(partition: TopicPartition, spec: Any) -> int:
    if not isinstance(spec, int):
        raise TypeError(f"{partition}: expected an OffsetSpec or a time in milliseconds, got {spec!r}")
    if spec < 0 and spec not in (OffsetSpec.EARLIEST, OffsetSpec.LATEST):
        absent(f"list_partition_offsets with {build_from(OffsetSpec, spec).name}")
    return int(spec)


def _count(topic: str, given: Any) -> int:
    if isinstance(given, int):
        return given
    count, assignments = (
        (given["count"], given.get("assignments"))
        if isinstance(given, Mapping)
        else (given.total_count, given.new_assignments)
    )
    if assignments:
        absent(f"create_partitions with assignments (topic {topic})", "leave the choice to the broker")
    return int(count)
