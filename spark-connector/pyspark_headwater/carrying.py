"""How objects of this package travel to Spark's workers.

Pickle names a class by its module; on an executor without this package that ends in a `ModuleNotFoundError` from deep
inside Spark. So these objects carry, by value, the few lines that look for what they need and say in one sentence what
is missing where.
"""

from __future__ import annotations

import pickle
import sys
from types import FunctionType
from typing import Any

from pyspark_headwater.quick_ack import acknowledge_at_once

__all__ = ["Carried"]


def _rebuild(module: str, name: str, state: bytes, planner: str) -> Any:
    # Runs where nothing of this package may be importable: everything it needs is imported here.
    import importlib
    import os
    import pickle
    import socket
    import sys

    try:
        importlib.import_module("headwater")
        kind = getattr(importlib.import_module(module), name)
    except ImportError as error:
        os.environ["SPARK_HIDE_TRACEBACK"] = "1"
        raise RuntimeError(
            f"the Spark worker on {socket.gethostname()} runs {sys.executable}, which cannot import "
            f"{error.name or 'headwater'} ({error}), while the query was planned by {planner}: install headwater-spark "
            "on every executor, or set PYSPARK_PYTHON to an interpreter that has it before the Spark session is made"
        ) from None
    made = kind.__new__(kind)
    made.__dict__.update(pickle.loads(state))
    made._arrived()
    return made


# Cloudpickle, which Spark uses, sends functions of `__main__` by value and those of importable modules by name.
_by_value = FunctionType(_rebuild.__code__, {"__builtins__": __builtins__}, "_rebuild")
_by_value.__module__ = "__main__"


class Carried:
    """Mixin for what Spark sends to executors: sources, readers and writers."""

    def _arrived(self) -> None:
        acknowledge_at_once()

    def __reduce__(self) -> tuple[Any, ...]:
        kind = type(self)
        # The state is bytes, so that nothing of it is looked for before `_rebuild` has had its say.
        return _by_value, (kind.__module__, kind.__qualname__, pickle.dumps(self.__dict__), sys.executable)
