"""`KafkaAdminClient`."""

from __future__ import annotations

from typing import Any

from mirror import create, example, fill, outcome, poll, until

# Answers that only a protocol of its own could give; headwater.kafka leaves them out.
LEFT_OUT = {
    "authorized_operations",
    "group_type",
    "is_fenced",
    "member_metadata",
    "offline_replicas",
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
def topics_with_replicas(kafka: Any, at: Any) -> Any:
    new = kafka.admin.NewTopic
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        answers = [
            admin.create_topics({"replicas.a": {"assignments": {0: [1], 1: [1]}}}),
            admin.create_topics(
                [new("replicas.b", replica_assignments={0: [1]}, topic_configs={"segment.ms": "5000"})]
            ),
            admin.create_topics({"replicas.c": {"assignments": {0: [1]}}}, validate_only=True)["topics"][0][
                "error_code"
            ],
        ]
        refused = [
            outcome(admin.create_topics, {"replicas.c": options})
            for options in (
                {"assignments": {0: [7]}},
                {"assignments": {0: [1, 1]}},
                {"assignments": {0: []}},
                {"assignments": {1: [1]}},
                {"assignments": {0: [1]}, "num_partitions": 1, "replication_factor": 1},
            )
        ]
        described = admin.describe_topics(["replicas.a", "replicas.b"])
        left = sorted(name for name in admin.list_topics() if name.startswith("replicas."))
    return [known(answer) for answer in answers], refused, known(described), left


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
        answers += [
            admin.create_partitions({topic: 9}, validate_only=True),
            admin.create_partitions({topic: {"count": 6, "assignments": [[1]]}}),
            admin.create_partitions({topic: kafka.admin.NewPartitions(8, [[1], [1]])}),
        ]
        refused += [
            outcome(admin.create_partitions, {topic: 1}, validate_only=True),
            outcome(admin.create_partitions, {topic: {"count": 9, "assignments": [[7]]}}),
            outcome(admin.create_partitions, {topic: {"count": 9, "assignments": [[1], [1]]}}),
            outcome(admin.create_partitions, {topic: {"count": 9, "assignments": [[]]}}),
        ]
        partitions = known(admin.describe_topics([topic]))
    results = [(result.name, result.error_code) for answer in answers for result in answer.results]
    return results, refused, count, partitions


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
def configs_by_the_older_request(kafka: Any, at: Any) -> Any:
    resource = kafka.admin.ConfigResource
    topic = create(kafka, at, "configs_by_the_older_request", retention_ms="1000")
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:

        def asked(configs: Any) -> list[Any]:
            return [resource("topic", topic, configs)]

        return [
            admin.alter_configs(asked({"segment.ms": "70000"}), incremental=False),
            known(admin.describe_configs(asked(None))),
            admin.alter_configs(asked({"retention.ms": ("SET", "2000")}), incremental=False),
            outcome(admin.alter_configs, asked({"retention.ms": ("DELETE", None)}), incremental=False),
            outcome(admin.alter_configs, asked({"cleanup.policy": ("APPEND", "compact")}), incremental=False),
            known(admin.describe_configs(asked(None))),
            admin.reset_configs(asked(["retention.ms"]), incremental=False),
            known(admin.describe_configs(asked(None))),
            admin.reset_configs(asked([]), incremental=False),
            known(admin.describe_configs(asked(None))),
        ]


@example
def lists_in_configs(kafka: Any, at: Any) -> Any:
    resource, op = kafka.admin.ConfigResource, kafka.admin.AlterConfigOp
    topic = create(kafka, at, "lists_in_configs")

    def change(how: Any) -> Any:
        answer = admin.alter_configs([resource("topic", topic, {"cleanup.policy": how})])["topic"][topic]
        return answer.split(":")[0], known(admin.describe_configs([resource("topic", topic)]))

    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        return [
            change((op.APPEND, "compact")),
            change(("subtract", "delete")),
            change((op.SUBTRACT, "delete")),
            change((op.APPEND, "no such policy")),
            change((op.DELETE, None)),
            outcome(change, ("no such change", "delete")),
            outcome(admin.alter_configs, [resource("topic", topic, {"no.such": (op.APPEND, "x")})]),
            admin.alter_configs([resource("topic", topic, {"segment.ms": (op.APPEND, "1")})])["topic"][topic].split(
                ":"
            )[0],
        ]


@example
def synonyms_of_configs(kafka: Any, at: Any) -> Any:
    resource = kafka.admin.ConfigResource
    topic = create(kafka, at, "synonyms_of_configs", retention_ms="1000")
    names = ["retention.ms", "segment.ms", "cleanup.policy"]
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        asked = [resource("topic", topic, names), resource("broker", "1", ["num.partitions", "log.retention.ms"])]
        return known(admin.describe_configs(asked, include_synonyms=True, config_filter="all"))


@example
def configs_of_a_broker(kafka: Any, at: Any) -> Any:
    resource = kafka.admin.ConfigResource

    def asked(configs: Any = None) -> list[Any]:
        return [resource("broker", "1", configs)]

    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        return [
            known(admin.describe_configs(asked())),
            admin.alter_configs(asked({"log.segment.bytes": "123456789"})),
            known(admin.describe_configs(asked())),
            known(admin.describe_configs(asked(["log.segment.bytes"]), include_synonyms=True)),
            admin.alter_configs(asked({"log.segment.bytes": "7000000"}), validate_only=True),
            admin.alter_configs(asked({"log.segment.bytes": "big"}))["broker"]["1"].split(":")[0],
            known(admin.describe_configs(asked())),
            admin.reset_configs(asked([])),
            known(admin.describe_configs(asked())),
            outcome(admin.alter_configs, asked({"node.id": "7"})),
            outcome(admin.alter_configs, asked({"no.such": "7"})),
            outcome(admin.alter_configs, [resource("broker", "x", {"log.segment.bytes": "1"})]),
        ]


@example
def configs_of_a_group(kafka: Any, at: Any) -> Any:
    """Brokers without such settings say so."""
    group = kafka.admin.ConfigResource("group", "configs_of_a_group", {"consumer.session.timeout.ms": "50000"})
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        answer = admin.alter_configs([group], raise_on_unknown=False)
    return {kind: {name: said.split(":")[0] for name, said in of.items()} for kind, of in answer.items()}


@example
def offsets_of_a_group_are_forgotten(kafka: Any, at: Any) -> Any:
    group = "offsets_are_forgotten"
    read, other = (create(kafka, at, f"{group}.{name}", 2) for name in ("read", "other"))
    partitions = [kafka.TopicPartition(topic, n) for topic in (read, other) for n in range(2)]
    consumer = kafka.KafkaConsumer(read, bootstrap_servers=at, group_id=group, enable_auto_commit=False)
    until(consumer.assignment, lambda: consumer.poll(timeout_ms=100))
    consumer.commit({partition: kafka.OffsetAndMetadata(3, "", -1) for partition in partitions})
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        answers = [
            admin.delete_group_offsets(group, [partitions[0], partitions[2]]),
            admin.list_group_offsets(group),
            admin.delete_group_offsets(group, []),
            outcome(admin.delete_group_offsets, f"{group}.none", partitions),
        ]
        consumer.close()
        answers += [
            admin.delete_group_offsets(group, [partitions[0], kafka.TopicPartition(f"{group}.none", 0)]),
            admin.list_group_offsets(group),
        ]
    return answers


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
            admin.reset_group_offsets(group, {first: spec.MAX_TIMESTAMP, second: spec.MAX_TIMESTAMP}),
            admin.reset_group_offsets(group, {first: spec.EARLIEST_LOCAL}),
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
            admin.list_partition_offsets({first: 1004, second: 1004}, timeout_ms=20_000),
            admin.list_partition_offsets({first: spec.MAX_TIMESTAMP, second: spec.MAX_TIMESTAMP}),
            admin.list_partition_offsets({first: spec.EARLIEST_LOCAL, second: spec.LATEST_TIERED}),
            admin.list_partition_offsets({first: -1, second: -2}),
            admin.delete_records({first: 4}),
            admin.list_partition_offsets({first: spec.EARLIEST}),
            admin.delete_records({first: -1}),
        ]
        refused = [
            outcome(admin.delete_records, {first: 100}),
            outcome(admin.delete_records, {kafka.TopicPartition(topic, 7): 0}),
            outcome(admin.list_partition_offsets, {first: "earliest"}),
            outcome(admin.list_partition_offsets, {first: -9}),
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
