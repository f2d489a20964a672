"""`KafkaConsumer`, without the sharing of a group."""

from __future__ import annotations

import json
import time
from typing import Any

from mirror import create, example, fill, outcome, poll, sub, take, until


def assigned(kafka: Any, at: Any, topic: str, *partitions: int, **settings: Any) -> tuple[Any, Any]:
    """A consumer that reads these partitions of a topic from the beginning, and the first of them."""
    settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **settings}
    consumer = kafka.KafkaConsumer(bootstrap_servers=at, **settings)
    chosen = [kafka.TopicPartition(topic, partition) for partition in partitions or (0,)]
    consumer.assign(chosen)
    return consumer, chosen[0]


@example
def poll_gives_records_by_partition(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "poll_gives_records_by_partition", 2)
    fill(kafka, at, topic, 3)
    fill(kafka, at, topic, 2, partition=1)
    consumer, _ = assigned(kafka, at, topic, 0, 1)
    seen: dict[Any, list[Any]] = {}

    def step() -> None:
        for partition, records in consumer.poll(timeout_ms=200).items():
            seen.setdefault(partition, []).extend(records)

    until(lambda: sum(map(len, seen.values())) == 5, step)
    empty = consumer.poll()
    consumer.close()
    return seen, empty


@example
def poll_hands_out_so_many(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "poll_hands_out_so_many")
    fill(kafka, at, topic, 10)
    consumer, partition = assigned(kafka, at, topic, max_poll_records=4)
    counts: list[int] = []

    def step(**limits: Any) -> None:
        found = consumer.poll(timeout_ms=200, **limits).get(partition, [])
        if found:
            counts.append(len(found))

    until(lambda: len(counts) == 1, lambda: step(max_records=3))
    until(lambda: len(counts) == 2, step)
    until(lambda: len(counts) == 3, lambda: step(max_records=100))
    position = consumer.position(partition)
    consumer.close()
    return counts, position


@example
def poll_without_a_step(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "poll_without_a_step")
    fill(kafka, at, topic, 3)
    consumer, partition = assigned(kafka, at, topic)
    seen: list[Any] = []

    def step() -> None:
        seen.extend(consumer.poll(timeout_ms=200, update_offsets=False).get(partition, []))

    until(lambda: len(seen) >= 3, step)
    position = consumer.position(partition)
    again = poll(consumer, 3)
    consumer.close()
    return [record.offset for record in seen], position, [record.offset for record in again]


@example
def wrong_polls(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "wrong_polls")
    consumer, _ = assigned(kafka, at, topic)
    answers = [
        outcome(consumer.poll, timeout_ms=-1),
        outcome(consumer.poll, max_records=0),
        outcome(consumer.poll, max_records=-1),
        outcome(consumer.poll, max_records="5"),
    ]
    consumer.close()
    consumer.close()
    return answers, outcome(consumer.poll), list(consumer)


@example
def iteration_stops(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "iteration_stops")
    fill(kafka, at, topic, 5)
    consumer, partition = assigned(kafka, at, topic, consumer_timeout_ms=100)
    first = [record.value for record in take(consumer, 5)]
    rest = list(consumer)
    fill(kafka, at, topic, 2, start=5)
    more = [record.value for record in take(consumer, 2)]
    position = consumer.position(partition)
    end = outcome(next, consumer)
    consumer.close()
    return first, rest, more, position, end, iter(consumer) is consumer


@example
def iteration_counts_what_it_handed_out(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "iteration_counts")
    fill(kafka, at, topic, 20)
    consumer, partition = assigned(kafka, at, topic, group_id="iteration_counts")
    values = [next(consumer).value for _ in range(7)]
    position = consumer.position(partition)
    consumer.commit()
    committed = consumer.committed(partition)
    values.append(next(consumer).value)
    consumer.seek(partition, 3)
    values += [next(consumer).value for _ in range(2)]
    polled = poll(consumer, 1)[0].offset
    consumer.close()
    return values, position, committed, polled


