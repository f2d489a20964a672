"""A bar in a notebook, where a terminal's would not be seen: for long calls of the extension module."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

from headwater import _html


def notebook_bar(label: str) -> NotebookBar | None:
    """A bar if this code runs in a notebook (an IPython with a kernel), otherwise None."""
    # Nothing is imported for this: without IPython there is no notebook.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return NotebookBar(label) if getattr(shell, "kernel", None) is not None else None


class NotebookBar:
    """Called with (done, total), then told to finish; the display is replaced in place."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._began = time.monotonic()
        self._at = (0, 0)
        self._handle: Any = None

    def __call__(self, done: int, total: int) -> None:
        """Shows how far the work is."""
        self._at = (done, total)
        seconds = time.monotonic() - self._began
        rate = f"{done / seconds:,.0f}/s" if seconds > 0 else ""
        self._show(rate)

    def finish(self, succeeded: bool) -> None:
        """Leaves the bar as it ended."""
        self._show(f"in {time.monotonic() - self._began:.1f} s" if succeeded else "stopped")

    def _show(self, rest: str) -> None:
        # IPython has no types that hold for every version.
        ipython: Any = importlib.import_module("IPython.display")
        shown = ipython.HTML(_html.labelled_progress(self._label, *self._at, rest))
        if self._handle is None:
            self._handle = ipython.display(shown, display_id=True)
        else:
            self._handle.update(shown)
