import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project
from lab.durations import age
from lab.errors import UsageError


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="TIME",
            help="Also runs of this project that are older (7d, 12h); and no image of ours that is younger.",
        ),
    ] = None,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Remove what crashed runs and deleted checkouts left on the engine, and images of ours that no lab uses."""
    from lab.leftovers import left_lines
    from lab.operations.gc import gc as collect

    found = asyncio.run(collect(open_lab(project), dry_run=dry_run, age=_age(older_than)))
    data = {"schema": "lab.gc/1", "removed": not dry_run, "found": [asdict(one) for one in found]}
    _output.result("\n".join(left_lines(found, removed=not dry_run)), data, as_json=json)


def _age(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return age(text)
    except ValueError as error:
        raise UsageError(id="duration", what=f"--older-than: {error}", fix="--older-than 7d") from error
