"""What can go wrong, as exceptions.

Every exception of this package is a [`HeadwaterError`] and, where Python has a builtin for the case, that builtin too:
`except TimeoutError` works. `code` is Kafka's name of the error where the protocol has one.
"""

from __future__ import annotations

__all__ = [
    "BrokerError",
    "ClosedError",
    "ConfigError",
    "ConnectionFailedError",
    "CorruptRecordError",
    "HeadwaterError",
    "MissingLibraryError",
    "MisuseError",
    "OffsetError",
    "StorageError",
    "TimedOutError",
]


class HeadwaterError(Exception):
    """Base of all errors of this package.

    Attributes:
        code: Kafka's name of the error, such as `UNKNOWN_TOPIC_OR_PARTITION`; None where the protocol has none.
        retriable: the same call may succeed later with nothing changed.
        fatal: the object that raised it can do no more; make a new one.
    """

    code: str | None
    retriable: bool
    fatal: bool

    def __init__(
        self, message: str = "", code: str | None = None, retriable: bool = False, fatal: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retriable = retriable
        self.fatal = fatal

    def __reduce__(self) -> tuple[type[HeadwaterError], tuple[str, str | None, bool, bool]]:
        # Errors travel between processes (multiprocessing, Spark) with all they know.
        return type(self), (str(self), self.code, self.retriable, self.fatal)


class BrokerError(HeadwaterError):
    """A broker refused; `code` says why."""


class TimedOutError(HeadwaterError, TimeoutError):
    """There was no answer in time; whether the request took effect is unknown."""


class ConnectionFailedError(HeadwaterError, ConnectionError):
    """No broker could be reached, or the connection ended before the answer."""


class ConfigError(HeadwaterError, ValueError):
    """A setting is unknown or has a value of the wrong form; the message says what was expected."""


class MisuseError(HeadwaterError, ValueError):
    """An argument makes no sense here; the message says what was expected."""


class MissingLibraryError(HeadwaterError, ImportError):
    """An optional library is not installed; the message says how to get it."""


class ClosedError(HeadwaterError, RuntimeError):
    """The object has been closed."""


class OffsetError(HeadwaterError, LookupError):
    """There is no such offset, and `auto_offset_reset` is `none`."""


class CorruptRecordError(HeadwaterError):
    """Data is damaged; the message names topic, partition and offset."""


class StorageError(HeadwaterError, OSError):
    """A data directory or a file cannot be used."""

    def __init__(
        self, message: str = "", code: str | None = None, retriable: bool = False, fatal: bool = False
    ) -> None:
        # OSError would take a second argument for an errno.
        OSError.__init__(self, message)
        self.code = code
        self.retriable = retriable
        self.fatal = fatal
