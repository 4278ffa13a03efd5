"""Options that several commands share, each defined once."""

from typing import Annotated

import typer

from lab.durations import seconds
from lab.errors import UsageError
from lab.model import SchemaMode

LOAD = "The load"
MOST_SLOW = 10.0
"""A third of the time that any request has: one that takes longer could be late by itself."""

Project = Annotated[
    str, typer.Option("--project", envvar="LAB_PROJECT", help="Which lab; several run side by side.", metavar="NAME")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Rate = Annotated[
    float | None,
    typer.Option("--rate", envvar="LAB_RATE", help="Requests a second.", metavar="N", rich_help_panel=LOAD),
]
NoLoad = Annotated[
    bool, typer.Option("--no-load", help="Roll without traffic; nothing is then measured.", rich_help_panel=LOAD)
]
Schema = Annotated[
    SchemaMode, typer.Option("--schema", help="auto takes the schema to where both versions work, as-is takes no step.")
]
Anyway = Annotated[bool, typer.Option("--anyway", help="Although the schema does not serve both; the verdict says so.")]
SkipDrain = Annotated[bool, typer.Option("--test-skip-drain", hidden=True)]


def slow_seconds(text: str | None) -> float | None:
    """Of `--slow`: long enough to be in flight somewhere, short enough to be in time."""
    value = _seconds("--slow", text, fix="--slow 2.5s")
    if value is not None and not 0 < value <= MOST_SLOW:
        raise UsageError(id="slow", what=f"--slow {text} is not between 0 and {MOST_SLOW:g}s", fix="--slow 2.5s")
    return value


def timeout_seconds(text: str | None) -> float | None:
    """Of `--request-timeout`."""
    return _seconds("--request-timeout", text, fix="--request-timeout 30s")


def _seconds(option: str, text: str | None, *, fix: str) -> float | None:
    try:
        return None if text is None else seconds(text)
    except ValueError as error:
        raise UsageError(id="duration", what=f"{option}: {error}", fix=fix) from error
