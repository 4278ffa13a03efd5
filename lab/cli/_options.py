"""Options that several commands share, each defined once."""

from typing import Annotated

import typer

from lab.durations import seconds
from lab.errors import UsageError
from lab.model import LoadFrom

Project = Annotated[
    str, typer.Option("--project", envvar="LAB_PROJECT", help="Which lab; several run side by side.", metavar="NAME")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Rate = Annotated[float | None, typer.Option("--rate", envvar="LAB_RATE", help="Requests a second.", metavar="N")]
MinRequests = Annotated[
    int | None,
    typer.Option("--min-requests", envvar="LAB_MIN_REQUESTS", help="Fewer than this is no verdict.", metavar="N"),
]
NoLoad = Annotated[bool, typer.Option("--no-load", help="Roll without traffic; nothing is then measured.")]
LoadFromOption = Annotated[
    LoadFrom, typer.Option("--load-from", help="Where the load runs; host for writing locustfiles.")
]
ReadyTimeout = Annotated[
    str | None,
    typer.Option("--ready-timeout", envvar="LAB_READY_TIMEOUT", help="How long a replica may take.", metavar="TIME"),
]
DrainTimeout = Annotated[
    str | None,
    typer.Option("--drain-timeout", envvar="LAB_DRAIN_TIMEOUT", help="How long a drain may take.", metavar="TIME"),
]
SkipDrain = Annotated[bool, typer.Option("--test-skip-drain", hidden=True)]


def duration(text: str | None, option: str) -> float | None:
    """`500ms`, `10s`, `5m` in seconds."""
    if text is None:
        return None
    try:
        value = seconds(text)
    except ValueError as error:
        raise UsageError(id="duration", what=f"{option}: {error}", fix=f"{option} 30s") from error
    if value <= 0:
        raise UsageError(id="duration", what=f"{option}: {text} leaves no time at all", fix=f"{option} 30s")
    return value
