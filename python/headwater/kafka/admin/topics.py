"""Topics: creating, deleting, listing, describing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from headwater.errors import HeadwaterError
from headwater.kafka.absent import absent
from headwater.kafka.admin.base import AdminBase
from headwater.kafka.admin.configs import summary
from headwater.kafka.errors import KafkaTimeoutError
from headwater.kafka.errors.codes import code_of, for_code, translated

__all__ = ["NewTopic", "TopicAdmin"]

T = TypeVar("T")


class NewTopic:
    """A topic to be created; -1 stands for the broker's default.

    `replica_assignments` names the brokers of each partition, in place of both numbers.
    """

    def __init__(
        self,
        name: str,
        num_partitions: int = -1,
        replication_factor: int = -1,
        replica_assignments: Mapping[int, Sequence[int]] | None = None,
        topic_configs: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.num_partitions = num_partitions
        self.replication_factor = replication_factor
        self.replica_assignments = replica_assignments or {}
        self.topic_configs = topic_configs or {}


class TopicAdmin(AdminBase):
    """The calls about topics."""

    def list_topics(self) -> list[str]:
        """Names of all topics, internal ones too."""
        return self._kafka(self._admin.list_topics, internal=True)

    def create_topics(
        self,
        new_topics: Any,
        timeout_ms: float | None = None,
        validate_only: bool = False,
        raise_errors: bool = True,
        wait_for_metadata: bool = False,
    ) -> dict[str, Any]:
        """Creates topics, one after the other; returns when their partitions are served.

        Args:
            new_topics: names; or `{name: {num_partitions, replication_factor, assignments, configs}}`, all of them
                optional; or a list of `NewTopic`.
            timeout_ms: without effect; `request_timeout_ms` bounds the call.
            validate_only: only checks.
            raise_errors: otherwise errors are only in the answer.
            wait_for_metadata: waits for the leaders, which is so anyhow.

        Returns:
            `{"topics": [{name, topic_id, error_code, error_message, num_partitions, replication_factor, configs}]}`.

        Raises:
            TopicAlreadyExistsError, InvalidTopicError, …: the first refusal, after all were tried.
        """
        if validate_only and wait_for_metadata:
            raise ValueError("validate_only and wait_for_metadata exclude each other")
        answers: list[dict[str, Any]] = []
        failures: list[HeadwaterError] = []
        for topic in _new_topics(new_topics):
            try:
                self._admin.create_topic(
                    topic.name,
                    partitions=None if topic.num_partitions == -1 else topic.num_partitions,
                    replication_factor=None if topic.replication_factor == -1 else topic.replication_factor,
                    assignment=topic.replica_assignments,
                    config=topic.topic_configs,
                    validate_only=validate_only,
                )
                answers.append(self._created(topic, validate_only))
            except HeadwaterError as error:
                failures.append(error)
                answers.append(_answer(topic.name, error) | {"num_partitions": -1, "replication_factor": -1})
        if failures and raise_errors:
            raise translated(failures[0]) from failures[0]
        return {"topics": answers}

    def _created(self, topic: NewTopic, validate_only: bool) -> dict[str, Any]:
        answer = _answer(topic.name, None)
        if validate_only:
            return answer | {"num_partitions": topic.num_partitions, "replication_factor": topic.replication_factor}
        found = self._once_known(self._admin.describe_topic, topic.name)
        configs = self._once_known(self._admin.describe_config, topic.name)
        return answer | {
            "topic_id": found.topic_id,
            "num_partitions": len(found.partitions),
            "replication_factor": len(found.partitions[0].replicas),
            "configs": {name: summary(value) for name, value in configs.items()},
        }

    def _once_known(self, call: Callable[[str], T], topic: str) -> T:
        """Asks about a new topic until all brokers have heard of it: other clusters create first and tell later."""
        deadline = time.monotonic() + self.config["request_timeout_ms"] / 1000
        while True:
            try:
                return call(topic)
            except HeadwaterError as error:
                if error.code != "UNKNOWN_TOPIC_OR_PARTITION" or time.monotonic() >= deadline:
                    raise
            time.sleep(self.config["retry_backoff_ms"] / 1000)

    def wait_for_topics(self, topic_names: Sequence[str], timeout_ms: float = 10000) -> None:
        """Waits until all partitions of these topics have a leader.

        Raises:
            KafkaTimeoutError: some have none after `timeout_ms`.
        """
        deadline = time.monotonic() + timeout_ms / 1000
        while pending := [name for name in topic_names if not self._is_ready(name)]:
            if time.monotonic() >= deadline:
                raise KafkaTimeoutError(f"topics without leaders after {timeout_ms} ms: {', '.join(pending)}")
            time.sleep(0.1)

    def _is_ready(self, name: str) -> bool:
        try:
            found = self._admin.describe_topic(name)
        except HeadwaterError:
            return False
        return bool(found.partitions) and all(partition.leader is not None for partition in found.partitions)

    def delete_topics(
        self, topics: Sequence[str], timeout_ms: float | None = None, raise_errors: bool = True
    ) -> dict[str, Any]:
        """Deletes topics and their records, one after the other.

        Raises:
            UnknownTopicOrPartitionError, …: the first refusal, after all were tried, unless `raise_errors=False`.
        """
        answers: list[dict[str, Any]] = []
        failures: list[HeadwaterError] = []
        for topic in topics:
            if not isinstance(topic, str):
                absent("delete_topics by topic id", "name the topics")
            try:
                topic_id = self._admin.describe_topic(topic).topic_id
                self._admin.delete_topics(topic)
                answers.append(_answer(topic, None) | {"topic_id": topic_id, "error_message": None})
            except HeadwaterError as error:
                failures.append(error)
                answers.append(_answer(topic, error))
        if failures and raise_errors:
            raise translated(failures[0]) from failures[0]
        return {"topics": answers}

    def describe_topics(self, topics: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Partitions, leaders and replicas of these topics, or of all.

        Each is a dict with `error_code`, `name`, `topic_id`, `is_internal` and `partitions`.
        """
        names = self.list_topics() if topics is None else topics
        return [self._described(name) for name in names]

    def _described(self, name: str) -> dict[str, Any]:
        if not isinstance(name, str):
            absent("describe_topics by topic id", "name the topics")
        try:
            topic = self._admin.describe_topic(name)
        except HeadwaterError as error:
            if error.code is None:
                raise translated(error) from error
            code = code_of(error)
            return {"error_code": code, "name": name, "topic_id": None, "is_internal": False, "partitions": []}
        partitions = [
            {
                "error_code": 0 if at.leader is not None else 5,
                "partition_index": at.partition,
                "leader_id": -1 if at.leader is None else at.leader,
                "leader_epoch": at.leader_epoch,
                "replica_nodes": at.replicas,
                "isr_nodes": at.isr,
            }
            for at in topic.partitions
        ]
        return {
            "error_code": 0,
            "name": topic.name,
            "topic_id": topic.topic_id,
            "is_internal": topic.internal,
            "partitions": partitions,
        }


def _new_topics(given: Any) -> list[NewTopic]:
    if isinstance(given, Mapping):
        topics = [
            NewTopic(
                name,
                options.get("num_partitions", -1),
                options.get("replication_factor", -1),
                options.get("assignments"),
                options.get("configs"),
            )
            for name, options in given.items()
        ]
    else:
        topics = [NewTopic(topic) if isinstance(topic, str) else topic for topic in given]
    if not topics or not all(isinstance(topic, NewTopic) for topic in topics):
        raise ValueError(f"new_topics expects names, {{name: options}} or NewTopic objects, got {given!r}")
    return topics


def _answer(name: str, error: HeadwaterError | None) -> dict[str, Any]:
    if error is None:
        return {"name": name, "topic_id": None, "error_code": 0, "error_message": ""}
    failure = for_code(code_of(error))
    return {"name": name, "topic_id": None, "error_code": failure.errno, "error_message": str(error)}
