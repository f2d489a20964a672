"""`KafkaAdminClient`."""

from __future__ import annotations

from typing import Any

from mirror import create, example, fill, outcome, poll

# Answers that only a protocol of its own could give; headwater.kafka leaves them out.
LEFT_OUT = {
    "authorized_operations",
    "config_type",
    "documentation",
    "group_type",
    "is_fenced",
    "member_metadata",
    "offline_replicas",
    "synonyms",
    "topic_config_error_code",
    "user_data",
}
VARYING = {"cluster_id", "error_message", "member_id", "port", "topic_id"}


def known(answer: Any) -> Any:
    """An answer without what is left out, and with types in place of what varies."""
    if isinstance(answer, dict):
        return {
            key: type(value) if key in VARYING else known(value) for key, value in answer.items() if key not in LEFT_OUT
        }
    return [known(item) for item in answer] if isinstance(answer, list) else answer


@example
def topics(kafka: Any, at: Any) -> Any:
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        configs = {"retention.ms": "1000", "cleanup.policy": "compact"}
        created = admin.create_topics({"topics.a": {"num_partitions": 3, "replication_factor": 1, "configs": configs}})
        by_name = admin.create_topics(["topics.b"])
        by_object = admin.create_topics([kafka.admin.NewTopic("topics.c", 2, 1, topic_configs={"segment.ms": "5000"})])
        checked = admin.create_topics(["topics.d"], validate_only=True)["topics"][0]["error_code"]
        listed = sorted(name for name in admin.list_topics() if name.startswith("topics."))
        described = admin.describe_topics(["topics.a", "topics.none"])
        deleted = admin.delete_topics(["topics.a", "topics.b", "topics.c"])
        left = [name for name in admin.list_topics() if name.startswith("topics.")]
    names = (created, by_name, by_object, described, deleted)
    return [known(answer) for answer in names], checked, listed, left


@example
def refused_topics(kafka: Any, at: Any) -> Any:
    create(kafka, at, "refused_topics")
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        return [
            outcome(admin.create_topics, ["refused_topics"]),
            known(admin.create_topics(["refused_topics"], raise_errors=False)),
            outcome(admin.create_topics, ["bad name"]),
            outcome(admin.create_topics, []),
            outcome(admin.create_topics, {"refused_topics.x": {"num_partitions": 0}}),
            outcome(admin.create_topics, {"refused_topics.x": {"replication_factor": 7}}),
            outcome(admin.create_topics, {"refused_topics.x": {"configs": {"no.such": "1"}}}),
            outcome(admin.create_topics, {"refused_topics.x": {"configs": {"retention.ms": "soon"}}}),
            outcome(admin.create_topics, ["refused_topics.x"], validate_only=True, wait_for_metadata=True),
            outcome(admin.delete_topics, ["refused_topics.none"]),
            known(admin.delete_topics(["refused_topics.none"], raise_errors=False)),
            outcome(admin.wait_for_topics, ["refused_topics.none"], timeout_ms=150),
            admin.wait_for_topics(["refused_topics"]),
        ]


@example
def the_cluster(kafka: Any, at: Any) -> Any:
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        found = known(admin.describe_cluster())
    # Within one process a broker needs no address.
    for broker in found["brokers"]:
        broker.pop("host")
    return found


@example
def more_partitions(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "more_partitions", 2)
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        answers = [
            admin.create_partitions({topic: 3}),
            admin.create_partitions({topic: kafka.admin.NewPartitions(5)}),
            admin.create_partitions({topic: 5}, raise_errors=False),
        ]
        refused = [outcome(admin.create_partitions, {topic: 1}), outcome(admin.create_partitions, {"more.none": 1})]
        count = len(admin.describe_topics([topic])[0]["partitions"])
    return [(result.name, result.error_code) for answer in answers for result in answer.results], refused, count


@example
def configs(kafka: Any, at: Any) -> Any:
    resource = kafka.admin.ConfigResource
    topic = create(kafka, at, "configs", retention_ms="1000")
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        answers: list[Any] = [
            admin.describe_configs([resource("topic", topic)]),
            admin.describe_configs([resource(kafka.admin.ConfigResourceType.TOPIC, topic)], config_filter="all"),
            admin.describe_configs([resource("TOPIC", topic, ["segment.ms", "retention.ms"])], config_filter="default"),
            admin.alter_configs([resource("topic", topic, {"retention.ms": "2000", "segment.ms": "70000"})]),
            admin.describe_configs([resource("topic", topic)]),
            admin.alter_configs([resource("topic", topic, {"retention.ms": ("DELETE", None)})]),
            admin.alter_configs([resource("topic", topic, {"retention.ms": "5"})], validate_only=True),
            admin.describe_configs([resource("topic", topic)]),
            admin.reset_configs([resource("topic", topic, [])]),
            admin.describe_configs([resource("topic", topic)]),
        ]
        refused = [
            outcome(admin.alter_configs, [resource("topic", topic, {"no.such": "1"})]),
            outcome(admin.alter_configs, [resource("topic", topic, ["retention.ms"])]),
            outcome(admin.describe_configs, [resource("broker", "x")]),
            outcome(admin.describe_configs, [resource("topic", topic)], config_filter="some"),
            outcome(resource, "no such type", topic),
        ]
        wrong = admin.alter_configs([resource("topic", topic, {"retention.ms": "soon"})])["topic"][topic]
        broker = admin.describe_configs([resource("broker", "1")], config_filter="all")["broker"]["1"]
    return [known(answer) for answer in answers], refused, wrong.split(":")[0], known(broker["num.partitions"])


