"""The checker of the course's notebooks finds what it is there to find, each rule on a small notebook of its own.

A lesson that breaks no rule is made first; every test spoils one thing in it and names what the checker must say.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import check
import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTEBOOKS = Path(check.__file__).parent
#: A PNG's first bytes are enough: the checker looks whether the file is there.
PICTURE = b"\x89PNG\r\n\x1a\n"

START = "from course import check\n\nunit = 1"
ONE_CHECK = 'check("it is one", one == unit, "the smallest there is")'
TWO_CHECK = 'check("it is two", two == 2 * unit, "one more")'


def text(name: str, source: str) -> NotebookNode:
    return new_markdown_cell(source, id=name)


def code(name: str, source: str) -> NotebookNode:
    return new_code_cell(source, id=name)


def solved(code: str) -> str:
    return f"<details>\n<summary>Solution</summary>\n\n```python\n{code}\n```\n\n</details>"


def exercise(name: str, placeholder: str, says: str, solution: str) -> list[NotebookNode]:
    """The text and the three cells of an exercise."""
    cells = [
        text(f"task-{name}", f"**Exercise {name}.** Fill it in."),
        code(f"exercise-{name}", placeholder),
        code(f"check-{name}", says),
        text(f"solution-{name}", solved(solution)),
    ]
    for cell, tag in zip(cells[1:], check.PARTS, strict=True):
        cell.metadata["tags"] = [tag]
    return cells


def lesson() -> NotebookNode:
    """A notebook without a fault."""
    return new_notebook(
        cells=[
            text("title", "# 1. Numbers\n\n**You will learn**\n\n- to count\n\n![two stones](pictures/stones.png)"),
            code("start", START),
            *exercise("one", "one = ...", ONE_CHECK, "one = 1"),
            *exercise("two", "two = ...", TWO_CHECK, "two = one + 1"),
            code("sum", "assert one + two == 3"),
        ]
    )


def cell(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == name)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A folder of notebooks with the checker and what notebooks import, as the course's own is."""
    folder = tmp_path / "course"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "stones.png").write_bytes(PICTURE)
    for name in ("check.py", "course.py"):
        shutil.copy(NOTEBOOKS / name, folder)
    return folder


def write(course: Path, notebook: NotebookNode, name: str = "01-numbers.ipynb") -> Path:
    path = course / name
    path.write_text(check.canonical(notebook), "utf-8")
    return path


# --- the form --------------------------------------------------------------------------------------------------------


def test_a_lesson_without_fault(course: Path) -> None:
    assert list(check.faults(write(course, lesson()))) == []


def source(name: str, new: str) -> Callable[[NotebookNode], None]:
    def spoil(notebook: NotebookNode) -> None:
        cell(notebook, name).source = new

    return spoil


def renamed(name: str, new: str) -> Callable[[NotebookNode], None]:
    def spoil(notebook: NotebookNode) -> None:
        cell(notebook, name).id = new

    return spoil


def tagged(name: str, *tags: str) -> Callable[[NotebookNode], None]:
    def spoil(notebook: NotebookNode) -> None:
        cell(notebook, name).metadata["tags"] = list(tags)

    return spoil


def without(*names: str) -> Callable[[NotebookNode], None]:
    def spoil(notebook: NotebookNode) -> None:
        notebook.cells = [cell for cell in notebook.cells if cell.id not in names]

    return spoil


def swapped(name: str, other: str) -> Callable[[NotebookNode], None]:
    def spoil(notebook: NotebookNode) -> None:
        ids = [cell.id for cell in notebook.cells]
        at, to = ids.index(name), ids.index(other)
        notebook.cells[at], notebook.cells[to] = notebook.cells[to], notebook.cells[at]

    return spoil


def another_type(name: str, make: Callable[[str, str], NotebookNode]) -> Callable[[NotebookNode], None]:
    def spoil(notebook: NotebookNode) -> None:
        index = [cell.id for cell in notebook.cells].index(name)
        other = make(name, notebook.cells[index].source)
        other.metadata = notebook.cells[index].metadata
        notebook.cells[index] = other

    return spoil


