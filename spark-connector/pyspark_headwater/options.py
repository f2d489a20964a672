"""The options of the source and of the sink: one table, and what is read from it.

`OPTIONS` is what docs/spark-options.md is made of. An option that is not in it is an error, with the nearest name as a
hint: spark-sql-kafka passes over a misspelt option in silence.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, Flag, auto

from pyspark_headwater.errors import OptionError
from pyspark_headwater.kafka_settings import PREFIX, consumer_settings, producer_settings
from pyspark_headwater.offsets import (
    EARLIEST,
    LATEST,
    AtOffsets,
    AtTime,
    AtTimes,
    Bound,
    Earliest,
    Latest,
    partition_numbers,
)
from pyspark_headwater.planning import SHARED_TASK_RECORDS
from pyspark_headwater.subscription import Subscription, subscription

__all__ = ["OPTIONS", "Option", "ReadOptions", "Relation", "Use", "WriteOptions"]


class Use(Flag):
    """What an option is for."""

    BATCH = auto()
    STREAM = auto()
    WRITE = auto()
    READ = BATCH | STREAM


class Relation(Enum):
    """How an option compares with spark-sql-kafka's of the same name."""

    SAME = "same"
    DIFFERENT = "different"
    REFUSED = "refused"
    OURS = "ours"


@dataclass(frozen=True)
class Option:
    """A row of the table; `note` says what is different, or why it is refused."""

    name: str
    use: Use
    default: str
    meaning: str
    relation: Relation = Relation.SAME
    note: str = ""


_NEGATIVE_TIME = (
    "A negative time is refused; there it is passed on to the brokers, for which -1 is the end of a partition and -2 "
    "its beginning."
)