@example
def groups_and_offsets(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "groups_and_offsets", 2)
    fill(kafka, at, topic, 10)
    group = "groups_and_offsets"
    first, second = (kafka.TopicPartition(topic, n) for n in range(2))
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        settings = {"group_id": group, "auto_offset_reset": "earliest", "enable_auto_commit": False, "client_id": "me"}
        consumer = kafka.KafkaConsumer(topic, bootstrap_servers=at, **settings)
        poll(consumer, 10)
        consumer.commit({first: kafka.OffsetAndMetadata(4, "a note", -1)})
        described = known(admin.describe_groups([group, f"{group}.none"]))
        for found in described.values():
            for member in found["members"]:
                # Within one process there is no address.
                member.pop("client_host")
            if found["error"]:
                found["error"] = found["error"].split(":")[0]
        answers = [
            [known(found) for found in admin.list_groups() if found["group_id"] == group],
            [known(found) for found in admin.list_groups(states_filter=["stable"]) if found["group_id"] == group],
            [known(found) for found in admin.list_groups(states_filter=["Empty"]) if found["group_id"] == group],
            admin.list_group_offsets(group),
            admin.list_group_offsets([group, f"{group}.none"]),
            admin.list_group_offsets({group: [first, second]}),
            admin.delete_groups([group, f"{group}.none"]),
            admin.alter_group_offsets(group, {first: kafka.OffsetAndMetadata(1, "", -1)}),
        ]
        consumer.close()
        spec = kafka.admin.OffsetSpec
        answers += [
            admin.alter_group_offsets(group, {first: kafka.OffsetAndMetadata(1, "m", -1)}),
            admin.list_group_offsets(group),
            admin.alter_group_offsets(group, {}),
            admin.reset_group_offsets(group, {first: spec.LATEST, second: spec.EARLIEST}),
            admin.reset_group_offsets(group, {first: 100}),
            admin.reset_group_offsets(group, {first: 3}),
            admin.reset_group_offsets(group, {first: kafka.admin.OffsetTimestamp(1006)}),
            admin.reset_group_offsets(group, {first: kafka.admin.OffsetTimestamp(99_000)}),
            outcome(admin.reset_group_offsets, group, {first: "earliest"}),
            outcome(admin.list_group_offsets, []),
            outcome(admin.list_groups, states_filter=["no such state"]),
            admin.delete_groups([group]),
        ]
        left = [found for found in admin.list_groups() if found["group_id"] == group]
    return described, answers, left


@example
def offsets_of_partitions(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "offsets_of_partitions", 2)
    fill(kafka, at, topic, 10)
    first, second = (kafka.TopicPartition(topic, n) for n in range(2))
    spec = kafka.OffsetSpec
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        answers = [
            admin.list_partition_offsets({first: spec.EARLIEST, second: spec.LATEST}),
            admin.list_partition_offsets({first: spec.LATEST}, isolation_level="read_committed"),
            admin.list_partition_offsets({first: 1004}),
            admin.list_partition_offsets({first: 99_000}),
            admin.delete_records({first: 4}),
            admin.list_partition_offsets({first: spec.EARLIEST}),
            admin.delete_records({first: -1}),
        ]
        refused = [
            outcome(admin.delete_records, {first: 100}),
            outcome(admin.delete_records, {kafka.TopicPartition(topic, 7): 0}),
            outcome(admin.list_partition_offsets, {first: "earliest"}),
            outcome(admin.list_partition_offsets, {kafka.TopicPartition(topic, 7): spec.LATEST}),
        ]
    return answers, refused


@example
def settings_of_an_admin(kafka: Any, at: Any) -> Any:
    admin = kafka.KafkaAdminClient(bootstrap_servers=at, client_id="mine", request_timeout_ms=5000)
    chosen = admin.config["client_id"], admin.config["request_timeout_ms"]
    admin.close()
    admin.close()
    return chosen, outcome(kafka.KafkaAdminClient, bootstrap_servers=at, no_such_setting=1)
