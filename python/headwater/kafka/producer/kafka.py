"""`KafkaProducer`, over `headwater.Producer`.

Absent: transactions, encryption, authentication; what asks for them is refused.
"""

from __future__ import annotations

import functools
import itertools
import logging
import random
import threading
import time
import weakref
from types import TracebackType
from typing import Any, NoReturn

from typing_extensions import Self

from headwater._headwater import Producer
from headwater.errors import ConfigError, HeadwaterError, TimedOutError
from headwater.kafka.absent import absent
from headwater.kafka.bootstrap import connected, target_of
from headwater.kafka.cluster import ClusterMetadata
from headwater.kafka.errors import (
    BrokerResponseError,
    IllegalStateError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    UnknownTopicOrPartitionError,
)
from headwater.kafka.errors.codes import translated
from headwater.kafka.partitioner import DefaultPartitioner, Partitioner, StickyPartitioner
from headwater.kafka.producer.deliveries import Deliveries
from headwater.kafka.producer.future import FutureRecordMetadata
from headwater.kafka.serializer import Serializer, SerializeWrapper
from headwater.kafka.settings import COMMON, in_force, passed_on, refuse_promises
from headwater.kafka.topic_name import ensure_valid_topic_name

__all__ = ["KafkaProducer"]

log = logging.getLogger(__name__)

_BYTES = (bytes, bytearray, memoryview, type(None))
#: How long a producer that nobody closed may take to send what it has.
_THROWN_AWAY_SECONDS = 5.0
_CODECS = (None, "gzip", "snappy", "lz4", "zstd")
_PASSED_ON = (
    "acks",
    "batch_size",
    "compression_type",
    "delivery_timeout_ms",
    "enable_idempotence",
    "linger_ms",
    "max_block_ms",
    "max_in_flight_requests_per_connection",
    "max_request_size",
    "retries",
)
_numbers = itertools.count(1)


