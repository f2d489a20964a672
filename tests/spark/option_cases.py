"""What the two sources are asked alike: for each option of the connector's table, good values and bad ones.

`TOPIC` stands for a topic of three partitions with 100 events, `PRUNED` for one whose partition 0 begins at offset 10,
`STEM` for what the names of both begin with and `ABSENT` for a topic that does not exist.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from spark_rows import FIRST_MS, STEP_MS

MIDDLE_MS = FIRST_MS + 50 * STEP_MS
AFTER_MS = FIRST_MS + 1000 * STEP_MS
#: Spark takes a topic's partitions in any order, but wants all of them.
EARLIEST, LATEST = -2, -1


class Case(NamedTuple):
    """One question.

    `option` is the row of the table it belongs to. Without a subscription among `options`, `TOPIC` is subscribed to.
    `ours_refuses`: spark-sql-kafka takes it and ours says no, which the table must announce.
    """

    option: str
    options: dict[str, object]
    ours_refuses: bool = False

    def __str__(self) -> str:
        return ",".join(f"{name}={value}" for name, value in self.options.items()) or self.option


def places(*offsets: int | str, topic: str = "TOPIC") -> str:
    """JSON of a topic's partitions, from partition 0 on."""
    return json.dumps({topic: dict(enumerate(offsets))})


