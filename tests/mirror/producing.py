"""`KafkaProducer`."""

from __future__ import annotations

import threading
import time
from typing import Any

from mirror import create, example, outcome, poll, sub, take


def reader(kafka: Any, at: Any, topic: str, **settings: Any) -> Any:
    return kafka.KafkaConsumer(topic, bootstrap_servers=at, auto_offset_reset="earliest", **settings)


@example
def metadata_of_a_record(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "metadata_of_a_record", 3)
    headers = [("a", b"1"), ("a", b"22"), ("ü", b"")]
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        return [
            producer.send(topic, b"value", b"key", headers, 2, 1234).get(timeout=30),
            producer.send(topic, value=b"", partition=2, timestamp_ms=0).get(30),
            producer.send(topic, key=b"", partition=2, timestamp_ms=1).get(),
            producer.send(topic, bytearray(b"abc"), memoryview(b"de"), partition=0, timestamp_ms=2).get(30),
        ]


@example
def every_part_of_a_record(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "every_part_of_a_record")
    headers = [("a", b"1"), ("a", b"22"), ("ü", b"")]
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        producer.send(topic, b"value", key=b"key", headers=headers, timestamp_ms=1234)
        producer.send(topic, None, key=b"key", timestamp_ms=5)
        producer.send(topic, b"", timestamp_ms=6)
    with reader(kafka, at, topic) as consumer:
        return poll(consumer, 3)


@example
def time_of_sending(kafka: Any, at: Any) -> Any:
    begin = int(time.time() * 1000)
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        metadata = producer.send("time_of_sending", b"now").get(30)
    with reader(kafka, at, "time_of_sending") as consumer:
        record = poll(consumer, 1)[0]
    end = int(time.time() * 1000)
    return begin <= metadata.timestamp <= end, record.timestamp == metadata.timestamp, record.timestamp_type


@example
def time_of_appending(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "time_of_appending", message_timestamp_type="LogAppendTime")
    begin = int(time.time() * 1000)
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        metadata = producer.send(topic, b"then", timestamp_ms=1).get(30)
    with reader(kafka, at, topic) as consumer:
        record = poll(consumer, 1)[0]
    return metadata.timestamp >= begin, record.timestamp == metadata.timestamp, record.timestamp_type


@example
def keys_choose_partitions(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "keys_choose_partitions", 7)
    keys = [f"key-{n}".encode() for n in range(60)] + [b"", b"\xff\x00\x80", "schlüssel".encode(), bytes(range(256))]
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        futures = {key: producer.send(topic, b"", key=key) for key in keys}
        producer.flush()
    return {key: future.value.partition for key, future in futures.items()}


@example
def records_without_a_key_are_spread(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "records_without_a_key_are_spread", 3)
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        futures = [producer.send(topic, b"v") for _ in range(200)]
        producer.flush()
    return {future.value.partition for future in futures}


@example
def a_partitioner_of_ones_own(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "a_partitioner_of_ones_own", 4)
    asked = []

    class Last(kafka.partitioner.Partitioner):  # type: ignore[name-defined, misc]
        def partition(self, topic: str, *args: Any) -> int:
            *rest, cluster = args
            asked.append((topic, rest, topic in cluster.topics()))
            return max(cluster.partitions_for_topic(topic))

    class Older:
        def partition(self, topic: str, key: Any, cluster: Any) -> int:
            asked.append((topic, key))
            return min(cluster.available_partitions_for_topic(topic))

    chosen = []
    for partitioner in (Last(), Older(), kafka.partitioner.StickyPartitioner()):
        with kafka.KafkaProducer(bootstrap_servers=at, value_serializer=str.encode, partitioner=partitioner) as one:
            chosen.append(one.send(topic, "v", key=b"k").get(30).partition)
    return asked, chosen


@example
def hash_of_keys(kafka: Any, at: Any) -> Any:
    murmur2 = kafka.partitioner.murmur2
    return [murmur2(bytes(range(length))) for length in range(40)] + [murmur2(b"\xff" * 7), murmur2(bytearray(b"a"))]


