import json as jsonlib
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project


@app.command()
def logs(
    name: Annotated[
        str | None, typer.Argument(help="A replica, or db, proxy, load. All replicas unless given.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until they end, or Ctrl-C.", show_default=False)
    ] = False,
    tail: Annotated[int, typer.Option("--tail", min=0, help="How many lines of each.", metavar="N")] = 50,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Show the last lines of a container's log. With --follow and --json one object a line."""
    from lab.operations import logs as operations

    lab = open_lab(project)
    if follow:
        with suppress(KeyboardInterrupt):
            for line in operations.follow(lab, name, tail=tail):
                _output.line(jsonlib.dumps(asdict(line)) if json else f"{line.name} | {line.text}")
        return
    texts = operations.last_lines(lab, name, tail=tail)
    _output.result("\n".join(log_lines(texts)), {"schema": "lab.logs/1", "logs": texts}, as_json=json)


def log_lines(texts: dict[str, str]) -> list[str]:
    return [f"{who} | {line}" for who, text in texts.items() for line in text.splitlines()]