TITLE = "must begin with a text cell: `# NUMBER. Title`, and a list after **You will learn**"
ORPHANS = "has checks or solutions that belong to no exercise"
FOLLOWED = "cell `exercise-two` must be followed by check-two and solution-two with their tags"
FORM = "a solution is <details>, <summary> and one block of Python, nothing else"


def wrong_cell(name: str, tag: str) -> str:
    return f"cell `{name}` with tag `{tag}`: wrong type of cell, or its id does not begin with `{tag}-`"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without(*(cell.id for cell in lesson().cells)), ["has no cells"]),
        (source("title", "# Numbers\n\n**You will learn**"), [TITLE]),
        (source("title", "# 2. Numbers\n\n**You will learn**"), [TITLE]),
        (source("title", "# 1. Numbers"), [TITLE]),
        (another_type("title", code), [TITLE]),
        (source("sum", " \n"), ["cell `sum` is empty"]),
        (source("task-one", "**Exercise** ![stones](none.png)"), ["cell `task-one`: there is no picture none.png"]),
        (
            source("task-one", "**Exercise** ![](pictures/stones.png)"),
            ["cell `task-one`: picture pictures/stones.png says nothing to those who cannot see it"],
        ),
        (
            without("task-two", "exercise-two", "check-two", "solution-two"),
            ["has 1 exercises; 2 at least"],
        ),
        (another_type("exercise-two", text), [wrong_cell("exercise-two", "exercise")]),
        (another_type("check-two", text), [wrong_cell("check-two", "check")]),
        (another_type("solution-two", code), [wrong_cell("solution-two", "solution")]),
        # The other two cells are looked for by the exercise's name.
        (renamed("check-two", "two-check"), [FOLLOWED, wrong_cell("two-check", "check")]),
        (swapped("check-two", "solution-two"), [FOLLOWED]),
        (swapped("check-one", "check-two"), [FOLLOWED.replace("two", "one"), FOLLOWED]),
        (tagged("check-two"), [FOLLOWED, ORPHANS]),
        (tagged("solution-two"), [FOLLOWED, ORPHANS]),
        (without("check-two"), [FOLLOWED, ORPHANS]),
        (without("solution-two"), [FOLLOWED, ORPHANS]),
        (tagged("exercise-two"), ["has 1 exercises; 2 at least", ORPHANS]),
        (
            source("task-two", "Fill it in."),
            ["cell `exercise-two` must follow a text with **Exercise ...** that says what to do"],
        ),
        (
            # The text before it is now the solution of the exercise before.
            without("task-two"),
            ["cell `exercise-two` must follow a text with **Exercise ...** that says what to do"],
        ),
        (
            another_type("task-two", code),
            ["cell `exercise-two` must follow a text with **Exercise ...** that says what to do"],
        ),
        (source("exercise-two", "two = 2"), ["cell `exercise-two` has no placeholder `...`"]),
        (source("check-two", "assert two == 2"), ["cell `check-two` does not call `check`"]),
        (source("solution-two", "two = 2"), [f"cell `solution-two`: {FORM}"]),
        (source("solution-two", solved("two = 2") + "\n\nSo it is."), [f"cell `solution-two`: {FORM}"]),
        (source("solution-two", "Look!\n" + solved("two = 2")), [f"cell `solution-two`: {FORM}"]),
        (source("solution-two", solved("two = 2").replace("python", "")), [f"cell `solution-two`: {FORM}"]),
        (source("solution-two", solved("two = = 2")), ["invalid syntax (solution-two, line 1)"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "spoilt",
)
def test_a_fault_is_named_and_nothing_else(
    course: Path, spoil: Callable[[NotebookNode], None], said: list[str]
) -> None:
    notebook = lesson()
    spoil(notebook)
    assert list(check.faults(write(course, notebook))) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no notebook: Expecting value"),
        (b"{", "is no notebook: Expecting property name"),
        (b"\xff", "is no notebook: 'utf-8' codec can't decode byte 0xff"),
        (b"[]", "is no notebook of format 4.5"),
        (b"{}", "is no notebook of format 4.5"),
        (b'{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": []}', "is no notebook of format 4.5"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "is no notebook: 'cells' is a required property"),
    ],
)
def test_what_is_no_notebook(course: Path, content: bytes, said: str) -> None:
    path = course / "01-numbers.ipynb"
    path.write_bytes(content)
    (fault,) = check.faults(path)
    assert fault.startswith(said)
    assert len(fault.splitlines()) == 1


