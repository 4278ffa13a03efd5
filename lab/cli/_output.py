"""How commands speak: results on stdout, progress and errors on stderr."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.cli import _manner
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
    _manner.to(sys.stdout, json.dumps(data) + "\n" if as_json else text.rstrip("\n") + "\n")


def line(text: str) -> None:
    """One of a stream of results."""
    _manner.to(sys.stdout, text + "\n")


def document(text: str, out: Path | None) -> None:
    """The whole of a report: to stdout, or to a file, whose name is then the result."""
    if out is None or str(out) == "-":
        _manner.to(sys.stdout, text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LabError(
            id="report-unwritable",
            what=f"the report cannot be written: {error.strerror}",
            where=str(out),
            fix="--out FILE somewhere else",
        ) from error
    line(str(out))


def say(line: str, *, quiet: bool = False) -> None:
    if not (quiet or _manner.manner().quiet):
        _said(line)


@contextmanager
def said_to(hear: Callable[[str], None]) -> Iterator[None]:
    """What is said meanwhile goes there: a line among what is repainted would tear it."""
    global _said  # noqa: PLW0603  one process is one command
    before, _said = _said, hear
    try:
        yield
    finally:
        _said = before


def _to_stderr(line: str) -> None:
    _manner.to(sys.stderr, line + "\n")


_said: Callable[[str], None] = _to_stderr


def parts(*, quiet: bool) -> Callable[[str, str, float], None]:
    """Progress of `lab up`: one line per part that came up."""
    return lambda part, what, seconds: say(part_line(part, what, seconds), quiet=quiet)


def part_line(part: str, what: str, seconds: float) -> str:
    """`seconds` 0: not timed. What is waited for has no tick yet."""
    mark = "◌" if what.startswith("waiting ") else "✔"
    return f" {mark} {part:<9} {what:<44} {f'{seconds:.1f}s' if seconds else ''}".rstrip()


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
    _to_stderr("\n".join(lines))


def _indented(text: str) -> str:
    return text.replace("\n", "\n         ")


def stopwatch() -> Callable[[], float]:
    began = time.monotonic()
    return lambda: time.monotonic() - began
