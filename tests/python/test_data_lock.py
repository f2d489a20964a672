"""Who has a data directory: one broker, named to whoever wants it as well; whatever its end, the next one gets in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import headwater
import pyarrow as pa
import pytest

HOLDS = """
    import sys, headwater
    broker = headwater.Broker(sys.argv[1], listen=f"127.0.0.1:{sys.argv[2]}")
    with headwater.Producer(broker) as producer:
        producer.produce("kept", b"value")
    print(broker.bootstrap_servers, flush=True)
    sys.stdin.read()
"""
# As HOLDS, with a child that was forked while the broker ran, and that stays until its input ends.
HOLDS_AND_FORKS = """
    import os, sys, headwater
    broker = headwater.Broker(sys.argv[1], listen=f"127.0.0.1:{sys.argv[2]}")
    with headwater.Producer(broker) as producer:
        producer.produce("kept", b"value")
    address = broker.bootstrap_servers
    # The child speaks: by then it has let go of what it inherited.
    if os.fork() == 0:
        print(address, os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
"""


def free_port() -> int:
    """A port below those that outgoing connections take, so that the next broker can have it again."""
    for port in range(20_000 + os.getpid() % 5_000, 32_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port between 20000 and 32000")


@contextmanager
def holder(code: str, data: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Another process with a broker on `data`, and the words it says once it runs."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        textwrap.dedent(code),
        str(data),
        str(free_port()),
        "holder-of-the-test",
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process, process.stdout.readline().split()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


def values(target: headwater.Broker | str) -> list[bytes]:
    values: list[bytes] = pa.table(headwater.scan("kept", target, columns=["value"]))["value"].to_pylist()
    return values


def test_the_error_names_the_process_and_what_it_runs(tmp_path: Path) -> None:
    with holder(HOLDS, tmp_path) as (process, _):
        with pytest.raises(headwater.StorageError) as caught:
            headwater.Broker(tmp_path)
        with pytest.raises(headwater.StorageError, match=f"process {process.pid}"):
            pa.table(headwater.scan("kept", tmp_path))
    message = str(caught.value)
    assert f"process {process.pid}" in message
    assert "stop that process (its end frees the directory), or use another directory" in message
    assert caught.value.retriable
    if sys.platform == "linux":
        # What can be read of a long command line: its beginning.
        assert f"(`{sys.executable} -W ignore -c" in message


def test_a_killed_process_blocks_nobody(tmp_path: Path) -> None:
    for number in range(3):
        with holder(HOLDS, tmp_path) as (process, words):
            process.send_signal(signal.SIGKILL)
            process.wait()
            with headwater.Broker(tmp_path, listen=words[0]) as broker:
                assert values(broker) == [b"value"] * (number + 1)


def test_a_forked_child_that_outlives_its_parent_blocks_nobody(tmp_path: Path) -> None:
    with holder(HOLDS_AND_FORKS, tmp_path) as (process, words):
        address, child = words[0], int(words[1])
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.kill(child, 0)
        # Neither the directory nor the port is left with the child.
        with headwater.Broker(tmp_path, listen=address) as broker:
            assert values(broker) == [b"value"]
            assert values(address) == [b"value"]
            os.kill(child, 0)


def test_a_second_broker_in_the_same_process_is_told_so(tmp_path: Path) -> None:
    with headwater.Broker(tmp_path) as first:
        with pytest.raises(
            headwater.StorageError, match=rf"by this process itself \({os.getpid()}\); call stop\(\) on the Broker"
        ):
            headwater.Broker(tmp_path)
        # By another name it is the same directory.
        (tmp_path / "link").symlink_to(tmp_path)
        with pytest.raises(headwater.StorageError, match="this process itself"):
            headwater.Broker(tmp_path / "link")
        headwater.Admin(first).create_topic("served")
        # The refusals did not drop the lock: another process is still kept out.
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", "import sys, headwater; headwater.Broker(sys.argv[1])", tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert f"process {os.getpid()}" in done.stderr
    with headwater.Broker(tmp_path) as again:
        assert "served" in again.topics


def test_a_broker_that_nobody_stopped_gives_its_directory_back(tmp_path: Path) -> None:
    broker = headwater.Broker(tmp_path, listen=None)
    del broker
    with headwater.Broker(tmp_path, listen=None):
        pass


def test_a_broker_that_could_not_start_gives_its_directory_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(headwater.ConnectionFailedError):
            headwater.Broker(tmp_path, listen=f"127.0.0.1:{taken.getsockname()[1]}")
        with headwater.Broker(tmp_path):
            pass


@pytest.mark.parametrize("content", [f"{os.getppid()}\n", "1\n", "", "no number"])
def test_a_lock_file_that_nobody_holds_means_nothing(tmp_path: Path, content: str) -> None:
    headwater.Broker(tmp_path, listen=None).stop()
    locks = list(tmp_path.rglob(".lock"))
    assert locks
    for lock in locks:
        lock.write_text(content)
    with headwater.Broker(tmp_path, listen=None):
        pass


def test_the_server_names_the_process_too(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "headwater",
        "start",
        "--listen",
        "127.0.0.1:0",
        "--data",
        tmp_path,
    ]
    with holder(HOLDS, tmp_path) as (process, _):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert f"process {process.pid}" in done.stderr
    assert "hint: stop that process" in done.stderr
