from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Protocol, TypeAlias, final

from typing_extensions import Self

from headwater._topic import Topics
from headwater._types import (
    ClusterDescription,
    ConfigValue,
    ExportReport,
    GroupDescription,
    GroupLag,
    GroupMembership,
    Groups,
    OffsetAndMetadata,
    OffsetAndTimestamp,
    Records,
    TopicDescription,
    TopicPartition,
)
from headwater.errors import HeadwaterError

__all__ = [
    "Admin",
    "Arrivals",
    "ArrowBatch",
    "Broker",
    "Consumer",
    "Delivery",
    "InferredSchema",
    "Producer",
    "Record",
    "RecordMetadata",
    "Scan",
    "__version__",
    "infer_schema",
    "partition_bounds",
    "read_records",
    "run_cli",
    "scan",
]

__version__: str

_BytesLike = bytes | bytearray | memoryview | str
_Headers = Sequence[tuple[str, _BytesLike | None]] | Mapping[str, _BytesLike | None]
_Partition = TopicPartition | tuple[str, int]
_Listener = Callable[[list[TopicPartition]], object]
_Place: TypeAlias = Literal["earliest", "latest", "max_timestamp", "earliest_local", "latest_tiered"] | datetime | int
_Bound = int | datetime | Mapping[int, int]
_Target: TypeAlias = "Broker | str | Sequence[str]"

class _ArrowSchema(Protocol):
    def __arrow_c_schema__(self) -> object: ...

_ValueSchema: TypeAlias = "str | _ArrowSchema | Mapping[str, str | _ArrowSchema]"

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: Any = None) -> Any: ...

_ArrowData: TypeAlias = _ArrowStream | _ArrowArray

@final
class Broker:
    """A broker inside this process.

    Args:
        data: its data directory; None makes a temporary one that is removed when the broker stops.
        listen: address for other processes (port 0 picks one); None opens no port, and only this process gets in.
        config: settings by Kafka's names, such as `{"num.partitions": 3}`.

    Raises:
        StorageError: the directory cannot be used, or another process has it (the message names the process).
        ConfigError: a setting is unknown, unsupported or has a value of the wrong form.

    A context manager; leaving it stops the broker. Clients of this process reach it without a socket.
    """
    def __new__(
        cls,
        data: str | PathLike[str] | None = None,
        *,
        listen: str | None = "127.0.0.1:0",
        config: Mapping[str, Any] | None = None,
    ) -> Self: ...
    @property
    def bootstrap_servers(self) -> str | None:
        """The address for other processes; None without a port."""
    @property
    def data(self) -> str:
        """The data directory."""
    @property
    def topics(self) -> Topics:
        """The topics by name, internal ones left out; iterates over the names and equals a list of them."""
    def stop(self) -> None:
        """Stops serving, flushes everything and gives the directory back. Further calls do nothing."""
    def _repr_html_(self) -> str: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

