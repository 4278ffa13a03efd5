"""`lab up` and `lab down`, interrupted at a step: `python -m tests.interrupted KILL "after remove#3" FILE COMMAND ..`.

A step is a change to the engine, a call of Compose, a step of the schema, a record of the journal or a file of the
project's own; before it and after it is a point. FILE gets a line for each point that was passed. The process
interrupts itself there, by SIGKILL or, as Ctrl-C does, by SIGINT; the command knows nothing of it.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import migrate, project
from lab.compose import Compose
from lab.docker_client import DockerClient
from lab.journal import SqliteJournal
from tests.e2e.conftest import ROOT, Done, LabCommand

NEVER = "never"
MINUTES = 3
LOOKS = frozenset(
    {"list", "inspect", "inspect image", "list images", "list networks", "list volumes", "logs", "version"}
)
"""Calls of the engine that change nothing."""
SIGNALS = {"KILL": signal.SIGKILL, "INT": signal.SIGINT}


class Interrupter:
    def __init__(self, number: signal.Signals, at: str, file: Path) -> None:
        self._signal, self._at = number, at
        self._lines = file.open("w", buffering=1)
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def step(self, sound: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """The same, with a point before it and one after it. `name` of no word: it changes nothing."""

        @functools.wraps(sound)
        def stepped(*args: Any, **kwargs: Any) -> Any:
            what = name(*args)
            if not what:
                return sound(*args, **kwargs)
            self._point(f"before {what}")
            done = sound(*args, **kwargs)
            self._point(f"after {what}")
            return done

        return stepped

    def _point(self, name: str) -> None:
        with self._lock:
            self._passed[name] += 1
            at = f"{name}#{self._passed[name]}"
            self._lines.write(json.dumps(at) + "\n")
            if at == self._at:
                os.kill(os.getpid(), self._signal)


def _changing(_self: object, what: str, *_: object) -> str:
    return "" if what in LOOKS else what


def _of_compose(_self: object, words: Sequence[str], *_: object) -> str:
    return f"compose {words[0]}" if words[0] in {"up", "down"} else ""


def _record(_self: object, type: str, *_: object) -> str:
    return f"record {type}"


@contextmanager
def interrupted_by(interrupter: Interrupter) -> Iterator[None]:
    steps: list[tuple[Any, str, Callable[..., str]]] = [
        (DockerClient, "call", _changing),
        (Compose, "_call", _of_compose),
        (SqliteJournal, "append", _record),
        (migrate, "go_to", lambda *_: "schema"),
        (project, "_write", lambda path, *_: f"file {path.name}"),
    ]
    sound = [(owner, name, getattr(owner, name)) for owner, name, _ in steps]
    for owner, name, told in steps:
        setattr(owner, name, interrupter.step(getattr(owner, name), told))
    try:
        yield
    finally:
        for owner, name, kept in sound:
            setattr(owner, name, kept)


@dataclass(frozen=True)
class Interruptions:
    """One project's lab, put up and taken down again and again."""

    lab: LabCommand
    folder: Path

    def points(self, command: str) -> list[str]:
        """All that the command passes where there is everything to do for it, in order."""
        self._fresh(command)
        done = self._run("KILL", NEVER, command)
        assert done.exit_code == 0, done.err
        return self._passed()

    def interrupt(self, how: str, at: str, command: str, *, then: str) -> list[str]:
        """Interrupt the command there, and give another; what is not as that one leaves it undisturbed."""
        self._fresh(command)
        stopped = self._run(how, at, command)
        if at not in self._passed():
            return [f"it did not come by {at}: exit {stopped.exit_code} {stopped.err[-300:]}"]
        wrong = self._wrongly_interrupted(how, stopped)
        after = self.lab(then)
        wrong += [] if after.exit_code == 0 else [f"lab {then} then: exit {after.exit_code} {after.err[-500:]}"]
        wrong += self._not_up() if then == "up" else [f"left: {name}" for name in self.lab.leftovers()]
        return wrong

    def _wrongly_interrupted(self, how: str, stopped: Done) -> list[str]:
        if how == "KILL":
            return [] if stopped.exit_code == -signal.SIGKILL else [f"killed, it ended with {stopped.exit_code}"]
        if stopped.exit_code == 0:  # it came when all was done
            return []
        good = stopped.exit_code == 130 and "again to go on" in stopped.err and "Traceback" not in stopped.err
        return [] if good else [f"Ctrl-C: exit {stopped.exit_code} {stopped.err[-500:]}"]

    def _not_up(self) -> list[str]:
        status = self.lab.status()
        ready = [(r["version"], r["state"]) for r in status.get("replicas", ())]
        wrong = [] if ready == [("v1", "ready")] * 3 else [f"the fleet is {ready}"]
        names = self.lab.containers
        wrong += [] if len(names) == 5 else [f"there are {sorted(names)}"]
        again = self.lab("up")
        wrong += [] if "Nothing to do" in again.out else [f"a second lab up: {again.out}{again.err[-300:]}"]
        return wrong

    def _fresh(self, command: str) -> None:
        """What there is before the command: nothing at all for `up`, a whole lab for `down`."""
        if command == "up":
            assert self.lab("down").exit_code == 0
            for kept in ("port.json", "secrets.json", "journal.db*"):
                for path in (ROOT / ".lab" / self.lab.project).glob(kept):
                    path.unlink()
        else:
            self.lab.up()

    def _run(self, how: str, at: str, command: str) -> Done:
        argv = [sys.executable, "-m", "tests.interrupted", how, at, str(self._file)]
        argv += [command, "--project", self.lab.project]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=MINUTES * 60, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    @property
    def _file(self) -> Path:
        return self.folder / "points.jsonl"

    def _passed(self) -> list[str]:
        return [json.loads(line) for line in self._file.read_text().splitlines()]


def main() -> int:
    from lab.cli import main as lab

    how, at, file, *words = sys.argv[1:]
    with interrupted_by(Interrupter(SIGNALS[how], at, Path(file))):
        return lab(words)


if __name__ == "__main__":
    sys.exit(main())
