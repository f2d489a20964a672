"""Listeners to changes of a group's assignment."""

from __future__ import annotations

import asyncio
import inspect
import logging
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headwater._types import TopicPartition
from headwater.kafka.errors import KafkaError

__all__ = ["AsyncConsumerRebalanceListener", "ConsumerRebalanceListener", "Listening"]

log = logging.getLogger(__name__)


class ConsumerRebalanceListener(ABC):
    """Told of changes of the assignment, inside `poll`, on the thread that polls."""

    @abstractmethod
    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> Any:
        """Called before partitions are given up: the last chance to commit. Also when the consumer is closed."""

    @abstractmethod
    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> Any:
        """Called after partitions were assigned, before the first of their records."""

    def on_partitions_lost(self, lost: set[TopicPartition]) -> Any:
        """Called when partitions belong to others by now; by default as `on_partitions_revoked`."""
        return self.on_partitions_revoked(lost)


class AsyncConsumerRebalanceListener(ABC):
    """As `ConsumerRebalanceListener`, with coroutines, which run to their end inside `poll`."""

    @abstractmethod
    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> Any:
        """Called before partitions are given up: the last chance to commit. Also when the consumer is closed."""

    @abstractmethod
    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> Any:
        """Called after partitions were assigned, before the first of their records."""

    async def on_partitions_lost(self, lost: set[TopicPartition]) -> Any:
        """Called when partitions belong to others by now; by default as `on_partitions_revoked`."""
        return await self.on_partitions_revoked(lost)


class Listening:
    """Passes changes on to a listener, in the order that kafka-python keeps.

    With an eager strategy that order is: all partitions are revoked, perhaps none, then all are assigned.
    """

    def __init__(self, listener: Any, is_eager: bool) -> None:
        self._listener = listener
        self._is_eager = is_eager
        self._has_revoked = False
        self._failure: Exception | None = None

    def assigned(self, partitions: list[TopicPartition]) -> None:
        """The `on_assign` of Headwater's consumer."""
        if self._is_eager and not self._has_revoked:
            self._tell("on_partitions_revoked", [])
        self._has_revoked = False
        self._tell("on_partitions_assigned", partitions)

    def revoked(self, partitions: list[TopicPartition]) -> None:
        """The `on_revoke` of Headwater's consumer."""
        self._has_revoked = True
        self._tell("on_partitions_revoked", partitions)

    def lost(self, partitions: list[TopicPartition]) -> None:
        """The `on_lost` of Headwater's consumer."""
        self._has_revoked = True
        self._tell("on_partitions_lost", partitions)

    def raise_failure(self) -> None:
        """Raises what the listener raised since the last call.

        Raises:
            KafkaError: caused by the exception of the listener.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise KafkaError("the rebalance listener failed") from failure

    def _tell(self, method: str, partitions: list[TopicPartition]) -> None:
        try:
            told = getattr(self._listener, method)(set(partitions))
            if inspect.iscoroutine(told):
                _run(told)
        except Exception as error:
            # Kept until the poll is over: raised here, it would take the other events of this poll with it.
            log.exception("%s of the rebalance listener failed", method)
            self._failure = error


def _run(coroutine: Any) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    # A notebook's thread has a loop that runs already, and a second one cannot run inside it.
    with ThreadPoolExecutor(1, thread_name_prefix="headwater-listener") as elsewhere:
        elsewhere.submit(asyncio.run, coroutine).result()
