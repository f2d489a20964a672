"""Members of groups."""

from __future__ import annotations

from typing import Any

from mirror import create, example, fill, outcome, poll, sub, until


def noting(kafka: Any, events: list[Any]) -> Any:
    """A listener that writes down what it hears."""

    class Noting(kafka.ConsumerRebalanceListener):  # type: ignore[name-defined, misc]
        def on_partitions_revoked(self, revoked: Any) -> None:
            events.append(("revoked", revoked))

        def on_partitions_assigned(self, assigned: Any) -> None:
            events.append(("assigned", assigned))

    return Noting()


def settled(events: list[Any]) -> Any:
    """The first two events, the last, and whether revoking and assigning took turns.

    Events count from the last time on that nothing was revoked: kafka-python may join before it knows the partitions,
    begin again, and later meet once more for no reason.
    """
    begin = max(place for place, event in enumerate(events) if event == ("revoked", set()))
    events = events[begin:]
    kinds = [kind for kind, _ in events]
    return events[:2], events[-1], kinds[0::2] == ["revoked"] * len(kinds[0::2]), set(kinds[1::2]) == {"assigned"}


def member(kafka: Any, at: Any, topic: str, **settings: Any) -> Any:
    """A member to be of the group with the topic's name."""
    settings = {"auto_offset_reset": "earliest", "heartbeat_interval_ms": 100, **settings}
    consumer = kafka.KafkaConsumer(bootstrap_servers=at, group_id=topic, **settings)
    # kafka-python that has not heard of the topic's partitions would join, share nothing, and perhaps leave it at that.
    consumer.partitions_for_topic(topic)
    return consumer


@example
def a_listener(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "a_listener", 3)
    events: list[Any] = []
    consumer = member(kafka, at, topic)
    consumer.subscribe([topic], listener=noting(kafka, events))
    until(consumer.assignment, lambda: consumer.poll(timeout_ms=100))
    before = list(events)
    metadata = consumer.group_metadata()
    consumer.close()
    return (
        settled(before),
        settled(events),
        metadata.group_id,
        metadata.group_instance_id,
        metadata.state,
        metadata.member_id != "",
        metadata.generation_id > 0,
    )


@example
def generations(kafka: Any, at: Any) -> Any:
    """A member has none before it joins and after it leaves; each meeting of the group makes a new one."""
    topic = create(kafka, at, "generations", 2)
    first, second = (member(kafka, at, topic, enable_auto_commit=False) for _ in range(2))
    before = first.group_metadata()
    first.subscribe([topic])
    until(lambda: len(first.assignment()) == 2, lambda: first.poll(timeout_ms=50))
    alone = first.group_metadata()

    def step() -> None:
        for one in (first, second):
            one.poll(timeout_ms=50)

    second.subscribe([topic])
    until(lambda: len(first.assignment()) == len(second.assignment()) == 1, step)
    both = [one.group_metadata() for one in (first, second)]
    second.close()
    first.unsubscribe()
    left = first.group_metadata()
    first.close()
    return (
        before,
        left,
        alone.member_id == both[0].member_id != both[1].member_id,
        alone.generation_id < both[0].generation_id == both[1].generation_id,
    )


@example
def a_listener_that_seeks(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "a_listener_that_seeks")
    fill(kafka, at, topic, 10)
    consumer = member(kafka, at, topic, enable_auto_commit=False)

    class Seeking(kafka.ConsumerRebalanceListener):  # type: ignore[name-defined, misc]
        def on_partitions_revoked(self, revoked: Any) -> None:
            pass

        def on_partitions_assigned(self, assigned: Any) -> None:
            for partition in assigned:
                consumer.seek(partition, 7)

    consumer.subscribe([topic], listener=Seeking())
    offsets = [record.offset for record in poll(consumer, 3)]
    consumer.close()
    return offsets


@example
def a_listener_that_raises(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "a_listener_that_raises")
    fill(kafka, at, topic, 3)
    raised: list[Any] = []

    class Raising(kafka.ConsumerRebalanceListener):  # type: ignore[name-defined, misc]
        def on_partitions_revoked(self, revoked: Any) -> None:
            pass

        def on_partitions_assigned(self, assigned: Any) -> None:
            # Once: kafka-python may assign a second time, and would then raise among what is read.
            if assigned and not raised:
                raise KeyError("mine")

    consumer = member(kafka, at, topic)
    consumer.subscribe([topic], listener=Raising())

    def step() -> None:
        found = outcome(consumer.poll, timeout_ms=100)
        if isinstance(found, Exception):
            raised.append(found)

    until(lambda: raised, step)
    values = [record.value for record in poll(consumer, 3)]
    consumer.close()
    return raised[0], type(raised[0].__cause__), values


@example
def a_listener_of_coroutines(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "a_listener_of_coroutines", 2)
    events: list[Any] = []

    class Noting(kafka.AsyncConsumerRebalanceListener):  # type: ignore[name-defined, misc]
        async def on_partitions_revoked(self, revoked: Any) -> None:
            events.append(("revoked", revoked))

        async def on_partitions_assigned(self, assigned: Any) -> None:
            events.append(("assigned", assigned))

    consumer = member(kafka, at, topic)
    consumer.subscribe([topic], listener=Noting())
    until(consumer.assignment, lambda: consumer.poll(timeout_ms=100))
    consumer.close()
    return settled(events)


