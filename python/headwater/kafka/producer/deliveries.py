"""Runs the callbacks of sent records, as kafka-python's sender thread does.

Headwater's producer runs callbacks on threads that call it. A program that only waits calls nobody, so a thread of this
module calls for it, as long as there are records on their way; with none it sleeps.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from headwater._headwater import Producer, RecordMetadata
from headwater.errors import HeadwaterError, TimedOutError
from headwater.kafka.errors import KafkaTimeoutError
from headwater.kafka.errors.codes import translated
from headwater.kafka.producer.future import FutureRecordMetadata

__all__ = ["Deliveries"]

log = logging.getLogger(__name__)

# How long one call of the producer lasts at the most: closing waits no longer for the thread.
_POLL_SECONDS = 0.1


class Deliveries:
    """The records of one producer that are on their way."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._changed = threading.Condition()
        self._pending: set[int] = set()
        self._count = 0
        self._flushes: list[_Flush] = []
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._process = os.getpid()
        self._here = threading.local()
        self.failed = 0
        """Records that could not be delivered."""

    @property
    def sent(self) -> int:
        """Records sent so far."""
        return self._count

    @property
    def under_way(self) -> int:
        """Records whose fate is not known yet."""
        return len(self._pending)

    def expect(self, future: FutureRecordMetadata) -> None:
        """Counts a record that is about to be sent."""
        self._expect_this_process()
        with self._changed:
            self._count += 1
            future.number = self._count
            self._pending.add(self._count)
            if self._thread is None:
                # A daemon: the interpreter must not wait for it before it runs what closes producers at exit.
                self._thread = threading.Thread(target=self._run, name="headwater-deliveries", daemon=True)
                self._thread.start()
            elif len(self._pending) == 1:
                self._changed.notify_all()

    def forget(self, future: FutureRecordMetadata) -> None:
        """The record was not sent after all."""
        self._settled(future)

    def deliver(self, future: FutureRecordMetadata, error: HeadwaterError | None, at: RecordMetadata) -> None:
        """The `on_delivery` of a record."""
        outer = self._is_inside_callback()
        self._here.is_delivering = True
        try:
            future.delivered(error, at)
        finally:
            self._here.is_delivering = outer
            self._settled(future)

    def _settled(self, future: FutureRecordMetadata) -> None:
        number = future.number
        with self._changed:
            self._pending.discard(number)
            self.failed += future.failed()
            for flush in self._flushes:
                if number <= flush.last:
                    flush.left -= 1
            if self._flushes or not self._pending:
                self._changed.notify_all()

    def flush(self, timeout: float | None) -> None:
        """Waits until all records sent before have their fate and their callbacks have run.

        Raises:
            KafkaTimeoutError: some are still under way.
        """
        self._expect_this_process()
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            flush = _Flush(self._count, len(self._pending))
            self._flushes.append(flush)
        try:
            self._producer.flush(timeout)
            # Inside a callback, this thread itself is the one to be waited for.
            while not self._is_inside_callback() and flush.left > 0:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise KafkaTimeoutError(f"{flush.left} records are still under way after {timeout} s")
                with self._changed:
                    if flush.left > 0:
                        self._changed.wait(left)
        except TimedOutError as error:
            raise KafkaTimeoutError(str(error)) from error
        except HeadwaterError as error:
            raise translated(error) from error
        finally:
            with self._changed:
                self._flushes.remove(flush)

    def close(self, timeout: float) -> None:
        """Ends the producer and the thread; records that are not delivered in time fail.

        Does nothing in a forked child: neither the thread nor the producer exist there.
        """
        if self._process != os.getpid():
            return
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
        try:
            self._producer.close(timeout)
        except HeadwaterError:
            log.warning("the producer was closed and not everything was delivered", exc_info=True)
        with self._changed:
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=10 * _POLL_SECONDS)

    def _expect_this_process(self) -> None:
        # Before any lock: the thread that has it may have stayed behind in the parent.
        if self._process != os.getpid():
            raise RuntimeError(
                "this KafkaProducer was made before the process forked and does not work in the child; "
                "make a new KafkaProducer here"
            )

    def _is_inside_callback(self) -> bool:
        return bool(getattr(self._here, "is_delivering", False))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pending and not self._is_closed:
                    self._changed.wait()
                if not self._pending:
                    return
            try:
                self._producer.poll(_POLL_SECONDS)
            except Exception:
                log.exception("callbacks could not be run")


class _Flush:
    """Someone who waits for the records up to the number `last`, of which `left` are under way."""

    def __init__(self, last: int, left: int) -> None:
        self.last = last
        self.left = left
