"""Progress of an export: on a terminal, in a notebook, for a callable, and for nobody."""

from __future__ import annotations

import html
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headwater
import nbformat
import pytest
from nbclient import NotebookClient

COUNT = 200_000


@pytest.fixture(scope="module")
def large(broker: headwater.Broker) -> str:
    """A topic that takes several batches of Arrow to export."""
    headwater.Admin(broker).create_topic("large", partitions=2)
    with headwater.Producer(broker) as producer:
        producer.produce_many("large", [b"v"] * COUNT)
    return "large"


def test_a_callable_gets_done_and_total(broker: headwater.Broker, large: str, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    report = headwater.Admin(broker).export(large, tmp_path / "out", progress=progress)
    assert report.records == COUNT
    assert len(calls) >= 2, "once at the first batch, once at the end"
    assert calls[-1] == (COUNT, COUNT)
    assert calls == sorted(calls)
    assert {total for _, total in calls} == {COUNT}


def test_an_empty_topic_is_told_once(broker: headwater.Broker, topic: str, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    headwater.Admin(broker).export(topic, tmp_path / "out", progress=lambda *call: calls.append(call))
    assert calls[-1] == (0, 0)


def test_a_callable_is_called_at_most_ten_times_a_second(broker: headwater.Broker, large: str, tmp_path: Path) -> None:
    calls: list[int] = []
    began = time.monotonic()
    headwater.Admin(broker).export(large, tmp_path / "out", progress=lambda done, _: calls.append(done))
    # The first call and the one that tells the end come in any case.
    assert len(calls) <= 2 + 10 * (time.monotonic() - began)


def test_a_callable_that_raises_ends_the_export(broker: headwater.Broker, large: str, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise LookupError(f"at {done} of {total}")

    with pytest.raises(LookupError, match=f"of {COUNT}"):
        headwater.Admin(broker).export(large, tmp_path / "out", progress=stop)
    assert list(tmp_path.iterdir()) == [], "something was left behind"


def test_ctrl_c_during_a_callable_ends_the_export(
    broker: headwater.Broker, large: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # A run in the background of a shell has it ignored.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, former))
    calls = 0

    def interrupt(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        headwater.Admin(broker).export(large, tmp_path / "out", progress=interrupt)
    assert calls == 1
    assert list(tmp_path.iterdir()) == [], "something was left behind"
    assert headwater.Admin(broker).export(large, tmp_path / "out", progress=False).records == COUNT


@pytest.mark.parametrize("wrong", ["bar", 7, ["x"]])
def test_other_values_are_refused(broker: headwater.Broker, large: str, tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(headwater.MisuseError, match="progress expects"):
        headwater.Admin(broker).export(large, tmp_path / "out", progress=wrong)


EXPORT = """
    import sys, headwater
    with headwater.Broker() as broker:
        with headwater.Producer(broker) as producer:
            producer.produce_many("large", [b"v"] * 200_000)
        headwater.Admin(broker).export("large", sys.argv[1])
        print("exported")
"""


def test_without_a_terminal_nothing_is_shown(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(EXPORT), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert (done.stdout, done.stderr) == ("exported\n", "")


def test_a_terminal_has_a_bar(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(EXPORT), str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(ours, 4096)
        except OSError:
            # How Linux says that the other side is closed.
            break
        if not more:
            break
        shown += more
    os.close(ours)
    assert process.stdout is not None
    assert process.stdout.read() == b"exported\n"
    process.stdout.close()
    assert process.wait(60) == 0
    assert "large" in shown.decode()
    assert "200,000" in shown.decode()


@pytest.fixture
def run_notebook(tmp_path: Path) -> Callable[..., list[list[dict[str, Any]]]]:
    def run(*sources: str) -> list[list[dict[str, Any]]]:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(s)) for s in sources])
        NotebookClient(
            notebook, timeout=100, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        ).execute()
        return [cell.outputs for cell in notebook.cells]

    return run


def of_html(outputs: list[dict[str, Any]]) -> list[str]:
    return [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]


@pytest.mark.filterwarnings("ignore")
def test_a_notebook_shows_bars_tables_and_what_to_do_next(run_notebook: Callable[..., Any]) -> None:
    outputs = run_notebook(
        """
        import warnings
        warnings.simplefilter("ignore")
        import headwater
        broker = headwater.Broker()
        with headwater.Producer(broker) as producer:
            producer.produce_many("large", [b"<script>alert(1)</script>"] * 200_000)
        broker
        """,
        "headwater.Admin(broker).export('large', 'out')",
        "broker.topics['large'].head(3)",
        """
        try:
            headwater.Admin(broker).export("large", "again", progress=True, start=0, partitions=[0])
            headwater.Admin(broker).export("larger", "never")
        except headwater.HeadwaterError as error:
            print(error)
        """,
        "broker.stop()",
    )
    assert "<b>127.0.0.1:" in of_html(outputs[0])[0]
    bar, report = of_html(outputs[1])
    assert re.search(r"<progress value=.200000. max=.200000.", bar)
    assert "200,000 of 200,000" in bar
    assert "Exported <b>200,000 records</b>" in report
    assert [output["output_type"] for output in outputs[1]] == ["display_data", "execute_result"]
    assert "<script>" not in of_html(outputs[2])[0]
    assert "<script>alert(1)</script>" in html.unescape(of_html(outputs[2])[0])
    assert any("did you mean" in output.get("text", "") for output in outputs[3])


@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_bar_in_a_notebook_says_that_it_stopped(run_notebook: Callable[..., Any]) -> None:
    outputs = run_notebook(
        """
        import warnings
        warnings.simplefilter("ignore")
        import signal, headwater, IPython.display
        broker = headwater.Broker()
        with headwater.Producer(broker) as producer:
            producer.produce_many("large", [b"v"] * 200_000)
        """,
        """
        show = IPython.display.display
        def show_and_interrupt(*arguments, **options):
            handle = show(*arguments, **options)
            signal.raise_signal(signal.SIGINT)
            return handle
        IPython.display.display = show_and_interrupt
        try:
            headwater.Admin(broker).export("large", "out")
        except KeyboardInterrupt:
            print("interrupted")
        IPython.display.display = show
        broker.stop()
        """,
    )
    assert any(output.get("text") == "interrupted\n" for output in outputs[1])
    assert "stopped" in of_html(outputs[1])[-1]