BATCH = [
    Case("subscribe", {"subscribe": "TOPIC"}),
    Case("subscribe", {"SUBSCRIBE": " TOPIC , PRUNED "}),
    Case("subscribe", {"subscribe": "TOPIC,ABSENT"}),
    Case("subscribe", {"subscribe": ""}),
    Case("subscribe", {"subscribe": "TOPIC", "assign": '{"TOPIC": [0]}'}),
    Case("subscribe", {"subscribe": "TOPIC", "subscribePattern": "TOPIC"}),
    Case("subscribePattern", {"subscribePattern": "STEM.*"}),
    Case("subscribePattern", {"subscribePattern": "STEM-[^p]+"}),
    Case("subscribePattern", {"subscribePattern": "STEM"}),
    Case("subscribePattern", {"subscribePattern": "ABSENT"}),
    Case("subscribePattern", {"subscribePattern": "("}),
    Case("assign", {"assign": '{"TOPIC": [0, 2]}'}),
    Case("assign", {"assign": '{"TOPIC": [1], "PRUNED": [1]}'}),
    Case("assign", {"assign": "[0]"}),
    Case("assign", {"assign": ""}),
    Case("assign", {"assign": '{"ABSENT": [0]}'}),
    Case("startingOffsets", {"startingOffsets": "earliest"}),
    Case("startingOffsets", {"STARTINGOFFSETS": " EARLIEST "}),
    Case("startingOffsets", {"startingOffsets": "latest"}),
    Case("startingOffsets", {"startingOffsets": places(5, EARLIEST, 20)}),
    Case("startingOffsets", {"startingOffsets": places(LATEST, EARLIEST, EARLIEST)}),
    Case("startingOffsets", {"startingOffsets": places(-3, EARLIEST, EARLIEST)}),
    Case("startingOffsets", {"startingOffsets": places(5)}),
    Case("startingOffsets", {"startingOffsets": places(5, 5, 5, 5)}),
    Case("startingOffsets", {"startingOffsets": places(5, topic="ABSENT")}),
    Case("startingOffsets", {"startingOffsets": places(1000, EARLIEST, EARLIEST)}),
    Case("startingOffsets", {"startingOffsets": "7"}),
    Case("startingOffsets", {"startingOffsets": "{"}),
    Case("endingOffsets", {"endingOffsets": "latest"}),
    Case("endingOffsets", {"endingOffsets": "earliest"}),
    Case("endingOffsets", {"endingOffsets": places(5, LATEST, 20)}),
    Case("endingOffsets", {"endingOffsets": places(EARLIEST, LATEST, LATEST)}),
    # spark-sql-kafka waits for the records to come until this time-out.
    Case("endingOffsets", {"endingOffsets": places(1000, LATEST, LATEST), "kafkaConsumer.pollTimeoutMs": 200}),
    Case("endingOffsets", {"endingOffsets": places(5, 5)}),
    Case("endingOffsets", {"startingOffsets": places(5, 6, 7), "endingOffsets": places(8, 6, LATEST)}),
    Case("endingOffsets", {"startingOffsets": places(30, 6, 7), "endingOffsets": places(10, 6, LATEST)}),
    Case("startingTimestamp", {"startingTimestamp": MIDDLE_MS}),
    Case("startingTimestamp", {"startingTimestamp": MIDDLE_MS, "startingOffsets": "earliest"}),
    Case("startingTimestamp", {"startingTimestamp": MIDDLE_MS, "startingOffsetsByTimestamp": places(1, 2, 3)}),
    Case("startingTimestamp", {"startingTimestamp": AFTER_MS}),
    Case("startingTimestamp", {"startingTimestamp": "yesterday"}),
    Case("startingTimestamp", {"startingTimestamp": -5}),
    Case("startingTimestamp", {"startingTimestamp": -1}, ours_refuses=True),
    Case("endingTimestamp", {"endingTimestamp": MIDDLE_MS}),
    Case("endingTimestamp", {"endingTimestamp": AFTER_MS}),
    Case("endingTimestamp", {"endingTimestamp": 0}),
    Case("endingTimestamp", {"endingTimestamp": "tomorrow"}),
    Case("endingTimestamp", {"endingTimestamp": -1}, ours_refuses=True),
    Case("endingTimestamp", {"startingTimestamp": MIDDLE_MS, "endingTimestamp": FIRST_MS}),
    Case("endingTimestamp", {"endingTimestamp": MIDDLE_MS, "endingOffsets": places(1, 1, 1)}),
    Case("startingOffsetsByTimestamp", {"startingOffsetsByTimestamp": places(FIRST_MS, MIDDLE_MS, MIDDLE_MS + 1)}),
    Case("startingOffsetsByTimestamp", {"startingOffsetsByTimestamp": places(AFTER_MS, 0, 0)}),
    Case("startingOffsetsByTimestamp", {"startingOffsetsByTimestamp": places(FIRST_MS)}),
    Case("startingOffsetsByTimestamp", {"startingOffsetsByTimestamp": "earliest"}),
    Case(
        "startingOffsetsByTimestamp",
        {"startingOffsetsByTimestamp": places(MIDDLE_MS, 0, 0), "startingOffsets": places(1, 1, 1)},
    ),
    Case("endingOffsetsByTimestamp", {"endingOffsetsByTimestamp": places(FIRST_MS, MIDDLE_MS, AFTER_MS)}),
    Case("endingOffsetsByTimestamp", {"endingOffsetsByTimestamp": places(FIRST_MS)}),
    Case("endingOffsetsByTimestamp", {"endingOffsetsByTimestamp": places(FIRST_MS, MIDDLE_MS, -1)}, ours_refuses=True),
    Case("endingOffsetsByTimestamp", {"endingOffsetsByTimestamp": "latest"}),
    Case(
        "startingOffsetsByTimestampStrategy",
        {"startingTimestamp": AFTER_MS, "startingOffsetsByTimestampStrategy": "latest"},
    ),
    Case(
        "startingOffsetsByTimestampStrategy",
        {"startingOffsetsByTimestamp": places(AFTER_MS, 0, 0), "startingOffsetsByTimestampStrategy": "LATEST"},
    ),
    Case(
        "startingOffsetsByTimestampStrategy",
        {"startingTimestamp": AFTER_MS, "startingOffsetsByTimestampStrategy": "error"},
    ),
    Case("startingOffsetsByTimestampStrategy", {"startingOffsetsByTimestampStrategy": "maybe"}),
    Case("minPartitions", {"minPartitions": 8}),
    Case("minPartitions", {"minPartitions": 1}),
    Case("minPartitions", {"minPartitions": 0}),
    Case("minPartitions", {"minPartitions": "many"}),
    Case("maxRecordsPerPartition", {"maxRecordsPerPartition": 7}),
    Case("maxRecordsPerPartition", {"maxRecordsPerPartition": 7, "minPartitions": 4}),
    Case("maxRecordsPerPartition", {"maxRecordsPerPartition": 0}),
    Case("failOnDataLoss", {"failOnDataLoss": "FALSE"}),
    Case("failOnDataLoss", {"failOnDataLoss": "maybe"}),
    Case("failOnDataLoss", {"subscribe": "PRUNED"}),
    Case("failOnDataLoss", {"subscribe": "PRUNED", "startingOffsets": places(0, 0, 0, topic="PRUNED")}),
    Case(
        "failOnDataLoss",
        {
            "subscribe": "PRUNED",
            "startingOffsets": places(0, 0, 0, topic="PRUNED"),
            "failOnDataLoss": "false",
        },
    ),
    Case("includeHeaders", {"includeHeaders": "TRUE"}),
    Case("includeHeaders", {"includeHeaders": "false"}),
    Case("includeHeaders", {"includeHeaders": "maybe"}),
    Case("groupIdPrefix", {"groupIdPrefix": "mine"}),
    Case("maxOffsetsPerTrigger", {"maxOffsetsPerTrigger": 5}),
    Case("kafka.group.id", {"kafka.group.id": "mine"}),
    Case("kafkaConsumer.pollTimeoutMs", {"kafkaConsumer.pollTimeoutMs": 5000}),
    Case("fetchOffset.numRetries", {"fetchOffset.numRetries": 2}),
    Case("fetchOffset.retryIntervalMs", {"fetchOffset.retryIntervalMs": 10}),
    Case("kafka.*", {"kafka.isolation.level": "read_committed"}),
    Case("kafka.*", {"kafka.max.partition.fetch.bytes": 4096, "kafka.fetch.max.bytes": 8192}),
    Case("kafka.*", {"kafka.max.poll.records": 7, "kafka.receive.buffer.bytes": 65536}),
    Case("kafka.*", {"kafka.fetch.min.bytes": "many"}),
    Case("kafka.*", {"kafka.no.such.setting": 1}, ours_refuses=True),
    Case("kafka.auto.offset.reset", {"kafka.auto.offset.reset": "earliest"}),
    Case("kafka.enable.auto.commit", {"kafka.enable.auto.commit": "true"}),
    Case("kafka.interceptor.classes", {"kafka.interceptor.classes": "a.B"}),
    Case("kafka.key.deserializer", {"kafka.key.deserializer": "a.B"}),
    Case("kafka.value.deserializer", {"kafka.value.deserializer": "a.B"}),
    Case("kafka.bootstrap.servers", {"kafka.bootstrap.servers": ""}),
]