def test_cells_without_a_name_of_their_own(course: Path) -> None:
    """nbformat gives such cells a name made of chance, which then would be committed."""
    path = write(course, lesson())
    path.write_text(path.read_text("utf-8").replace('"id": "start"', '"id": "sum"'), "utf-8")
    assert list(check.faults(path)) == ["2 cells have the id `sum`"]
    path.write_text(path.read_text("utf-8").replace('"id": "sum",', ""), "utf-8")
    assert list(check.faults(path)) == ["is no notebook: 'id' is a required property"]
    committed = path.read_bytes()
    stripped = checker(course, "--strip")
    assert (stripped.returncode, stripped.stdout) == (1, "")
    assert stripped.stderr == "error: 01-numbers.ipynb: is no notebook: 'id' is a required property\n"
    assert path.read_bytes() == committed


def test_a_file_without_a_number(course: Path) -> None:
    said = ["must be called by its number and title, such as 03-consumer-groups.ipynb"]
    assert list(check.faults(write(course, lesson(), "Untitled.ipynb"))) == said


LAYOUT = "has outputs, needless metadata or another layout; run `python notebooks/check.py --strip`"


def was_run(notebook: NotebookNode) -> None:
    cell(notebook, "sum").outputs = [new_output("stream", text="3\n")]


def was_counted(notebook: NotebookNode) -> None:
    cell(notebook, "sum").execution_count = 3


def was_edited(notebook: NotebookNode) -> None:
    cell(notebook, "sum").metadata["collapsed"] = True


def was_opened_elsewhere(notebook: NotebookNode) -> None:
    notebook.metadata["kernelspec"] = {"name": "mine", "display_name": "Mine"}


def ends_in_a_blank_line(notebook: NotebookNode) -> None:
    cell(notebook, "sum").source += "\n"


def test_what_a_run_leaves_is_found_and_stripped(course: Path) -> None:
    spoilt = [was_run, was_counted, was_edited, was_opened_elsewhere, ends_in_a_blank_line]
    for spoil in spoilt:
        notebook = lesson()
        spoil(notebook)
        path = course / f"01-{spoil.__name__}.ipynb"
        path.write_text(nbformat.writes(notebook), "utf-8")
        assert list(check.faults(path)) == [LAYOUT], path.name
    stripped = checker(course, "--strip")
    assert (stripped.returncode, stripped.stdout, stripped.stderr) == (0, "", "")
    written = {path.read_text("utf-8") for path in course.glob("*.ipynb")}
    assert written == {check.canonical(lesson())}
    assert [list(check.faults(path)) for path in course.glob("*.ipynb")] == [[]] * len(spoilt)


def test_the_canonical_writing_keeps_what_the_course_says_of_a_notebook(course: Path) -> None:
    notebook = lesson()
    notebook.metadata["headwater"] = {"kafka": True}
    cell(notebook, "sum").source = 'print("ü")\nassert one'
    again = check.read(write(course, notebook))
    assert again.metadata["headwater"] == {"kafka": True}
    assert [(c.id, c.cell_type, c.source) for c in again.cells] == [
        (c.id, c.cell_type, c.source) for c in notebook.cells
    ]
    assert [check.part(c) for c in again.cells if check.part(c)] == [*check.PARTS] * 2
    assert "ü" in check.canonical(again)
    assert check.canonical(again) == check.canonical(notebook)


