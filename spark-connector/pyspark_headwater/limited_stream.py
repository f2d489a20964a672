"""A streaming read on Spark 4.2 and later: rate limits, Trigger.AvailableNow, and the latest offsets in the
progress."""

from __future__ import annotations

from typing import Any

from pyspark.sql.streaming.datasource import (
    ReadAllAvailable,
    ReadLimit,
    ReadMaxRows,
    ReadMinRows,
    SupportsTriggerAvailableNow,
)

from pyspark_headwater.errors import one_sentence
from pyspark_headwater.offsets import to_checkpoint
from pyspark_headwater.stream import StreamReader

__all__ = ["LimitedStreamReader"]


class LimitedStreamReader(StreamReader, SupportsTriggerAvailableNow):
    """Batches as large as the options say."""

    def getDefaultReadLimit(self) -> ReadLimit:
        """That there is a limit; which, with both of them, Spark has no word for, so the options decide."""
        read = self.read_options
        if read.max_offsets_per_trigger is not None:
            return ReadMaxRows(read.max_offsets_per_trigger)
        if read.min_offsets_per_trigger is not None:
            return ReadMinRows(read.min_offsets_per_trigger)
        return ReadAllAvailable()

    def latestOffset(self, start: dict[str, Any], limit: ReadLimit) -> dict[str, Any]:
        """Where a batch that begins at `start` ends."""
        return self._next(start, limited=not isinstance(limit, ReadAllAvailable))

    def prepareForTriggerAvailableNow(self) -> None:
        """Fixes what this run goes up to."""
        with one_sentence("asking for the latest offsets"):
            cluster = self._brokers()
            # A topic that is gone is noticed when the first batch is decided on, which knows what was read before.
            self._target = cluster.end(cluster.subscribed(self.read_options.subscription, gone=None))

    def reportLatestOffset(self) -> dict[str, Any] | None:
        """What the brokers held when the last batch was decided on."""
        return None if self._latest_seen is None else to_checkpoint(self._latest_seen)