@final
class Producer:
    """Sends records; idempotent, with `acks=all`, unless told otherwise. Safe to use from several threads.

    Args:
        target: a `Broker`, or the address of any Kafka-compatible cluster: `"host:port,host:port"`.
        key_serializer, value_serializer: callables from your object to bytes.
        config: Kafka's producer settings with underscores, such as `linger_ms=20` or `compression_type="zstd"`.

    Raises:
        ConfigError: a setting is unknown or has a value of the wrong form.
    """
    def __new__(
        cls,
        target: _Target,
        *,
        key_serializer: Callable[[Any], bytes] | None = None,
        value_serializer: Callable[[Any], bytes] | None = None,
        **config: Any,
    ) -> Self: ...
    def produce(
        self,
        topic: str,
        value: Any = None,
        *,
        key: Any = None,
        headers: _Headers | None = None,
        partition: int | None = None,
        timestamp: int | None = None,
        on_delivery: Callable[[HeadwaterError | None, RecordMetadata], object] | None = None,
    ) -> None:
        """Appends one record to its batch and returns; the fast way.

        Waits (up to `max_block_ms`) only while the topic's partitions are unknown or `buffer_memory` is used up.

        Args:
            value, key: bytes, bytearray, memoryview, str (as UTF-8) or None; other types need a serializer.
            headers: pairs of name and value; order and duplicates are kept.
            partition: default: by murmur2 of the key, as Java's client does; without a key, batches stick to one.
            timestamp: milliseconds since the epoch; default: now.
            on_delivery: called with (error or None, metadata) once the record's fate is known, on a thread that calls
                `produce`, `poll`, `flush` or `close`.

        Records without `on_delivery` that fail are reported by `flush` and `close`.
        """
    def send(
        self,
        topic: str,
        value: Any = None,
        *,
        key: Any = None,
        headers: _Headers | None = None,
        partition: int | None = None,
        timestamp: int | None = None,
    ) -> Delivery:
        """As `produce`, but returns a `Delivery` to wait for with `result()` or `await`."""
    def produce_many(
        self,
        topic: str,
        values: Iterable[Any],
        keys: Iterable[Any] | None = None,
        *,
        partition: int | None = None,
        timestamps: Iterable[int | None] | None = None,
    ) -> int:
        """Appends one record per value; returns how many. One call for many records is the fastest way of all."""
    def send_arrow(
        self,
        topic: str | None,
        data: _ArrowData,
        *,
        key: str | None = None,
        value: str | None = None,
        headers: str | None = None,
        partition: str | None = None,
        timestamp: str | None = None,
        value_format: Literal["json"] | None = None,
    ) -> int:
        """Appends one record per row of a table and returns how many; no Python object is made per row.

        `send_arrow("flights", table, key="carrier")` sends every row as JSON, keyed by its carrier.
        `send_arrow("copy", headwater.scan("events", broker), key="key", value="value", headers="headers")` copies.

        Args:
            topic: its name; None: each row names its own in the column `topic`.
            data: anything with `__arrow_c_stream__` or `__arrow_c_array__`: a pyarrow Table, RecordBatch or
                RecordBatchReader, a Polars or pandas DataFrame, a DuckDB relation, `headwater.scan(...)`. A stream is
                read batch by batch.
            key: name of a column of strings (as UTF-8) or bytes; null: no key.
            value: name of a column. Strings and bytes are sent as they are, every other type as JSON, null as a
                tombstone. None: all columns that no other argument names make up one JSON object per row.
            headers: name of a column of lists of structs with `key` (string) and `value` (bytes or string), or of maps.
            partition: name of a column of integers; null, or no such column: chosen as `produce` chooses.
            timestamp: name of a column of timestamps of any unit, or of int64 milliseconds; null, or none: now.
            value_format: "json" writes a column of strings or bytes as JSON as well.

        JSON is as Spark's `to_json` writes it: nulls are left out of objects and kept in lists and maps, bytes are
        base64, decimals are numbers with all their digits, NaN and the infinities are strings. Dates and times are
        ISO 8601 with as many digits as they have; a timestamp with a zone is written in UTC (`…Z`).

        `key_serializer` and `value_serializer` are not applied. Waits as `produce` does, with the GIL released.
        Records that fail later are reported by `flush` and `close`.

        Raises:
            MisuseError: a column is missing or has the wrong type (nothing was sent); or a row has no topic, a
                negative timestamp or a partition that does not exist, or is too large. The message says which row,
                counted from 0. The rows before it were sent, as with `produce` in a loop; it and those after it were
                not. The same holds for every other error, Ctrl-C included.
            TimedOutError: `buffer_memory` was used up for longer than `max_block_ms`.
        """
    def poll(self, timeout: float | None = 0.0) -> int:
        """Runs callbacks that are due, waiting up to `timeout` seconds for the first; returns how many ran."""
    def flush(self, timeout: float | None = None) -> None:
        """Waits until every record has its fate.

        Raises:
            TimedOutError: records are still under way after `timeout` seconds.
            BrokerError: records without a callback failed; the message says how many and why.
        """
    def close(self, timeout: float | None = 120.0) -> None:
        """Flushes, then ends. Further calls do nothing."""
    @property
    def buffered_bytes(self) -> int:
        """Bytes of records whose fate is not known yet; at most `buffer_memory`."""
    def partitions_for(self, topic: str) -> list[int]:
        """The partitions of a topic."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        _error: BaseException | None = None,
        _traceback: TracebackType | None = None,
    ) -> None: ...

@final
class RecordMetadata:
    """Where a record went. `offset` is -1 with `acks=0`; `timestamp` is in milliseconds."""
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    def _repr_html_(self) -> str: ...

@final
class Delivery:
    """The fate of one record; `await` it, or call `result`."""
    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Waits for the fate and returns where the record went, or raises why it went nowhere."""
    def done(self) -> bool:
        """Whether the fate is known."""
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    def __await__(self) -> Generator[Any, None, RecordMetadata]: ...

