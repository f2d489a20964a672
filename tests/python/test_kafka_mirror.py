"""`headwater.kafka` against kafka-python: each example runs with the original and with ours, and they must agree."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import headwater
import headwater.kafka
import mirror
import pytest

TESTS = Path(__file__).parents[1]
EXAMPLES = mirror.load()
CONFIG = {
    # Examples send records of 1970.
    "log.retention.ms": "-1",
    # Nobody waits for members that do not come.
    "group.initial.rebalance.delay.ms": "0",
}


class Original:
    """What kafka-python says, in a process that runs beside this one and takes the examples in the same order."""

    def __init__(self, bootstrap: str) -> None:
        path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "mirror", bootstrap]
        environment = {**os.environ, "PYTHONPATH": path}
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        self._said: dict[str, tuple[str, Any]] = {}

    def says(self, name: str) -> Any:
        assert self._process.stdout is not None
        while name not in self._said:
            found, outcome = pickle.load(self._process.stdout)
            self._said[found] = outcome
        kind, outcome = self._said[name]
        assert kind == "value", f"the example does not run with kafka-python:\n{outcome}"
        return outcome

    def end(self) -> None:
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def original() -> Iterator[Original]:
    with headwater.Broker(config=CONFIG) as broker:
        assert broker.bootstrap_servers is not None
        original = Original(broker.bootstrap_servers)
        yield original
        original.end()


@pytest.fixture(scope="module")
def over_tcp() -> Iterator[headwater.Broker]:
    with headwater.Broker(config=CONFIG) as broker:
        yield broker


@pytest.fixture(scope="module")
def in_memory() -> Iterator[headwater.Broker]:
    with headwater.Broker(listen=None, config=CONFIG) as broker:
        yield broker


@pytest.mark.parametrize("target", ["tcp", "memory"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_comes_out_the_same(
    name: str, target: str, original: Original, over_tcp: headwater.Broker, in_memory: headwater.Broker
) -> None:
    at = over_tcp.bootstrap_servers if target == "tcp" else in_memory
    ours = mirror.plain(EXAMPLES[name](headwater.kafka, at))
    assert ours == original.says(name)