class KafkaProducer:
    """Sends records in the background; safe to use from several threads.

    Takes kafka-python's arguments by name, `DEFAULT_CONFIG` lists them; `bootstrap_servers` may also be a
    `headwater.Broker`.

    Raises:
        ValueError: an argument is unknown.
        KafkaConfigurationError: an argument asks for what does not exist here, or contradicts another one.
        KafkaTimeoutError: no broker answers within `bootstrap_timeout_ms`.
    """

    DEFAULT_CONFIG: dict[str, Any] = {  # noqa: RUF012
        **COMMON,
        "client_id": None,
        "key_serializer": None,
        "value_serializer": None,
        "enable_idempotence": True,
        "transactional_id": None,
        "transaction_timeout_ms": 60000,
        "delivery_timeout_ms": 120000,
        "acks": -1,
        "compression_type": None,
        "retries": float("inf"),
        "batch_size": 16384,
        "linger_ms": 0,
        "partitioner": DefaultPartitioner(),
        "max_block_ms": 60000,
        "max_request_size": 1048576,
        "allow_auto_create_topics": True,
        "ssl_ciphers": None,
        "metrics_enabled": True,
    }
    DEPRECATED_CONFIGS: tuple[str, ...] = ()

    def __init__(self, **configs: Any) -> None:
        if unknown := {name: value for name, value in configs.items() if name not in self.DEFAULT_CONFIG}:
            raise ValueError(f"Unrecognized configs: {unknown}")
        self.config = in_force(self.DEFAULT_CONFIG, configs)
        refuse_promises(self.config, self.DEFAULT_CONFIG)
        self._check(configs)
        if self.config["client_id"] is None:
            self.config["client_id"] = f"headwater-kafka-producer-{next(_numbers)}"
        for name in ("key_serializer", "value_serializer"):
            serializer = self.config[name]
            if serializer is not None and not isinstance(serializer, Serializer) and callable(serializer):
                self.config[name] = SerializeWrapper(serializer)
        target = target_of(self.config["bootstrap_servers"])
        try:
            self._producer = Producer(target, **passed_on(self.config, _PASSED_ON))
        except ConfigError as error:
            raise KafkaConfigurationError(str(error)) from error
        self._admin = connected(target, passed_on(self.config), self.config["bootstrap_timeout_ms"])
        self._metadata = ClusterMetadata(self._fetch_partitions, self.config["metadata_max_age_ms"] / 1000)
        self._deliveries = Deliveries(self._producer)
        self._closed = False
        # A producer that nobody closes still sends what it has, when it is thrown away or the interpreter ends.
        self._finalizer = weakref.finalize(self, self._deliveries.close, _THROWN_AWAY_SECONDS)

    def _check(self, given: dict[str, Any]) -> None:
        config = self.config
        if config["transactional_id"] is not None:
            raise KafkaConfigurationError(
                f"transactional_id={config['transactional_id']!r}: headwater.kafka has no transactions yet"
            )
        if config["compression_type"] not in _CODECS:
            raise ValueError(f"Not supported codec: {config['compression_type']}")
        if config["acks"] == "all":
            config["acks"] = -1
        if config["delivery_timeout_ms"] < config["linger_ms"] + config["request_timeout_ms"]:
            raise KafkaConfigurationError("delivery_timeout_ms must be at least linger_ms + request_timeout_ms")
        conflicts = []
        if config["acks"] != -1:
            conflicts.append(f"acks={config['acks']!r}")
        if config["retries"] == 0:
            conflicts.append("retries=0")
        if config["max_in_flight_requests_per_connection"] > 5:
            in_flight = config["max_in_flight_requests_per_connection"]
            conflicts.append(f"max_in_flight_requests_per_connection={in_flight!r}")
        if config["enable_idempotence"] and conflicts:
            if "enable_idempotence" in given:
                raise KafkaConfigurationError(f"enable_idempotence=True does not go with {', '.join(conflicts)}")
            log.warning("the producer is not idempotent, because of %s", ", ".join(conflicts))
            config["enable_idempotence"] = False

    def bootstrap_connected(self) -> bool:
        """Whether the producer has seen the cluster and is not closed."""
        return not self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        """Waits up to `timeout` seconds (None: as long as it takes) for what is under way, then ends.

        Raises:
            KafkaTimeoutError: records are still under way; the producer stays open.
        """
        if self._closed:
            return
        if timeout is not None and not 0 <= timeout <= threading.TIMEOUT_MAX:
            raise ValueError(f"Invalid timeout: {timeout}")
        self.flush(timeout)
        self._closed = True
        self._finalizer.detach()
        self._deliveries.close(1.0 if timeout is None else timeout)
        self._admin.close()
        for name in ("key_serializer", "value_serializer"):
            if callable(close := getattr(self.config[name], "close", None)):
                close()

    def partitions_for(self, topic: str) -> set[int]:
        """The partitions of a topic, which is created if the broker allows it.

        Raises:
            KafkaTimeoutError: the topic is still unknown after `max_block_ms`.
        """
        ensure_valid_topic_name(topic)
        return set(self._metadata.learn(topic))

    def send(  # noqa: PLR0917  # kafka-python's order
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> FutureRecordMetadata:
        """Appends a record to a batch and returns at once; the future tells where it went.

        Args:
            topic: created if it does not exist and the broker allows it.
            value: bytes, or what `value_serializer` takes; None (a tombstone) needs a key.
            key: bytes, or what `key_serializer` takes.
            headers: pairs of name and bytes.
            partition: default: as the `partitioner` chooses.
            timestamp_ms: milliseconds since the epoch; default: now.

        Raises:
            KafkaTimeoutError: the topic is unknown, or there is no room, after `max_block_ms`.
            TypeError: a name, key, value or header has the wrong type.
            ValueError: neither key nor value, an impossible topic, or no such partition.
            MessageSizeTooLargeError: the record is larger than `max_request_size`.
            IllegalStateError: the producer is closed.
        """
        if self._closed:
            raise IllegalStateError("the producer is closed")
        if value is None and key is None:
            raise ValueError("a record needs a key or a value")
        headers = _checked(headers)
        key_bytes = self._serialized("key", topic, headers, key)
        value_bytes = self._serialized("value", topic, headers, value)
        future = FutureRecordMetadata(_sizes(key_bytes, value_bytes, headers))
        ensure_valid_topic_name(topic)
        try:
            self._metadata.learn(topic)
        except BrokerResponseError as error:
            future.failure(error)
            return future
        if partition is not None:
            self._check_partition(topic, partition)
        else:
            partition = self._partition(topic, key, key_bytes, value, value_bytes)
        self._deliveries.expect(future)
        try:
            self._producer.produce(
                topic,
                value_bytes,
                key=key_bytes,
                headers=headers,
                partition=partition,
                timestamp=timestamp_ms,
                on_delivery=functools.partial(self._deliveries.deliver, future),
            )
        except BaseException as error:
            self._deliveries.forget(future)
            if isinstance(error, HeadwaterError):
                raise self._refused(error) from error
            raise
        return future

    def flush(self, timeout: float | None = None) -> None:
        """Waits until every record sent before has its fate, and its callbacks have run.

        Raises:
            KafkaTimeoutError: records are still under way after `timeout` seconds.
        """
        self._deliveries.flush(timeout)

    def metrics(self, raw: bool = False) -> dict[str, dict[str, float]] | None:
        """Counts of records, below the name of their group; None with `metrics_enabled=False`.

        Far fewer than kafka-python has, and `raw` is not available.
        """
        if raw:
            absent("metrics(raw=True)")
        if not self.config["metrics_enabled"]:
            return None
        counts = {
            "record-send-total": float(self._deliveries.sent),
            "record-error-total": float(self._deliveries.failed),
            "records-under-way": float(self._deliveries.under_way),
            "buffered-bytes": float(self._producer.buffered_bytes),
        }
        return {"producer-metrics": counts, "kafka-metrics-count": {"count": float(len(counts))}}

    def init_transactions(self) -> NoReturn:
        """Not available: there is no `transactional_id`."""
        raise _no_transactions()

    def begin_transaction(self) -> NoReturn:
        """Not available: there is no `transactional_id`."""
        raise _no_transactions()

    def send_offsets_to_transaction(self, offsets: Any, group_metadata: Any) -> NoReturn:
        """Not available: there is no `transactional_id`."""
        raise _no_transactions()

    def commit_transaction(self) -> NoReturn:
        """Not available: there is no `transactional_id`."""
        raise _no_transactions()

    def abort_transaction(self) -> NoReturn:
        """Not available: there is no `transactional_id`."""
        raise _no_transactions()

    def __str__(self) -> str:
        return f"<KafkaProducer client_id={self.config['client_id']} transactional_id=None>"

    def _fetch_partitions(self, topic: str) -> list[int]:
        limit = self.config["max_block_ms"] / 1000
        try:
            if not self.config["allow_auto_create_topics"]:
                self._wait_until_there(topic, limit)
            return self._producer.partitions_for(topic)
        except HeadwaterError as error:
            failure = translated(error)
            if isinstance(error, TimedOutError) or isinstance(failure, UnknownTopicOrPartitionError):
                failure = KafkaTimeoutError(f"topic {topic} is still unknown after {limit} s")
            raise failure from error

    def _wait_until_there(self, topic: str, limit: float) -> None:
        # Asking the producer itself would create the topic.
        deadline = time.monotonic() + limit
        while topic not in self._admin.list_topics(internal=True):
            left = deadline - time.monotonic()
            if left <= 0:
                raise KafkaTimeoutError(f"topic {topic} is still unknown after {limit} s")
            time.sleep(min(left, self.config["retry_backoff_ms"] / 1000))

    def _serialized(self, part: str, topic: str, headers: list[tuple[str, bytes]], data: Any) -> Any:
        serializer = self.config[f"{part}_serializer"]
        if serializer is None:
            made = data
        elif isinstance(serializer, SerializeWrapper):
            made = serializer.serialize(topic, headers, data)
        else:
            try:
                made = serializer.serialize(topic, headers, data)
            except TypeError:
                # kafka-python 2 called `serialize(topic, data)`.
                made = serializer.serialize(topic, data)
        if not isinstance(made, _BYTES):
            hint = "" if serializer is not None else f"; convert it, or give the producer a {part}_serializer"
            raise TypeError(f"a record's {part} is sent as bytes, got {type(made).__name__}{hint}")
        return made

    def _check_partition(self, topic: str, partition: int) -> None:
        if partition < 0:
            raise ValueError(f"a partition is not negative, got {partition}")
        known = self._metadata.partitions_for_topic(topic) or set()
        if partition not in known:
            raise ValueError(f"topic {topic} has the partitions {sorted(known)}, there is no partition {partition}")

    def _partition(self, topic: str, key: Any, key_bytes: Any, value: Any, value_bytes: Any) -> int | None:
        partitioner = self.config["partitioner"]
        if type(partitioner) is DefaultPartitioner:
            # Headwater's producer hashes keys just so, and faster.
            if key_bytes is not None:
                return None
            return random.choice(sorted(self._metadata.partitions_for_topic(topic) or ()))
        if type(partitioner) is StickyPartitioner:
            return None
        if isinstance(partitioner, Partitioner):
            chosen = partitioner.partition(topic, key, key_bytes, value, value_bytes, self._metadata)
        elif hasattr(partitioner, "partition"):
            # An object of another family, which kafka-python calls with less.
            chosen = partitioner.partition(topic, key_bytes, self._metadata)
        else:
            # A plain function, as kafka-python 2 took it.
            known = sorted(self._metadata.partitions_for_topic(topic) or ())
            chosen = partitioner(key_bytes, known, known)
        if chosen is None:
            raise ValueError(f"the partitioner chose no partition of topic {topic}")
        return int(chosen)

    def _refused(self, error: HeadwaterError) -> Exception:
        failure = translated(error)
        # The partitioner's choice does not exist.
        return ValueError(str(error)) if isinstance(failure, UnknownTopicOrPartitionError) else failure


def _checked(headers: Any) -> list[tuple[str, bytes]]:
    if headers is None:
        return []
    if not isinstance(headers, list):
        raise TypeError(f"headers expects a list, got {type(headers).__name__}")
    for header in headers:
        match header:
            case (str(), bytes()) if isinstance(header, tuple):
                pass
            case _:
                raise TypeError(f"a header is a tuple of str and bytes, got {header!r}")
    return headers


def _sizes(key: Any, value: Any, headers: list[tuple[str, bytes]]) -> tuple[int, int, int]:
    in_headers = sum(len(name.encode()) + len(content) for name, content in headers) if headers else -1
    return (-1 if key is None else len(key), -1 if value is None else len(value), in_headers)


def _no_transactions() -> IllegalStateError:
    return IllegalStateError("transactions need a transactional_id, which headwater.kafka does not have yet")
