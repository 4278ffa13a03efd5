import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Remove what crashed runs and deleted checkouts left on the engine: only what provably nobody owns."""
    from lab.leftovers import left_lines
    from lab.operations.gc import gc as collect

    found = asyncio.run(collect(open_lab(project), dry_run=dry_run))
    data = {"schema": "lab.gc/1", "removed": not dry_run, "found": [asdict(one) for one in found]}
    _output.result("\n".join(left_lines(found, removed=not dry_run)), data, as_json=json)
