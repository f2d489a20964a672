"""The `kafka.*` options: which settings of Kafka's clients reach ours, and which are refused.

A setting that tunes Java's client and has no counterpart here changes no row, so it is accepted and left out, and a job
moves over as it is. A setting that no client of Kafka's knows is an error, and so is one that would change what is read
or who may read it (TLS and SASL) and that our client cannot honour: its own check says that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyspark_headwater.errors import OptionError, wheel

__all__ = ["admin_settings", "consumer_settings", "producer_settings"]

PREFIX = "kafka."

#: Settings of every client of ours; `headwater.*` are its own.
CLIENT = frozenset(
    {
        "client.id",
        "connections.max.idle.ms",
        "headwater.connection.queue.requests.max",
        "headwater.local.reads",
        "headwater.receive.bytes.max",
        "metadata.max.age.ms",
        "reconnect.backoff.max.ms",
        "reconnect.backoff.ms",
        "request.timeout.ms",
        "retry.backoff.max.ms",
        "retry.backoff.ms",
        "security.protocol",
        "socket.connection.setup.timeout.ms",
    }
)
ADMIN = CLIENT | {"default.api.timeout.ms"}
CONSUMER = ADMIN | {
    "allow.auto.create.topics",
    "check.crcs",
    "client.rack",
    "exclude.internal.topics",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "headwater.queued.bytes.max",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.records",
}
PRODUCER = CLIENT | {
    "acks",
    "batch.size",
    "buffer.memory",
    "compression.type",
    "delivery.timeout.ms",
    "enable.idempotence",
    "headwater.batch.size.max",
    "headwater.topics.max",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.request.size",
    "partitioner.ignore.keys",
    "retries",
}
#: Java's tuning and measuring, and settings of groups, which no task joins.
WITHOUT_EFFECT = frozenset(
    {
        "auto.commit.interval.ms",
        "auto.include.jmx.reporter",
        "client.dns.lookup",
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.zstd.level",
        "enable.metrics.push",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "max.poll.interval.ms",
        "metadata.max.idle.ms",
        "metadata.recovery.rebootstrap.trigger.ms",
        "metadata.recovery.strategy",
        "metric.reporters",
        "metrics.num.samples",
        "metrics.recording.level",
        "metrics.sample.window.ms",
        "partition.assignment.strategy",
        "partitioner.adaptive.partitioning.enable",
        "partitioner.availability.timeout.ms",
        "receive.buffer.bytes",
        "send.buffer.bytes",
        "session.timeout.ms",
        "socket.connection.setup.timeout.max.ms",
    }
)
#: Refused in reads, as by spark-sql-kafka, with what to do instead.
REFUSED_IN_READS = {
    "auto.offset.reset": "say where to begin with startingOffsets",
    "enable.auto.commit": "the offsets of a query are kept by Spark, none are committed to the brokers",
    "interceptor.classes": "nothing may change records between the brokers and Spark",
    "key.deserializer": "keys are binary, use functions of Spark to decode them",
    "value.deserializer": "values are binary, use functions of Spark or valueFormat=json to decode them",
}
#: Refused in writes: the first two by spark-sql-kafka as well, the others name Java classes or need a transaction.
REFUSED_IN_WRITES = {
    "key.serializer": "cast the column key to string or binary",
    "value.serializer": "cast the column value to string or binary, or set valueFormat=json",
    "interceptor.classes": "nothing may change records between Spark and the brokers",
    "partitioner.class": "Java's classes do not exist here; fill the column partition instead",
    "transactional.id": "a task writes with an idempotent producer, without a transaction",
}


def consumer_settings(options: Mapping[str, str]) -> dict[str, str]:
    """What the options say to our consumer, by the keyword names of `headwater.Consumer`.

    Raises:
        OptionError: a setting is refused, unknown or has a value of the wrong form.
    """
    settings = _pick(options, CONSUMER, REFUSED_IN_READS, others=PRODUCER)
    return _checked(settings, "Consumer")


def producer_settings(options: Mapping[str, str]) -> dict[str, str]:
    """What the options say to our producer, by the keyword names of `headwater.Producer`.

    Raises:
        OptionError: a setting is refused, unknown or has a value of the wrong form.
    """
    settings = _pick(options, PRODUCER, REFUSED_IN_WRITES, others=CONSUMER)
    return _checked(settings, "Producer")


def admin_settings(consumer: Mapping[str, str]) -> dict[str, str]:
    """Those of a consumer's settings that `headwater.Admin` knows too."""
    return {name: value for name, value in consumer.items() if name.replace("_", ".") in ADMIN}


def _pick(
    options: Mapping[str, str], known: Iterable[str], refused: Mapping[str, str], others: Iterable[str]
) -> dict[str, str]:
    settings = {}
    for option, value in options.items():
        name = option.lower().removeprefix(PREFIX)
        if not option.lower().startswith(PREFIX) or name == "bootstrap.servers":
            continue
        if name in refused:
            raise OptionError(f"option {PREFIX}{name} is not supported: {refused[name]}")
        if name in known:
            settings[name.replace(".", "_")] = value
        elif name not in WITHOUT_EFFECT and name not in others:
            raise OptionError(
                f"option {PREFIX}{name} is unknown to Headwater's client: leave it out or correct its name"
            )
    return settings


def _checked(settings: dict[str, str], client: str) -> dict[str, str]:
    headwater = wheel()
    try:
        # Clients connect when they are first asked for something, so this looks at the settings alone.
        getattr(headwater, client)("127.0.0.1:9092", **settings).close()
    except headwater.ConfigError as error:
        raise OptionError(f"a {PREFIX}* option cannot be used: {error}") from None
    return settings
