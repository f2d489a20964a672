"""One server for all the other clients, and fresh topic names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from server import shared_server

if TYPE_CHECKING:
    from pathlib import Path

_numbers = itertools.count()


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data: Path = tmp_path_factory.mktemp("server") / "data"
    with shared_server(data) as server:
        yield server.bootstrap


@pytest.fixture(scope="session")
def run_id() -> str:
    """Names of topics and groups carry it, so that a server that outlives the tests does not confuse them."""
    import secrets

    return secrets.token_hex(3)


@pytest.fixture
def fresh(run_id: str) -> Callable[[str], str]:
    return lambda stem: f"{stem}-{run_id}-{next(_numbers)}"
