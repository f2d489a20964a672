"""Examples that run twice, once with kafka-python and once with `headwater.kafka`, and must come out the same.

An example is a function of the module (`kafka` or `headwater.kafka`) and an address; what it returns is compared after
`plain` has made comparable values of it. It uses topics and groups that begin with its own name.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

Example = Callable[[Any, Any], Any]
EXAMPLES: dict[str, Example] = {}

DEADLINE_SECONDS = 60


def example(function: Example) -> Example:
    """Puts an example on the list."""
    assert function.__name__ not in EXAMPLES
    EXAMPLES[function.__name__] = function
    return function


def sub(kafka: ModuleType, name: str) -> Any:
    """A submodule of the module under test."""
    return importlib.import_module(f"{kafka.__name__}.{name}")


def plain(value: Any) -> Any:
    """A value with the names of its types in place of the types, so that both modules' values can be compared."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return (type(value).__name__, *((name, plain(part)) for name, part in zip(value._fields, value, strict=True)))
    if isinstance(value, BaseException):
        return (type(value).__name__, getattr(value, "errno", None), getattr(value, "retriable", None))
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, dict):
        return {plain(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(plain(part) for part in value)
    return value


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call returns, or the exception it raises."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return error


def create(kafka: Any, at: Any, topic: str, partitions: int = 1, **configs: str) -> str:
    """A new topic."""
    configs = {name.replace("_", "."): value for name, value in configs.items()}
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        options = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
        admin.create_topics({topic: options}, wait_for_metadata=True)
    return topic


def fill(  # noqa: PLR0917
    kafka: Any, at: Any, topic: str, count: int, partition: int = 0, start: int = 0
) -> None:
    """Records `0`, `1`, … at times of 1000, 1001, … ms."""
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        for number in range(start, start + count):
            producer.send(topic, f"{number}".encode(), partition=partition, timestamp_ms=1000 + number)


def until(condition: Callable[[], Any], step: Callable[[], Any]) -> None:
    """Repeats a step, which waits by itself, until the condition holds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "what was waited for never came"
        step()


def poll(consumer: Any, count: int) -> list[Any]:
    """So many records, by `poll`."""
    records: list[Any] = []

    def step() -> None:
        for of_one in consumer.poll(timeout_ms=200).values():
            records.extend(of_one)

    until(lambda: len(records) >= count, step)
    return records


def take(consumer: Any, count: int) -> list[Any]:
    """So many records, by iteration; a consumer's timeout only ends what would otherwise last."""
    records: list[Any] = []

    def step() -> None:
        for record in consumer:
            records.append(record)
            if len(records) == count:
                return

    until(lambda: len(records) == count, step)
    return records


def load() -> dict[str, Example]:
    """All examples by name."""
    for name in ("course", "producing", "consuming", "groups", "admin", "surface"):
        importlib.import_module(f"mirror.{name}")
    return EXAMPLES
