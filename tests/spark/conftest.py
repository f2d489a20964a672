"""One Spark session, one `headwater start` and fresh topic names for every test of Spark.

`tests/spark/spark.sh pytest 4.0.5 tests/spark` runs the same tests on another Spark. Tests that compare with
spark-sql-kafka need the Spark that its jars were made for, and are left out on any other.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import headwater
import pytest
from pyspark.sql import SparkSession
from server import Elsewhere, Server, shared_server
from spark_session import WITH_SPARK_SQL_KAFKA, local_session

WITH_BOTH_SOURCES = [
    "test_option_table.py",
    "test_source_apache_kafka.py",
    "test_spark_sql_kafka.py",
    "test_spark_sql_kafka_streams.py",
]
collect_ignore = [] if WITH_SPARK_SQL_KAFKA else WITH_BOTH_SOURCES

_numbers = itertools.count()
_run_id = secrets.token_hex(3)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    session = local_session(tmp_path_factory.mktemp("spark"), quick=True)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server | Elsewhere]:
    """The server that tests share: ours, or the one that `HEADWATER_TEST_BOOTSTRAP` names."""
    with shared_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def bootstrap(server: Server | Elsewhere) -> str:
    return server.bootstrap


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, for those that stop it or look into its data."""
    with Server(tmp_path / "data") as own:
        yield own


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Makes names that nobody has used, also on a server that outlives the tests."""
    return lambda stem: f"{stem}-{_run_id}-{next(_numbers)}"


@pytest.fixture(scope="session")
def admin(bootstrap: str) -> Iterator[headwater.Admin]:
    with headwater.Admin(bootstrap) as admin:
        yield admin


@pytest.fixture
def topic(admin: headwater.Admin, fresh: Callable[[str], str]) -> str:
    """A new topic with three partitions that keeps old events."""
    name = fresh("topic")
    admin.create_topic(name, partitions=3, config={"retention.ms": "-1"})
    return name
