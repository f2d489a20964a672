"""What the source says when something is wrong: one sentence that crosses from a worker to the user of the driver.

Spark sends the text of a worker's exception to the driver, by default with the stack of the worker, in which a user
finds nothing. `one_sentence` marks the borders at which Spark calls into this package: what is the user's to mend (an
option, an unknown topic, data that is gone, a broker that does not answer) leaves as its sentence alone; anything else
is a bug of ours and keeps its stack.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

__all__ = ["DataLossError", "MissingWheelError", "OptionError", "SourceError", "one_sentence", "wheel"]


class SourceError(Exception):
    """Something that the user of the source can mend; the message is one sentence."""


class OptionError(SourceError):
    """An option is missing, unknown, refused here or has a value of the wrong form."""


class DataLossError(SourceError):
    """Records that the query was to read are gone, and `failOnDataLoss` is true."""


class MissingWheelError(SourceError):
    """The interpreter of a Spark worker has no `headwater`."""


def wheel() -> ModuleType:
    """The `headwater` module.

    Imported at use, because Spark imports this package wherever it is installed, also where the wheel is not.

    Raises:
        MissingWheelError: this interpreter cannot import it.
    """
    try:
        import headwater
    except ImportError as error:
        raise MissingWheelError(
            f"the Spark worker on {socket.gethostname()} runs {sys.executable}, which cannot import headwater "
            f"({error}): install it there, or set PYSPARK_PYTHON to the interpreter that has it before the Spark "
            "session is made"
        ) from None
    return headwater


@contextmanager
def one_sentence(doing: str) -> Iterator[None]:
    """Turns what the core raises inside into a `SourceError`, and has Spark send its sentence without the stack.

    Args:
        doing: what was being done, for example "reading flights-2 at offset 17"; the sentence begins with it where the
            core speaks.
    """
    try:
        yield
    except SourceError as error:
        _hide_stack()
        raise error.with_traceback(None) from None
    except Exception as error:
        if not _from_the_core(error):
            raise
        _hide_stack()
        raise SourceError(f"{doing}: {str(error).removeprefix('External error: ')}") from None


def _from_the_core(error: Exception) -> bool:
    core = sys.modules.get("headwater")
    if core is not None and isinstance(error, core.HeadwaterError):
        return True
    # An Arrow stream that fails says so through pyarrow, which knows only the text.
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and isinstance(error, (arrow.ArrowException, OSError))


def _hide_stack() -> None:
    # Spark looks at this variable when it writes the exception (its setting for it is
    # spark.sql.execution.pyspark.udf.hideTraceback.enabled). The worker ends after an exception, so nobody else is
    # affected.
    os.environ["SPARK_HIDE_TRACEBACK"] = "1"
