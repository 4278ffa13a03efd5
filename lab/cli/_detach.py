"""`--detach`: the same command in a session of its own; this one returns when the rollout has begun."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._lab import open_lab
from lab.errors import Exit, LabError

if TYPE_CHECKING:
    from lab.ports import Event

Detach = Annotated[
    bool, typer.Option("--detach", help="Return when the rollout has begun; it goes on by itself.", show_default=False)
]
PATIENCE_SECONDS = 300.0
"""Images may have to be made, and the schema to be filled, before it begins."""
_LOOK_SECONDS = 0.05
_SAY_SECONDS = 10.0
_BEGUN = ["rollout-started", "rollout-resumed"]
_arguments: list[str] = []


def remember(arguments: list[str]) -> None:
    """The command's own words: the child is given the same."""
    _arguments[:] = arguments


def detached(project: str, *, as_json: bool) -> int:
    lab = open_lab(project)
    folder = lab.project.folder / "detached"
    folder.mkdir(parents=True, exist_ok=True)
    seen, stem = lab.journal.last(), f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    out, err = folder / f"{stem}.out", folder / f"{stem}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        child = _start(stdout, stderr)
    deadline, say_at = time.monotonic() + PATIENCE_SECONDS, time.monotonic() + _SAY_SECONDS
    while True:
        begun = [e for e in lab.journal.events(types=_BEGUN, after=seen) if e.data.get("pid") == child.pid]
        if begun:
            return _told(begun[0], child.pid, out, err, as_json=as_json)
        if child.poll() is not None:
            sys.stderr.write(err.read_text(errors="replace"))
            sys.stdout.write(out.read_text(errors="replace"))
            return child.returncode
        now = time.monotonic()
        if now >= deadline:
            raise _late(child.pid, err)
        if now >= say_at:
            _output.say(f"waiting for pid {child.pid} to begin its rollout, {deadline - now:.0f}s left")
            say_at = now + _SAY_SECONDS
        time.sleep(_LOOK_SECONDS)


def _start(stdout: IO[bytes], stderr: IO[bytes]) -> "subprocess.Popen[bytes]":
    words = [word for word in _arguments if word != "--detach"]
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "lab", *words],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )


def _told(event: "Event", pid: int, out: Path, err: Path, *, as_json: bool) -> int:
    text = (
        f"{event.run} goes on by itself, pid {pid}\n  follow   lab events --follow\n  verdict  lab report {event.run}"
    )
    data = {"schema": "lab.detached/1", "run": event.run, "pid": pid, "stdout": str(out), "stderr": str(err)}
    _output.result(_output.advice(f"{text}\n  log      {err}"), data, as_json=as_json)
    return Exit.OK


def _late(pid: int, err: Path) -> LabError:
    return LabError(
        id="not-begun",
        what=f"pid {pid} has begun no rollout after {PATIENCE_SECONDS:g}s; it is left to itself",
        where=str(err),
        fix=f"lab status, or kill {pid}",
    )
