import json as jsonlib
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._complete import run_names
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project
from lab.errors import LabError
from lab.view import progress_line

if TYPE_CHECKING:
    from lab.assembly import Lab
    from lab.ports import Event

LOOK_SECONDS = 0.2


@app.command()
def events(
    run: Annotated[
        str | None, typer.Argument(help="The run; the last one unless given.", autocompletion=run_names)
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the rollout ends, or Ctrl-C.", show_default=False)
    ] = False,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Show the journal of a run, a line an event; with --json as docs/reference/schemas/events.schema.json has it."""
    lab = open_lab(project)
    chosen, began = _chosen(lab, run), 0
    with suppress(KeyboardInterrupt):
        for event in _events(lab, chosen, follow=follow):
            began = began or event.t_ns
            line = jsonlib.dumps(asdict(event)) if json else progress_line(event, began)
            if line:
                _output.line(line)


def _chosen(lab: "Lab", run: str | None) -> str:
    known = list(dict.fromkeys(event.run for event in lab.journal.events() if event.run))
    if not known or (run is not None and run not in known):
        raise LabError(
            id="no-run",
            what=f"there is no run {run} in the journal" if run else "nothing was rolled yet",
            where=str(lab.project.journal),
            fix=f"the last is {known[-1]}" if known else "lab up, then lab roll v2",
        )
    return run or known[-1]


def _events(lab: "Lab", run: str, *, follow: bool) -> "Iterator[Event]":
    seen, over = 0, False
    while True:
        for event in lab.journal.events(run=run, after=seen):
            seen = event.seq
            over = event.type in {"rollout-ended", "rollout-paused", "run-ended"}
            yield event
        if over or not follow:
            return
        time.sleep(LOOK_SECONDS)
