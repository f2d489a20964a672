"""Checks the course's notebooks and runs them, as `make notebooks` does: `python notebooks/check.py [NAME...]`.

Form. A notebook is committed without outputs, in one canonical writing (`--strip` makes both). It begins with a title
and what it teaches. An exercise is three cells in a row that share a name:

    exercise-NAME  (code, tag `exercise`)      what the student fills in: runs as it is, has a placeholder `...`
    check-NAME     (code, tag `check`)         says right or wrong, with a hint in words, through `course.check`
    solution-NAME  (markdown, tag `solution`)  `<details>` around one block of Python that replaces the exercise

The solution is text, not a code cell: "Run all" must never run it over the student's own.

Run. Every notebook runs from top to bottom in a kernel of this interpreter and in an empty directory. At an exercise
the placeholder runs first and the check must say "not yet"; then the solution runs and the check must say "right".

A notebook whose metadata has `"headwater": {"kafka": true}` is given the address of an Apache Kafka in the variable
HEADWATER_COURSE_KAFKA where a JDK and Kafka's jars (or Maven, to fetch them) are there; elsewhere it runs as it does
for a student who has no Kafka.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.validator import iter_validate

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CELL_SECONDS_MAX = 240
EXERCISES_MIN = 2
PARTS = ("exercise", "check", "solution")
CELL_METADATA = {"tags"}
NOTEBOOK_METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SOLUTION = re.compile(r"<details>\s*<summary>[^<]+</summary>\n\n```python\n(?P<code>.+?)\n```\n\n</details>", re.DOTALL)
PICTURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<path>[^)]+)\)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
KAFKA_VARIABLE = "HEADWATER_COURSE_KAFKA"


class Broken(Exception):
    """A notebook does not do what it should; the message says where."""


def read(path: Path) -> nbformat.NotebookNode:
    """Reads a notebook whose cells have a name each.

    Not by `nbformat.read`, which mends in silence what has no names, with names made of chance.

    Raises:
        Broken: it is none.
    """
    try:
        text = path.read_text("utf-8")
        raw = json.loads(text)
    except ValueError as error:
        raise Broken(f"is no notebook: {error}") from None
    if not isinstance(raw, dict) or (raw.get("nbformat"), raw.get("nbformat_minor")) != (4, 5):
        raise Broken("is no notebook of format 4.5, the first whose cells have ids")
    for error in iter_validate(raw):
        raise Broken(f"is no notebook: {error.message.splitlines()[0][:200]}")
    for name, count in Counter(cell["id"] for cell in raw["cells"]).items():
        if count > 1:
            raise Broken(f"{count} cells have the id `{name}`")
    return nbformat.v4.reads_json(text)


def canonical(notebook: nbformat.NotebookNode) -> str:
    """The one writing in which a notebook is committed: nothing in it depends on who ran it last."""
    cells = []
    for cell in notebook.cells:
        kept: dict[str, Any] = {"cell_type": cell.cell_type, "id": cell.id}
        kept["metadata"] = {name: cell.metadata[name] for name in sorted(CELL_METADATA & set(cell.metadata))}
        if cell.cell_type == "code":
            kept |= {"execution_count": None, "outputs": []}
        kept["source"] = cell.source.rstrip().splitlines(keepends=True)
        cells.append(kept)
    metadata = dict(NOTEBOOK_METADATA)
    if "headwater" in notebook.metadata:
        metadata["headwater"] = notebook.metadata["headwater"]
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def part(cell: nbformat.NotebookNode) -> str | None:
    """Which part of an exercise a cell is, by its tag."""
    return next((tag for tag in cell.metadata.get("tags", []) if tag in PARTS), None)


def solution(cell: nbformat.NotebookNode) -> str:
    """The code of a solution."""
    found = SOLUTION.fullmatch(cell.source.strip())
    if found is None:
        raise Broken(f"cell `{cell.id}`: a solution is <details>, <summary> and one block of Python, nothing else")
    return found["code"]


def faults(path: Path) -> Iterator[str]:
    """What is wrong with the form of a notebook."""
    try:
        notebook = read(path)
    except Broken as broken:
        yield str(broken)
        return
    cells = notebook.cells
    if not cells:
        yield "has no cells"
        return
    if path.read_text("utf-8") != canonical(notebook):
        yield "has outputs, needless metadata or another layout; run `python notebooks/check.py --strip`"
    first, number = cells[0], path.name.split("-")[0]
    if not number.isdecimal():
        yield "must be called by its number and title, such as 03-consumer-groups.ipynb"
    elif (
        first.cell_type != "markdown"
        or not re.match(rf"# {int(number)}\. \S", first.source)
        or "**You will learn**" not in first.source
    ):
        yield "must begin with a text cell: `# NUMBER. Title`, and a list after **You will learn**"
    yield from exercise_faults(cells)
    for cell in cells:
        if cell.cell_type == "markdown":
            for picture in PICTURE.finditer(cell.source):
                if not (path.parent / picture["path"]).is_file():
                    yield f"cell `{cell.id}`: there is no picture {picture['path']}"
                if not picture["alt"]:
                    yield f"cell `{cell.id}`: picture {picture['path']} says nothing to those who cannot see it"
        elif not cell.source.strip():
            yield f"cell `{cell.id}` is empty"


def exercise_faults(cells: list[nbformat.NotebookNode]) -> Iterator[str]:
    """What is wrong with the exercises of a notebook."""
    parts = [part(cell) for cell in cells]
    if parts.count("exercise") < EXERCISES_MIN:
        yield f"has {parts.count('exercise')} exercises; {EXERCISES_MIN} at least"
    for index, (cell, kind) in enumerate(zip(cells, parts, strict=True)):
        if kind is None:
            continue
        if cell.cell_type != ("markdown" if kind == "solution" else "code") or not cell.id.startswith(f"{kind}-"):
            yield f"cell `{cell.id}` with tag `{kind}`: wrong type of cell, or its id does not begin with `{kind}-`"
        if kind != "exercise":
            continue
        name = cell.id.removeprefix("exercise-")
        if [c.id for c in cells[index : index + 3]] != [f"{p}-{name}" for p in PARTS] or parts[
            index : index + 3
        ] != list(PARTS):
            yield f"cell `{cell.id}` must be followed by check-{name} and solution-{name} with their tags"
            continue
        if cells[index - 1].cell_type != "markdown" or "**Exercise" not in cells[index - 1].source:
            yield f"cell `{cell.id}` must follow a text with **Exercise ...** that says what to do"
        if "..." not in cell.source:
            yield f"cell `{cell.id}` has no placeholder `...`"
        if "check(" not in cells[index + 1].source:
            yield f"cell `check-{name}` does not call `check`"
        try:
            compile(solution(cells[index + 2]), f"solution-{name}", "exec")
        except (Broken, SyntaxError) as error:
            yield str(error)
    if parts.count("exercise") != parts.count("check") or parts.count("exercise") != parts.count("solution"):
        yield "has checks or solutions that belong to no exercise"


class ThisInterpreter(KernelSpecManager):
    """The kernel of the interpreter that runs this script, whatever kernels are installed for the user."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(resource_dir="", **get_kernel_dict())


