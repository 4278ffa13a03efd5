from lab.cli._app import app
from lab.cli._options import Json, Project, Quiet
from lab.cli._words import PATIENCE, Timeout, operate
from lab.model import Command


@app.command()
def abort(timeout: Timeout = PATIENCE, project: Project = "default", json: Json = False, quiet: Quiet = False) -> int:
    """Give the rollout up: what moves settles, and each slot keeps what serves."""
    return operate(Command.ABORT, project, timeout=timeout, as_json=json, quiet=quiet)
