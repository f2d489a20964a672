"""The fate of one record."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from headwater._types import TopicPartition
from headwater.kafka.errors.codes import translated
from headwater.kafka.future import Future

if TYPE_CHECKING:
    from headwater import _headwater
    from headwater.errors import HeadwaterError

__all__ = ["FutureRecordMetadata", "RecordMetadata"]


class RecordMetadata(NamedTuple):
    """Where a record went.

    `offset` is -1 with `acks=0`; `timestamp` is in milliseconds; `checksum` is always None; a size is -1 where there
    is no such part.
    """

    topic: str
    partition: int
    topic_partition: TopicPartition
    offset: int
    timestamp: int
    checksum: int | None
    serialized_key_size: int
    serialized_value_size: int
    serialized_header_size: int


class FutureRecordMetadata(Future[RecordMetadata]):
    """What `KafkaProducer.send` returns.

    Callbacks run on the producer's delivery thread, or on a thread of yours that is inside `send`, `flush` or `close`.
    """

    __slots__ = ("number", "sizes")

    def __init__(self, sizes: tuple[int, int, int]) -> None:
        super().__init__()
        self.sizes = sizes
        self.number = 0

    def delivered(self, error: HeadwaterError | None, at: _headwater.RecordMetadata) -> None:
        """Brings the fate of the record."""
        if error is not None:
            self.failure(translated(error))
            return
        partition = TopicPartition(at.topic, at.partition)
        self.success(RecordMetadata(*partition, partition, at.offset, at.timestamp, None, *self.sizes))