OPTIONS = (
    Option(
        "kafka.bootstrap.servers",
        Use.READ | Use.WRITE,
        "required",
        "Addresses of brokers, `host:port` separated by commas.",
    ),
    Option("subscribe", Use.READ, "one of three", "Topics to read, separated by commas."),
    Option(
        "subscribePattern",
        Use.READ,
        "one of three",
        "A Java regular expression; topics in whose name there is a match are read (`^…$` for whole names), internal "
        "ones excepted.",
        Relation.DIFFERENT,
        "Intersections and unions of character classes (`[a-z&&[^b]]`) and Unicode properties are refused.",
    ),
    Option("assign", Use.READ, "one of three", 'Partitions to read, `{"topic": [0, 1]}`.'),
    Option(
        "startingOffsets",
        Use.READ,
        "`earliest` in batch, `latest` in streams",
        'Where to begin: `earliest`, `latest` (streams), or `{"topic": {"0": 17, "1": -2}}` for every partition, where '
        "-2 is the earliest and -1 the latest offset. A stream begins there once and goes on from its checkpoint; "
        "partitions that appear later are read from their beginning.",
    ),
    Option(
        "endingOffsets",
        Use.BATCH,
        "`latest`",
        "Where to end: `latest`, or an offset for every partition, which is not read itself; -1 is the latest.",
    ),
    Option(
        "startingTimestamp",
        Use.READ,
        "none",
        "Begin each partition at its first record that is not older than this time, in milliseconds since 1970. Goes "
        "before `startingOffsetsByTimestamp` and `startingOffsets`.",
        Relation.DIFFERENT,
        _NEGATIVE_TIME,
    ),
    Option(
        "endingTimestamp",
        Use.BATCH,
        "none",
        "End each partition before its first record that is not older than this time, at its end if there is none. "
        "Goes before `endingOffsetsByTimestamp` and `endingOffsets`.",
        Relation.DIFFERENT,
        _NEGATIVE_TIME,
    ),
    Option(
        "startingOffsetsByTimestamp",
        Use.READ,
        "none",
        'As `startingTimestamp`, with a time for every partition: `{"topic": {"0": 1700000000000}}`. Goes before '
        "`startingOffsets`.",
        Relation.DIFFERENT,
        _NEGATIVE_TIME,
    ),
    Option(
        "endingOffsetsByTimestamp",
        Use.BATCH,
        "none",
        "As `endingTimestamp`, with a time for every partition. Goes before `endingOffsets`.",
        Relation.DIFFERENT,
        _NEGATIVE_TIME,
    ),
    Option(
        "startingOffsetsByTimestampStrategy",
        Use.READ,
        "`error`",
        "What to do with a partition that has no record as young as asked for: `error`, or `latest` to begin at its "
        "end.",
    ),
    Option(
        "minPartitions",
        Use.READ,
        "none",
        "The least number of tasks; partitions with many records are shared by several.",
        Relation.DIFFERENT,
        "Reached exactly wherever there are as many records; there it is approximate. Without it, partitions that have "
        f"few records for a micro-batch share a task, up to {SHARED_TASK_RECORDS:,} records together; there each has "
        "its own.",
    ),
    Option(
        "maxRecordsPerPartition",
        Use.READ,
        "none",
        "The most offsets that one task reads; larger ranges are shared by several.",
        Relation.DIFFERENT,
        "Always; in a batch, spark-sql-kafka looks at it only where `minPartitions` exceeds the number of partitions.",
    ),
    Option(
        "maxOffsetsPerTrigger",
        Use.STREAM,
        "none",
        "The most offsets of one batch, shared out over the partitions by what waits in them, at least one each.",
        Relation.DIFFERENT,
        "0 is refused; there it reads nothing. Needs Spark 4.2, whose Python sources are the first that know where a "
        "batch begins; before, it is refused.",
    ),
    Option(
        "minOffsetsPerTrigger",
        Use.STREAM,
        "none",
        "Wait until this many offsets are there, but no longer than `maxTriggerDelay`.",
        Relation.DIFFERENT,
        "Needs Spark 4.2. With `Trigger.AvailableNow` it is passed over, since nothing more is waited for then.",
    ),
    Option(
        "maxTriggerDelay",
        Use.STREAM,
        "`15m`",
        "The longest wait of `minOffsetsPerTrigger`, with a unit: `ms`, `s`, `m`, `h` or `d`.",
        Relation.DIFFERENT,
        "Needs Spark 4.2.",
    ),
    Option(
        "failOnDataLoss",
        Use.READ,
        "`true`",
        "Whether a query fails when records that it was to read are gone (retention, a deleted topic, offsets out of "
        "range) or reads what there is.",
    ),
    Option(
        "includeHeaders",
        Use.READ | Use.WRITE,
        "`false`",
        "Whether there is a column `headers`, null for records without any. Writing takes a column `headers` in any "
        "case.",
    ),
    Option(
        "groupIdPrefix",
        Use.READ,
        "`spark-kafka-source`",
        "Prefix of the consumer group's name.",
        Relation.DIFFERENT,
        "No task joins a group, so none is named: accepted without effect.",
    ),
    Option(
        "kafka.group.id",
        Use.READ,
        "none",
        "Name of the consumer group.",
        Relation.DIFFERENT,
        "No task joins a group, so queries cannot get into each other's way: accepted without effect.",
    ),
    Option(
        "kafkaConsumer.pollTimeoutMs",
        Use.READ,
        "`spark.network.timeout`",
        "How long a task waits for records.",
        Relation.DIFFERENT,
        "Accepted without effect; `kafka.default.api.timeout.ms` says how long a broker may be out of reach.",
    ),
    Option(
        "fetchOffset.numRetries",
        Use.READ,
        "`3`",
        "How often asking for offsets is repeated.",
        Relation.DIFFERENT,
        "Accepted without effect; the client repeats by itself within `kafka.default.api.timeout.ms`.",
    ),
    Option(
        "fetchOffset.retryIntervalMs",
        Use.READ,
        "`1000`",
        "Wait before offsets are asked for again, in milliseconds.",
        Relation.DIFFERENT,
        "Accepted without effect; `kafka.retry.backoff.ms` is the client's wait.",
    ),
    Option(
        "topic",
        Use.WRITE,
        "none",
        "The topic of all rows; goes before the column `topic`, and is required without it.",
    ),
    Option(
        "kafka.*",
        Use.READ | Use.WRITE,
        "Kafka's",
        "Settings of Kafka's consumer and producer.",
        Relation.DIFFERENT,
        "Those that tune Java's client alone are accepted without effect; unknown ones, and TLS and SASL, are refused.",
    ),
    Option(
        "kafka.auto.offset.reset, kafka.enable.auto.commit, kafka.interceptor.classes, kafka.key.deserializer, "
        "kafka.value.deserializer",
        Use.READ,
        "",
        "Refused as by spark-sql-kafka.",
        Relation.REFUSED,
        "Spark keeps the offsets, and keys and values are binary.",
    ),
    Option(
        "kafka.key.serializer, kafka.value.serializer",
        Use.WRITE,
        "",
        "Refused as by spark-sql-kafka.",
        Relation.REFUSED,
        "Keys and values are strings or binary.",
    ),
    Option(
        "kafka.partitioner.class, kafka.interceptor.classes, kafka.transactional.id",
        Use.WRITE,
        "",
        "Refused; spark-sql-kafka takes them.",
        Relation.REFUSED,
        "They name Java's classes or need a transaction; fill the column `partition` to choose partitions.",
    ),
    Option(
        "valueFormat",
        Use.READ | Use.WRITE,
        "none",
        "`json`: reading puts one typed column per field in the place of `value`; writing without a column `value` "
        "makes a JSON object of the columns that have no other meaning.",
        Relation.OURS,
    ),
    Option(
        "valueSchema",
        Use.READ,
        "inferred",
        "The fields of the values, such as `carrier string, delay long`. Without it, and without `.schema(…)`, they "
        "are inferred from the first records of the topic each time the query is made.",
        Relation.OURS,
    ),
    Option(
        "badRows",
        Use.READ,
        "`fail`",
        "With `valueFormat`: `fail` names topic, partition and offset of a value that does not fit; `column` gives it "
        "nulls and says why in a column `value_error`.",
        Relation.OURS,
    ),
)

