import asyncio
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import load_app
from lab.cli._lab import open_lab
from lab.cli._load import EPILOG, loaded
from lab.cli._options import Json, Project, Quiet
from lab.cli._shape import Sectioned
from lab.cli._verdict import show_run
from lab.durations import seconds
from lab.errors import UsageError
from lab.load_choice import LoadChoice


@load_app.command(cls=Sectioned, epilog=EPILOG)
@loaded
def run(
    load: LoadChoice,
    duration: Annotated[
        str | None, typer.Option("--duration", help="How long it offers something: 30s.", metavar="TIME")
    ] = None,
    requests: Annotated[
        int | None, typer.Option("--requests", help="How many requests it offers at most.", metavar="N")
    ] = None,
    web: Annotated[
        int | None,
        typer.Option("--web", help="Show Locust's own page on this port of 127.0.0.1 meanwhile.", metavar="PORT"),
    ] = None,
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Offer traffic to the fleet as it stands, roll nothing, and judge it as a roll is judged."""
    from lab.operations.load import LoadRequest, run_load

    request = LoadRequest(choice=load, seconds=_seconds(duration), requests=requests, web=web)
    done = asyncio.run(run_load(open_lab(project), request, listen=_output.events(quiet=quiet)))
    return show_run(done, as_json=json)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(id="duration", what=f"--duration: {error}", fix="--duration 30s") from error
