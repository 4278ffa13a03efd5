from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project
from lab.errors import LabError


@app.command()
def logs(
    name: Annotated[
        str | None, typer.Argument(help="A replica, or db, proxy, load. All replicas unless given.")
    ] = None,
    tail: Annotated[int, typer.Option("--tail", min=1, help="How many lines of each.", metavar="N")] = 50,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Show the last lines of a container's log."""
    from lab.assembly import not_up

    lab = open_lab(project)
    lab.refuse_another_checkout()
    containers = {seen.name: seen.container_id for seen in lab.engine.replicas_now()}
    others = {service: static.container_id for service, static in lab.host.static().items()}
    if load := lab.host.find("load"):
        others["load"] = load
    known = containers | others
    if known and name is not None and name not in known:
        raise LabError(
            id="no-container",
            what=f"there is no container {name!r} in the lab {project!r}",
            fix="one of: " + ", ".join(sorted(known)),
        )
    if not known:
        raise not_up(lab.project, "it has no containers")
    chosen = {name: known[name]} if name else containers
    texts = {who: lab.host.logs(cid, tail=tail).decode(errors="replace") for who, cid in sorted(chosen.items())}
    lines = [f"{who} | {line}" for who, text in texts.items() for line in text.splitlines()]
    _output.result("\n".join(lines), {"schema": "lab.logs/1", "logs": texts}, as_json=json)