#: Options that Spark adds by itself.
_OF_SPARK = {"checkpointlocation", "queryname"}
_KNOWN = {option.name.lower(): option for option in OPTIONS}


@dataclass(frozen=True)
class ReadOptions:
    """What the options of a read say, checked. `None` stands for an option that was not given."""

    bootstrap: str
    settings: Mapping[str, str]
    subscription: Subscription
    start: Bound
    end: Bound
    fail_on_data_loss: bool
    include_headers: bool
    min_partitions: int | None
    max_records_per_partition: int | None
    max_offsets_per_trigger: int | None
    min_offsets_per_trigger: int | None
    max_trigger_delay_ms: int
    value_format: str | None
    value_schema: str | None
    bad_rows: str = field(default="fail")

    @classmethod
    def parse(cls, options: Mapping[str, str], use: Use) -> ReadOptions:
        """Reads the options of a batch or a stream.

        Args:
            use: `Use.BATCH`, `Use.STREAM`, or `Use.READ` where it is not known yet which of them it will be.

        Raises:
            OptionError: an option is missing, unknown, refused or has a value of the wrong form.
        """
        _only_known(options, use)
        strategy = _one_of(options, "startingOffsetsByTimestampStrategy", ("error", "latest"))
        default_start: Bound = Latest() if Use.STREAM in use else Earliest()
        read = cls(
            bootstrap=_bootstrap(options),
            settings=consumer_settings(options),
            subscription=subscription(options),
            start=_bound(options, "starting", default_start, fallback=strategy == "latest"),
            end=_bound(options, "ending", Latest(), fallback=True),
            fail_on_data_loss=_flag(options, "failOnDataLoss", default=True),
            include_headers=_flag(options, "includeHeaders", default=False),
            min_partitions=_count(options, "minPartitions"),
            max_records_per_partition=_count(options, "maxRecordsPerPartition"),
            max_offsets_per_trigger=_count(options, "maxOffsetsPerTrigger"),
            # With spark-sql-kafka 0 offsets are always there.
            min_offsets_per_trigger=_count(options, "minOffsetsPerTrigger", least=0) or None,
            max_trigger_delay_ms=_duration_ms(options, "maxTriggerDelay", "15m"),
            value_format=_one_of(options, "valueFormat", ("json",)),
            value_schema=options.get("valueSchema"),
            bad_rows=_one_of(options, "badRows", ("fail", "column")) or "fail",
        )
        read._validate(options, use)
        return read

    def _validate(self, options: Mapping[str, str], use: Use) -> None:
        least, most = self.min_offsets_per_trigger, self.max_offsets_per_trigger
        if least is not None and most is not None and least > most:
            raise OptionError(f"option minOffsetsPerTrigger ({least}) must not exceed maxOffsetsPerTrigger ({most})")
        for name in ("valueSchema", "badRows"):
            if self.value_format is None and name in options:
                raise OptionError(f"option {name} needs valueFormat=json")
        if use == Use.BATCH:
            self._validate_batch()

    def _validate_batch(self) -> None:
        if isinstance(self.start, Latest):
            raise OptionError("option startingOffsets=latest leaves a batch nothing to read; it is for streams alone")
        if isinstance(self.end, Earliest):
            raise OptionError("option endingOffsets=earliest leaves a batch nothing to read")
        _no_mark(self.start, LATEST)
        _no_mark(self.end, EARLIEST)
        if isinstance(self.start, AtTime) and isinstance(self.end, AtTime) and self.start.ms > self.end.ms:
            raise OptionError(f"option startingTimestamp ({self.start.ms}) lies after endingTimestamp ({self.end.ms})")


