"""What planning asks the brokers: topics, partitions, offsets. The records themselves are read elsewhere, by
`headwater.scan`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pyspark_headwater.errors import OptionError, wheel
from pyspark_headwater.kafka_settings import admin_settings
from pyspark_headwater.offsets import Offsets
from pyspark_headwater.subscription import Assigned, Pattern, Subscription, TopicPartition, Topics

__all__ = ["Cluster"]

#: How long the first answer of a cluster may take where the user sets no `kafka.default.api.timeout.ms`: an address
#: with a typing error must not cost the minute that a broker on its way back up is given later.
FIRST_ANSWER_MS = 15_000


class Cluster:
    """Connections to one cluster; made at first use, since what makes them is sent between processes before.

    Args:
        bootstrap: the addresses, separated by commas.
        settings: those of `consumer_settings`.
        first: whether these brokers have not been asked before, and may be an address with a typing error.
    """

    def __init__(self, bootstrap: str, settings: Mapping[str, str], *, first: bool = True) -> None:
        headwater = wheel()
        self.bootstrap = bootstrap
        self._unknown = "UNKNOWN_TOPIC_OR_PARTITION"
        self._broker_error = headwater.BrokerError
        if first and "default_api_timeout_ms" not in settings:
            _first_answer(bootstrap, admin_settings(settings))
        self._admin: Any = headwater.Admin(bootstrap, **admin_settings(settings))
        # A typing error in a topic's name must not create it.
        self._consumer: Any = headwater.Consumer(bootstrap, **{**settings, "allow_auto_create_topics": False})

    def close(self) -> None:
        """Ends the connections."""
        self._admin.close()
        self._consumer.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def partitions_of(self, topic: str) -> list[int] | None:
        """The numbers of a topic's partitions; None if it does not exist."""
        try:
            described = self._admin.describe_topic(topic)
        except self._broker_error as error:
            if error.code == self._unknown:
                return None
            raise
        return sorted(partition.partition for partition in described.partitions)

    def subscribed(self, wanted: Subscription, *, gone: Collection[str] | None = ()) -> list[TopicPartition]:
        """The partitions that a subscription means now, sorted.

        Args:
            gone: topics that may be missing, because the query has read them before; None: any may.

        Raises:
            OptionError: a topic or partition does not exist.
        """
        if isinstance(wanted, Assigned):
            return self._assigned(wanted, gone)
        if isinstance(wanted, Pattern):
            topics = [name for name in self._admin.list_topics() if wanted.regex.search(name)]
        else:
            topics = list(wanted.names)
        found = []
        for topic in topics:
            numbers = self.partitions_of(topic)
            # A topic that matched a moment ago may have been deleted since.
            if numbers is None and isinstance(wanted, Topics) and gone is not None and topic not in gone:
                raise OptionError(f"option subscribe: topic {topic} does not exist on {self.bootstrap}")
            found += [(topic, number) for number in numbers or ()]
        return sorted(found)

    def _assigned(self, wanted: Assigned, gone: Collection[str] | None) -> list[TopicPartition]:
        existing = {topic: self.partitions_of(topic) for topic, _ in wanted.partitions}
        found = []
        for topic, number in wanted.partitions:
            numbers = existing[topic]
            if numbers is not None and number in numbers:
                found.append((topic, number))
            elif gone is not None and topic not in gone:
                missing = f"topic {topic}" if numbers is None else f"partition {number} of topic {topic}"
                raise OptionError(f"option assign: {missing} does not exist on {self.bootstrap}")
        return found

    def beginning(self, partitions: Collection[TopicPartition]) -> Offsets:
        """The first retained offset of each partition."""
        return self._offsets(self._consumer.beginning_offsets, partitions)

    def end(self, partitions: Collection[TopicPartition]) -> Offsets:
        """The offset after the last record of each partition that `kafka.isolation.level` lets one see."""
        return self._offsets(self._consumer.end_offsets, partitions)

    def at_times(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        """The first offset of each partition whose record is not older than a time in milliseconds; None without
        one."""
        if not times:
            return {}
        found = self._consumer.offsets_for_times(dict(times))
        return {(tp.topic, tp.partition): None if at is None else at.offset for tp, at in found.items()}

    @staticmethod
    def _offsets(ask: Any, partitions: Collection[TopicPartition]) -> Offsets:
        found = ask(sorted(partitions)) if partitions else {}
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}


def _first_answer(bootstrap: str, settings: dict[str, str]) -> None:
    limits = {"default_api_timeout_ms": FIRST_ANSWER_MS, "request_timeout_ms": FIRST_ANSWER_MS}
    admin = wheel().Admin(bootstrap, **{**settings, **limits})
    try:
        admin.describe_cluster()
    finally:
        admin.close()
