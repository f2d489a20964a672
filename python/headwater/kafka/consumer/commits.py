"""Commits in the background, one after the other, and their callbacks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headwater._headwater import Consumer
from headwater._types import OffsetAndMetadata as CommittedOffset
from headwater._types import TopicPartition
from headwater.errors import HeadwaterError
from headwater.kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from headwater.kafka.errors.codes import translated
from headwater.kafka.future import Future
from headwater.kafka.settings import seconds
from headwater.kafka.structs import OffsetAndMetadata

__all__ = ["Callback", "Commits", "commit"]

Callback = Callable[[Mapping[TopicPartition, OffsetAndMetadata], Any], object]
_MOVED_ON = (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError)


def commit(
    consumer: Consumer, offsets: Mapping[TopicPartition, OffsetAndMetadata], timeout_ms: float | None = None
) -> None:
    """Commits these offsets.

    Raises:
        CommitFailedError: the group has moved on without this member.
        KafkaTimeoutError: it took longer than `timeout_ms`; whether it took effect is unknown.
        KafkaError: why else it failed.
    """
    plain: dict[TopicPartition | tuple[str, int], int | CommittedOffset] = {
        partition: CommittedOffset(at.offset or 0, at.metadata or "", at.leader_epoch if at.leader_epoch >= 0 else None)
        for partition, at in offsets.items()
    }
    try:
        consumer.commit(plain, timeout=seconds(timeout_ms))
    except HeadwaterError as error:
        failure = translated(error)
        raise (CommitFailedError(str(failure)) if isinstance(failure, _MOVED_ON) else failure) from error


class Commits:
    """The commits of one consumer that run in the background. Their callbacks wait for its thread."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._worker: ThreadPoolExecutor | None = None
        self._completed: deque[tuple[Callback, Mapping[TopicPartition, OffsetAndMetadata], Any]] = deque()

    def start(
        self,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        callback: Callback,
        refusal: KafkaError | None = None,
    ) -> Future[None]:
        """Starts a commit; one that is refused ends at once."""
        future: Future[None] = Future()
        future.add_both(lambda outcome: self._completed.append((callback, offsets, outcome)))
        if refusal is not None:
            return future.failure(refusal)
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="headwater-commits")
        self._worker.submit(self._commit, offsets, future)
        return future

    def run_callbacks(self) -> None:
        """Calls `callback(offsets, None or the exception)` of each commit that has ended."""
        while self._completed:
            callback, offsets, outcome = self._completed.popleft()
            callback(offsets, outcome)

    def close(self) -> None:
        """Waits for what is under way."""
        if self._worker is not None:
            self._worker.shutdown()
        self.run_callbacks()

    def _commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], future: Future[None]) -> None:
        try:
            if offsets:
                commit(self._consumer, offsets)
        except KafkaError as error:
            future.failure(error)
        except BaseException as error:
            future.failure(error)
            raise
        else:
            future.success(None)
