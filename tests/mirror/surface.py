"""Names, signatures, defaults and families."""

from __future__ import annotations

import inspect
from typing import Any

from mirror import example, sub

# These name the software, or are objects of its own.
OWN = {"client_id", "default_offset_commit_callback", "kafka_client", "partition_assignment_strategy", "partitioner"}
CLIENTS = ("KafkaProducer", "KafkaConsumer", "KafkaAdminClient")
# Data of calls that headwater.kafka does not have.
ABSENT = {
    "ACL",
    "ACLFilter",
    "ACLOperation",
    "ACLPermissionType",
    "ACLResourcePatternType",
    "AbortTransactionSpec",
    "PartitionProducerState",
    "ProducerState",
    "ResourcePattern",
    "ResourcePatternFilter",
    "ResourceType",
    "ScramMechanism",
    "TransactionDescription",
    "TransactionListing",
    "TransactionState",
    "UpdateFeatureType",
    "UserScramCredentialDeletion",
    "UserScramCredentialUpsertion",
}
# Names of kafka-python 2 that headwater.kafka has besides.
OLDER = {
    "list_consumer_groups",
    "describe_consumer_groups",
    "list_consumer_group_offsets",
    "delete_consumer_groups",
}
# About the record format of brokers before 0.11.
FORGOTTEN = {"max_usable_produce_magic"}


@example
def defaults(kafka: Any, at: Any) -> Any:
    return {name: {k: v for k, v in getattr(kafka, name).DEFAULT_CONFIG.items() if k not in OWN} for name in CLIENTS}


@example
def own_defaults_exist(kafka: Any, at: Any) -> Any:
    of = {name: getattr(kafka, name).DEFAULT_CONFIG for name in CLIENTS}
    strategies = [one.name for one in of["KafkaConsumer"]["partition_assignment_strategy"]]
    keys = {name: sorted(OWN & configs.keys()) for name, configs in of.items()}
    return keys, strategies, type(of["KafkaProducer"]["partitioner"])


@example
def methods_and_their_arguments(kafka: Any, at: Any) -> Any:
    found: dict[str, Any] = {}
    for name in CLIENTS:
        of = getattr(kafka, name)
        for method in dir(of):
            if method.startswith("_") or method in OLDER | FORGOTTEN or not callable(getattr(of, method)):
                continue
            parameters = inspect.signature(getattr(of, method)).parameters.values()
            found[f"{name}.{method}"] = [(one.name, one.default, one.kind) for one in parameters]
    return found


@example
def functions_of_the_other_classes(kafka: Any, at: Any) -> Any:
    listeners = kafka.ConsumerRebalanceListener, kafka.AsyncConsumerRebalanceListener
    future = sub(kafka, "future").Future
    objects: list[tuple[Any, tuple[str, ...]]] = [
        (future, ("add_callback", "add_errback", "add_both", "chain", "success", "failure", "succeeded", "failed")),
        (sub(kafka, "producer.future").FutureRecordMetadata, ("get",)),
        *((one, ("on_partitions_revoked", "on_partitions_assigned", "on_partitions_lost")) for one in listeners),
        (kafka.Serializer, ("serialize", "close")),
        (kafka.Deserializer, ("deserialize", "close")),
        (kafka.DefaultSerializer, ("__init__", "serialize", "deserialize")),
        (kafka.admin.NewTopic, ("__init__",)),
        (kafka.admin.NewPartitions, ("__init__",)),
        (kafka.admin.ConfigResource, ("__init__",)),
        (kafka.admin.MemberToRemove, ("__init__",)),
        (kafka.partitioner.Partitioner, ("partition",)),
    ]
    return [
        [(one.name, one.default) for one in inspect.signature(getattr(of, method)).parameters.values()]
        for of, methods in objects
        for method in methods
    ]


@example
def fields_of_tuples(kafka: Any, at: Any) -> Any:
    structs = sub(kafka, "structs")
    tuples = [
        structs.TopicPartition,
        structs.TopicPartitionReplica,
        structs.OffsetAndMetadata,
        structs.OffsetAndTimestamp,
        structs.ConsumerGroupMetadata,
        sub(kafka, "consumer.fetcher").ConsumerRecord,
        sub(kafka, "producer.future").RecordMetadata,
    ]
    return [(one.__name__, one._fields, one._field_defaults) for one in tuples], repr(structs.TopicPartition("t", 1))


@example
def what_can_be_imported(kafka: Any, at: Any) -> Any:
    original = {
        "": "KafkaAdminClient KafkaConsumer KafkaProducer AsyncConsumerRebalanceListener ConsumerRebalanceListener "
        "DefaultSerializer JsonSerializer Serializer Deserializer ConsumerGroupMetadata OffsetAndMetadata "
        "TopicPartition TopicPartitionReplica IsolationLevel OffsetSpec",
        "consumer": "KafkaConsumer",
        "producer": "KafkaProducer",
        "partitioner": "Partitioner DefaultPartitioner StickyPartitioner murmur2",
        "serializer": "Serializer Deserializer DefaultSerializer JsonSerializer",
        "consumer.subscription_state": "ConsumerRebalanceListener AsyncConsumerRebalanceListener",
        "consumer.group": "KafkaConsumer",
        "producer.kafka": "KafkaProducer",
        "admin.client": "KafkaAdminClient",
        "structs": "TopicPartition OffsetAndMetadata OffsetAndTimestamp MemberState",
        "cluster": "ClusterMetadata",
        "future": "Future",
    }
    there = {
        (module, name): getattr(sub(kafka, module) if module else kafka, name).__name__
        for module, names in original.items()
        for name in names.split()
    }
    admin = {name for name in dir(sub(kafka, "admin")) if name[0].isupper()}
    return there, sorted(admin - ABSENT)


@example
def families_of_errors(kafka: Any, at: Any) -> Any:
    errors = sub(kafka, "errors")
    ours_alone = {"NoBrokersAvailable", "NotInHeadwaterError"}
    return {
        name: (
            [base.__name__ for base in error.__mro__],
            error.retriable,
            error.invalid_metadata,
            getattr(error, "errno", None),
            getattr(error, "message", None) if getattr(error, "errno", None) is not None else None,
        )
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, errors.KafkaError) and name not in ours_alone
    }


@example
def named_numbers(kafka: Any, at: Any) -> Any:
    kinds = [kafka.IsolationLevel, kafka.OffsetSpec] + [
        getattr(kafka.admin, name)
        for name in ("AlterConfigOp", "ConfigResourceType", "ConfigType", "ConfigSourceType", "GroupState", "GroupType")
    ]
    timestamp = kafka.admin.OffsetTimestamp(5)
    return {kind.__name__: {one.name: one.value for one in kind} for kind in kinds}, timestamp + 1, repr(timestamp)
