from typing import Annotated

import typer

from lab.cli._app import app
from lab.cli._options import Json, Project, Quiet
from lab.cli._words import PATIENCE, Timeout, operate
from lab.model import Command


@app.command()
def scale(
    replicas: Annotated[int, typer.Argument(help="The size of the fleet.", metavar="N")],
    timeout: Timeout = PATIENCE,
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Give the fleet another size, also while it is rolled."""
    return operate(Command.SCALE, project, replicas=replicas, timeout=timeout, as_json=json, quiet=quiet)
