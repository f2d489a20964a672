"""`KafkaConsumer`, over `headwater.Consumer`.

Absent: encryption, authentication, assignors of your own; what asks for them is refused. Calls without a `timeout_ms`
are bounded by `request_timeout_ms`.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

from headwater._headwater import Consumer
from headwater._types import TopicPartition
from headwater.errors import HeadwaterError
from headwater.kafka.absent import absent
from headwater.kafka.bootstrap import connected, target_of
from headwater.kafka.consumer.checks import expect_offsets, expect_partitions
from headwater.kafka.consumer.commits import Callback, Commits, commit
from headwater.kafka.consumer.fetcher import ConsumerRecord, decoded
from headwater.kafka.consumer.settings import DEFAULTS, understood
from headwater.kafka.consumer.subscription_state import (
    AsyncConsumerRebalanceListener,
    ConsumerRebalanceListener,
    Listening,
)
from headwater.kafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    RetriableError,
)
from headwater.kafka.errors.codes import translated
from headwater.kafka.future import Future
from headwater.kafka.settings import in_force, passed_on, refuse_promises, seconds
from headwater.kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata, OffsetAndTimestamp
from headwater.kafka.topic_name import ensure_valid_topic_name

__all__ = ["KafkaConsumer"]

log = logging.getLogger(__name__)
T = TypeVar("T")

_ONE_WAY = (
    "a consumer takes its partitions in one way: subscribe(topics), subscribe(pattern=), or assign(partitions); "
    "unsubscribe() first"
)
# An iteration that waits looks up so often: for callbacks of commits, and for new topics of a pattern.
_ITERATION_SECONDS = 1.0
_UNCOMMITTED = "committing needs a group_id"


class KafkaConsumer:
    """Reads records, alone or as a member of a group; to be used by one thread.

    Args:
        topics: topics to subscribe to.
        configs: kafka-python's arguments by name, `DEFAULT_CONFIG` lists them; `bootstrap_servers` may also be a
            `headwater.Broker`.

    Raises:
        KafkaConfigurationError: an argument is unknown, asks for what does not exist here, or contradicts another one.
        KafkaTimeoutError: no broker answers within `bootstrap_timeout_ms`.
    """

    DEFAULT_CONFIG: dict[str, Any] = DEFAULTS
    DEFAULT_SESSION_TIMEOUT_MS_PRE_KIP_735 = 30000

    def __init__(self, *topics: str, **configs: Any) -> None:
        if unknown := set(configs) - set(self.DEFAULT_CONFIG):
            raise KafkaConfigurationError(f"Unrecognized configs: {unknown}")
        self.config = in_force(self.DEFAULT_CONFIG, configs)
        refuse_promises(self.config, self.DEFAULT_CONFIG)
        settings, self._is_eager = understood(self.config)
        self._auto_commits: bool = settings["enable_auto_commit"]
        target = target_of(self.config["bootstrap_servers"])
        self._consumer = self._kafka(Consumer, target, group=self.config["group_id"], **settings)
        self._admin = connected(target, passed_on(self.config), self.config["bootstrap_timeout_ms"])
        self._commits = Commits(self._consumer)
        self._listening: Listening | None = None
        self._topics: set[str] | None = None
        self._pattern: re.Pattern[str] | None = None
        self._is_assigned_by_hand = False
        # Without a group nobody else looks for new topics that match.
        self._look_again_at = math.inf
        # Read for the iteration and not handed out yet; positions and commits go by what was handed out.
        self._buffer: dict[TopicPartition, deque[ConsumerRecord]] = {}
        # Of the records that were read together with those of the buffer, the last that was handed out.
        self._last: ConsumerRecord | None = None
        self._consumed = 0
        self._closed = False
        if topics:
            self.subscribe(topics)

    # Subscriptions.

    def subscribe(self, topics: Sequence[str] = (), pattern: Any = None, listener: Any = None) -> None:
        """Reads these topics, or those whose name begins with a match of `pattern`; with a group, as its member.

        Args:
            topics: names; replace the ones of an earlier call.
            pattern: a regular expression.
            listener: a `ConsumerRebalanceListener`, told of changes inside `poll`.

        Raises:
            IllegalStateError: partitions were assigned by hand, or topics and pattern are both given.
            ValueError: neither is given.
            TypeError: an argument has the wrong type.
        """
        if not topics and not pattern:
            raise ValueError("subscribe expects topics or pattern=")
        if topics and pattern:
            raise IllegalStateError(_ONE_WAY)
        if self._is_assigned_by_hand or (self._topics is not None and bool(pattern) != (self._pattern is not None)):
            raise IllegalStateError(_ONE_WAY)
        if topics and (isinstance(topics, str) or not isinstance(topics, Sequence)):
            raise TypeError(f"topics expects a list of names, got {type(topics).__name__}")
        if listener is not None and not isinstance(
            listener, ConsumerRebalanceListener | AsyncConsumerRebalanceListener
        ):
            raise TypeError(f"listener expects a ConsumerRebalanceListener, got {type(listener).__name__}")
        for topic in topics:
            ensure_valid_topic_name(topic)
        self._give_back()
        self._listening = None if listener is None else Listening(listener, self._is_eager)
        self._topics = set(topics)
        self._pattern = re.compile(pattern) if pattern else None
        if self._pattern is None:
            self._subscribe(topics=sorted(self._topics))
        elif self.config["group_id"] is not None:
            flags = "(?i)" if self._pattern.flags & re.IGNORECASE else ""
            # Headwater's patterns match whole names.
            self._subscribe(pattern=f"{flags}(?:{self._pattern.pattern}).*")
        else:
            self._look_for_topics(is_new=True)

    def _subscribe(self, **what: Any) -> None:
        listening = self._listening
        if listening is not None:
            what |= {"on_assign": listening.assigned, "on_revoke": listening.revoked, "on_lost": listening.lost}
        self._kafka(self._consumer.subscribe, **what)

    def _look_for_topics(self, is_new: bool = False) -> None:
        if self._pattern is None or self.config["group_id"] is not None:
            return
        self._look_again_at = time.monotonic() + self.config["metadata_max_age_ms"] / 1000
        names = self._kafka(self._admin.list_topics, internal=not self.config["exclude_internal_topics"])
        matching = {name for name in names if self._pattern.match(name)}
        if is_new or matching != self._topics:
            self._topics = matching
            self._subscribe(topics=sorted(matching))

    def subscription(self) -> set[str] | None:
        """The topics subscribed to; of a pattern, those that are known to match. None without a subscription."""
        if self._pattern is not None and self.config["group_id"] is not None:
            return set(self._consumer.subscription())
        return None if self._topics is None else set(self._topics)

    def unsubscribe(self) -> None:
        """Commits if auto-commit is on, leaves the group and forgets all partitions."""
        self._give_back()
        self._kafka(self._consumer.unsubscribe)
        self._topics = self._pattern = self._listening = None
        self._is_assigned_by_hand = False
        self._look_again_at = math.inf

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Reads exactly these partitions, without a group's assignment.

        Raises:
            IllegalStateError: there is a subscription.
        """
        partitions = list(partitions)
        if not partitions:
            self.unsubscribe()
            return
        if self._topics is not None:
            raise IllegalStateError(_ONE_WAY)
        self._give_back()
        self._is_assigned_by_hand = True
        self._kafka(self._consumer.assign, partitions)

    def assignment(self) -> set[TopicPartition]:
        """The partitions read now."""
        return set(self._consumer.assignment())

    # Records.

    def poll(
        self, timeout_ms: float = 0, max_records: int | None = None, update_offsets: bool = True
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Records by partition, at most `max_records` (default: `max_poll_records`), at once if there are any.

        Waits up to `timeout_ms` for the first; an empty dict after that. A record that a deserializer refuses ends
        what is returned; the next call begins with it and raises.

        Raises:
            IllegalStateError: the consumer is closed.
            NoOffsetForPartitionError: there is no place to start, and `auto_offset_reset` names none.
        """
        if timeout_ms < 0:
            raise ValueError(f"timeout_ms is not negative, got {timeout_ms}")
        if max_records is None:
            max_records = self.config["max_poll_records"]
        if not isinstance(max_records, int):
            raise TypeError(f"max_records expects an int, got {type(max_records).__name__}")
        if max_records <= 0:
            raise ValueError(f"max_records is positive, got {max_records}")
        if self._closed:
            raise IllegalStateError("the consumer is closed")
        self._give_back()
        records = self._poll(max_records, timeout_ms / 1000)
        self._consumed += sum(map(len, records.values()))
        if not update_offsets:
            self._rewind({partition: found[0].offset for partition, found in records.items()})
        return records

    def _poll(self, max_records: int, seconds: float) -> dict[TopicPartition, list[ConsumerRecord]]:
        self._last = None
        self._commits.run_callbacks()
        if self._topics is None and not self._is_assigned_by_hand:
            # Nothing to read yet, and in kafka-python no error.
            time.sleep(_ITERATION_SECONDS if math.isinf(seconds) else seconds)
            return {}
        if time.monotonic() >= self._look_again_at:
            self._look_for_topics()
        found = self._kafka(self._consumer.poll, max_records, None if math.isinf(seconds) else seconds)
        made = decoded(found, self.config["key_deserializer"], self.config["value_deserializer"])
        self._rewind(made.left)
        if self._listening is not None:
            try:
                self._listening.raise_failure()
            except BaseException:
                self._rewind({partition: records[0].offset for partition, records in made.records.items()})
                raise
        if made.error is not None and not made.records:
            raise made.error
        return made.records

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ConsumerRecord:
        if self._closed:
            raise StopIteration("the consumer is closed")
        limit = self.config["consumer_timeout_ms"]
        deadline = time.monotonic() + limit / 1000 if limit >= 0 else math.inf
        while time.monotonic() < deadline:
            for partition, records in self._buffer.items():
                record = records.popleft()
                if not records:
                    del self._buffer[partition]
                self._consumed += 1
                self._last = record
                return record
            left = min(max(0.0, deadline - time.monotonic()), _ITERATION_SECONDS)
            found = self._poll(self.config["max_poll_records"], left)
            self._buffer = {partition: deque(records) for partition, records in found.items()}
        raise StopIteration

    def _give_back(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Forgets what was read for the iteration; it will be read again."""
        self._last = None
        chosen = list(self._buffer if partitions is None else self._buffer.keys() & set(partitions))
        self._rewind({partition: self._buffer.pop(partition)[0].offset for partition in chosen})

    def _rewind(self, offsets: Mapping[TopicPartition, int]) -> None:
        if offsets:
            assigned = self.assignment()
            for partition, offset in offsets.items():
                if partition in assigned:
                    self._kafka(self._consumer.seek, partition, offset)

    # Positions.

    def position(self, partition: TopicPartition, timeout_ms: float | None = None) -> int | None:
        """Offset of the next record to be handed out; None if it is unknown after `timeout_ms`."""
        self._expect_assigned(partition)
        if partition in self._buffer:
            return self._buffer[partition][0].offset
        try:
            return self._kafka(self._consumer.position, partition, timeout=seconds(timeout_ms))
        except KafkaTimeoutError:
            if timeout_ms is None:
                raise
            return None

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Goes on from `offset`."""
        expect_partitions([partition])
        if not isinstance(offset, int) or offset < 0:
            raise ValueError(f"an offset is an int and not negative, got {offset!r}")
        if partition not in self.assignment():
            raise ValueError(f"{partition} is not assigned to this consumer")
        self._give_back()
        self._kafka(self._consumer.seek, partition, offset)

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        """Goes on from the first retained record, of all assigned partitions by default."""
        self._seek_to(self._consumer.seek_to_beginning, partitions)

    def seek_to_end(self, *partitions: TopicPartition) -> None:
        """Goes on after the last record, of all assigned partitions by default."""
        self._seek_to(self._consumer.seek_to_end, partitions)

    def _seek_to(self, seek: Callable[[list[TopicPartition]], None], partitions: tuple[TopicPartition, ...]) -> None:
        expect_partitions(partitions)
        assigned = self.assignment()
        if not partitions and not assigned:
            raise ValueError("no partitions are assigned to this consumer")
        for partition in partitions:
            if partition not in assigned:
                raise ValueError(f"{partition} is not assigned to this consumer")
        self._give_back()
        self._kafka(seek, list(partitions or assigned))

    def pause(self, *partitions: TopicPartition) -> None:
        """Hands out nothing of these partitions until `resume`."""
        self._pause_or_resume(self._consumer.pause, partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        """Ends a pause."""
        self._pause_or_resume(self._consumer.resume, partitions)

    def _pause_or_resume(
        self, act: Callable[[list[TopicPartition]], None], partitions: tuple[TopicPartition, ...]
    ) -> None:
        expect_partitions(partitions)
        assigned = self.assignment()
        for partition in partitions:
            if partition not in assigned:
                raise KeyError(partition)
        self._give_back(partitions)
        self._kafka(act, list(partitions))

    def paused(self) -> set[TopicPartition]:
        """The paused partitions."""
        return set(self._consumer.paused())

    def highwater(self, partition: TopicPartition) -> int | None:
        """The offset after the last record of the partition, as of the last fetch; None before the first."""
        self._expect_assigned(partition)
        return self._consumer.high_watermark(partition)

    def _expect_assigned(self, partition: TopicPartition) -> None:
        expect_partitions([partition])
        if partition not in self.assignment():
            raise IllegalStateError(f"{partition} is not assigned to this consumer")

    # Commits.

    def commit(self, offsets: Mapping[TopicPartition, Any] | None = None, timeout_ms: float | None = None) -> None:
        """Commits these offsets (`{partition: OffsetAndMetadata}`), or the position after each record handed out.

        Raises:
            IllegalStateError: there is no group.
            CommitFailedError: the group has moved on without this member.
            KafkaTimeoutError: it took longer than `timeout_ms`; whether it took effect is unknown.
        """
        if self.config["group_id"] is None:
            raise IllegalStateError(_UNCOMMITTED)
        if offsets is None:
            offsets = self._handed_out()
        expect_offsets(offsets)
        if not offsets:
            return
        if (refusal := self._refusal()) is not None:
            raise refusal
        commit(self._consumer, offsets, timeout_ms)

    def commit_async(
        self, offsets: Mapping[TopicPartition, Any] | None = None, callback: Callback | None = None
    ) -> Future[None]:
        """As `commit`, in the background. `callback(offsets, None or the exception)` is called in a later call here."""
        if self.config["group_id"] is None:
            raise IllegalStateError(_UNCOMMITTED)
        self._commits.run_callbacks()
        if offsets is None:
            offsets = self._handed_out()
        expect_offsets(offsets)
        refusal = self._refusal() if offsets else None
        return self._commits.start(offsets, callback or self.config["default_offset_commit_callback"], refusal)

    def _handed_out(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """Positions of the partitions that have one by now; never waits."""
        positions: dict[TopicPartition, OffsetAndMetadata] = {}
        for partition, at in self._kafka(self._consumer.positions).items():
            offset, leader_epoch = at.offset, _epoch(at.leader_epoch)
            if partition in self._buffer:
                last = self._last
                is_before = last is not None and (last.topic, last.partition) == partition
                offset = self._buffer[partition][0].offset
                leader_epoch = last.leader_epoch if last is not None and is_before else -1
            positions[partition] = OffsetAndMetadata(offset, "", leader_epoch)
        return positions

    def _refusal(self) -> CommitFailedError | None:
        """Why no commit is tried: outside of its group a member to be would overwrite what the members commit."""
        if self._topics is None or self._consumer.membership is not None:
            return None
        return CommitFailedError("the consumer is not a member of its group: it has not polled yet, or was put out")

    def committed(
        self, partition: TopicPartition, metadata: bool = False, timeout_ms: float | None = None
    ) -> int | OffsetAndMetadata | None:
        """The offset that the group has committed, with `metadata` as an `OffsetAndMetadata`; None if there is none.

        Raises:
            KafkaTimeoutError: there is no answer after `timeout_ms`.
        """
        if self.config["group_id"] is None:
            raise IllegalStateError(_UNCOMMITTED)
        expect_partitions([partition])
        found = self._looked_up(self._consumer.committed, [partition], timeout_ms)[partition]
        if found is None:
            return None
        at = OffsetAndMetadata(found.offset, found.metadata, _epoch(found.leader_epoch))
        return at if metadata else at.offset

    def group_metadata(self) -> ConsumerGroupMetadata:
        """This consumer's place in its group."""
        group, instance = self.config["group_id"], self.config["group_instance_id"]
        membership = None if group is None else self._consumer.membership
        if membership is None:
            return ConsumerGroupMetadata(group, group_instance_id=instance)
        return ConsumerGroupMetadata(group, membership.generation, membership.member_id, instance, MemberState.STABLE)

    # The cluster.

    def topics(self) -> set[str]:
        """Names of all topics, internal ones left out."""
        return set(self._kafka(self._admin.list_topics))

    def partitions_for_topic(self, topic: str) -> set[int]:
        """The partitions of a topic; empty if it does not exist."""
        return set(self._kafka(self._consumer.partitions_for, topic) or ())

    def beginning_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """The first retained offset of each partition.

        Raises:
            KafkaTimeoutError: some are unknown after `timeout_ms`, or do not exist.
        """
        return self._looked_up(self._consumer.beginning_offsets, list(partitions), timeout_ms)

    def end_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition.

        Raises:
            KafkaTimeoutError: some are unknown after `timeout_ms`, or do not exist.
        """
        return self._looked_up(self._consumer.end_offsets, list(partitions), timeout_ms)

    def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int], timeout_ms: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """For each partition the first record not older than a time (ms); None if there is none.

        Raises:
            KafkaTimeoutError: some are unknown after `timeout_ms`, or do not exist.
        """
        times = {partition: int(time_ms) for partition, time_ms in timestamps.items()}
        for partition, time_ms in times.items():
            if time_ms < 0:
                raise ValueError(f"the time for {partition} is {time_ms}, and cannot be negative")
        found = self._looked_up(self._consumer.offsets_for_times, times, timeout_ms)
        return {
            partition: None if at is None else OffsetAndTimestamp(at.offset, at.timestamp, _epoch(at.leader_epoch))
            for partition, at in found.items()
        }

    def _looked_up(
        self, look_up: Callable[..., dict[TopicPartition, T]], what: Any, timeout_ms: float | None
    ) -> dict[TopicPartition, T]:
        try:
            return self._kafka(look_up, what, timeout=seconds(timeout_ms)) if what else {}
        except KafkaTimeoutError:
            raise
        except RetriableError as error:
            # It was tried again until the time was up.
            raise KafkaTimeoutError(str(error)) from error

    def bootstrap_connected(self) -> bool:
        """Whether the consumer has seen the cluster and is not closed."""
        return not self._closed

    def bootstrap(self, timeout_ms: float | None = None, refresh: bool = False) -> None:
        """Asks for the cluster once more; a consumer that exists has seen it already."""
        if refresh:
            self._kafka(self._admin.describe_cluster)

    def metrics(self, raw: bool = False) -> dict[str, dict[str, float]] | None:
        """Counts, below the name of their group; None with `metrics_enabled=False`.

        Far fewer than kafka-python has, and `raw` is not available.
        """
        if raw:
            absent("metrics(raw=True)")
        if not self.config["metrics_enabled"]:
            return None
        prefix = self.config["metric_group_prefix"]
        lags = [lag for partition in self.assignment() if (lag := self._consumer.lag(partition)) is not None]
        groups = {
            f"{prefix}-fetch-manager-metrics": {
                "records-consumed-total": float(self._consumed),
                "records-lag-max": float(max(lags, default=0)),
            },
            f"{prefix}-coordinator-metrics": {"assigned-partitions": float(len(self.assignment()))},
        }
        return {**groups, "kafka-metrics-count": {"count": 3.0}}

    # The end.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        # After an exception nobody knows whether the last records were processed.
        self.close(autocommit=exc_type is None)

    def close(self, autocommit: bool = True, timeout_ms: float | None = None) -> None:
        """Commits if auto-commit is on and `autocommit` says so, leaves the group, ends.

        The listener is told that all partitions are revoked. Gives up after `timeout_ms` (default:
        `request_timeout_ms`).
        """
        if self._closed:
            return
        self._closed = True
        self._give_back()
        listening = self._listening
        if listening is not None and (assigned := self.assignment()):
            listening.revoked(sorted(assigned))
        self._commits.close()
        limit = self.config["request_timeout_ms"] if timeout_ms is None else timeout_ms
        if not autocommit and self._auto_commits:
            # Closing commits the positions of what is assigned.
            self._kafka(self._consumer.assign, [])
        try:
            self._kafka(self._consumer.close, limit / 1000)
        except KafkaTimeoutError as error:
            log.warning("%s; the group will notice by the session's timeout", error)
        self._admin.close()
        for name in ("key_deserializer", "value_deserializer"):
            if callable(close := getattr(self.config[name], "close", None)):
                close()
        if listening is not None:
            listening.raise_failure()

    @staticmethod
    def _kafka(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Calls Headwater, with its errors as kafka-python's."""
        try:
            return call(*args, **kwargs)
        except HeadwaterError as error:
            raise translated(error) from error


def _epoch(known: int | None) -> int:
    return -1 if known is None else known
