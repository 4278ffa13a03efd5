"""`python3 lab/bootstrap/__main__.py`: must at least parse on an old Python 3, to say that it is too old."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

OLDEST = (3, 11)


def _newer_python() -> str | None:
    """Return another interpreter on the PATH that is new enough."""
    found = (shutil.which(f"python3.{minor}") for minor in range(20, OLDEST[1] - 1, -1))
    return next((path for path in found if path), None)


def _start() -> int:
    if sys.platform == "win32":
        sys.exit("error: the lab runs on Linux and macOS, and on Windows inside WSL2: open a WSL shell there")
    if sys.version_info[:2] < OLDEST:
        newer = _newer_python()
        if newer:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606 - no shell is the point
        have = ".".join(map(str, sys.version_info[:2]))
        sys.stderr.write(
            f"error: the lab needs Python 3.11 or newer, and {sys.executable} is {have}\n"
            "  fix: install a newer one, then: make PYTHON=/path/of/python3 ...\n"
        )
        return 3
    # run as a file, Python puts this folder first: its modules would hide the standard library's
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from lab.bootstrap.steps import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_start())