class Run:
    """One notebook on its way through a kernel."""

    def __init__(self, notebook: nbformat.NotebookNode, directory: Path, environment: dict[str, str]) -> None:
        self.notebook = notebook
        # Sockets of the file system, beside the notebook's directory: no port, and nobody else gets in.
        manager = AsyncKernelManager(
            kernel_spec_manager=ThisInterpreter(),
            transport="ipc",
            connection_file=str(directory.with_name("kernel.json")),
        )
        resources = {"metadata": {"path": str(directory)}}
        self.client = NotebookClient(notebook, km=manager, timeout=CELL_SECONDS_MAX, resources=resources)
        self.environment = environment

    def through(self) -> None:
        """Runs all cells, solutions in place of exercises.

        Raises:
            Broken: a cell failed, or a check did not tell wrong from right.
        """
        with self.client.setup_kernel(env=self.environment, cleanup_kc=True):
            for index, cell in enumerate(self.notebook.cells):
                if cell.cell_type != "code":
                    continue
                if part(cell) == "exercise":
                    self.execute(cell, index)
                elif part(cell) == "check":
                    self.check(index)
                else:
                    self.execute(cell, index)

    def check(self, index: int) -> None:
        """The check after a placeholder that is not filled in, then after the solution."""
        cells = self.notebook.cells
        exercise, check, solved = cells[index - 1], cells[index], cells[index + 1]
        unsolved = self.attempt(check, index)
        if unsolved is None:
            raise Broken(f"cell `{check.id}` says right though the exercise is not solved")
        if unsolved.ename != "NotYet":
            raise Broken(f"cell `{check.id}` broke on the unsolved exercise: {plain(unsolved)}")
        exercise.source = solution(solved)
        self.execute(exercise, index - 1)
        self.execute(check, index)

    def execute(self, cell: nbformat.NotebookNode, index: int) -> None:
        failed = self.attempt(cell, index)
        if failed is not None:
            raise Broken(f"cell `{cell.id}` failed: {plain(failed)}")

    def attempt(self, cell: nbformat.NotebookNode, index: int) -> CellExecutionError | None:
        """Runs a cell; returns how it failed, if it did."""
        try:
            self.client.execute_cell(cell, index)
        except CellExecutionError as error:
            return error
        except (CellTimeoutError, DeadKernelError) as error:
            raise Broken(f"cell `{cell.id}` did not end: {error}") from None
        return None