@example
def futures(kafka: Any, at: Any) -> Any:
    calls: list[Any] = []
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        future = producer.send("futures", b"v", timestamp_ms=1)
        same = future.add_callback(lambda *a, **k: calls.append(("callback", a, k)), "first", word=1) is future
        future.add_both(lambda *a: calls.append(("both", a)), 2).add_errback(lambda *a: calls.append(("never", a)))
        metadata = future.get(timeout=30)
        producer.flush()
        future.add_callback(lambda value: calls.append(("late", value)))
        future.add_callback(lambda value: 1 / 0)
    states = (future.is_done, future.succeeded(), future.failed(), future.retriable(), future.exception)
    return same, calls, states, future.value == metadata, future.get() == metadata


@example
def callbacks_need_no_call_of_the_program(kafka: Any, at: Any) -> Any:
    called = threading.Event()
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        producer.send("callbacks_need_no_call", b"v").add_callback(lambda _: called.set())
        return called.wait(30)


@example
def a_future_that_is_not_there_yet(kafka: Any, at: Any) -> Any:
    producer = kafka.KafkaProducer(bootstrap_servers=at, linger_ms=20_000)
    producer.partitions_for("a_future_that_is_not_there_yet")
    future = producer.send("a_future_that_is_not_there_yet", b"v")
    early = outcome(future.get, timeout=0.01)
    before = future.is_done, future.value, future.exception, future.succeeded(), future.failed()
    producer.flush()
    after = future.is_done, future.succeeded()
    producer.close()
    return early, before, after


@example
def acks(kafka: Any, at: Any) -> Any:
    answers = []
    for chosen in (0, 1, -1, "all"):
        with kafka.KafkaProducer(bootstrap_servers=at, acks=chosen) as producer:
            answers.append((producer.config["acks"], producer.config["enable_idempotence"]))
            offset = producer.send("acks", b"v", timestamp_ms=9).get(30).offset
            # Nobody knows the offset of a record that was not acknowledged; kafka-python makes one up.
            answers.append(offset if chosen != 0 else type(offset))
    return answers


@example
def compression(kafka: Any, at: Any) -> Any:
    with kafka.KafkaProducer(bootstrap_servers=at, compression_type="gzip", linger_ms=5) as producer:
        for number in range(50):
            producer.send("compression", b"%d" % number)
    with reader(kafka, at, "compression") as consumer:
        return [record.value for record in poll(consumer, 50)]


@example
def partitions_for_creates_the_topic(kafka: Any, at: Any) -> Any:
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        return producer.partitions_for("partitions_for_creates_the_topic")


@example
def wrong_records(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "wrong_records", 2)
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        return [
            outcome(producer.send, *args, **kwargs)
            for args, kwargs in (
                ((topic,), {}),
                ((topic, "text"), {}),
                ((topic, 7), {}),
                ((topic, b"v"), {"key": "text"}),
                ((topic, b"v"), {"headers": {"a": b"1"}}),
                ((topic, b"v"), {"headers": (("a", b"1"),)}),
                ((topic, b"v"), {"headers": [("a", "text")]}),
                ((topic, b"v"), {"headers": [("a", None)]}),
                ((topic, b"v"), {"headers": [["a", b"1"]]}),
                ((topic, b"v"), {"partition": 2}),
                ((topic, b"v"), {"partition": -1}),
                ((topic, b"v" * 1_100_000), {}),
                (("bad name", b"v"), {}),
                (("", b"v"), {}),
                (("..", b"v"), {}),
                (("x" * 250, b"v"), {}),
                ((None, b"v"), {}),
                ((b"bytes", b"v"), {}),
            )
        ]


@example
def refused_by_the_broker(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "refused_by_the_broker", max_message_bytes="1000")
    failures: list[Any] = []
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        future = producer.send(topic, b"x" * 5000)
        future.add_errback(failures.append)
        raised = outcome(future.get, 30)
        producer.flush()
    return raised, failures, future.failed(), future.succeeded(), future.retriable(), future.value


@example
def a_serializer_that_raises(kafka: Any, at: Any) -> Any:
    def serialize(value: Any) -> bytes:
        return bytes(value["n"])

    with kafka.KafkaProducer(bootstrap_servers=at, value_serializer=serialize) as producer:
        raised = [outcome(producer.send, "a_serializer_that_raises", value) for value in ({}, [1], "x")]
        offset = producer.send("a_serializer_that_raises", {"n": b"1"}).get(30).offset
    return raised, offset