_FROM_EARLIEST: dict[str, object] = {"startingOffsets": "earliest"}

STREAM = [
    Case("subscribe", {}),
    Case("subscribe", {"subscribe": "ABSENT"}),
    Case("subscribePattern", {**_FROM_EARLIEST, "subscribePattern": "STEM.*"}),
    Case("assign", {**_FROM_EARLIEST, "assign": '{"TOPIC": [0, 2]}'}),
    Case("startingOffsets", {"startingOffsets": "earliest"}),
    Case("startingOffsets", {"startingOffsets": places(5, LATEST, EARLIEST)}),
    Case("startingOffsets", {"startingOffsets": places(5)}),
    Case("startingOffsets", {"startingOffsets": places(1000, EARLIEST, EARLIEST)}),
    Case("endingOffsets", {**_FROM_EARLIEST, "endingOffsets": "latest"}),
    Case("startingTimestamp", {"startingTimestamp": MIDDLE_MS}),
    Case("startingTimestamp", {"startingTimestamp": AFTER_MS}),
    Case("startingTimestamp", {"startingTimestamp": -1}, ours_refuses=True),
    Case("startingTimestamp", {"startingTimestamp": -2}, ours_refuses=True),
    Case("startingOffsetsByTimestamp", {"startingOffsetsByTimestamp": places(FIRST_MS, MIDDLE_MS, MIDDLE_MS + 1)}),
    Case(
        "startingOffsetsByTimestamp", {"startingOffsetsByTimestamp": places(FIRST_MS, MIDDLE_MS, -1)}, ours_refuses=True
    ),
    Case(
        "startingOffsetsByTimestampStrategy",
        {"startingTimestamp": AFTER_MS, "startingOffsetsByTimestampStrategy": "latest"},
    ),
    Case("minPartitions", {**_FROM_EARLIEST, "minPartitions": 8}),
    Case("maxRecordsPerPartition", {**_FROM_EARLIEST, "maxRecordsPerPartition": 7}),
    # Begun where a few batches are enough.
    Case("maxOffsetsPerTrigger", {"startingOffsets": places(20, 24, 28), "maxOffsetsPerTrigger": 10}),
    Case("maxOffsetsPerTrigger", {"startingOffsets": places(30, 31, 32), "maxOffsetsPerTrigger": 1}),
    # spark-sql-kafka reads nothing, for ever.
    Case("maxOffsetsPerTrigger", {**_FROM_EARLIEST, "maxOffsetsPerTrigger": 0}, ours_refuses=True),
    Case("maxOffsetsPerTrigger", {**_FROM_EARLIEST, "maxOffsetsPerTrigger": "many"}),
    Case("minOffsetsPerTrigger", {**_FROM_EARLIEST, "minOffsetsPerTrigger": 1000}),
    Case("minOffsetsPerTrigger", {**_FROM_EARLIEST, "minOffsetsPerTrigger": 20, "maxOffsetsPerTrigger": 10}),
    Case("minOffsetsPerTrigger", {**_FROM_EARLIEST, "minOffsetsPerTrigger": 0}),
    Case("minOffsetsPerTrigger", {**_FROM_EARLIEST, "minOffsetsPerTrigger": "many"}),
    Case("maxTriggerDelay", {**_FROM_EARLIEST, "minOffsetsPerTrigger": 20, "maxTriggerDelay": "1s"}),
    Case("maxTriggerDelay", {**_FROM_EARLIEST, "maxTriggerDelay": "soon"}),
    Case("failOnDataLoss", {"subscribe": "PRUNED", "startingOffsets": places(0, 0, 0, topic="PRUNED")}),
    Case(
        "failOnDataLoss",
        {
            "subscribe": "PRUNED",
            "startingOffsets": places(0, 0, 0, topic="PRUNED"),
            "failOnDataLoss": "false",
        },
    ),
    Case("includeHeaders", {**_FROM_EARLIEST, "includeHeaders": "true"}),
    Case("groupIdPrefix", {**_FROM_EARLIEST, "groupIdPrefix": "mine"}),
    Case("kafka.group.id", {**_FROM_EARLIEST, "kafka.group.id": "mine"}),
    Case("kafka.*", {**_FROM_EARLIEST, "kafka.isolation.level": "read_committed"}),
    Case("kafka.auto.offset.reset", {"kafka.auto.offset.reset": "earliest"}),
]