def plain(error: Exception) -> str:
    """An error of a kernel without its colours."""
    return COLOUR.sub("", str(error))


def free_port_pair() -> int:
    """A port that is free, and the next one too: the script wants one for the broker and one for its controller.

    Below 32768, where the system takes none for outgoing connections in between.
    """
    for port in range(20_000, 32_000, 2):
        with ExitStack() as sockets:
            try:
                for number in (port, port + 1):
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                continue
            return port
    raise Broken("no two free ports between 20000 and 32000 for Apache Kafka")


@contextmanager
def apache_kafka(directory: Path) -> Iterator[str | None]:
    """The address of an Apache Kafka of our own; None where the JDK or the jars' downloader is missing."""
    script = ROOT / "tests" / "kafka" / "kafka.sh"
    jars = Path(os.environ.get("KAFKA_HOME", ROOT / ".cache" / "apache-kafka"))
    if not shutil.which("java") or not ((jars / ".complete").exists() or shutil.which("mvn")):
        yield None
        return
    environment = os.environ | {"KAFKA_DATA": str(directory), "KAFKA_PORT": str(free_port_pair())}
    try:
        # Its output goes to a file: the broker would inherit a pipe and keep it open.
        with (directory.parent / "kafka.out").open("w+") as out:
            if subprocess.run([str(script), "start"], env=environment, stdout=out, check=False).returncode:
                raise Broken("Apache Kafka did not start; `make jars` fetches what it needs")
            out.seek(0)
            address = out.read().strip()
        yield address
    finally:
        subprocess.run([str(script), "stop"], env=environment, check=True)


def run(path: Path, keep: Path | None) -> str:
    """Runs one notebook; returns what to say of it."""
    notebook = read(path)
    exercises = sum(part(cell) == "exercise" for cell in notebook.cells)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-notebook-")))
        directory, temporary = place / "work", place / "tmp"
        directory.mkdir()
        temporary.mkdir()
        inherited = os.environ.get("PYTHONPATH", "")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), inherited])),
            # A notebook that fails leaves its broker's data behind: here they go away with the run.
            "TMPDIR": str(temporary),
        }
        said = f"{exercises} exercises"
        if notebook.metadata.get("headwater", {}).get("kafka") and KAFKA_VARIABLE not in environment:
            address = stack.enter_context(apache_kafka(place / "kafka"))
            said += ", against Apache Kafka" if address else ", no Apache Kafka here: against Headwater"
            environment |= {KAFKA_VARIABLE: address} if address else {}
        try:
            Run(notebook, directory, environment).through()
        finally:
            if keep is not None:
                nbformat.write(notebook, keep / path.name)
    return said


def strip(paths: list[Path]) -> int:
    """Brings notebooks into their canonical writing; those that are none stay as they are."""
    failed = 0
    for path in paths:
        try:
            path.write_text(canonical(read(path)), "utf-8")
        except Broken as error:
            failed += 1
            print(f"error: {path.name}: {error}", file=sys.stderr)
    return bool(failed)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", help="notebooks, by the beginning of their names, such as 03; default: all")
    parser.add_argument("--strip", action="store_true", help="remove outputs and needless metadata, run nothing")
    parser.add_argument("--form", action="store_true", help="check the form alone, run nothing")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the executed notebooks there")
    asked = parser.parse_args()
    paths = [p for p in sorted(HERE.glob("*.ipynb")) if not asked.names or p.name.startswith(tuple(asked.names))]
    if not paths:
        parser.error(f"no notebook in {HERE} begins with {' or '.join(asked.names)}")
    if asked.strip:
        return strip(paths)
    wrong = [f"{path.name}: {fault}" for path in paths for fault in faults(path)]
    for fault in wrong:
        print(f"error: {fault}", file=sys.stderr)
    if wrong or asked.form:
        return bool(wrong)
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path in paths:
        began = time.monotonic()
        try:
            said = run(path, asked.keep)
        except Broken as error:
            failed += 1
            print(f"error: {path.name}: {error}", file=sys.stderr)
            said = "FAILED"
        print(f"{path.name:<32} {time.monotonic() - began:6.1f} s  {said}", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
