"""Examples in the README and in docstrings run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import headwater
import pytest

ROOT = Path(__file__).parents[2]


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", python_blocks((ROOT / "README.md").read_text()))
def test_readme(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_example_of_the_package(tmp_path: Path) -> None:
    code = "\n".join(line[4:] for line in (headwater.__doc__ or "").split("\n") if line.startswith("    ") or not line)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "hello" in done.stdout
