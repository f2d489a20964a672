"""Whether the interpreter of Spark's workers has what it needs, asked from the driver.

Where it has not, Spark does not find the source at all, and nothing of this package runs that could say why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from pyspark import SparkContext

from pyspark_headwater.errors import MissingWheelError

__all__ = ["check_workers"]

_SECONDS_MAX = 60
_LOOK = """
import importlib.util as util, sys
missing = [name for name in ("headwater", "pyspark_headwater") if util.find_spec(name) is None]
sys.exit(" and ".join(missing))
"""


def check_workers() -> None:
    """Looks at the interpreter that Spark starts its workers with on this machine.

    Raises:
        MissingWheelError: there is none, or it lacks `headwater` or `pyspark_headwater`; the message says what to set.
    """
    running = SparkContext._active_spark_context
    python = os.environ.get("PYSPARK_PYTHON", "python3") if running is None else running.pythonExec
    again = "" if running is None else " and start the Spark session anew"
    advice = f"set PYSPARK_PYTHON to {sys.executable}{again}"
    found = shutil.which(python)
    if found is None:
        raise MissingWheelError(f"Spark would start its workers with {python}, which is not there: {advice}")
    if found == sys.executable:
        return
    done = subprocess.run([found, "-c", _LOOK], capture_output=True, text=True, check=False, timeout=_SECONDS_MAX)
    if done.returncode != 0:
        missing = done.stderr.strip().splitlines()[-1:] or ["headwater"]
        raise MissingWheelError(f"Spark starts its workers with {found}, which does not have {missing[0]}: {advice}")
