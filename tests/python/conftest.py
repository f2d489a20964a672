"""Every test of the Python classes runs twice: over memory, and over TCP as another process would."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import headwater
import pytest

_numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings of ours are errors; other clients' tests keep theirs."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"))
            item.add_marker(pytest.mark.filterwarnings("ignore:this is a debug build:RuntimeWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka.*"))
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:importlib.*"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[headwater.Broker]:
    data: Path = tmp_path_factory.mktemp("broker") / "data"
    # Groups form at once, so that their members rebalance while they read.
    with headwater.Broker(data, config={"group.initial.rebalance.delay.ms": 0}) as broker:
        yield broker


@pytest.fixture(params=["memory", "tcp"])
def target(request: pytest.FixtureRequest, broker: headwater.Broker) -> headwater.Broker | str:
    if request.param == "memory":
        return broker
    assert broker.bootstrap_servers is not None
    return broker.bootstrap_servers


@pytest.fixture
def topic(broker: headwater.Broker) -> str:
    """A new topic with three partitions that keeps old events."""
    name = f"topic-{next(_numbers)}"
    headwater.Admin(broker).create_topic(name, partitions=3, config={"retention.ms": "-1"})
    return name


@pytest.fixture
def read_all() -> Callable[..., list[headwater.Record]]:
    def read(target: object, topic: str, count: int) -> list[headwater.Record]:
        records: list[headwater.Record] = []
        with headwater.Consumer(target, [topic]) as consumer:  # type: ignore[arg-type]
            while len(records) < count:
                more = consumer.poll(max_records=10_000, timeout=10)
                assert more, f"{len(records)} of {count} records after 10 s"
                records += more
        return records

    return read