# --- the run ---------------------------------------------------------------------------------------------------------


def run(notebook: NotebookNode, work: Path) -> None:
    """In a kernel, with the modules of the course on its path."""
    (work / "work").mkdir(parents=True)
    check.Run(notebook, work / "work", os.environ | {"PYTHONPATH": str(NOTEBOOKS)}).through()


def test_a_placeholder_that_is_called_right(tmp_path: Path) -> None:
    notebook = lesson()
    cell(notebook, "check-two").source = 'check("it is two", two, "...")'
    with pytest.raises(check.Broken, match=r"^cell `check-two` says right though the exercise is not solved$"):
        run(notebook, tmp_path)


def test_a_check_that_cannot_stand_a_placeholder(tmp_path: Path) -> None:
    notebook = lesson()
    cell(notebook, "check-two").source = 'check("it is two", two + 0 == 2, "one more")'
    with pytest.raises(check.Broken, match=r"^cell `check-two` broke on the unsolved exercise: ") as error:
        run(notebook, tmp_path)
    assert "TypeError: unsupported operand" in str(error.value)
    assert "\x1b" not in str(error.value)


def test_a_solution_that_is_called_wrong(tmp_path: Path) -> None:
    notebook = lesson()
    cell(notebook, "solution-two").source = solved("two = one")
    with pytest.raises(check.Broken, match=r"(?s)^cell `check-two` failed: .*✗ not yet: it is two\n  hint: one more"):
        run(notebook, tmp_path)


def test_a_solution_that_raises(tmp_path: Path) -> None:
    notebook = lesson()
    cell(notebook, "solution-two").source = solved("two = three - 1")
    with pytest.raises(check.Broken, match=r"(?s)^cell `exercise-two` failed: .*NameError: name 'three'"):
        run(notebook, tmp_path)


def test_a_placeholder_that_does_not_run(tmp_path: Path) -> None:
    notebook = lesson()
    cell(notebook, "exercise-two").source = "two = one + ..."
    with pytest.raises(check.Broken, match=r"(?s)^cell `exercise-two` failed: .*TypeError"):
        run(notebook, tmp_path)


def test_a_cell_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CELL_SECONDS_MAX", 1)
    notebook = new_notebook(cells=[code("forever", "while True: pass")])
    with pytest.raises(check.Broken, match=r"^cell `forever` did not end: "):
        run(notebook, tmp_path)


def test_a_kernel_that_dies(tmp_path: Path) -> None:
    notebook = new_notebook(cells=[code("end", "import os\n\nos._exit(3)")])
    with pytest.raises(check.Broken, match=r"^cell `end` did not end: .*[Kk]ernel died"):
        run(notebook, tmp_path)


# --- the command line ------------------------------------------------------------------------------------------------


