"""Topics as objects: look into one, count it, turn it into a table of another library.

A `Topic` is a name and a target. It holds nothing open and caches nothing: every call asks the target anew, and none
joins a group or commits anything.
"""

from __future__ import annotations

import heapq
import importlib
import operator
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

from headwater import _html
from headwater._headwater import Admin, Broker, Record, Scan, partition_bounds, read_records, scan
from headwater._types import PartitionOffsets, Records, Settings, TopicDescription
from headwater.errors import MissingLibraryError, MisuseError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_Target: TypeAlias = Broker | str | Sequence[str] | PathLike[str]

_TIMESTAMP = operator.attrgetter("timestamp")


class Topic:
    """A topic of a target.

    Args:
        name: its name. Nothing is asked before the first call, so a topic that does not exist is told then.
        target: a `Broker` (read in place), the data directory of a stopped broker as a `Path`, or the address of any
            Kafka-compatible cluster.
    """

    def __init__(self, name: str, target: _Target) -> None:
        self.name = name
        self.target = target

    @property
    def partitions(self) -> list[PartitionOffsets]:
        """The partitions with their first offset and the one after their last record, by number."""
        return [PartitionOffsets(*bounds) for bounds in partition_bounds(self.name, self.target)]

    def count(self) -> int:
        """How many offsets are retained: the sum of end minus start.

        As many as records, unless compaction or transactions have left gaps; `len(topic.to_arrow())` counts records.
        """
        return sum(partition.length for partition in self.partitions)

    def head(self, n: int = 10) -> Records:
        """The first `n` records.

        Over several partitions: their beginnings merged by timestamp. The order within a partition is kept; of equal
        timestamps the lower partition comes first. Reads at most `n` records of each partition.
        """
        ranges = {p.partition: (p.start, p.end) for p in self.partitions}
        found = self._read(ranges, _at_least_zero(n))
        return Records(list(heapq.merge(*found, key=_TIMESTAMP))[:n])

    def tail(self, n: int = 10) -> Records:
        """The last `n` records, oldest first.

        Over several partitions: their ends merged by timestamp, as `head` merges their beginnings.
        """
        _at_least_zero(n)
        last = [self._last(partition, n) for partition in self.partitions]
        # From the end backwards the higher of two partitions comes first, so that forwards it is the lower one.
        backwards = heapq.merge(*(found[::-1] for found in reversed(last)), key=_TIMESTAMP, reverse=True)
        return Records(list(backwards)[:n][::-1])

    def _last(self, partition: PartitionOffsets, n: int) -> list[Record]:
        """The last `n` records of a partition: further back as long as gaps leave too few."""
        width = n
        while True:
            start = max(partition.end - width, partition.start)
            found = self._read({partition.partition: (start, partition.end)}, width)
            records = found[0] if found else []
            if len(records) >= n or start == partition.start:
                return records[len(records) - n :] if len(records) > n else records
            width *= 4

    def _read(self, ranges: dict[int, tuple[int, int]], limit: int) -> list[list[Record]]:
        found = read_records(self.name, self.target, ranges, limit)
        return [found[number] for number in sorted(found)]

    def scan(self, **options: Any) -> Scan:
        """The topic as a lazy Arrow stream: `headwater.scan(name, target, **options)`."""
        return scan(self.name, self.target, **options)

    def to_arrow(self, **options: Any) -> pyarrow.Table:
        """The topic as a `pyarrow.Table`. Options are those of `headwater.scan`.

        Raises:
            MissingLibraryError: pyarrow is not installed.
        """
        pa = _library("to_arrow", "pyarrow")
        return pa.table(self.scan(**options))

    def to_pandas(self, **options: Any) -> pandas.DataFrame:
        """The topic as a `pandas.DataFrame`, by way of pyarrow. Options are those of `headwater.scan`.

        Raises:
            MissingLibraryError: pandas or pyarrow is not installed.
        """
        _library("to_pandas", "pandas", "pyarrow")
        return self.to_arrow(**options).to_pandas()

    def to_polars(self, **options: Any) -> polars.DataFrame:
        """The topic as a `polars.DataFrame`. Options are those of `headwater.scan`.

        Raises:
            MissingLibraryError: polars is not installed.
        """
        pl = _library("to_polars", "polars")
        frame: polars.DataFrame = pl.DataFrame(self.scan(**options))
        return frame

    def describe(self) -> TopicDescription:
        """Leaders and replicas of the partitions; of a running broker only."""
        with Admin(self._running("describe")) as admin:
            return admin.describe_topic(self.name)

    def config(self) -> Settings:
        """All settings of the topic; of a running broker only."""
        with Admin(self._running("config")) as admin:
            return Settings(admin.describe_config(self.name))

    def _running(self, call: str) -> Broker | str | Sequence[str]:
        if isinstance(self.target, PathLike):
            raise MisuseError(f"{call}() asks a running broker, and {self.target} is a directory; start a Broker on it")
        return self.target

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Topic):
            return NotImplemented
        return self.name == other.name and self.target == other.target

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, {self.target!r})"

    def _repr_html_(self) -> str:
        return _html.topic(self)


class Topics(Mapping[str, Topic]):
    """Topics by their names, as they were when this was made; iterates over the names and equals a list of them.

    Args:
        target: a `Broker`, or the address of any Kafka-compatible cluster.
        names: which; default: all, internal ones left out.
    """

    def __init__(self, target: Broker | str | Sequence[str], names: Sequence[str] | None = None) -> None:
        if names is None:
            with Admin(target) as admin:
                names = admin.list_topics()
        self._names = tuple(names)
        self._target = target

    def __getitem__(self, name: str) -> Topic:
        if name in self._names:
            return Topic(name, self._target)
        if isinstance(name, str):
            similar = get_close_matches(name, self._names, 1)
            meant = f", did you mean {similar[0]!r}?" if similar else "; Admin.create_topic() makes one"
            raise KeyError(f"there is no topic {name!r}{meant}")
        raise KeyError(f"topics are looked up by name, not by {name!r}; list(topics) has an order")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Topics):
            return self._names == other._names and self._target == other._target
        if isinstance(other, (list, tuple)):
            return list(self._names) == list(other)
        return super().__eq__(other)

    # Equality with lists leaves no hash that would fit.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self._names))

    def _repr_html_(self) -> str:
        return _html.topics(self)


def _at_least_zero(n: int) -> int:
    if n < 0:
        raise MisuseError(f"n expects a number of records ≥ 0, got {n}")
    return n


def _library(call: str, *names: str) -> Any:
    """The first of these modules, if all are installed."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            both = " and ".join(names)
            message = f"Topic.{call}() needs {both}, and {name} cannot be imported; pip install {' '.join(names)}"
            raise MissingLibraryError(message) from error
    return importlib.import_module(names[0])