@example
def serializers_see_what_is_missing(kafka: Any, at: Any) -> Any:
    seen: list[Any] = []

    class Noting(kafka.Serializer):  # type: ignore[name-defined, misc]
        def serialize(self, topic: str, headers: Any, data: Any) -> bytes:
            seen.append((topic, headers, data))
            return repr(data).encode()

        def close(self) -> None:
            seen.append("closed")

    with kafka.KafkaProducer(bootstrap_servers=at, key_serializer=Noting(), value_serializer=Noting()) as producer:
        producer.send("serializers_see", 1, headers=[("h", b"1")])
        producer.send("serializers_see", key=2)
    with reader(kafka, at, "serializers_see") as consumer:
        return seen, [(record.key, record.value) for record in take(consumer, 2)]


@example
def a_closed_producer(kafka: Any, at: Any) -> Any:
    producer = kafka.KafkaProducer(bootstrap_servers=at)
    wrong = outcome(producer.close, timeout=-1)
    future = producer.send("a_closed_producer", b"v", timestamp_ms=1)
    producer.close(timeout=30)
    producer.close()
    return wrong, future.succeeded(), outcome(producer.send, "a_closed_producer", b"v")


@example
def settings_that_are_refused(kafka: Any, at: Any) -> Any:
    return [
        outcome(kafka.KafkaProducer, bootstrap_servers=at, **settings)
        for settings in (
            {"no_such_setting": 1},
            {"compression_type": "rar"},
            {"enable_idempotence": True, "acks": 1},
            {"enable_idempotence": True, "retries": 0},
            {"enable_idempotence": True, "max_in_flight_requests_per_connection": 6},
            {"delivery_timeout_ms": 10},
        )
    ]


@example
def idempotence_gives_way(kafka: Any, at: Any) -> Any:
    answers = []
    for settings in ({}, {"retries": 0}, {"max_in_flight_requests_per_connection": 6}, {"enable_idempotence": False}):
        with kafka.KafkaProducer(bootstrap_servers=at, **settings) as producer:
            answers.append((producer.config["enable_idempotence"], producer.send("idempotence", b"v").get(30).offset))
    return answers


@example
def nobody_there(kafka: Any, at: Any) -> Any:
    wanted = {"bootstrap_servers": "127.0.0.1:1", "bootstrap_timeout_ms": 300}
    return [outcome(of, **wanted) for of in (kafka.KafkaProducer, kafka.KafkaConsumer, kafka.KafkaAdminClient)]


@example
def transactions_without_an_id(kafka: Any, at: Any) -> Any:
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        return outcome(producer.init_transactions), outcome(producer.begin_transaction)


@example
def metrics_have_groups(kafka: Any, at: Any) -> Any:
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        groups = producer.metrics()
        with kafka.KafkaProducer(bootstrap_servers=at, metrics_enabled=False) as other:
            return type(groups), "producer-metrics" in groups, list(groups["kafka-metrics-count"]), other.metrics()


@example
def many_threads(kafka: Any, at: Any) -> Any:
    topic = create(kafka, at, "many_threads")
    with kafka.KafkaProducer(bootstrap_servers=at) as producer:
        futures: list[Any] = []

        def send() -> None:
            futures.extend([producer.send(topic, b"v") for _ in range(100)])

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        producer.flush()
        return sorted(future.value.offset for future in futures) == list(range(400))


@example
def errors_of_submodules(kafka: Any, at: Any) -> Any:
    errors = sub(kafka, "errors")
    error = errors.TopicAlreadyExistsError("words")
    return (
        str(error),
        str(errors.KafkaTimeoutError()),
        str(errors.KafkaTimeoutError("words")),
        error == errors.TopicAlreadyExistsError("words"),
        errors.for_code(3),
        errors.for_code(0),
        (errors.for_code(9999).__name__, errors.for_code(9999).errno),
        issubclass(errors.UnknownTopicOrPartitionError, errors.RetriableError),
    )