@example
def polls_after_an_iteration(kafka: Any, at: Any) -> Any:
    """A short poll gives what the iteration had read already."""
    topic = create(kafka, at, "polls_after_an_iteration", 2)
    fill(kafka, at, topic, 6)
    consumer, partition = assigned(kafka, at, topic)
    first = [next(consumer).offset for _ in range(2)]
    rest: list[int] = []

    def step() -> None:
        found = consumer.poll(timeout_ms=50, max_records=3).get(partition, [])
        rest.extend(record.offset for record in found)

    until(lambda: len(rest) >= 4, step)
    position = consumer.position(partition)
    again = consumer.poll(timeout_ms=0)
    consumer.close()
    return first, rest, position, again


@example
def polls_without_a_subscription(kafka: Any, at: Any) -> Any:
    consumer = kafka.KafkaConsumer(bootstrap_servers=at, consumer_timeout_ms=100)
    seen = [consumer.poll(timeout_ms=10), list(consumer)]
    consumer.subscribe([create(kafka, at, "polls_without_a_subscription")])
    consumer.unsubscribe()
    seen.append(consumer.poll(timeout_ms=10))
    consumer.close()
    return seen


@example
def iteration_over_partitions_and_a_commit(kafka: Any, at: Any) -> Any:
    """What is committed is what was handed out, of the other partitions as well."""
    topic = create(kafka, at, "iteration_over_partitions", 2)
    fill(kafka, at, topic, 6)
    fill(kafka, at, topic, 6, partition=1)
    consumer, _ = assigned(kafka, at, topic, 0, 1, group_id="iteration_over_partitions")
    counts = {0: 0, 1: 0}
    for _ in range(8):
        counts[next(consumer).partition] += 1
    consumer.commit()
    committed = {n: consumer.committed(kafka.TopicPartition(topic, n)) or 0 for n in counts}
    rest = sorted((record.partition, record.offset) for record in take(consumer, 4))
    consumer.close()
    left = sorted((n, offset) for n, count in counts.items() for offset in range(count, 6))
    return committed == counts, rest == left, sum(counts.values())


@example
def leader_epochs(kafka: Any, at: Any) -> Any:
    """What is committed carries the epoch of the last record read; a place that was gone to has none."""
    topic = create(kafka, at, "leader_epochs")
    fill(kafka, at, topic, 10)
    consumer, partition = assigned(kafka, at, topic, group_id="leader_epochs", max_poll_records=4)
    committed: list[Any] = []

    def commit() -> None:
        consumer.commit()
        committed.append(consumer.committed(partition, metadata=True))

    consumer.position(partition)
    commit()
    epochs = {record.leader_epoch for record in poll(consumer, 4)}
    commit()
    consumer.seek(partition, 2)
    commit()
    epochs.add(next(consumer).leader_epoch)
    commit()
    consumer.seek_to_end(partition)
    consumer.position(partition)
    commit()
    consumer.commit({partition: kafka.OffsetAndMetadata(7, "", 0)})
    committed.append(consumer.committed(partition, metadata=True))
    found = consumer.offsets_for_times({partition: 1003})
    consumer.close()
    return epochs, committed, found


@example
def headers_and_nulls(kafka: Any, at: Any) -> Any:
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        producer.send("headers_and_nulls", key=b"k", headers=[("h", b"1"), ("h", b"2")], timestamp_ms=3)
    consumer, _ = assigned(kafka, at, "headers_and_nulls")
    record = poll(consumer, 1)[0]
    consumer.close()
    return record, record._fields, type(record.headers), [type(header) for header in record.headers]


@example
def seek_and_position(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "seek_and_position")
    fill(kafka, at, topic, 10)
    consumer, partition = assigned(kafka, at, topic)
    answers: list[Any] = [consumer.position(partition)]
    consumer.seek(partition, 4)
    answers += [consumer.position(partition), poll(consumer, 1)[0].offset]
    consumer.seek_to_beginning()
    answers += [consumer.position(partition), poll(consumer, 1)[0].offset]
    consumer.seek_to_end(partition)
    answers += [consumer.position(partition), consumer.poll(timeout_ms=50)]
    consumer.seek_to_beginning(partition)
    answers += [consumer.position(partition)]
    answers += [consumer.beginning_offsets([partition]), consumer.end_offsets([partition])]
    answers += [consumer.beginning_offsets([]), consumer.end_offsets([]), consumer.offsets_for_times({})]
    consumer.close()
    return answers


