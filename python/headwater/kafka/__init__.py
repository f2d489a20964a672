"""kafka-python's classes over Headwater's: old programs need one changed import.

    import headwater
    from headwater.kafka import KafkaConsumer, KafkaProducer

    with headwater.Broker() as broker:
        with KafkaProducer(bootstrap_servers=broker) as producer:
            producer.send("greetings", b"hello")
        consumer = KafkaConsumer(
            "greetings", bootstrap_servers=broker, auto_offset_reset="earliest", consumer_timeout_ms=2000
        )
        for record in consumer:
            print(record.value)
            break
        consumer.close()

The reference is kafka-python 3.0: the same names, arguments, defaults, results and errors, tested side by side.
`bootstrap_servers` may also be a `headwater.Broker`. Arguments that ask for encryption, passwords or transactions are
refused; methods that do not exist here raise `NotInHeadwaterError`, which names them.
"""

from headwater._headwater import __version__
from headwater.kafka.admin import KafkaAdminClient
from headwater.kafka.consumer import KafkaConsumer
from headwater.kafka.consumer.subscription_state import AsyncConsumerRebalanceListener, ConsumerRebalanceListener
from headwater.kafka.enums import IsolationLevel, OffsetSpec
from headwater.kafka.producer import KafkaProducer
from headwater.kafka.serializer import DefaultSerializer, Deserializer, JsonSerializer, Serializer
from headwater.kafka.structs import (
    ConsumerGroupMetadata,
    OffsetAndMetadata,
    OffsetAndTimestamp,
    TopicPartition,
    TopicPartitionReplica,
)

__all__ = [
    "AsyncConsumerRebalanceListener",
    "ConsumerGroupMetadata",
    "ConsumerRebalanceListener",
    "DefaultSerializer",
    "Deserializer",
    "IsolationLevel",
    "JsonSerializer",
    "KafkaAdminClient",
    "KafkaConsumer",
    "KafkaProducer",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "OffsetSpec",
    "Serializer",
    "TopicPartition",
    "TopicPartitionReplica",
    "__version__",
]
