"""Topics as objects: what they tell of a broker, a cluster and a stopped broker's directory, and what they refuse."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import headwater
import polars as pl
import pyarrow as pa
import pytest
from headwater import _topic
from headwater._headwater import read_records

Target = headwater.Broker | str
MINUTE = 60_000


@pytest.fixture
def filled(broker: headwater.Broker, topic: str) -> str:
    """Thirty records, a minute apart, one partition after the other: value n at minute n."""
    with headwater.Producer(broker) as producer:
        for n in range(30):
            producer.produce(topic, f"{n}", key=f"k{n}", partition=n % 3, timestamp=(n + 1) * MINUTE)
    return topic


def values(records: list[headwater.Record]) -> list[int]:
    return [int(record.value) for record in records]


def test_head_and_tail_merge_partitions_by_time(target: Target, filled: str) -> None:
    topic = headwater.Topic(filled, target)
    assert values(topic.head()) == list(range(10))
    assert values(topic.head(4)) == [0, 1, 2, 3]
    assert values(topic.tail()) == list(range(20, 30))
    assert values(topic.tail(4)) == [26, 27, 28, 29]
    assert values(topic.head(1_000)) == values(topic.tail(1_000)) == list(range(30))
    assert topic.head(0) == topic.tail(0) == []
    first = topic.head(1)[0]
    assert (first.topic, first.partition, first.offset, first.timestamp) == (filled, 0, 0, MINUTE)
    assert (first.key, first.value) == (b"k0", b"0")


def test_equal_and_disordered_timestamps_have_a_defined_order(
    target: Target, broker: headwater.Broker, topic: str
) -> None:
    with headwater.Producer(broker) as producer:
        for partition in (2, 0, 1):
            for n in range(2):
                producer.produce(topic, f"{partition}{n}", partition=partition, timestamp=MINUTE)
        # Later in its partition, but with an older timestamp: it stays behind what comes before it.
        producer.produce(topic, "99", partition=0, timestamp=1)
    looked = headwater.Topic(topic, target)
    assert values(looked.head(7)) == [0, 1, 99, 10, 11, 20, 21]
    assert values(looked.head(2)) == [0, 1]
    assert values(looked.tail(3)) == [11, 20, 21]


def test_partitions_and_count(target: Target, broker: headwater.Broker, filled: str) -> None:
    topic = headwater.Topic(filled, target)
    assert topic.partitions == [(0, 0, 10), (1, 0, 10), (2, 0, 10)]
    assert topic.count() == 30
    headwater.Admin(broker).delete_records({(filled, 0): 4})
    assert topic.partitions[0] == headwater.PartitionOffsets(0, 4, 10)
    assert topic.partitions[0].length == 6
    assert topic.count() == 26
    assert values(topic.head(3)) == [1, 2, 4]


def test_many_batches_are_read_as_far_as_needed(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path) as broker:
        headwater.Admin(broker).create_topic("t", partitions=1)
        producer = headwater.Producer(broker, linger_ms=0)
        # Many batches, so that the last records are not in the first one that is read.
        for n in range(300):
            producer.send("t", f"{n}" + " " * 1_000).result(30)
        producer.close()
        assert values(broker.topics["t"].tail(5)) == [295, 296, 297, 298, 299]
        assert values(broker.topics["t"].head(150)) == list(range(150))


def test_tail_widens_until_gaps_leave_enough(monkeypatch: pytest.MonkeyPatch, target: Target, filled: str) -> None:
    def with_gaps(*arguments: object) -> dict[int, list[headwater.Record]]:
        # As after compaction: of every four offsets one has kept its record.
        found = read_records(*arguments)  # type: ignore[arg-type]
        return {partition: [r for r in records if r.offset % 4 == 0] for partition, records in found.items()}

    monkeypatch.setattr(_topic, "read_records", with_gaps)
    topic = headwater.Topic(filled, target)
    assert values(topic.tail(3)) == [24, 25, 26]
    assert values(topic.tail(100)) == [0, 1, 2, 12, 13, 14, 24, 25, 26]


def test_a_stopped_brokers_directory_is_a_target(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path) as broker:
        headwater.Admin(broker).create_topic("kept", partitions=2)
        with headwater.Producer(broker) as producer:
            producer.produce_many("kept", [f"{n}" for n in range(100)], timestamps=range(1, 101))
    topic = headwater.Topic("kept", tmp_path)
    assert topic.count() == 100
    assert values(topic.head(5)) == [0, 1, 2, 3, 4]
    assert values(topic.tail(2)) == [98, 99]
    assert topic.to_arrow(columns=["value"]).num_rows == 100
    with pytest.raises(headwater.MisuseError, match="running broker"):
        topic.describe()
    with pytest.raises(headwater.MisuseError, match="running broker"):
        topic.config()
    with pytest.raises(headwater.StorageError, match="no partition of topic"):
        headwater.Topic("lost", tmp_path).count()


def test_describe_and_config(target: Target, topic: str) -> None:
    looked = headwater.Topic(topic, target)
    assert looked.describe().name == topic
    assert [partition.partition for partition in looked.describe().partitions] == [0, 1, 2]
    assert looked.config()["retention.ms"].value == "-1"


def test_tables_of_other_libraries(target: Target, filled: str) -> None:
    topic = headwater.Topic(filled, target)
    table = topic.to_arrow()
    assert isinstance(table, pa.Table)
    assert table.num_rows == 30
    polars = topic.to_polars(columns=["offset", "value"])
    assert isinstance(polars, pl.DataFrame)
    assert polars.columns == ["offset", "value"]
    assert polars.height == 30
    pandas = topic.to_pandas(partitions=[1])
    assert pandas["value"].tolist() == [f"{n}".encode() for n in range(1, 30, 3)]
    assert pa.table(topic.scan(start=8)).num_rows == 6


@pytest.mark.parametrize(
    ("hidden", "call", "command"),
    [
        ("pyarrow", headwater.Topic.to_arrow, "pip install pyarrow"),
        ("pandas", headwater.Topic.to_pandas, "pip install pandas pyarrow"),
        ("pyarrow", headwater.Topic.to_pandas, "pip install pandas pyarrow"),
        ("polars", headwater.Topic.to_polars, "pip install polars"),
    ],
)
def test_a_missing_library_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, broker: headwater.Broker, hidden: str, call: object, command: str
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name.split(".", maxsplit=1)[0] == hidden:
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest)  # type: ignore[arg-type]

    for name in [name for name in sys.modules if name.split(".")[0] == hidden]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, hidden, None)  # type: ignore[arg-type]
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(headwater.MissingLibraryError, match=command) as error:
        call(headwater.Topic("any", broker))  # type: ignore[operator]
    assert isinstance(error.value, ImportError)
    assert hidden in str(error.value)


@pytest.fixture(scope="module")
def of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[headwater.Broker]:
    with headwater.Broker(tmp_path_factory.mktemp("topics")) as broker:
        for name in ("orders", "payments"):
            headwater.Admin(broker).create_topic(name, partitions=2)
        # Makes the internal topic, which must not show.
        headwater.Admin(broker).alter_group_offsets("g", {("orders", 0): 0})
        yield broker


def test_topics_are_a_mapping_and_a_list_of_names(of_its_own: headwater.Broker) -> None:
    topics = of_its_own.topics
    assert "orders" in topics
    assert "refunds" not in topics
    assert 7 not in topics
    assert list(topics) == sorted(topics) == ["orders", "payments"]
    assert len(topics) == 2
    assert topics
    assert topics == ["orders", "payments"]
    assert topics == ("orders", "payments")
    assert topics == of_its_own.topics
    assert topics != ["orders"]
    assert topics != ["payments", "orders"]
    assert repr(topics) == "['orders', 'payments']"
    assert topics["orders"] == headwater.Topic("orders", of_its_own)
    assert [topic.count() for topic in topics.values()] == [0, 0]
    assert topics.get("refunds") is None
    assert repr(topics["orders"]) == f"Topic('orders', {of_its_own!r})"


def test_an_unknown_name_leads_to_the_nearest(of_its_own: headwater.Broker) -> None:
    with pytest.raises(KeyError, match="did you mean 'orders'"):
        of_its_own.topics["ordres"]
    with pytest.raises(KeyError, match="create_topic"):
        of_its_own.topics["zzz"]
    with pytest.raises(KeyError, match="by name"):
        of_its_own.topics[0]  # type: ignore[index]


def test_topics_of_any_cluster(of_its_own: headwater.Broker) -> None:
    assert of_its_own.bootstrap_servers is not None
    topics = headwater.Topics(of_its_own.bootstrap_servers)
    assert topics == ["orders", "payments"]
    assert topics["payments"].count() == 0


def test_looking_leaves_no_trace(of_its_own: headwater.Broker, target: Target, filled: str) -> None:
    before = headwater.Admin(target).list_groups()
    headwater.Topic(filled, target).head()
    assert headwater.Admin(target).list_groups() == before


@pytest.mark.parametrize("call", [headwater.Topic.head, headwater.Topic.tail])
def test_a_negative_number_is_refused(broker: headwater.Broker, topic: str, call: Callable[..., object]) -> None:
    with pytest.raises(headwater.MisuseError, match="n expects"):
        call(headwater.Topic(topic, broker), -1)


def test_lag(target: Target, filled: str) -> None:
    group = f"lag-{filled}-{'tcp' if isinstance(target, str) else 'memory'}"
    admin = headwater.Admin(target)
    with headwater.Consumer(target, group=group, enable_auto_commit=False) as consumer:
        consumer.assign([(filled, 0)])
        consumer.commit({(filled, 0): 4, (filled, 1): 10})
    lag = admin.lag(group)
    assert lag.group == group
    assert lag == [(filled, 0, 4, 10, 6, None), (filled, 1, 10, 10, 0, None)]
    assert lag.total == 6
    assert "total=6" in repr(lag)
    with headwater.Consumer(target, filled, group=group, enable_auto_commit=False) as consumer:
        while len(consumer.assignment()) < 3:
            consumer.poll(timeout=0.1)
        rows = admin.lag(group)
        assert {row.member for row in rows} == {consumer.member_id}
        assert [row.lag for row in rows] == [6, 0, None]
    with pytest.raises(headwater.BrokerError, match="list_groups"):
        admin.lag("nobody")


def test_lag_survives_a_topic_that_is_gone(of_its_own: headwater.Broker) -> None:
    admin = headwater.Admin(of_its_own)
    admin.create_topic("passing", partitions=1)
    admin.create_topic("staying", partitions=1)
    admin.alter_group_offsets("keeper", {("staying", 0): 0})
    with headwater.Consumer(of_its_own, group="keeper") as consumer:
        consumer.assign([("passing", 0)])
        consumer.commit({("passing", 0): 0})
    admin.delete_topics("passing")
    rows = {row.topic: row for row in admin.lag("keeper")}
    assert rows["staying"].lag == 0
    if "passing" in rows:
        assert (rows["passing"].end, rows["passing"].lag) == (None, None)
    admin.delete_topics("staying")