def share(kafka: Any, at: Any, name: str, **settings: Any) -> Any:
    """Two members share four partitions; then one of them leaves."""
    topic = create(kafka, at, name, 4)
    for partition in range(4):
        fill(kafka, at, topic, 5, partition)
    events: list[Any] = []
    first = member(kafka, at, topic, client_id="first", **settings)
    second = member(kafka, at, topic, client_id="second", **settings)
    first.subscribe([topic], listener=noting(kafka, events))
    seen: list[Any] = []

    def step(*members: Any) -> None:
        for one in members:
            for records in one.poll(timeout_ms=50).values():
                seen.extend((record.partition, record.offset) for record in records)

    until(lambda: len(first.assignment()) == 4, lambda: step(first))
    second.subscribe([topic])
    both = (first, second)
    until(lambda: len(first.assignment()) == len(second.assignment()) == 2, lambda: step(*both))
    until(lambda: len(set(seen)) == 20, lambda: step(*both))
    shared = first.assignment() | second.assignment()
    second.close()
    until(lambda: len(first.assignment()) == 4, lambda: step(first))
    alone = first.assignment()
    first.close()
    kinds = [kind for kind, _ in events]
    return sorted(set(seen)), shared, alone, kinds[:2], kinds[-1], events[0], events[-1][1] == alone


@example
def a_group_of_two(kafka: Any, at: Any) -> Any:
    return share(kafka, at, "a_group_of_two")


@example
def a_cooperative_group(kafka: Any, at: Any) -> Any:
    assignor = sub(kafka, "coordinator.assignors.cooperative_sticky").CooperativeStickyAssignor
    return share(kafka, at, "a_cooperative_group", partition_assignment_strategy=[assignor])


@example
def a_pattern(kafka: Any, at: Any) -> Any:
    for name in ("a", "ab", "b"):
        create(kafka, at, f"a_pattern.{name}")
        fill(kafka, at, f"a_pattern.{name}", 2)
    consumer = member(kafka, at, "a_pattern")
    consumer.subscribe(pattern="a_pattern.a")
    topics = sorted(record.topic for record in poll(consumer, 4))
    subscription = consumer.subscription()
    consumer.unsubscribe()
    left = consumer.assignment(), consumer.subscription()
    consumer.close()
    return topics, subscription, left


@example
def a_commit_before_the_first_poll(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "a_commit_before_the_first_poll")
    consumer = member(kafka, at, topic)
    consumer.subscribe([topic])
    raised = outcome(consumer.commit, {kafka.TopicPartition(topic, 0): kafka.OffsetAndMetadata(0, "", -1)})
    nothing = outcome(consumer.commit)
    consumer.close()
    return raised, nothing


@example
def a_commit_in_the_background_before_the_first_poll(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "a_commit_in_the_background")
    partition = kafka.TopicPartition(topic, 0)
    called: list[Any] = []
    consumer = member(kafka, at, topic)
    consumer.subscribe([topic])
    consumer.commit_async({partition: kafka.OffsetAndMetadata(7, "", -1)}, lambda *given: called.append(given))
    until(lambda: called, lambda: consumer.poll(timeout_ms=100))
    committed = consumer.committed(partition)
    consumer.close()
    return called, committed


@example
def a_static_member(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "a_static_member")
    consumer = member(kafka, at, topic, group_instance_id="one")
    consumer.subscribe([topic])
    until(consumer.assignment, lambda: consumer.poll(timeout_ms=100))
    metadata = consumer.group_metadata()
    consumer.close()
    return metadata.group_instance_id, metadata.state


@example
def a_topic_that_comes_later(kafka: Any, at: Any) -> Any:
    consumer = member(kafka, at, "a_topic_that_comes_later", metadata_max_age_ms=200)
    consumer.subscribe(["a_topic_that_comes_later"])
    consumer.poll(timeout_ms=50)
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        producer.send("a_topic_that_comes_later", b"v", timestamp_ms=1)
    values = [record.value for record in poll(consumer, 1)]
    consumer.close()
    return values


@example
def members_are_removed(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "members_are_removed", 2)
    consumer = member(kafka, at, topic, enable_auto_commit=False)
    consumer.subscribe([topic])
    until(lambda: len(consumer.assignment()) == 2, lambda: consumer.poll(timeout_ms=50))
    metadata = consumer.group_metadata()
    remove = kafka.admin.MemberToRemove
    with kafka.KafkaAdminClient(bootstrap_servers=at) as admin:
        answer = admin.remove_group_members(
            metadata.group_id, [remove("nobody"), remove(metadata.member_id), remove(group_instance_id="none")]
        )
        left = admin.describe_groups([metadata.group_id])[metadata.group_id]
        nothing = admin.remove_group_members(metadata.group_id, [])
    consumer.close()
    named = {"nobody": "nobody", "none": "none", metadata.member_id: "it"}
    return {named[who]: error.__name__ for who, error in answer.items()}, left["members"], nothing
