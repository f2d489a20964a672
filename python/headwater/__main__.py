"""`python -m headwater` and the console script: the command-line tool, which lives in the extension module."""

from __future__ import annotations

import signal
import sys

from headwater import _headwater


def main() -> None:
    """Runs the tool with this process's arguments and exits with its code."""
    # The tool has its own handlers; Python's would raise KeyboardInterrupt after a clean stop.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_headwater.run_cli(sys.argv[1:]))


if __name__ == "__main__":
    main()
