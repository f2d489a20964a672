"""A result that comes later."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from typing_extensions import Self

from headwater.kafka.errors.base import KafkaTimeoutError, RetriableError

__all__ = ["Future"]

log = logging.getLogger(__name__)
T = TypeVar("T")


class Future(Generic[T]):
    """A result that comes later; callbacks run on the thread that brings it, or at once if it is there.

    Attributes:
        is_done: whether there is a value or an exception.
        value: the result.
        exception: why there is none.
    """

    __slots__ = ("_arrived", "_callbacks", "_errbacks", "_lock", "exception", "is_done", "value")

    error_on_callbacks = False
    """Whether an exception of a callback is raised where the result is brought, and not only logged."""

    def __init__(self) -> None:
        self.is_done = False
        self.value: T | None = None
        self.exception: BaseException | None = None
        self._callbacks: list[Callable[..., object]] = []
        self._errbacks: list[Callable[..., object]] = []
        self._lock = threading.Lock()
        # Made by the first who waits: most results are never waited for one by one.
        self._arrived: threading.Event | None = None

    def succeeded(self) -> bool:
        """Whether there is a value."""
        return self.is_done and self.exception is None

    def failed(self) -> bool:
        """Whether there is an exception."""
        return self.is_done and self.exception is not None

    def retriable(self) -> bool:
        """Whether it failed in a way that may succeed later."""
        return self.is_done and isinstance(self.exception, RetriableError)

    def success(self, value: T) -> Self:
        """Brings the value."""
        with self._lock:
            self.value = value
            self.is_done = True
            waiting, self._callbacks, self._errbacks = self._callbacks, [], []
        self._settled(waiting, value)
        return self

    def failure(self, e: BaseException | type[BaseException]) -> Self:
        """Brings the exception."""
        exception = e() if isinstance(e, type) else e
        if not isinstance(exception, BaseException):
            raise TypeError(f"a future fails with an exception, got {type(exception).__name__}")
        with self._lock:
            self.exception = exception
            self.is_done = True
            waiting, self._callbacks, self._errbacks = self._errbacks, [], []
        self._settled(waiting, exception)
        return self

    def add_callback(self, f: Callable[..., object], *args: Any, **kwargs: Any) -> Self:
        """Calls `f(*args, value, **kwargs)` when the value comes."""
        call = functools.partial(f, *args, **kwargs) if args or kwargs else f
        with self._lock:
            if not self.is_done:
                self._callbacks.append(call)
                return self
        if self.exception is None:
            self._call(call, self.value)
        return self

    def add_errback(self, f: Callable[..., object], *args: Any, **kwargs: Any) -> Self:
        """Calls `f(*args, exception, **kwargs)` when the exception comes."""
        call = functools.partial(f, *args, **kwargs) if args or kwargs else f
        with self._lock:
            if not self.is_done:
                self._errbacks.append(call)
                return self
        if self.exception is not None:
            self._call(call, self.exception)
        return self

    def add_both(self, f: Callable[..., object], *args: Any, **kwargs: Any) -> Self:
        """Calls `f` with whichever comes."""
        self.add_callback(f, *args, **kwargs)
        return self.add_errback(f, *args, **kwargs)

    def chain(self, future: Future[T]) -> Self:
        """Brings whatever comes to another future."""
        self.add_callback(future.success)
        return self.add_errback(future.failure)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds (None: as long as it takes); whether the result is there."""
        with self._lock:
            if self.is_done:
                return True
            if self._arrived is None:
                self._arrived = threading.Event()
            arrived = self._arrived
        return arrived.wait(timeout)

    def get(self, timeout: float | None = None) -> T:
        """Waits up to `timeout` seconds for the value and returns it.

        Raises:
            KafkaTimeoutError: there is none yet.
            KafkaError: why there will be none.
        """
        if not self.wait(timeout):
            raise KafkaTimeoutError(f"there is no result after {timeout} s")
        if self.exception is not None:
            raise self.exception
        return self.value  # type: ignore[return-value]  # None only where T allows it

    def __await__(self) -> Generator[Any, None, T]:
        if not self.is_done:
            loop = asyncio.get_running_loop()
            arrived = loop.create_future()

            def set_arrived() -> None:
                if not arrived.done():
                    arrived.set_result(None)

            def tell(_: object) -> None:
                loop.call_soon_threadsafe(set_arrived)

            self.add_both(tell)
            yield from arrived.__await__()
        return self.get(0)

    def _settled(self, waiting: list[Callable[..., object]], result: object) -> None:
        # Callbacks first: who waited for the result finds that they have run.
        try:
            for call in waiting:
                self._call(call, result)
        finally:
            if self._arrived is not None:
                self._arrived.set()

    def _call(self, call: Callable[..., object], result: object) -> None:
        try:
            call(result)
        except Exception:
            log.exception("a callback of a future failed")
            if self.error_on_callbacks:
                raise
