"""Event streaming in a wheel: a Kafka-compatible broker and clients, Arrow and Parquet, without a JVM.

    import headwater

    with headwater.Broker("./data") as broker:
        with headwater.Producer(broker) as producer:
            producer.produce("greetings", "hello")
        with headwater.Consumer(broker, ["greetings"]) as consumer:
            print(consumer.poll(timeout=5))

Wherever a `Broker` is expected as a target, the address of any Kafka-compatible cluster will do: `"host:9092"`.
"""

from headwater._headwater import (
    Admin,
    ArrowBatch,
    Broker,
    Consumer,
    Delivery,
    InferredSchema,
    Producer,
    Record,
    RecordMetadata,
    Scan,
    __version__,
    infer_schema,
    scan,
)
from headwater._topic import Topic, Topics
from headwater._types import (
    ClusterDescription,
    ConfigSynonym,
    ConfigValue,
    ExportReport,
    GroupDescription,
    GroupLag,
    GroupListing,
    GroupMembership,
    Groups,
    MemberDescription,
    Node,
    OffsetAndMetadata,
    OffsetAndTimestamp,
    PartitionDescription,
    PartitionLag,
    PartitionOffsets,
    Records,
    Settings,
    TopicDescription,
    TopicPartition,
)
from headwater.errors import (
    BrokerError,
    ClosedError,
    ConfigError,
    ConnectionFailedError,
    CorruptRecordError,
    HeadwaterError,
    MissingLibraryError,
    MisuseError,
    OffsetError,
    StorageError,
    TimedOutError,
)

__all__ = [
    "Admin",
    "ArrowBatch",
    "Broker",
    "BrokerError",
    "ClosedError",
    "ClusterDescription",
    "ConfigError",
    "ConfigSynonym",
    "ConfigValue",
    "ConnectionFailedError",
    "Consumer",
    "CorruptRecordError",
    "Delivery",
    "ExportReport",
    "GroupDescription",
    "GroupLag",
    "GroupListing",
    "GroupMembership",
    "Groups",
    "HeadwaterError",
    "InferredSchema",
    "MemberDescription",
    "MissingLibraryError",
    "MisuseError",
    "Node",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "OffsetError",
    "PartitionDescription",
    "PartitionLag",
    "PartitionOffsets",
    "Producer",
    "Record",
    "RecordMetadata",
    "Records",
    "Scan",
    "Settings",
    "StorageError",
    "TimedOutError",
    "Topic",
    "TopicDescription",
    "TopicPartition",
    "Topics",
    "__version__",
    "infer_schema",
    "scan",
]
