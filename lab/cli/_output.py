"""How commands speak: results on stdout, progress and errors on stderr."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping

from lab.errors import LabError
from lab.ports import Event
from lab.view import progress_line

_COMMANDS = (
    "up", "down", "reset", "plan", "simulate", "roll", "rollback", "pause", "resume", "abort", "scale", "history",
    "events", "status", "report", "logs", "doctor", "build", "config", "compose", "load run",
    "selftest", r"migrate \w+",
)  # fmt: skip
_LAB_COMMAND = re.compile(rf"\blab ({'|'.join(_COMMANDS)})\b(?! --project)")
_project = ""


def speak_of(project: str) -> None:
    """From now on advice names this project, unless it is the one that is meant without a word."""
    global _project  # noqa: PLW0603  one process is one command
    _project = "" if project == os.environ.get("LAB_PROJECT", "default") else project


def advice(text: str) -> str:
    """The commands in a text, so that they act on the lab that is spoken of when they are copied."""
    return _LAB_COMMAND.sub(rf"lab \1 --project {_project}", text) if _project else text


def result(text: str, data: Mapping[str, object], *, as_json: bool) -> None:
    sys.stdout.write(json.dumps(data) + "\n" if as_json else text.rstrip("\n") + "\n")
    sys.stdout.flush()


def line(text: str) -> None:
    """One of a stream of results."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(line: str, *, quiet: bool = False) -> None:
    if not quiet:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def parts(*, quiet: bool) -> Callable[[str, str, float], None]:
    """Progress of `lab up`: one line per part that came up."""

    def told(part: str, what: str, seconds: float) -> None:
        took = f"{seconds:.1f}s" if seconds else ""
        say(f" ✔ {part:<9} {what:<44} {took}".rstrip(), quiet=quiet)

    return told


def events(*, quiet: bool) -> Callable[[Event], None]:
    """Progress of a rollout: its events as they are journalled, with seconds since the first."""
    started: list[int] = []

    def listen(event: Event) -> None:
        started.append(event.t_ns)
        line = progress_line(event, started[0])
        if line:
            say(line, quiet=quiet)

    return listen


def notes(*, quiet: bool) -> Callable[[str], None]:
    """What is to be known of a rollout before it begins."""
    return lambda text: say(f"note: {text}", quiet=quiet)


def failure(error: LabError, *, as_json: bool) -> None:
    """What, where, fix. With --json the same as one object on stdout, so that scripts need only one reader."""
    if as_json:
        data = {"id": error.id, "what": error.what, "where": error.where, "fix": error.fix}
        result("", {"schema": "lab.error/1", "error": data, "exit_code": error.exit_code}, as_json=True)
    lines = [f"error: {error.what}   [{error.id}]"]
    lines += [f"  where  {_indented(error.where)}"] if error.where else []
    lines += [f"  fix    {_indented(advice(error.fix))}"] if error.fix else []
    say("\n".join(lines))


def _indented(text: str) -> str:
    return text.replace("\n", "\n         ")


def stopwatch() -> Callable[[], float]:
    began = time.monotonic()
    return lambda: time.monotonic() - began
