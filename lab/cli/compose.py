from typing import Annotated

import typer

from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Project


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, no_args_is_help=True)
def compose(
    words: Annotated[list[str], typer.Argument(help="What Compose is told: ps, logs -f proxy, up -d.", metavar="ARGS")],
    project: Project = "default",
) -> int:
    """Call Compose with the lab's files, project and environment; its exit code is ours. Own options come first."""
    from lab.operations.by_hand import by_hand

    return by_hand(open_lab(project), words)