class Write(NamedTuple):
    """One write of what a query gives, as `Case`. `column`: what a refusal must name, if it is not an option."""

    option: str
    query: str
    options: dict[str, object]
    column: str = ""
    ours_refuses: bool = False

    def __str__(self) -> str:
        return f"{self.query}|{','.join(f'{name}={value}' for name, value in self.options.items())}"


_HEADERS = "array(struct('a' as key, cast('b' as binary) as value)) as headers"

WRITE = [
    Write("topic", "select 'a' as value", {"topic": "TOPIC"}),
    Write("topic", "select 'k' as key, 'a' as value, 2 as partition", {"topic": "TOPIC"}),
    Write("topic", "select cast('k' as binary) as key, cast('a' as binary) as value", {"topic": "TOPIC"}),
    Write("topic", "select 'k' as key, cast(null as string) as value", {"topic": "TOPIC"}),
    Write("topic", "select 'TOPIC' as topic, 'a' as value", {}),
    Write("topic", "select 'ABSENT' as topic, 'a' as value", {"topic": "TOPIC"}),
    Write("topic", "select cast(null as string) as topic, 'a' as value", {}),
    Write("topic", "select 'a' as value", {}),
    Write("topic", "select 'a' as key", {"topic": "TOPIC"}, column="value"),
    Write("topic", "select 1 as value", {"topic": "TOPIC"}, column="value"),
    Write("topic", "select 1 as key, 'a' as value", {"topic": "TOPIC"}, column="key"),
    Write("topic", "select 1L as partition, 'a' as value", {"topic": "TOPIC"}, column="partition"),
    Write("topic", "select -1 as partition, 'a' as value", {"topic": "TOPIC"}, column="partition"),
    Write("topic", "select array('a') as headers, 'a' as value", {"topic": "TOPIC"}, column="headers"),
    Write("topic", "select 'a' as value, 1 as other", {"topic": "TOPIC"}),
    Write("includeHeaders", f"select 'a' as value, {_HEADERS}", {"topic": "TOPIC", "includeHeaders": "true"}),
    Write("includeHeaders", f"select 'a' as value, {_HEADERS}", {"topic": "TOPIC"}),
    Write("kafka.*", "select 'a' as value", {"topic": "TOPIC", "kafka.compression.type": "zstd", "kafka.linger.ms": 1}),
    Write("kafka.*", "select 'a' as value", {"topic": "TOPIC", "kafka.acks": "some"}),
    Write("kafka.key.serializer", "select 'a' as value", {"topic": "TOPIC", "kafka.key.serializer": "a.B"}),
    Write("kafka.value.serializer", "select 'a' as value", {"topic": "TOPIC", "kafka.value.serializer": "a.B"}),
    Write(
        "kafka.partitioner.class",
        "select 'a' as value",
        {"topic": "TOPIC", "kafka.partitioner.class": "org.apache.kafka.clients.producer.RoundRobinPartitioner"},
        ours_refuses=True,
    ),
    Write("kafka.interceptor.classes", "select 'a' as value", {"topic": "TOPIC", "kafka.interceptor.classes": "a.B"}),
    Write("kafka.bootstrap.servers", "select 'a' as value", {"topic": "TOPIC", "kafka.bootstrap.servers": ""}),
]