@example
def wrong_seeks(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "wrong_seeks")
    other = kafka.TopicPartition(topic, 1)
    consumer, partition = assigned(kafka, at, topic)
    lone = kafka.KafkaConsumer(bootstrap_servers=at)
    answers = [
        outcome(call, *args)
        for call, args in (
            (consumer.seek, (partition, -1)),
            (consumer.seek, (partition, "0")),
            (consumer.seek, (other, 0)),
            (consumer.seek, ((topic, 0), 0)),
            (consumer.seek_to_beginning, (other,)),
            (consumer.seek_to_end, (other,)),
            (consumer.seek_to_end, ((topic, 0),)),
            (lone.seek_to_beginning, ()),
            (consumer.position, (other,)),
            (consumer.position, ((topic, 0),)),
            (consumer.highwater, (other,)),
            (consumer.pause, (other,)),
            (consumer.pause, ((topic, 0),)),
            (consumer.resume, (other,)),
            (consumer.offsets_for_times, ({partition: -1},)),
        )
    ]
    consumer.close()
    lone.close()
    return answers


@example
def pause_and_resume(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "pause_and_resume", 2)
    fill(kafka, at, topic, 3)
    fill(kafka, at, topic, 3, partition=1)
    consumer, first = assigned(kafka, at, topic, 0, 1)
    consumer.pause(first)
    paused = consumer.paused()
    seen = poll(consumer, 3)
    nothing = consumer.poll(timeout_ms=50)
    consumer.resume(first)
    resumed = consumer.paused()
    rest = poll(consumer, 3)
    consumer.close()
    return paused, {r.partition for r in seen}, nothing, resumed, {r.partition for r in rest}


@example
def pause_within_an_iteration(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "pause_within_an_iteration")
    fill(kafka, at, topic, 5)
    consumer, partition = assigned(kafka, at, topic, consumer_timeout_ms=100)
    seen = [record.offset for record in take(consumer, 2)]
    consumer.pause(partition)
    nothing = list(consumer)
    position = consumer.position(partition)
    consumer.resume(partition)
    seen += [record.offset for record in take(consumer, 3)]
    consumer.close()
    return seen, nothing, position


@example
def offsets_by_time(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "offsets_by_time", 2)
    fill(kafka, at, topic, 10)
    consumer, partition = assigned(kafka, at, topic)
    other = kafka.TopicPartition(topic, 1)
    found = [consumer.offsets_for_times({partition: time}) for time in (0, 1004, 1009, 1010)]
    found.append(consumer.offsets_for_times({partition: 1002, other: 0}))
    consumer.close()
    return found


@example
def an_unknown_partition(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "an_unknown_partition")
    consumer, _ = assigned(kafka, at, topic, request_timeout_ms=600, fetch_max_wait_ms=100)
    unknown = kafka.TopicPartition(topic, 5)
    answers = outcome(consumer.end_offsets, [unknown]), outcome(consumer.beginning_offsets, [unknown])
    consumer.close()
    return answers


@example
def highwater(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "highwater")
    fill(kafka, at, topic, 10)
    consumer, partition = assigned(kafka, at, topic, max_poll_records=4)
    poll(consumer, 1)
    found = [consumer.highwater(partition), consumer.position(partition)]
    consumer.seek(partition, 9)
    found.append(consumer.highwater(partition))
    fill(kafka, at, topic, 5, start=10)
    poll(consumer, 6)
    found += [consumer.highwater(partition), consumer.position(partition)]
    consumer.close()
    return found