@dataclass(frozen=True)
class WriteOptions:
    """What the options of a write say, checked."""

    bootstrap: str
    settings: Mapping[str, str]
    topic: str | None
    value_format: str | None

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> WriteOptions:
        """Reads the options of a write.

        Raises:
            OptionError: an option is missing, unknown, refused or has a value of the wrong form.
        """
        _only_known(options, Use.WRITE)
        _flag(options, "includeHeaders", default=False)
        topic = options.get("topic")
        return cls(
            bootstrap=_bootstrap(options),
            settings=producer_settings(options),
            topic=None if topic is None else topic.strip(),
            value_format=_one_of(options, "valueFormat", ("json",)),
        )


def _only_known(options: Mapping[str, str], use: Use) -> None:
    if "provider" in {name.lower() for name in options}:
        # Set for tables alone; without this their user would be told that options are missing which are there.
        raise OptionError(
            "a table of the catalog cannot be read: Spark hands its options over when it is made and not when it is "
            "read; use CREATE TEMPORARY VIEW … USING headwater OPTIONS (…)"
        )
    for name in options:
        lower = name.lower()
        if lower in _OF_SPARK or lower.startswith(PREFIX):
            continue
        if lower == "path":
            raise OptionError("a topic is named by the option subscribe (reading) or topic (writing), not by a path")
        option = _KNOWN.get(lower)
        if option is None:
            near = difflib.get_close_matches(lower, _KNOWN, n=1)
            hint = (
                f"; did you mean {_KNOWN[near[0]].name}?" if near else ", see docs/spark-options.md for those there are"
            )
            raise OptionError(f"option {name} is unknown{hint}")
        if use == Use.STREAM and use not in option.use and option.use & Use.BATCH:
            raise OptionError(f"option {option.name} is for batch reads; a stream has no end")


def _bootstrap(options: Mapping[str, str]) -> str:
    bootstrap = options.get("kafka.bootstrap.servers", "").strip()
    if not bootstrap:
        raise OptionError("option kafka.bootstrap.servers is required, for example localhost:9092")
    return bootstrap


def _bound(options: Mapping[str, str], side: str, default: Bound, *, fallback: bool) -> Bound:
    global_time, times, offsets = f"{side}Timestamp", f"{side}OffsetsByTimestamp", f"{side}Offsets"
    if global_time in options:
        text = options[global_time].strip()
        if not text.isdecimal():
            raise OptionError(f'option {global_time} expects milliseconds since 1970, got "{text}"')
        return AtTime(global_time, int(text), fallback)
    if times in options:
        return AtTimes(times, partition_numbers(times, options[times], least=0), fallback)
    text = options.get(offsets, "").strip()
    if not text and offsets not in options:
        return default
    if text.lower() == "earliest":
        return Earliest()
    if text.lower() == "latest":
        return Latest()
    return AtOffsets(offsets, partition_numbers(offsets, text, least=EARLIEST))


def _no_mark(bound: Bound, mark: int) -> None:
    if isinstance(bound, AtOffsets):
        for (topic, partition), offset in bound.offsets.items():
            if offset == mark:
                word = "latest" if mark == LATEST else "earliest"
                raise OptionError(
                    f"option {bound.option}: {mark} ({word}) leaves nothing of {topic}-{partition} to read"
                )


def _flag(options: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = options.get(name)
    if text is None:
        return default
    if text.strip().lower() not in ("true", "false"):
        raise OptionError(f'option {name} expects true or false, got "{text}"')
    return text.strip().lower() == "true"


def _count(options: Mapping[str, str], name: str, *, least: int = 1) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not text.strip().isdecimal() or int(text) < least:
        raise OptionError(f'option {name} expects a whole number, {least} or more, got "{text}"')
    return int(text)


def _one_of(options: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    text = options.get(name)
    if text is None:
        return None
    if text.strip().lower() not in allowed:
        raise OptionError(f'option {name} expects {" or ".join(allowed)}, got "{text}"')
    return text.strip().lower()


_UNITS_MS = {"us": 0.001, "ms": 1, "": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def _duration_ms(options: Mapping[str, str], name: str, default: str) -> int:
    text = options.get(name, default)
    found = re.fullmatch(r"(\d+)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS_MS:
        raise OptionError(f'option {name} expects a time with a unit, such as 30s or 15m, got "{text}"')
    return int(int(found[1]) * _UNITS_MS[found[2]])