def checker(course: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script in the course's folder, with no Java to be found."""
    command = [sys.executable, str(course / "check.py"), *arguments]
    hidden = {name: value for name, value in os.environ.items() if name not in ("KAFKA_HOME", check.KAFKA_VARIABLE)}
    return subprocess.run(
        command,
        env=hidden | {"PATH": "/nowhere", "HOME": str(course.parent)} | environment,
        cwd=course.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def outcomes(printed: str) -> list[tuple[str, str]]:
    """The lines of a run without the seconds: the notebook, and what is said of it."""
    lines = [line.split(maxsplit=3) for line in printed.splitlines()]
    assert all(float(seconds) >= 0 and unit == "s" for _, seconds, unit, _ in lines)
    return [(name, said) for name, _, _, said in lines]


def test_notebooks_that_run_and_one_that_fails(course: Path, tmp_path: Path) -> None:
    """One is the lesson, one looks round where it runs; the one between them fails, and the others run all the same."""
    write(course, lesson())
    failing = lesson()
    cell(failing, "title").source = cell(failing, "title").source.replace("1", "2")
    cell(failing, "sum").source = "assert one + two == 4"
    write(course, failing, "02-failing.ipynb")
    looking = lesson()
    looking.metadata["headwater"] = {"kafka": True}
    cell(looking, "title").source = cell(looking, "title").source.replace("1", "3")
    cell(looking, "sum").source = "\n".join(
        [
            "import os, sys, tempfile",
            "from pathlib import Path",
            "",
            "assert os.listdir() == []",
            'assert Path(tempfile.gettempdir()).parent == Path.cwd().parent and Path.cwd().name == "work"',
            f"assert sys.executable == {sys.executable!r}",
            f"assert {check.KAFKA_VARIABLE!r} not in os.environ",
            'Path("left behind").touch()',
            f"Path({str(tmp_path / 'where')!r}).write_text(os.getcwd())",
        ]
    )
    write(course, looking, "03-looking.ipynb")
    committed = {path: path.read_bytes() for path in course.glob("*.ipynb")}
    done = checker(course, "--keep", str(tmp_path / "kept"))
    assert outcomes(done.stdout) == [
        ("01-numbers.ipynb", "2 exercises"),
        ("02-failing.ipynb", "FAILED"),
        ("03-looking.ipynb", "2 exercises, no Apache Kafka here: against Headwater"),
    ]
    assert done.returncode == 1
    first, *rest = done.stderr.splitlines()
    assert first == "error: 02-failing.ipynb: cell `sum` failed: An error occurred while executing the following cell:"
    assert "AssertionError" in "\n".join(rest)
    assert "error:" not in "\n".join(rest)
    # What is committed is as it was; what was kept shows the solution and what its check said.
    assert {path: path.read_bytes() for path in course.glob("*.ipynb")} == committed
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted(path.name for path in committed)
    kept = check.read(tmp_path / "kept" / "01-numbers.ipynb")
    assert cell(kept, "exercise-two").source == "two = one + 1"
    assert cell(kept, "check-two").outputs[0].text == "✓ right: it is two\n"
    assert not Path((tmp_path / "where").read_text()).exists()


def test_the_kafka_of_the_environment_is_used(course: Path) -> None:
    notebook = lesson()
    notebook.metadata["headwater"] = {"kafka": True}
    cell(notebook, "sum").source = f'import os\n\nassert os.environ["{check.KAFKA_VARIABLE}"] == "elsewhere:9092"'
    write(course, notebook)
    done = checker(course, **{check.KAFKA_VARIABLE: "elsewhere:9092"})
    assert (outcomes(done.stdout), done.stderr) == ([("01-numbers.ipynb", "2 exercises")], "")
    assert done.returncode == 0


def test_a_notebook_of_the_wrong_form_keeps_all_from_running(course: Path) -> None:
    write(course, lesson())
    wrong = lesson()
    cell(wrong, "exercise-two").source = "two = 2"
    write(course, wrong, "02-numbers.ipynb")
    for arguments in ([], ["--form"]):
        done = checker(course, *arguments)
        assert done.stderr.splitlines() == [
            f"error: 02-numbers.ipynb: {TITLE}",
            "error: 02-numbers.ipynb: cell `exercise-two` has no placeholder `...`",
        ]
        assert (done.returncode, done.stdout) == (1, "")


def test_the_form_alone_of_those_that_are_named(course: Path) -> None:
    write(course, lesson())
    (course / "02-numbers.ipynb").write_text("{")
    done = checker(course, "--form", "01")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_names_that_no_notebook_begins_with(course: Path) -> None:
    write(course, lesson())
    done = checker(course, "07", "08")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"check.py: error: no notebook in {course} begins with 07 or 08"


def test_ports_for_kafka_are_free_and_not_those_of_outgoing_connections() -> None:
    port = check.free_port_pair()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        other = check.free_port_pair()
    assert other != port
    assert max(port, other) + 1 < 32768
