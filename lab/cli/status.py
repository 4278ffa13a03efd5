import asyncio
import time
from contextlib import suppress
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project

REPAINT_SECONDS = 0.2


@app.command()
def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Repaint until Ctrl-C.")] = False,
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
        while True:
            _output.result("", asyncio.run(fleet_view(lab)).to_json(), as_json=True)
            time.sleep(1)
    from rich.live import Live
    from rich.text import Text

    with suppress(KeyboardInterrupt), Live(refresh_per_second=1 / REPAINT_SECONDS) as live:
        while True:
            live.update(Text("\n".join(fleet_table(asyncio.run(fleet_view(lab))))))
            time.sleep(REPAINT_SECONDS)
