"""A real `headwater start` process for tests, or the server that `HEADWATER_TEST_BOOTSTRAP` names."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30


class Server:
    """`headwater start` in a directory of the test's own, stopped by its process id."""

    def __init__(self, data: Path, *config: str, listen: str = "127.0.0.1:0") -> None:
        self.data = data
        self.config = config
        self.listen = listen
        self.bootstrap = ""
        self.process: subprocess.Popen[str] | None = None
        self.log: deque[str] = deque(maxlen=400)

    def start(self) -> Server:
        command = [
            sys.executable,
            "-m",
            "headwater",
            "start",
            "--data",
            str(self.data),
            "--listen",
            self.listen,
        ]
        for entry in self.config:
            command += ["-c", entry]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._keep_log, daemon=True).start()
        timer = threading.Timer(START_SECONDS_MAX, self.process.kill)
        timer.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        timer.cancel()
        found = re.search(r"([\w.\[\]:-]+:\d+)\s*$", line)
        assert found, f"no address in {line!r}; the server said: {self.said()}"
        self.bootstrap = found.group(1)
        # A restart must find the server where its clients look for it.
        self.listen = self.bootstrap
        return self

    def _keep_log(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def said(self) -> str:
        return "".join(self.log)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL: nothing is flushed, nothing is said."""
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(how)
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server ignored {how.name}; it said: {self.said()}") from None
        self.process = None
        return code

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.stop()


class Elsewhere:
    """A server that somebody else started, Apache Kafka for instance: the tests then check themselves."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def shared_server(data: Path) -> Server | Elsewhere:
    bootstrap = os.environ.get("HEADWATER_TEST_BOOTSTRAP")
    # The delay of a group's first rebalance lets both members of a group of two in before either reads.
    return Elsewhere(bootstrap) if bootstrap else Server(data, "group.initial.rebalance.delay.ms=3000")


def headwater(
    *arguments: str, stdin: str | bytes | None = None, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Runs the command-line tool to its end."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [sys.executable, "-m", "headwater", *arguments],
        input=data,
        capture_output=True,
        check=False,
        timeout=100,
    )
    if check:
        assert done.returncode == 0, done.stderr.decode()
    return done


def headwater_json(*arguments: str) -> object:
    return json.loads(headwater(*arguments, "--json").stdout)