@example
def time_enough(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "time_enough")
    fill(kafka, at, topic, 10)
    consumer, partition = assigned(kafka, at, topic, group_id="time_enough")
    limit = {"timeout_ms": 20_000}
    answers = [
        consumer.position(partition, **limit),
        consumer.commit({partition: kafka.OffsetAndMetadata(3, "", -1)}, **limit),
        consumer.committed(partition, **limit),
        consumer.beginning_offsets([partition], **limit),
        consumer.end_offsets([partition], **limit),
        consumer.offsets_for_times({partition: 1004}, **limit),
    ]
    consumer.close()
    return answers


@example
def too_little_time(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "too_little_time")
    consumer, partition = assigned(kafka, at, topic, 5, group_id="too_little_time", fetch_max_wait_ms=100)
    began = time.monotonic()
    answers = [
        consumer.position(partition, timeout_ms=200),
        outcome(consumer.beginning_offsets, [partition], timeout_ms=200),
        outcome(consumer.end_offsets, [partition], timeout_ms=200),
        outcome(consumer.offsets_for_times, {partition: 0}, timeout_ms=200),
        consumer.highwater(partition),
    ]
    # Far from the thirty seconds that a request may take.
    in_time = time.monotonic() - began < 10
    consumer.close()
    return answers, in_time


@example
def topics_and_partitions(kafka: Any, at: Any) -> Any:
    create(kafka, at, "topics_and_partitions.a", 3)
    create(kafka, at, "topics_and_partitions.b")
    consumer = kafka.KafkaConsumer(bootstrap_servers=at)
    topics = consumer.topics()
    answers = (
        {topic for topic in topics if topic.startswith("topics_and_partitions")},
        {topic for topic in topics if topic.startswith("__")},
        consumer.partitions_for_topic("topics_and_partitions.a"),
        consumer.partitions_for_topic("topics_and_partitions.none"),
    )
    again = "topics_and_partitions.none" in consumer.topics()
    consumer.close()
    return answers, again


@example
def one_way_at_a_time(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "one_way_at_a_time", 2)
    partition = kafka.TopicPartition(topic, 0)
    consumer = kafka.KafkaConsumer(bootstrap_servers=at)
    states = [(consumer.assignment(), consumer.subscription())]
    consumer.assign([partition])
    states.append((consumer.assignment(), consumer.subscription()))
    answers = [outcome(consumer.subscribe, [topic])]
    consumer.assign([])
    states.append((consumer.assignment(), consumer.subscription()))
    consumer.subscribe([topic])
    states.append(consumer.subscription())
    answers += [
        outcome(consumer.assign, [partition]),
        outcome(consumer.subscribe, pattern="x"),
        outcome(consumer.subscribe, [topic], pattern="x"),
        outcome(consumer.subscribe),
        outcome(consumer.subscribe, topic),
        outcome(consumer.subscribe, [topic], listener=object()),
        outcome(consumer.subscribe, ["bad name"]),
        outcome(consumer.subscribe, [7]),
    ]
    consumer.subscribe([topic, f"{topic}.other"])
    states.append(consumer.subscription())
    consumer.unsubscribe()
    states.append((consumer.assignment(), consumer.subscription()))
    consumer.close()
    return states, answers


@example
def subscription_without_a_group(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "subscription_without_a_group", 3)
    fill(kafka, at, topic, 4, partition=2)
    consumer = kafka.KafkaConsumer(topic, bootstrap_servers=at, auto_offset_reset="earliest")
    seen = poll(consumer, 4)
    state = consumer.assignment(), consumer.subscription(), consumer.config["enable_auto_commit"]
    partition = kafka.TopicPartition(topic, 2)
    refused = [
        outcome(consumer.commit),
        outcome(consumer.commit_async),
        outcome(consumer.committed, partition),
    ]
    consumer.close()
    return [record.value for record in seen], state, refused, consumer.group_metadata()


@example
def pattern_without_a_group(kafka: Any, at: Any) -> Any:
    for name in ("a.one", "a.two", "b"):
        create(kafka, at, f"pattern_without_a_group.{name}")
        fill(kafka, at, f"pattern_without_a_group.{name}", 2)
    consumer = kafka.KafkaConsumer(bootstrap_servers=at, auto_offset_reset="earliest")
    # A pattern fits if a name begins with it.
    consumer.subscribe(pattern=r"pattern_without_a_group\.a")
    seen = poll(consumer, 4)
    subscription = consumer.subscription()
    consumer.close()
    return sorted(record.topic for record in seen), subscription


