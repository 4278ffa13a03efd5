"""The real `lab` command, killed at a point: `python -m tests.crash_at "before admit#2" FILE COMMAND ..`.

POINT is a point's name and which of that name; `never` lets the command end. Every point that was passed is a line of
FILE, the last one where it was killed. It is the process that kills itself, as SIGKILL from outside would; the
command knows nothing of it.
"""

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.docker_engine import DockerEngine
from tests.effects import told_of

NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A point that was passed. `nth`: of its name. `seq`: of the record that was written there."""

    name: str
    nth: int
    verb: str = ""
    replica: str = ""
    seq: int | None = None

    @property
    def at(self) -> str:
        return f"{self.name}#{self.nth}"

    @property
    def act(self) -> tuple[str, str]:
        return self.verb, self.replica


class Killer:
    def __init__(self, at: str, file: Path) -> None:
        self._at = at
        self._lines = file.open("w", buffering=1)
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def point(self, name: str, about: Mapping[str, Any]) -> None:
        with self._lock:
            self._passed[name] += 1
            line = {"name": name, "nth": self._passed[name]}
            line |= {key: about[key] for key in ("verb", "replica", "seq") if key in about}
            self._lines.write(json.dumps(line) + "\n")
            if f"{name}#{self._passed[name]}" == self._at:
                os.kill(os.getpid(), signal.SIGKILL)


def points_in(file: Path) -> list[Passed]:
    return [Passed(**json.loads(line)) for line in file.read_text().splitlines()]


def command(at: str, file: Path, *words: str) -> Sequence[str]:
    return [sys.executable, "-m", "tests.crash_at", at, str(file), *words]


def main() -> int:
    from lab.cli import main as lab

    at, file, *words = sys.argv[1:]
    with told_of(DockerEngine, Killer(at, Path(file)).point):
        return lab(words)


if __name__ == "__main__":
    sys.exit(main())
