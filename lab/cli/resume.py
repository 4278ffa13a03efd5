from lab.cli._app import app
from lab.cli._detach import Detach, detached
from lab.cli._options import Json, Project, Quiet
from lab.cli._words import PATIENCE, Timeout, operate
from lab.model import Command


@app.command()
def resume(
    timeout: Timeout = PATIENCE,
    detach: Detach = False,
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Go on with a rollout that is paused, was interrupted, or whose command was killed."""
    if detach:
        return detached(project, as_json=json)
    return operate(Command.RESUME, project, timeout=timeout, as_json=json, quiet=quiet)