@example
def latest_is_the_default(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "latest_is_the_default")
    fill(kafka, at, topic, 3)
    consumer = kafka.KafkaConsumer(bootstrap_servers=at)
    partition = kafka.TopicPartition(topic, 0)
    consumer.assign([partition])
    start = consumer.position(partition)
    fill(kafka, at, topic, 2, start=3)
    seen = [record.value for record in poll(consumer, 2)]
    consumer.close()
    return start, seen


@example
def no_place_to_start(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "no_place_to_start")
    fill(kafka, at, topic, 3)
    settings = {"auto_offset_reset": "none", "group_id": "no_place_to_start"}
    consumer, partition = assigned(kafka, at, topic, **settings)
    answers: list[Any] = []

    def step() -> None:
        found = outcome(consumer.poll, timeout_ms=200)
        if found:
            answers.append(found)

    until(lambda: len(answers) == 1, step)
    consumer.seek(partition, 1)
    values = [record.value for record in poll(consumer, 2)]
    consumer.seek(partition, 100)
    until(lambda: len(answers) == 2, step)
    consumer.close()
    return answers, values


@example
def out_of_range(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "out_of_range")
    fill(kafka, at, topic, 3)
    consumer, partition = assigned(kafka, at, topic)
    consumer.seek(partition, 100)
    offsets = [record.offset for record in poll(consumer, 3)]
    consumer.close()
    return offsets


@example
def deserializers(kafka: Any, at: Any) -> Any:
    seen: list[Any] = []

    class Noting(kafka.Deserializer):  # type: ignore[name-defined, misc]
        def deserialize(self, topic: str, headers: Any, data: Any) -> Any:
            seen.append((topic, headers, data))
            return None if data is None else data.decode().upper()

        def close(self) -> None:
            seen.append("closed")

    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        producer.send("deserializers", b'{"n": 1}', headers=[("h", b"1")], timestamp_ms=1)
        producer.send("deserializers", b"[2]", key=b"k", timestamp_ms=1)
    settings = {"key_deserializer": Noting(), "value_deserializer": json.loads}
    consumer, _ = assigned(kafka, at, "deserializers", **settings)
    records = poll(consumer, 2)
    consumer.close()
    return records, seen


@example
def a_deserializer_that_raises(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "a_deserializer_that_raises")
    fill(kafka, at, topic, 5)

    def read(value: bytes) -> int:
        return int(value) // (int(value) != 3)

    consumer, partition = assigned(kafka, at, topic, value_deserializer=read)
    good = [record.value for record in poll(consumer, 3)]
    raised: list[Any] = []

    def step() -> None:
        found = outcome(consumer.poll, timeout_ms=200)
        if found:
            raised.append(found)

    # What comes after it differs: kafka-python never returns from the next poll, ours raises again.
    until(lambda: raised, step)
    position = consumer.position(partition)
    consumer.close()
    return good, raised, position


@example
def a_deserializer_that_raises_in_an_iteration(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "raises_in_an_iteration")
    fill(kafka, at, topic, 4)

    def read(value: bytes) -> int:
        return int(value) // (int(value) != 2)

    consumer, partition = assigned(kafka, at, topic, value_deserializer=read)
    values: list[Any] = []
    try:
        for record in consumer:
            values.append(record.value)
    except ZeroDivisionError:
        values.append("raised")
    position = consumer.position(partition)
    consumer.close()
    return values, position


