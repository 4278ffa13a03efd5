import asyncio
import time
from contextlib import suppress
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._live import watch_fleet
from lab.cli._options import Json, Project


@app.command()
def status(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Repaint until Ctrl-C; off a terminal, show each change.")
    ] = False,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Show the fleet: each replica, its version, its place in routing, what is in flight."""
    from lab.operations.status import fleet_view
    from lab.view import fleet_table

    lab = open_lab(project)
    if not watch:
        view = asyncio.run(fleet_view(lab))
        _output.result("\n".join(fleet_table(view)), view.to_json(), as_json=json)
        return
    if json:
        with suppress(KeyboardInterrupt):
            while True:
                _output.result("", asyncio.run(fleet_view(lab)).to_json(), as_json=True)
                time.sleep(1)
        return
    with suppress(KeyboardInterrupt):
        watch_fleet(lab)