@final
class Arrivals:
    """Tells an event loop which deliveries are settled; for `headwater._aio` alone."""
    def __new__(cls, descriptor: int) -> Self: ...
    def expect(self, delivery: Delivery, number: int) -> None: ...
    def drain(self) -> list[int]: ...

@final
class Record:
    """One record as read; bytes are made when an attribute is looked at."""
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch; -1 if the record has none."""
    @property
    def leader_epoch(self) -> int | None:
        """The epoch of the leader that wrote the record; it grows when a partition gets another leader."""
    @property
    def timestamp_type(self) -> int:
        """0: set by the producer (CreateTime); 1: by the broker (LogAppendTime)."""
    @property
    def key(self) -> Any:
        """Bytes or None, or what the deserializer made of them."""
    @property
    def value(self) -> Any:
        """Bytes or None (a tombstone), or what the deserializer made of them."""
    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        """Pairs of name and value, in order, duplicates kept."""
    def _repr_html_(self) -> str: ...

@final
class Consumer:
    """Reads records, alone or as a member of a group. One thread polls; other calls may come from any.

    Args:
        target: a `Broker`, or the address of any Kafka-compatible cluster.
        topics: one topic or several.
        group: the consumer group. With one, Kafka's defaults hold: from the latest offset, auto-commit every 5 s.
            Without one, all partitions are read from the beginning and nothing is committed.
        key_deserializer, value_deserializer: callables from bytes to your object.
        config: Kafka's consumer settings with underscores, such as `auto_offset_reset="earliest"`.
    """
    def __new__(
        cls,
        target: _Target,
        topics: str | Sequence[str] | None = None,
        *,
        group: str | None = None,
        key_deserializer: Callable[[bytes], Any] | None = None,
        value_deserializer: Callable[[bytes], Any] | None = None,
        **config: Any,
    ) -> Self: ...
    def subscribe(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        pattern: str | None = None,
        on_assign: _Listener | None = None,
        on_revoke: _Listener | None = None,
        on_lost: _Listener | None = None,
    ) -> None:
        """Joins the group for these topics, or for all whose whole name matches `pattern`.

        The listeners are called inside `poll`: after partitions were assigned, before they are given up (the last
        chance to commit), and after they were lost (by default `on_revoke` is called then as well).
        """
    def unsubscribe(self) -> None:
        """Leaves the group and forgets the assignment."""
    def assign(self, partitions: Iterable[_Partition]) -> None:
        """Reads exactly these partitions, without a group's assignment."""
    def assignment(self) -> list[TopicPartition]:
        """The partitions read now, sorted."""
    def subscription(self) -> list[str]:
        """The topics subscribed to, sorted."""
    def poll(self, max_records: int = 500, timeout: float | None = None) -> Records:
        """Returns a list of at most `max_records` records, at once if there are any.

        Waits up to `timeout` seconds for the first (None: as long as it takes); an empty list after that. A warning
        says so if that is because no broker can be reached, or a topic does not exist.
        """
    def poll_arrow(
        self,
        max_records: int | None = None,
        timeout: float | None = None,
        *,
        columns: Sequence[str] | None = None,
        value_format: Literal["json"] | None = None,
        value_schema: _ValueSchema | None = None,
        bad_rows: Literal["fail", "column"] = "fail",
        sample: int = 1000,
    ) -> ArrowBatch:
        """As `poll`, but as Arrow; at most 65,536 rows. Commits and groups work as with `poll`.

        With `value_format="json"` values become typed columns, as in `scan`. Without a `value_schema` the first poll
        that brings a JSON object infers it from up to `sample` of its records, prints it once on stderr, and later
        polls go on with it; give one where a program depends on the columns.

        Raises:
            CorruptRecordError: a value is bad and `bad_rows` is "fail"; the next poll starts at the same records.
        """
    def __iter__(self) -> Iterator[Record]: ...
    def __next__(self) -> Record: ...
    def position(self, partition: _Partition, *, timeout: float | None = None) -> int:
        """Offset of the next record to be handed out; waits until it is known.

        Here and below, `timeout` in seconds takes the place of `default_api_timeout_ms`.

        Raises:
            TimedOutError: it is still unknown after that.
        """
    def positions(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """Positions that are known by now, as `commit` would commit them; never waits."""
    def seek(self, partition: _Partition, offset: int) -> None:
        """Goes on from `offset`."""
    def seek_to_beginning(self, partitions: Iterable[_Partition] | None = None) -> None:
        """Goes on from the first retained record, of all assigned partitions by default."""
    def seek_to_end(self, partitions: Iterable[_Partition] | None = None) -> None:
        """Goes on after the last record, of all assigned partitions by default."""
    def pause(self, partitions: Iterable[_Partition]) -> None:
        """Hands out nothing of these partitions until `resume`; membership is not touched."""
    def resume(self, partitions: Iterable[_Partition]) -> None:
        """Ends a pause."""
    def paused(self) -> list[TopicPartition]:
        """The paused partitions, sorted."""
    def commit(
        self, offsets: Mapping[_Partition, int | OffsetAndMetadata] | None = None, *, timeout: float | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Commits these offsets, or the position after every record handed out so far; returns what was committed."""
    def committed(
        self, partitions: Iterable[_Partition], *, timeout: float | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """What the group has committed."""
    def offsets_for_times(
        self, times: Mapping[_Partition, int], *, timeout: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """For each partition the first record not older than a time (ms); None if there is none."""
    def beginning_offsets(
        self, partitions: Iterable[_Partition], *, timeout: float | None = None
    ) -> dict[TopicPartition, int]:
        """The first retained offset of each partition."""
    def end_offsets(
        self, partitions: Iterable[_Partition], *, timeout: float | None = None
    ) -> dict[TopicPartition, int]:
        """The offset after the last visible record of each partition."""
    def lag(self, partition: _Partition) -> int | None:
        """Records between position and the last known end; None while either is unknown."""
    def high_watermark(self, partition: _Partition) -> int | None:
        """The offset after the last record that any consumer may see, as of the last fetch; None before the first."""
    def partitions_for(self, topic: str) -> list[int] | None:
        """The partitions of a topic; None if it does not exist."""
    @property
    def member_id(self) -> str | None:
        """The id of this member of its group; None while there is no membership."""
    @property
    def membership(self) -> GroupMembership | None:
        """Id of this member and generation of its group, of the same moment; None while there is no membership."""
    def close(self, timeout: float | None = 30.0) -> None:
        """Commits if auto-commit is on, leaves the group, ends. Further calls do nothing."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        _error: BaseException | None = None,
        _traceback: TracebackType | None = None,
    ) -> None: ...

@final
class Admin:
    """Topics, settings, groups and offsets of a cluster.

    Args:
        target: a `Broker`, or the address of any Kafka-compatible cluster.
        config: Kafka's admin settings with underscores, such as `request_timeout_ms=5000`.
    """
    def __new__(cls, target: _Target, **config: Any) -> Self: ...
    def create_topic(
        self,
        name: str,
        *,
        partitions: int | None = None,
        replication_factor: int | None = None,
        assignment: Mapping[int, Sequence[int]] | None = None,
        config: Mapping[str, Any] | None = None,
        validate_only: bool = False,
    ) -> None:
        """Creates a topic; returns when its partitions are served. Numbers default to the broker's settings.

        Args:
            assignment: node ids of the replicas by partition, the first to be preferred as the leader; in place of
                both numbers.
            validate_only: only checks.
        """
    def delete_topics(self, names: str | Sequence[str]) -> None:
        """Deletes topics and their records."""
    def list_topics(self, *, internal: bool = False) -> list[str]:
        """Names of all topics, sorted."""
    def describe_topic(self, name: str) -> TopicDescription:
        """Partitions, leaders and replicas of a topic."""
    def create_partitions(
        self,
        topic: str,
        count: int,
        *,
        assignment: Sequence[Sequence[int]] | None = None,
        validate_only: bool = False,
    ) -> None:
        """Grows a topic to `count` partitions, or only checks whether it could.

        Args:
            assignment: node ids of the replicas of each partition that is added.
        """
    def delete_records(self, before: Mapping[_Partition, int]) -> dict[TopicPartition, int]:
        """Deletes what lies before these offsets (-1: everything visible); returns the new first offsets."""
    def describe_config(self, topic: str) -> dict[str, ConfigValue]:
        """All settings of a topic."""
    def describe_broker_config(self, node: int | None = None) -> dict[str, ConfigValue]:
        """All settings of a broker, by default of the controller."""
    def describe_group_config(self, group: str) -> dict[str, ConfigValue]:
        """All settings of a group, from brokers that have such."""
    def alter_config(
        self,
        topic: str,
        changes: Mapping[str, Any] | None = None,
        *,
        append: Mapping[str, Any] | None = None,
        subtract: Mapping[str, Any] | None = None,
        validate_only: bool = False,
    ) -> None:
        """Changes single settings of a topic.

        Args:
            changes: new values; None goes back to the default.
            append: what is added to settings that are lists.
            subtract: what is taken from settings that are lists.
            validate_only: only checks.
        """
    def alter_broker_config(
        self,
        changes: Mapping[str, Any] | None = None,
        *,
        node: int | None = None,
        append: Mapping[str, Any] | None = None,
        subtract: Mapping[str, Any] | None = None,
        validate_only: bool = False,
    ) -> None:
        """Changes single settings of a broker, or without `node` of all of them, as `alter_config` does."""
    def alter_group_config(
        self,
        group: str,
        changes: Mapping[str, Any] | None = None,
        *,
        append: Mapping[str, Any] | None = None,
        subtract: Mapping[str, Any] | None = None,
        validate_only: bool = False,
    ) -> None:
        """Changes single settings of a group, as `alter_config` does, at brokers that have such."""
    def describe_cluster(self) -> ClusterDescription:
        """The brokers."""
    def list_groups(self) -> Groups:
        """All groups."""
    def lag(self, group: str) -> GroupLag:
        """How far a group is behind: a row per partition that it has committed or is assigned."""
    def describe_group(self, group: str) -> GroupDescription:
        """A group and its members."""
    def delete_groups(self, groups: str | Sequence[str]) -> None:
        """Deletes groups that have no members."""
    def remove_group_members(
        self,
        group: str,
        members: str | Sequence[str] | None = None,
        *,
        instances: str | Sequence[str] | None = None,
        reason: str = "removed by an administrator",
    ) -> None:
        """Takes members out of a group, whose partitions then go to the others at once.

        A member that still runs joins again. Meant for those that do not, above all static members, whose partitions
        otherwise wait for `session_timeout_ms` (KIP-345).

        Args:
            members: ids, which `describe_group` tells.
            instances: names of static members (`group_instance_id`).
            reason: for the broker's log.

        Raises:
            BrokerError: some are not members (`UNKNOWN_MEMBER_ID`); the others are removed.
        """
    def list_group_offsets(
        self, group: str, partitions: Iterable[_Partition] | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """What a group has committed, for all partitions or for these."""
    def alter_group_offsets(self, group: str, offsets: Mapping[_Partition, int | OffsetAndMetadata]) -> None:
        """Sets committed offsets of a group without members."""
    def delete_group_offsets(self, group: str, partitions: Iterable[_Partition]) -> None:
        """Forgets committed offsets of a group, of topics that none of its members reads."""
    def list_offsets(
        self, partitions: Iterable[_Partition], *, at: _Place = "latest"
    ) -> dict[TopicPartition, int | None]:
        """Offsets of partitions; None if there is no such record.

        Args:
            at: an end; the record with the largest timestamp; or a datetime with a time zone, or milliseconds, for the
                first record that is not older.
        """
    def find_offsets(
        self,
        places: Mapping[_Partition, _Place],
        *,
        isolation_level: Literal["read_uncommitted", "read_committed"] = "read_uncommitted",
        timeout: float | None = None,
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """As `list_offsets`, each partition at a place of its own, with timestamps and leader epochs."""
    def export(
        self,
        topic: str,
        to: str | PathLike[str],
        *,
        overwrite: bool = False,
        partitions: Sequence[int] | None = None,
        start: _Bound | None = None,
        end: _Bound | None = None,
        progress: bool | Callable[[int, int], object] = True,
        columns: Sequence[str] | None = None,
        value_format: Literal["json"] | None = None,
        value_schema: _ValueSchema | None = None,
        bad_rows: Literal["fail", "column"] = "fail",
        sample: int = 1000,
    ) -> ExportReport:
        """Writes retained records to Parquet: one folder `partition=N` per partition below `to`.

        Bounded by what is visible when it starts. The target appears whole, by one rename at the end. `columns`,
        `value_format` and the three after it are those of `scan`: values become typed columns of the files.

        Args:
            progress: True shows a bar in a notebook or on a terminal and nothing elsewhere. A callable gets (done,
                total), counted in offsets, on the calling thread, at most ten times a second and once at the end; if
                it raises, the export stops and nothing is left.

        Raises:
            FileExistsError: the target exists and `overwrite` is not set.
            CorruptRecordError: a value is bad and `bad_rows` is "fail"; nothing is left behind.
        """
    def close(self) -> None:
        """Ends all connections."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None = None,
        _error: BaseException | None = None,
        _traceback: TracebackType | None = None,
    ) -> None: ...

@final
class Scan:
    """A lazy Arrow stream over a topic: give it to `pyarrow.table`, `polars.DataFrame`, `duckdb` and the like."""
    @property
    def columns(self) -> list[str]:
        """Names of the columns. Reads the first records if the values' schema is to be inferred."""
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream. A requested schema may ask for microseconds in `timestamp`, and for the large and view forms of
        strings and bytes; `key` and `value` as views point into what was read. Other wishes are passed over."""
    def __arrow_c_schema__(self) -> object:
        """The schema. Reads the first records if the values' schema is to be inferred."""

@final
class InferredSchema:
    """Fields and types of JSON values, from `infer_schema`.

    `str()` gives them as a DDL string. Both the string and the object will do as `value_schema`, the object for
    anything else that reads Arrow schemas as well, such as `pyarrow.schema`.
    """
    @property
    def names(self) -> list[str]:
        """Names of the fields."""
    @property
    def records(self) -> int:
        """How many records were looked at."""
    @property
    def bad_records(self) -> int:
        """How many of these had a value that is not one JSON object; tombstones are not among them."""
    def __arrow_c_schema__(self) -> object: ...
    def _repr_html_(self) -> str: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class ArrowBatch:
    """Records as Arrow, from `Consumer.poll_arrow`."""
    @property
    def num_rows(self) -> int: ...
    def __len__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...

def scan(
    topic: str,
    target: _Target | PathLike[str],
    *,
    start: _Bound | None = None,
    end: _Bound | None = None,
    partitions: Sequence[int] | None = None,
    columns: Sequence[str] | None = None,
    batch_size: int = 65536,
    value_format: Literal["json"] | None = None,
    value_schema: _ValueSchema | None = None,
    bad_rows: Literal["fail", "column"] = "fail",
    sample: int = 1000,
    config: Mapping[str, Any] | None = None,
) -> Scan:
    """A topic, or a part of it, as a lazy Arrow stream. Nothing is read before the stream is.

    Columns: `key` binary, `value` binary, `topic` string, `partition` int32, `offset` int64, `timestamp`
    timestamp(ms, UTC), `timestamp_type` int32, `headers` list<struct<key: string, value: binary>>.

    Args:
        target: a `Broker` (its segments are read in place), the data directory of a stopped broker as a `Path` (read
            in place as well), or the address of any Kafka-compatible cluster.
        start, end: an offset, a datetime with a time zone, or `{partition: offset}`; `end` is exclusive.
        partitions: which partitions, in this order; default: all.
        columns: which columns, in this order; default: all.
        batch_size: rows of a batch at the most, up to 65,536; a batch also ends at 8 MiB of keys, values and headers.
        value_format: "json" decodes each value, which must be one JSON object, into typed columns that stand in the
            place of `value`. A field named like a record column, or `value_error`, is called `value_<name>`. With
            `columns`, only what is asked for is decoded; `value` among them stands for all fields.
        value_schema: the fields: a DDL string such as `"carrier string, delay long"`, a mapping of names to types
            (Arrow's or Spark SQL's names), or anything with `__arrow_c_schema__`, such as a `pyarrow.Schema`. None
            infers it from the first `sample` records, partition by partition, when it is first needed, and prints it
            once on stderr. Absent fields are null, fields that are not in the schema are passed over.
        bad_rows: what becomes of a value that is not one JSON object of these types. "fail" ends the scan with an
            error that names topic, partition and offset. "column" makes the row's fields null and says why in a
            string column `value_error`, which is null for good rows. A record without a value (a tombstone) is a row
            of nulls, not an error.
        sample: how many records the schema is inferred from.
        config: Kafka's consumer settings, names with dots or underscores, for clusters; `isolation_level` counts for
            brokers and directories as well.

    Types: whole numbers fit `int`, `long` and the like, also as `11.0`; times are ISO-8601 text for `timestamp`
    (microseconds, UTC) and `date`; `binary` is base64; `string` takes any other value as its JSON text.

    Raises:
        MisuseError: an argument has a value of the wrong form.
        CorruptRecordError: no schema can be inferred, because no record sampled holds a JSON object with fields.
    """

def infer_schema(
    topic: str,
    target: _Target | PathLike[str],
    *,
    value_format: Literal["json"] = "json",
    sample: int = 1000,
    start: _Bound | None = None,
    partitions: Sequence[int] | None = None,
    config: Mapping[str, Any] | None = None,
) -> InferredSchema:
    """The schema that `scan` with `value_format` would infer from the first `sample` records.

    The same records always give the same schema: fields in the order in which they are first seen; whole numbers as
    `long`, others as `double`, text (times as well) as `string`, arrays and objects as what is in them. A field that
    was only ever null, or of kinds that do not go together, is `string`.

    Args:
        target, start, partitions, config: as in `scan`.

    Raises:
        CorruptRecordError: no record sampled holds a JSON object with fields.
    """

def partition_bounds(topic: str, target: _Target | PathLike[str]) -> list[tuple[int, int, int]]:
    """Partition, first offset and end of each partition; for `headwater._topic` alone."""

def read_records(
    topic: str, target: _Target | PathLike[str], ranges: Mapping[int, tuple[int, int]], limit: int
) -> dict[int, list[Record]]:
    """The first `limit` records of each range of offsets; for `headwater._topic` alone."""

def run_cli(arguments: Sequence[str]) -> int:
    """Runs the `headwater` command and returns its exit code."""