@example
def commits(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "commits", 2)
    fill(kafka, at, topic, 10)
    consumer, partition = assigned(kafka, at, topic, group_id="commits")
    other = kafka.TopicPartition(topic, 1)
    answers: list[Any] = [consumer.committed(partition), consumer.committed(partition, metadata=True)]
    consumer.seek(partition, 4)
    answers += [consumer.commit(), consumer.committed(partition)]
    poll(consumer, 6)
    answers += [consumer.commit(), consumer.committed(partition)]
    answers += [consumer.commit({partition: kafka.OffsetAndMetadata(2, "a note", -1)})]
    answers += [consumer.committed(partition, metadata=True), consumer.committed(other), consumer.commit({})]
    wrong = [
        outcome(consumer.commit, offsets)
        for offsets in (
            {partition: 3},
            {(topic, 0): kafka.OffsetAndMetadata(2, "", -1)},
            {partition: kafka.OffsetAndMetadata(2, "x" * 10_000, -1)},
        )
    ]
    wrong.append(outcome(consumer.committed, (topic, 0)))
    consumer.close()
    return answers, wrong


@example
def commits_in_the_background(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "commits_in_the_background")
    fill(kafka, at, topic, 5)
    called: list[Any] = []
    consumer, partition = assigned(kafka, at, topic, group_id="commits_in_the_background")
    poll(consumer, 5)
    futures = [
        consumer.commit_async(),
        consumer.commit_async({partition: kafka.OffsetAndMetadata(3, "", -1)}, lambda *a: called.append(a)),
    ]
    until(lambda: called and futures[0].is_done, lambda: consumer.poll(timeout_ms=50))
    states = [(future.succeeded(), future.value, future.exception) for future in futures]
    wrong = outcome(consumer.commit_async, {partition: 3})
    committed = consumer.committed(partition)
    consumer.close()
    return called, states, wrong, committed


@example
def closing_commits(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "closing_commits")
    fill(kafka, at, topic, 10)
    partition = kafka.TopicPartition(topic, 0)
    committed = []

    def look(group: str) -> Any:
        with kafka.KafkaConsumer(bootstrap_servers=at, group_id=group) as other:
            return other.committed(partition)

    for group, how in (("a", {}), ("b", {"autocommit": False}), ("c", {"autocommit": True, "timeout_ms": 10_000})):
        settings = {"group_id": f"closing_commits.{group}", "auto_offset_reset": "earliest", "max_poll_records": 10}
        consumer = kafka.KafkaConsumer(topic, bootstrap_servers=at, **settings)
        poll(consumer, 10)
        consumer.close(**how)
        committed.append(look(f"closing_commits.{group}"))
    for group, error in (("d", None), ("e", KeyError("mine"))):
        settings = {"group_id": f"closing_commits.{group}", "auto_offset_reset": "earliest"}
        try:
            with kafka.KafkaConsumer(topic, bootstrap_servers=at, **settings) as consumer:
                for _ in range(3):
                    next(consumer)
                if error is not None:
                    raise error
        except KeyError:
            pass
        committed.append(look(f"closing_commits.{group}"))
    return committed


@example
def settings_of_a_consumer(kafka: Any, at: Any) -> Any:
    assignors = sub(kafka, "coordinator.assignors.cooperative_sticky"), sub(kafka, "coordinator.assignors.range")
    mixed = [assignors[0].CooperativeStickyAssignor, assignors[1].RangePartitionAssignor]
    return [
        outcome(kafka.KafkaConsumer, bootstrap_servers=at, **settings)
        for settings in (
            {"no_such_setting": 1},
            {"isolation_level": "read_everything"},
            {"group_instance_id": "static"},
            {"fetch_max_wait_ms": 40_000},
            {"request_timeout_ms": 600_000},
            {"group_id": "g", "partition_assignment_strategy": []},
            {"group_id": "g", "partition_assignment_strategy": mixed},
        )
    ]


@example
def read_committed(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "read_committed")
    fill(kafka, at, topic, 3)
    values = []
    for level in ("read_committed", kafka.IsolationLevel.READ_COMMITTED, 1, "READ-COMMITTED"):
        consumer, _ = assigned(kafka, at, topic, isolation_level=level)
        values.append([record.value for record in poll(consumer, 3)])
        consumer.close()
    return values


@example
def metrics_of_a_consumer(kafka: Any, at: Any) -> Any:
    with kafka.KafkaConsumer(bootstrap_servers=at) as consumer:
        groups = consumer.metrics()
        return type(groups), "consumer-fetch-manager-metrics" in groups, "consumer-coordinator-metrics" in groups
