import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._live import watch_fleet
from lab.cli._options import Json, Project
from lab.durations import seconds
from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.assembly import Lab
    from lab.view import FleetView

TIMEOUT = "5m"


@app.command()
def status(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Repaint until Ctrl-C; off a terminal, show each change.")
    ] = False,
    wait_for: Annotated[
        str | None,
        typer.Option(
            "--wait-for",
            metavar="idle|paused|stable|VERSION",
            help="Show it once nothing is under way, the rollout is paused, all are ready, or all run VERSION.",
        ),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help=f"How long to wait; {TIMEOUT} unless given.", metavar="TIME")
    ] = None,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Show the fleet: each replica, its version, its place in routing, what is in flight."""
    from lab.operations.status import fleet_view
    from lab.view import fleet_table

    within = _within(wait_for, timeout, watch=watch)
    lab = open_lab(project)
    if not watch:
        view = _awaited(lab, wait_for, within) if wait_for else asyncio.run(fleet_view(lab))
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


def _within(wait_for: str | None, timeout: str | None, *, watch: bool) -> float:
    if wait_for and watch:
        raise UsageError(id="status", what="--watch ends at Ctrl-C, --wait-for by itself", fix="one of the two")
    if timeout and not wait_for:
        raise UsageError(id="status", what="--timeout without --wait-for", fix="--wait-for stable --timeout 60s")
    try:
        return seconds(timeout or TIMEOUT)
    except ValueError as error:
        raise UsageError(id="duration", what=f"--timeout: {error}", fix="--timeout 60s") from error


def _awaited(lab: "Lab", goal: str, within: float) -> "FleetView":
    from lab.goals import WORDS
    from lab.operations.status import fleet_view
    from lab.operations.versions import check_version
    from lab.operations.wait_for import wait_for

    if goal not in WORDS:
        check_version(lab, goal, None)
    return asyncio.run(wait_for(lambda: fleet_view(lab), goal, within=within, say=_say))


def _say(so_far: float, why: str, left: float) -> None:
    _output.say(f"[{so_far:6.1f}] waiting    for        {why}, {left:.0f}s left")
